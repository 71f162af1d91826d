/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * test_check.c - bodies of each kind and all that is wrong with them
 *
 * A row's object is the sample of its kind with one merge patch over it, after defaults.
 */
#include <lib/testlib.h>
#include <errno.h>
#include <jansson.h>
#include <netd/codec/kind.h>
#include "check_rows.h"

#define ANNOTATE(key, value) "{'metadata':{'annotations':{'" key "':'" value "'}}}"
#define NAME(value) "{'metadata':{'name':'" value "'}}"
#define LONG63 "a23456789012345678901234567890123456789012345678901234567890123"
#define READINESS(probe) "{'spec':{'containers':[{'name':'a','image':'b','readinessProbe':" probe "}]}}"
#define LIVENESS(probe) "{'spec':{'containers':[{'name':'a','image':'b','livenessProbe':" probe "}]}}"
#define AT_READINESS "spec.containers[0].readinessProbe"
#define AT_KEY(key) "metadata.annotations[" key "]"

static const struct check_case cases[] = {
	/* the envelope */
	{ KIND_POD, "{}", "", NULL },
	{ KIND_POD, "{'apiVersion':'v2'}", "Type apiVersion Invalid value: \"v2\"", NULL },
	{ KIND_POD, "{'kind':'Node'}", "Type kind Invalid value: \"Node\"", NULL },
	{ KIND_POD, "{'kind':null,'apiVersion':null}", "", NULL },
	{ KIND_POD, "{'kind':7}", "Type kind Invalid value: 7: must be a string", NULL },
	{ KIND_POD, "{'metadata':'x'}", "Type metadata Invalid value: \"x\": must be an object|"
	  "Required metadata.name Required value: name or generateName is required", NULL },
	{ KIND_POD, "{'metadata':null}", "Required metadata.name Required value", NULL },
	{ KIND_POD, NAME("Web"), "Invalid metadata.name Invalid value: \"Web\": a lowercase",
	  NULL },
	{ KIND_POD, NAME("a.b-c"), "", NULL },
	{ KIND_POD, NAME("-a"), "Invalid metadata.name Invalid value: \"-a\"", NULL },
	{ KIND_POD, NAME("a..b"), "Invalid metadata.name Invalid", NULL },
	{ KIND_POD, NAME("a/b"), "Invalid metadata.name Invalid", NULL },
	{ KIND_POD, NAME(""), "Required metadata.name Required value", NULL },
	{ KIND_POD, "{'metadata':{'name':5}}", "Type metadata.name Invalid value: 5", NULL },
	{ KIND_POD, "{'metadata':{'name':null,'generateName':'web-'}}", "", NULL },
	{ KIND_POD, "{'metadata':{'name':null,'generateName':'Web-'}}",
	  "Invalid metadata.generateName Invalid value: \"Web-\"", NULL },
	{ KIND_NAMESPACE, NAME("a.b"), "Invalid metadata.name Invalid", NULL },
	{ KIND_NAMESPACE, NAME(LONG63), "", NULL },
	{ KIND_NETNS, NAME(LONG63 "4"),
	  "Invalid metadata.name Invalid value: \"" LONG63 "4\": must be no more than 63", NULL },
	{ KIND_NETNS, NAME("a.b"), "Invalid metadata.name Invalid value: \"a.b\"", NULL },
	{ KIND_POD, "{'metadata':{'namespace':'No'}}", "Invalid metadata.namespace Inv", NULL },
	{ KIND_NODE, "{'metadata':{'namespace':'x'}}",
	  "Forbidden metadata.namespace Forbidden: not allowed", NULL },
	{ KIND_POD, "{'metadata':{'labels':{'a/b/c':'x'}}}",
	  "Invalid metadata.labels Invalid value: \"a/b/c\": name part", NULL },
	{ KIND_POD, "{'metadata':{'labels':{'/c':'x'}}}", "Invalid metadata.labels Inv", NULL },
	{ KIND_POD, "{'metadata':{'labels':{'a':'x y'}}}",
	  "Invalid metadata.labels Invalid value: \"x y\": a valid label", NULL },
	{ KIND_POD, "{'metadata':{'labels':{'a':''}}}", "", NULL },
	{ KIND_POD, "{'metadata':{'labels':{'a':1}}}",
	  "Type metadata.labels[a] Invalid value: 1: must be a string", NULL },
	{ KIND_POD, "{'metadata':{'labels':[]}}", "Type metadata.labels Invalid value: []: must",
	  NULL },
	{ KIND_POD, "{'metadata':{'annotations':{'a b':'x'}}}", "Invalid metadata.annotations I",
	  NULL },
	{ KIND_POD, "{'metadata':{'finalizers':['a b']}}", "Invalid metadata.finalizers[0] I",
	  NULL },
	{ KIND_POD, "{'metadata':{'finalizers':['x.io/y']}}", "", NULL },
	{ KIND_POD, "{'metadata':{'ownerReferences':[{'kind':'A','uid':'u'}]}}",
	  "Required metadata.ownerReferences[0].apiVersion Required|"
	  "Required metadata.ownerReferences[0].name Required", NULL },
	{ KIND_POD, "{'metadata':{'unknown':1},'more':{}}", "", NULL },
	{ KIND_POD, "{'metadata':{'creationTimestamp':'2026-01-02T03:04:05+00:00'}}", "", NULL },
	/* pods */
	{ KIND_POD, "{'spec':{'containers':[]}}", "", NULL },
	{ KIND_POD, "{'spec':null}", "", NULL },
	{ KIND_POD, "{'spec':[]}", "Type spec Invalid value: []: must be an object", NULL },
	{ KIND_POD, "{'spec':{'containers':{}}}", "Type spec.containers Invalid value: {}: must",
	  NULL },
	{ KIND_POD, "{'spec':{'containers':[{}]}}", "Required spec.containers[0].name Required|"
	  "Required spec.containers[0].image Required", NULL },
	{ KIND_POD, "{'spec':{'containers':['x']}}", "Type spec.containers[0] Invalid", NULL },
	{ KIND_POD, "{'spec':{'containers':[{'name':'a','image':'b'},{'name':'a','image':'b'}]}}",
	  "Duplicate spec.containers[1].name Duplicate value: \"a\"", NULL },
	{ KIND_POD, "{'spec':{'containers':[{'name':'a.b','image':'b'}]}}",
	  "Invalid spec.containers[0].name Invalid value: \"a.b\"", NULL },
	{ KIND_POD, "{'spec':{'containers':[{'name':'a','image':'b','ports':[{}]}]}}",
	  "Required spec.containers[0].ports[0].containerPort Required", NULL },
	{ KIND_POD, "{'spec':{'containers':[{'name':'a','image':'b','ports':[{'containerPort':0},"
	  "{'containerPort':'80'},{'containerPort':80.0},{'containerPort':65536}]}]}}",
	  "Invalid spec.containers[0].ports[0].containerPort Invalid value: 0: must be between"
	  "|Type spec.containers[0].ports[1].containerPort Invalid value: \"80\": must be an int"
	  "|Type spec.containers[0].ports[2].containerPort Invalid value: 80.0: must be an int"
	  "|Invalid spec.containers[0].ports[3].containerPort Invalid value: 65536", NULL },
	{ KIND_POD, "{'spec':{'containers':[{'name':'a','image':'b','ports':[{'containerPort':1,"
	  "'protocol':'ICMP','name':'a--b','hostIP':'x'}]}]}}",
	  "Invalid spec.containers[0].ports[0].name Invalid value: \"a--b\"|"
	  "NotSupported spec.containers[0].ports[0].protocol Unsupported value: \"ICMP\": "
	  "supported "
	  "values: \"TCP\", \"UDP\", \"SCTP\"|"
	  "Invalid spec.containers[0].ports[0].hostIP Invalid value: \"x\": must be a valid IP",
	  NULL },
	{ KIND_POD, "{'spec':{'containers':[{'name':'a','image':'b','ports':[{'containerPort':1,"
	  "'name':'p','hostPort':5}]},{'name':'c','image':'b','ports':[{'containerPort':2,"
	  "'name':'p','hostPort':5},{'containerPort':2,'hostPort':5,'protocol':'UDP'}]}]}}",
	  "Duplicate spec.containers[1].ports[0].name Duplicate value: \"p\"|"
	  "Duplicate spec.containers[1].ports[0].hostPort Duplicate value: 5", NULL },
	{ KIND_POD, "{'spec':{'hostNetwork':true,'containers':[{'name':'a','image':'b','ports':["
	  "{'containerPort':1,'hostPort':2},{'containerPort':3}]}]}}",
	  "Invalid spec.containers[0].ports[0].hostPort Invalid value: 2: must match", NULL },
	/* probes */
	{ KIND_POD, READINESS("{'tcpSocket':{'port':80}}"), "", NULL },
	{ KIND_POD, READINESS("{'httpGet':{'port':'web','path':'','httpHeaders':[{'name':'A-b'}]},"
	  "'initialDelaySeconds':0,'periodSeconds':0,'successThreshold':3}"), "", NULL },
	{ KIND_POD, READINESS("{}"),
	  "Required " AT_READINESS " Required value: must specify a handler type", NULL },
	{ KIND_POD, READINESS("[]"), "Type " AT_READINESS " Invalid value: []: must be an obj", NULL },
	{ KIND_POD, READINESS("{'exec':{},'httpGet':{'port':0},'tcpSocket':{},'grpc':{}}"),
	  "Required " AT_READINESS ".exec.command Required value|"
	  "Invalid " AT_READINESS ".httpGet.port Invalid value: 0: must be between 1 and 65535|"
	  "Required " AT_READINESS ".tcpSocket.port Required value|"
	  "Required " AT_READINESS ".grpc.port Required value|"
	  "Forbidden " AT_READINESS ".httpGet Forbidden: may not specify more than 1 handler type|"
	  "Forbidden " AT_READINESS ".tcpSocket Forbidden: may not|"
	  "Forbidden " AT_READINESS ".grpc Forbidden: may not", NULL },
	{ KIND_POD, READINESS("{'httpGet':{'port':'8080','scheme':'FTP','httpHeaders':[{'name':'a b'},{}]}}"),
	  "Invalid " AT_READINESS ".httpGet.port Invalid value: \"8080\"|"
	  "NotSupported " AT_READINESS ".httpGet.scheme Unsupported value: \"FTP\": supported values: "
	  "\"HTTP\", \"HTTPS\"|"
	  "Required " AT_READINESS ".httpGet.httpHeaders[1].name Required value|"
	  "Invalid " AT_READINESS ".httpGet.httpHeaders Invalid value: \"a b\": a valid HTTP header", NULL },
	{ KIND_POD, READINESS("{'tcpSocket':{'port':true},'initialDelaySeconds':-1,'timeoutSeconds':'1',"
	  "'periodSeconds':1.5,'terminationGracePeriodSeconds':5}"),
	  "Type " AT_READINESS ".tcpSocket.port Invalid value: true: must be an integer or a|"
	  "Invalid " AT_READINESS ".initialDelaySeconds Invalid value: -1: must be greater than or equal to 0|"
	  "Type " AT_READINESS ".timeoutSeconds Invalid value: \"1\": must be an int|"
	  "Type " AT_READINESS ".periodSeconds Invalid value: 1.5: must be an int|"
	  "Forbidden " AT_READINESS ".terminationGracePeriodSeconds Forbidden: must not be set for "
	  "readinessProbes", NULL },
	{ KIND_POD, LIVENESS("{'exec':{'command':['a']},'successThreshold':2,"
	  "'terminationGracePeriodSeconds':0}"),
	  "Invalid spec.containers[0].livenessProbe.terminationGracePeriodSeconds Invalid value: 0|"
	  "Invalid spec.containers[0].livenessProbe.successThreshold Invalid value: 2: must be 1", NULL },
	{ KIND_POD, "{'spec':{'initContainers':[{'name':'a','image':'b','startupProbe':{'grpc':{'port':1}}},"
	  "{'name':'c','image':'b','restartPolicy':'Always','startupProbe':{}}]}}",
	  "Forbidden spec.initContainers[0].startupProbe Forbidden: may not be set for init "
	  "containers without restartPolicy=Always|"
	  "Required spec.initContainers[1].startupProbe Required value: must specify", NULL },
	{ KIND_POD, "{'spec':{'restartPolicy':'Maybe','dnsPolicy':'X','hostname':'a.b',"
	  "'hostNetwork':'yes','terminationGracePeriodSeconds':-1,'nodeName':'A'}}",
	  "Invalid spec.nodeName Invalid value: \"A\"|Type spec.hostNetwork Invalid value: "
	  "\"yes\": "
	  "must be true or false|Invalid spec.terminationGracePeriodSeconds Invalid value: -1|"
	  "NotSupported spec.restartPolicy Unsupported value: \"Maybe\": supported values: "
	  "\"Always\", \"OnFailure\", \"Never\"|NotSupported spec.dnsPolicy Unsupported|"
	  "Invalid spec.hostname Invalid value: \"a.b\"", NULL },
	{ KIND_POD, ANNOTATE("podnet.dev/networks", "default, storage"), "", NULL },
	{ KIND_POD, ANNOTATE("podnet.dev/networks", "default,,a"),
	  "Invalid " AT_KEY("podnet.dev/networks") " Invalid value: \"\"", NULL },
	{ KIND_POD, ANNOTATE("podnet.dev/networks", "b,a,b"),
	  "Duplicate " AT_KEY("podnet.dev/networks") " Duplicate value: \"b\"", NULL },
	{ KIND_POD, ANNOTATE("podnet.dev/networks", "a,b,c,d,e,f,g,h,i,j,k,l,m,n,o,p,q"),
	  "TooMany " AT_KEY("podnet.dev/networks") " Too many: 17: must have at most 16", NULL },
	{ KIND_POD, ANNOTATE("podnet.dev/default-route", "default"), "", NULL },
	{ KIND_POD, ANNOTATE("podnet.dev/default-route", "x"),
	  "Invalid " AT_KEY("podnet.dev/default-route") " Invalid value: \"x\": is not one", NULL },
	{ KIND_POD, ANNOTATE("podnet.dev/ips", "10.244.0.9, fd00::9,default=1.2.3.4"),
	  "Invalid " AT_KEY("podnet.dev/ips") " Invalid value: \"1.2.3.4\": must be the only",
	  NULL },
	{ KIND_POD, ANNOTATE("podnet.dev/ips", "10.244.0.9/24"),
	  "Invalid " AT_KEY("podnet.dev/ips") " Invalid value: \"10.244.0.9/24\"", NULL },
	{ KIND_POD, ANNOTATE("podnet.dev/ips", "storage=10.5.0.7"),
	  "Invalid " AT_KEY("podnet.dev/ips") " Invalid value: \"storage\": is not one", NULL },
	{ KIND_POD, ANNOTATE("podnet.dev/ips", "127.0.0.1,ff02::1"),
	  "Invalid " AT_KEY("podnet.dev/ips") " Invalid value: \"127.0.0.1\": is a loopback|"
	  "Invalid " AT_KEY("podnet.dev/ips") " Invalid value: \"ff02::1\": is a multicast", NULL },
	{ KIND_POD, ANNOTATE("podnet.dev/mac", "01:00:00:00:00:01"),
	  "Invalid " AT_KEY("podnet.dev/mac") " Invalid value: \"01:00:00:00:00:01\": must be a "
	  "unicast", NULL },
	{ KIND_POD, ANNOTATE("podnet.dev/mac", "02-00"), "Invalid " AT_KEY("podnet.dev/mac") " I",
	  NULL },
	{ KIND_POD, ANNOTATE("podnet.dev/netns", "relative"),
	  "Invalid " AT_KEY("podnet.dev/netns") " Invalid value: \"relative\": must be an", NULL },
	{ KIND_POD, ANNOTATE("podnet.dev/netns", "pid:12"), "", NULL },
	{ KIND_POD, ANNOTATE("podnet.dev/netns", "pid:0"),
	  "Invalid " AT_KEY("podnet.dev/netns") " I",
	  NULL },
	{ KIND_POD, ANNOTATE("kubernetes.io/ingress-bandwidth", "10m"),
	  "Invalid " AT_KEY("kubernetes.io/ingress-bandwidth") " Invalid value: \"10m\"", NULL },
	{ KIND_POD, ANNOTATE("kubernetes.io/egress-bandwidth", "999"),
	  "Invalid " AT_KEY("kubernetes.io/egress-bandwidth") " Invalid value: \"999\": "
	  "resource is "
	  "unreasonable", NULL },
	{ KIND_POD, ANNOTATE("kubernetes.io/egress-bandwidth", "1001T"),
	  "Invalid " AT_KEY("kubernetes.io/egress-bandwidth") " I", NULL },
	{ KIND_POD, "{'metadata':{'annotations':{'podnet.dev/ips':'10.0.0.1'}},"
	  "'spec':{'hostNetwork':true,'containers':[]}}",
	  "Forbidden " AT_KEY("podnet.dev/ips") " Forbidden: may not be used when hostNetwork",
	  NULL },
	{ KIND_POD, ANNOTATE("podnet.dev/ports", "8080, 80:8080/TCP, 8000-8100:9000-9100/udp, "
	  "10.0.0.1:53:5353/udp, [fd00::1]:53/sctp, 1-65535/sctp"), "", NULL },
	{ KIND_POD, ANNOTATE("podnet.dev/ports", ""), "", NULL },
	{ KIND_POD, ANNOTATE("podnet.dev/ports", "0"),
	  "Invalid " AT_KEY("podnet.dev/ports") " Invalid value: \"0\": must be [IP:]PORT", NULL },
	{ KIND_POD, ANNOTATE("podnet.dev/ports", "65536"), "Invalid " AT_KEY("podnet.dev/ports"), NULL },
	{ KIND_POD, ANNOTATE("podnet.dev/ports", "80,,81"),
	  "Invalid " AT_KEY("podnet.dev/ports") " Invalid value: \"\"", NULL },
	{ KIND_POD, ANNOTATE("podnet.dev/ports", "90-80"), "Invalid " AT_KEY("podnet.dev/ports"), NULL },
	{ KIND_POD, ANNOTATE("podnet.dev/ports", "80-"), "Invalid " AT_KEY("podnet.dev/ports"), NULL },
	{ KIND_POD, ANNOTATE("podnet.dev/ports", "80-90-95"), "Invalid " AT_KEY("podnet.dev/ports"),
	  NULL },
	{ KIND_POD, ANNOTATE("podnet.dev/ports", "80:90/icmp"), "Invalid " AT_KEY("podnet.dev/ports"),
	  NULL },
	{ KIND_POD, ANNOTATE("podnet.dev/ports", "80:90/"), "Invalid " AT_KEY("podnet.dev/ports"), NULL },
	{ KIND_POD, ANNOTATE("podnet.dev/ports", "10.0.0.256:80"), "Invalid " AT_KEY("podnet.dev/ports"),
	  NULL },
	{ KIND_POD, ANNOTATE("podnet.dev/ports", "0.0.0.0:80, [::]:80, 127.0.0.1:81, [::1]:81"), "", NULL },
	{ KIND_POD, ANNOTATE("podnet.dev/ports", "169.254.1.1:80"), "Invalid " AT_KEY("podnet.dev/ports")
	  " Invalid value: \"169.254.1.1:80\": must not have a link-local, multicast or reserved address", NULL },
	{ KIND_POD, ANNOTATE("podnet.dev/ports", "[fe80::1]:80"), "Invalid " AT_KEY("podnet.dev/ports")
	  " Invalid value: \"[fe80::1]:80\": must not have a link-local", NULL },
	{ KIND_POD, ANNOTATE("podnet.dev/ports", "224.0.0.1:80"), "Invalid " AT_KEY("podnet.dev/ports"), NULL },
	{ KIND_POD, ANNOTATE("podnet.dev/ports", "[ff02::1]:80"), "Invalid " AT_KEY("podnet.dev/ports"), NULL },
	{ KIND_POD, ANNOTATE("podnet.dev/ports", "fd00::1:80"), "Invalid " AT_KEY("podnet.dev/ports"),
	  NULL },
	{ KIND_POD, ANNOTATE("podnet.dev/ports", "[fd00::1:80"), "Invalid " AT_KEY("podnet.dev/ports"),
	  NULL },
	{ KIND_POD, ANNOTATE("podnet.dev/ports", "[10.0.0.1]:80"), "Invalid " AT_KEY("podnet.dev/ports"),
	  NULL },
	{ KIND_POD, ANNOTATE("podnet.dev/ports", "8000-8100:9000-9099"),
	  "Invalid " AT_KEY("podnet.dev/ports") " Invalid value: \"8000-8100:9000-9099\": must have as "
	  "many", NULL },
	{ KIND_POD, ANNOTATE("podnet.dev/ports", "1000-2024:1-1025"),
	  "Invalid " AT_KEY("podnet.dev/ports") " Invalid value: \"1000-2024:1-1025\": a range of more "
	  "than 1024", NULL },
	{ KIND_POD, ANNOTATE("podnet.dev/ports", "1000-2023:1-1024"), "", NULL },
	{ KIND_POD, "{'metadata':{'annotations':{'podnet.dev/ports':'7-9:1-3'}},'spec':{'containers':[{"
	  "'name':'a','image':'b','ports':[{'containerPort':1,'hostPort':8}]}]}}",
	  "Duplicate " AT_KEY("podnet.dev/ports") " Duplicate value: \"7-9:1-3\"", NULL },
	{ KIND_POD, "{'metadata':{'annotations':{'podnet.dev/ports':'8/udp, 10.0.0.1:8'}},'spec':{"
	  "'containers':[{'name':'a','image':'b','ports':[{'containerPort':1,'hostPort':8}]}]}}", "", NULL },
	{ KIND_POD, ANNOTATE("podnet.dev/ports", "80-90, 85:1"),
	  "Duplicate " AT_KEY("podnet.dev/ports") " Duplicate value: \"85:1\"", NULL },
	{ KIND_POD, "{'metadata':{'annotations':{'podnet.dev/ports':'80'}},"
	  "'spec':{'hostNetwork':true,'containers':[]}}",
	  "Forbidden " AT_KEY("podnet.dev/ports") " Forbidden: may not be used when hostNetwork", NULL },
	/* pods, updates */
	{ KIND_POD, ANNOTATE("podnet.dev/ports", "80"),
	  "Invalid " AT_KEY("podnet.dev/ports") " Invalid value: \"80\": field is immutable", "{}" },
	{ KIND_POD, "{}", "", "{}" },
	{ KIND_POD, "{'metadata':{'labels':{'x':'y'},'annotations':{'n':'m'},'finalizers':"
	  "['a/b']}}",
	  "", "{}" },
	{ KIND_POD, "{'spec':{'containers':[{'name':'nginx','image':'nginx:1.28','ports':[{'name':"
	  "'http','containerPort':80}]}]}}", "", "{}" },
	{ KIND_POD, "{'spec':{'containers':[{'name':'n','image':'nginx:1.27','ports':[{'name':"
	  "'http','containerPort':80}]}]}}", "Forbidden spec Forbidden: pod updates may not",
	  "{}" },
	{ KIND_POD, "{'spec':{'containers':[]}}", "Forbidden spec Forbidden", "{}" },
	{ KIND_POD, "{'spec':{'hostname':'x'}}", "Forbidden spec Forbidden", "{}" },
	{ KIND_POD, "{'spec':{'nodeName':'n1'}}", "", "{}" },
	{ KIND_POD, "{'spec':{'nodeName':'n1'}}", "Forbidden spec Forbidden",
	  "{'spec':{'nodeName':'n2'}}" },
	{ KIND_POD, "{'spec':{'activeDeadlineSeconds':5}}", "", "{}" },
	{ KIND_POD, "{'spec':{'activeDeadlineSeconds':6}}",
	  "Invalid spec.activeDeadlineSeconds Invalid value: 6: must be less",
	  "{'spec':{'activeDeadlineSeconds':5}}" },
	{ KIND_POD, "{}", "Invalid spec.activeDeadlineSeconds Invalid value: must not update",
	  "{'spec':{'activeDeadlineSeconds':5}}" },
	{ KIND_POD, "{'spec':{'tolerations':[{'key':'b'},{'key':'a'}]}}", "",
	  "{'spec':{'tolerations':[{'key':'a'}]}}" },
	{ KIND_POD, "{'spec':{'tolerations':[{'key':'b'}]}}", "Forbidden spec Forbidden",
	  "{'spec':{'tolerations':[{'key':'a'}]}}" },
	{ KIND_POD, ANNOTATE("podnet.dev/networks", "default"),
	  "Invalid " AT_KEY("podnet.dev/networks") " Invalid value: \"default\": field is "
	  "immutable",
	  "{}" },
	{ KIND_POD, "{}", "Invalid " AT_KEY("podnet.dev/mac") " Invalid value: field is immutable",
	  ANNOTATE("podnet.dev/mac", "02:00:00:00:00:01") },
	{ KIND_POD, ANNOTATE("kubernetes.io/ingress-bandwidth", "5M"), "", "{}" },
	/* the other core kinds */
	{ KIND_NAMESPACE, "{}", "", NULL },
	{ KIND_NAMESPACE, "{'spec':{'finalizers':'x'}}", "Type spec.finalizers Invalid", NULL },
	{ KIND_NODE, "{}", "", NULL },
	{ KIND_NODE, "{'spec':{'podCIDR':'10.1.0.0/16'}}",
	  "Invalid spec.podCIDRs[0] Invalid value: \"10.244.8.0/22\": must be equal", NULL },
	{ KIND_NODE, "{'spec':{'podCIDR':'10.244.8.1/22'}}",
	  "Invalid spec.podCIDR Invalid value: \"10.244.8.1/22\": must have zero bits|"
	  "Invalid spec.podCIDRs[0] Invalid", NULL },
	{ KIND_NODE, "{'spec':{'podCIDRs':['10.244.8.0/22','10.2.0.0/16']}}",
	  "Invalid spec.podCIDRs Invalid value: \"10.2.0.0/16\": must have at most one", NULL },
	{ KIND_NODE, "{'metadata':{'annotations':{'podnet.dev/node-address':'192.0.2.1, fd00::1'}}}", "",
	  NULL },
	{ KIND_NODE, "{'metadata':{'annotations':{'podnet.dev/node-address':'192.0.2.1,192.0.2.2'}}}",
	  "Invalid metadata.annotations[podnet.dev/node-address] Invalid value: "
	  "\"192.0.2.1,192.0.2.2\": must have at most one", NULL },
	{ KIND_NODE, "{'metadata':{'annotations':{'podnet.dev/node-address':'192.0.2.1/24'}}}",
	  "Invalid metadata.annotations[podnet.dev/node-address] Invalid value: "
	  "\"192.0.2.1/24\": must be an IP", NULL },
	{ KIND_NODE, "{'metadata':{'annotations':{'podnet.dev/node-address':'127.0.0.1'}}}",
	  "Invalid metadata.annotations[podnet.dev/node-address] Invalid value: "
	  "\"127.0.0.1\": must be addresses that other", NULL },
	{ KIND_NODE, "{'spec':{'podCIDRs':['10.244.8.0/22']}}",
	  "Forbidden spec.podCIDRs Forbidden: may be set once", "{}" },
	{ KIND_NODE, "{}", "", "{'spec':null}" },
	{ KIND_EVENT, "{}", "", NULL },
	{ KIND_EVENT, "{'type':'Odd','count':-1,'lastTimestamp':'now'}",
	  "NotSupported type Unsupported value: \"Odd\": supported values: \"Normal\", \"Warning\"|"
	  "Invalid count Invalid value: -1|Invalid lastTimestamp Invalid value: \"now\"",
	  NULL },
	{ KIND_EVENT, "{'involvedObject':{'namespace':'other'}}",
	  "Invalid involvedObject.namespace Invalid value: \"other\": does not match", NULL },
	{ KIND_EVENT, "{'involvedObject':{'namespace':null,'kind':'Node'}}", "", NULL },
	/* networks */
	{ KIND_NETWORK, "{}", "", NULL },
	{ KIND_NETWORK, "{'spec':null}", "Required spec.cidrs Required value", NULL },
	{ KIND_NETWORK, "{'spec':{'cidrs':[]}}", "Required spec.cidrs Required value|"
	  "Invalid spec.blockSizes Invalid value: [24,64]: must have one entry", NULL },
	{ KIND_NETWORK, "{'spec':{'cidrs':['10.5.0.1/16'],'blockSizes':null}}",
	  "Invalid spec.cidrs[0] Invalid value: \"10.5.0.1/16\": must have zero bits", NULL },
	{ KIND_NETWORK, "{'spec':{'cidrs':['10.5.0.0'],'blockSizes':null}}",
	  "Invalid spec.cidrs[0] Invalid value: \"10.5.0.0\": must be a valid CIDR", NULL },
	{ KIND_NETWORK, "{'spec':{'cidrs':['10.5.0.0/16','10.6.0.0/16'],'blockSizes':[24,24]}}",
	  "Invalid spec.cidrs[1] Invalid value: \"10.6.0.0/16\": must be of the other", NULL },
	{ KIND_NETWORK, "{'spec':{'cidrs':['10.5.0.0/16','fd00::/48','10.7.0.0/16'],"
	  "'blockSizes':null}}", "TooMany spec.cidrs Too many: 3: must have at most 2 items",
	  NULL },
	{ KIND_NETWORK, "{'spec':{'cidrs':['127.0.0.0/8'],'blockSizes':null}}",
	  "Invalid spec.cidrs[0] Invalid value: \"127.0.0.0/8\": overlaps with 127.0.0.0/8, w",
	  NULL },
	{ KIND_NETWORK, "{'spec':{'cidrs':['169.254.0.0/16','fe80::/64'],'blockSizes':[24,64]}}",
	  "Invalid spec.cidrs[0] Invalid value: \"169.254.0.0/16\": overlaps with 169.254.0.0/16, w|"
	  "Invalid spec.cidrs[1] Invalid value: \"fe80::/64\": overlaps with fe80::/10, w", NULL },
	{ KIND_NETWORK, "{'spec':{'cidrs':['160.0.0.0/4','fc00::/6'],'blockSizes':[24,64]}}",
	  "Invalid spec.cidrs[0] Invalid value: \"160.0.0.0/4\": overlaps with 169.254.0.0/16, w|"
	  "Invalid spec.cidrs[1] Invalid value: \"fc00::/6\": overlaps with fe80::/10, w", NULL },
	{ KIND_NETWORK, "{'spec':{'cidrs':['224.0.0.0/8','ff0e::/64'],'blockSizes':[24,64]}}",
	  "Invalid spec.cidrs[0] Invalid value: \"224.0.0.0/8\": overlaps with 224.0.0.0/4, w|"
	  "Invalid spec.cidrs[1] Invalid value: \"ff0e::/64\": overlaps with ff00::/8, w", NULL },
	{ KIND_NETWORK, "{'spec':{'cidrs':['0.0.0.0/8','::/64'],'blockSizes':[24,64]}}",
	  "Invalid spec.cidrs[0] Invalid value: \"0.0.0.0/8\": overlaps with 0.0.0.0/8, w|"
	  "Invalid spec.cidrs[1] Invalid value: \"::/64\": overlaps with ::/127, w", NULL },
	{ KIND_NETWORK, "{'spec':{'cidrs':['10.5.0.0/31'],'blockSizes':null}}",
	  "Invalid spec.cidrs[0] Invalid value: \"10.5.0.0/31\": is too small|"
	  "Invalid spec.blockSizes[0] Invalid value: 31: must be between 31", NULL },
	{ KIND_NETWORK, "{'spec':{'blockSizes':[15,127]}}",
	  "Invalid spec.blockSizes[0] Invalid value: 15: must be between 16, the length|"
	  "Invalid spec.blockSizes[1] Invalid value: 127", NULL },
	{ KIND_NETWORK, "{'spec':{'mtu':1279}}", "Invalid spec.mtu Invalid value: 1279: "
	  "must be "
	  "at least 1280", NULL },
	{ KIND_NETWORK, "{'spec':{'mtu':575}}", "Invalid spec.mtu Invalid value: 575: must be "
	  "between 576", NULL },
	{ KIND_NETWORK, "{'spec':{'mtu':'1400'}}", "Type spec.mtu Invalid value: \"1400\"", NULL },
	{ KIND_NETWORK, "{'spec':{'type':'vlan'}}", "NotSupported spec.type Unsupported value: "
	  "\"vlan\": supported values: \"routed\", \"bridge\"", NULL },
	{ KIND_NETWORK, "{'spec':{'foo':1},'bar':{},'metadata':{'x':1},'status':{'y':1}}",
	  "Unknown spec.foo unknown field \"spec.foo\"|Unknown bar unknown field \"bar\"", NULL },
	{ KIND_NETWORK, "{'spec':{'type':'routed','blockSizes':[25,64]}}",
	  "Invalid spec.type Invalid value: \"routed\": field is immutable|"
	  "Invalid spec.blockSizes Invalid value: [25,64]: field is immutable", "{}" },
	{ KIND_NETWORK, "{'spec':{'mtu':1300,'masquerade':true}}", "", "{}" },
	/* primitives */
	{ KIND_NETNS, "{}", "", NULL },
	{ KIND_NETNS, "{'spec':null}", "", NULL },
	{ KIND_NETNS, "{'spec':{'path':'x'}}", "Invalid spec.path Invalid value: \"x\"", NULL },
	{ KIND_NETNS, "{'spec':{'path':'/run/netns/x','nodeName':'n'}}", "", NULL },
	{ KIND_VETH, "{}", "", NULL },
	{ KIND_VETH, "{'spec':{'ends':null}}", "Required spec.ends Required value", NULL },
	{ KIND_VETH, "{'spec':{'ends':[{'name':'a'}]}}", "Invalid spec.ends Invalid value: "
	  "1: must have "
	  "at least 2", NULL },
	{ KIND_VETH, "{'spec':{'ends':[{'name':'a'},{'name':'b'},{'name':'c'}]}}",
	  "TooMany spec.ends Too many: 3: must have at most 2", NULL },
	{ KIND_VETH, "{'spec':{'ends':[{'name':'a'},{'name':'a'}]}}",
	  "Duplicate spec.ends[1].name Duplicate value: \"a\"", NULL },
	{ KIND_VETH, "{'spec':{'ends':[{'name':'a'},{'name':'a','networkNamespace':'x'}]}}", "",
	  NULL },
	{ KIND_VETH, "{'spec':{'ends':[{'name':'a b'},{'name':'0123456789abcdef','x':1}]}}",
	  "Invalid spec.ends[0].name Invalid value: \"a b\": an interface name has no|"
	  "Invalid spec.ends[1].name Invalid value: \"0123456789abcdef\": an interface name has 1|"
	  "Unknown spec.ends[1].x unknown field \"spec.ends[1].x\"", NULL },
	{ KIND_VETH, "{'spec':{'ends':[{'name':'pnabcdefghij234'},{'name':'lo'}]}}",
	  "Invalid spec.ends[0].name Invalid value: \"pnabcdefghij234\": names of 'pn'|"
	  "Invalid spec.ends[1].name Invalid value: \"lo\"", NULL },
	{ KIND_VETH, "{'spec':{'ends':[{'name':'pnabcdefghij219'},{'name':'..'}]}}",
	  "Invalid spec.ends[1].name Invalid value: \"..\"", NULL },
	{ KIND_VETH, "{'spec':{'ends':[{'name':'a','macAddress':'x','bridge':'a/b',"
	  "'networkNamespace':'A','addresses':['1.2.3.4/33','1.2.3.4/24','1.2.3.4/24',5,"
	  "'224.0.0.1/4']},{'name':'b'}]}}",
	  "Invalid spec.ends[0].networkNamespace Invalid value: \"A\"|"
	  "Invalid spec.ends[0].macAddress Invalid value: \"x\"|"
	  "Invalid spec.ends[0].bridge Invalid value: \"a/b\"|"
	  "Invalid spec.ends[0].addresses[0] Invalid value: \"1.2.3.4/33\"|"
	  "Duplicate spec.ends[0].addresses[2] Duplicate value: \"1.2.3.4/24\"|"
	  "Type spec.ends[0].addresses[3] Invalid value: 5: must be a string|"
	  "Invalid spec.ends[0].addresses[4] Invalid value: \"224.0.0.1/4\"", NULL },
	{ KIND_VETH, "{'spec':{'mtu':67}}", "Invalid spec.mtu Invalid value: 67", NULL },
	{ KIND_VETH, "{'spec':{'mtu':1000}}", "Invalid spec.mtu Invalid value: 1000: must "
	  "be at "
	  "least 1280|Invalid spec.mtu Invalid value: 1000", NULL },
	{ KIND_BRIDGE, "{}", "", NULL },
	{ KIND_BRIDGE, "{'spec':null}", "", NULL },
	{ KIND_BRIDGE, "{'metadata':{'name':'much-too-long-name'},'spec':{'interface':null}}",
	  "Required spec.interface Required value: metadata.name cannot name", NULL },
	{ KIND_BRIDGE, "{'spec':{'interface':'a:b'}}", "Invalid spec.interface Invalid", NULL },
	{ KIND_ROUTE, "{}", "", NULL },
	{ KIND_ROUTE, "{'spec':{'destination':null}}", "Required spec.destination Required", NULL },
	{ KIND_ROUTE, "{'spec':{'destination':'10.0.0.1/24'}}", "Invalid spec.destination Invalid "
	  "value: \"10.0.0.1/24\": must have zero bits", NULL },
	{ KIND_ROUTE, "{'spec':{'destination':'::/0'}}", "Invalid spec.gateway Invalid value: "
	  "\"172.16.0.1\": must be of the family", NULL },
	{ KIND_ROUTE, "{'spec':{'gateway':null}}", "Required spec.gateway Required value: a "
	  "unicast",
	  NULL },
	{ KIND_ROUTE, "{'spec':{'gateway':null,'interface':'eth0','source':'fe80::1'}}",
	  "Invalid spec.source Invalid value: \"fe80::1\": must be of the family", NULL },
	{ KIND_ROUTE, "{'spec':{'type':'blackhole','interface':'x'}}",
	  "Forbidden spec.gateway Forbidden: a route of type blackhole|"
	  "Forbidden spec.interface Forbidden", NULL },
	{ KIND_ROUTE, "{'spec':{'type':'unreachable','gateway':null}}", "", NULL },
	{ KIND_ROUTE, "{'spec':{'onLink':true}}", "Required spec.interface Required value: onLink",
	  NULL },
	{ KIND_ROUTE, "{'spec':{'table':0,'metric':4294967296,'mtu':65536,'type':'x'}}",
	  "Invalid spec.table Invalid value: 0|Invalid spec.metric Invalid value: "
	  "4294967296|"
	  "Invalid spec.mtu Invalid value: 65536|NotSupported spec.type Unsupported|"
	  "Forbidden spec.gateway Forbidden: a route", NULL },
	{ KIND_ROUTE, "{'spec':{'table':4294967295,'metric':4294967295}}", "", NULL },
};

/* of the status subresource */
static const struct check_case statuses[] = {
	{ KIND_POD, "{'status':{'phase':'Running','conditions':[{'type':'Ready','status':"
	  "'True'}]}}",
	  "", NULL },
	{ KIND_POD, "{'spec':7,'metadata':{'name':'A B'}}", "", NULL },
	{ KIND_POD, "{'status':5}", "Type status Invalid value: 5: must be an object", NULL },
	{ KIND_POD, "{'status':{'phase':'Odd'}}", "NotSupported status.phase Unsupported value: "
	  "\"Odd\": supported values: \"Pending\", \"Running\", \"Succeeded\", \"Failed\", "
	  "\"Unknown\"", NULL },
	{ KIND_POD, "{'status':{'conditions':[{'type':'Ready'},{'status':'Yes','type':'a'},"
	  "{'type':'Ready','status':'True','reason':1}]}}",
	  "Required status.conditions[0].status Required|NotSupported status.conditions[1]"
	  ".status U|"
	  "Duplicate status.conditions[2].type Duplicate value: \"Ready\"|"
	  "Type status.conditions[2].reason Invalid value: 1", NULL },
	{ KIND_POD, "{'status':{'conditions':{}}}", "Type status.conditions Invalid", NULL },
	{ KIND_NETWORK, "{'status':{'conditions':[1],'more':1}}",
	  "Type status.conditions[0] Invalid value: 1: must be an object", NULL },
	{ KIND_NODE, "{'status':{'addresses':[{'type':'X'}]}}",
	  "NotSupported status.addresses[0].type U|Required status.addresses[0].address R", NULL },
};

static void bodies(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++)
		run_check(&cases[i]);
}

static void status_bodies(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(statuses); i++) {
		const struct check_case *c = &statuses[i];
		_cleanup_(doc_freep) struct doc *doc = patched(c->kind, c->patch);
		struct causes causes = { 0 };

		kind_check_status(&kinds[c->kind], doc, &causes);
		assert_causes(c, &causes);
		causes_fini(&causes);
	}
}

/* A body of nothing but errors gets an answer of bounded size. */
static void many_errors(void **state)
{
	_cleanup_(doc_freep) struct doc *doc = patched(KIND_NETWORK, "{}");
	struct causes causes = { 0 };
	char path[32], value[4096];

	(void)state;
	memset(value, 'x', sizeof(value) - 1);
	value[sizeof(value) - 1] = '\0';
	for (int i = 0; i < 400; i++) {
		snprintf(path, sizeof(path), "spec.cidrs[%d]", i);
		assert_int_equal(doc_set_str(doc, path, value), i < 400 ? 0 : 1);
	}
	kind_check(&kinds[KIND_NETWORK], doc, NULL, &causes);
	assert_int_equal(causes.n, CAUSES_MAX);
	for (size_t i = 0; i < causes.n; i++)
		assert_true(strlen(causes.v[i].message) < 700);
	causes_fini(&causes);
}

static const struct default_case defaults[] = {
	{ KIND_POD, "{}", "spec.containers[0].imagePullPolicy", "IfNotPresent" },
	{ KIND_POD, "{}", "spec.containers[0].ports[0].protocol", "TCP" },
	{ KIND_POD, "{}", "spec.restartPolicy", "Always" },
	{ KIND_POD, "{}", "spec.schedulerName", "default-scheduler" },
	{ KIND_POD, "{}", "spec.terminationGracePeriodSeconds", NULL },
	{ KIND_POD, "{'spec':{'containers':[{'image':'r:5000/x'}]}}",
	  "spec.containers[0].imagePullPolicy", "Always" },
	{ KIND_POD, "{'spec':{'containers':[{'image':'x:latest'}]}}",
	  "spec.containers[0].imagePullPolicy", "Always" },
	{ KIND_POD, "{'spec':{'containers':[{'image':'x@sha256:1'}]}}",
	  "spec.containers[0].imagePullPolicy", "IfNotPresent" },
	{ KIND_POD, "{'spec':{'restartPolicy':'Never'}}", "spec.restartPolicy", "Never" },
	{ KIND_NAMESPACE, "{}", "metadata.labels[\"kubernetes.io/metadata.name\"]", "shop" },
	{ KIND_NAMESPACE, "{}", "spec.finalizers[0]", "kubernetes" },
	{ KIND_NAMESPACE, "{}", "status.phase", "Active" },
	{ KIND_NODE, "{'spec':{'podCIDRs':null}}", "spec.podCIDRs[0]", "10.244.8.0/22" },
	{ KIND_NODE, "{'spec':{'podCIDR':null}}", "spec.podCIDR", "10.244.8.0/22" },
	{ KIND_NETWORK, "{'spec':{'type':null}}", "spec.type", "routed" },
	{ KIND_ROUTE, "{}", "spec.type", "unicast" },
};

static void defaulting(void **state)
{
	_cleanup_(doc_freep) struct doc *net = NULL, *host = NULL;

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(defaults); i++)
		run_default(&defaults[i]);
	net = patched(KIND_NETWORK, "{'spec':{'blockSizes':null,'cidrs':['10.0.0.0/24','fd00::"
	  "/8']}}");
	assert_int_equal(kinds[KIND_NETWORK].defaults(net), 0);
	assert_int_equal(doc_int(net, "spec.blockSizes[0]", 0), 24);
	assert_int_equal(doc_int(net, "spec.blockSizes[1]", 0), 64);
	assert_false(doc_bool(net, "spec.masquerade", true));
	host = patched(KIND_POD, "{'spec':{'hostNetwork':true}}");
	assert_int_equal(kinds[KIND_POD].defaults(host), 0);
	assert_int_equal(doc_int(host, "spec.containers[0].ports[0].hostPort", 0), 80);
}

static int work(enum kind_id id, const char *text)
{
	_cleanup_(doc_freep) struct doc *doc = NULL, *old = NULL;
	const struct kind *kind = &kinds[id];
	struct causes causes = { 0 };
	char why[160];
	int r = doc_parse(text, strlen(text), &doc, why);

	if (r < 0 || (r = kind->defaults(doc)) < 0)
		return r;
	old = doc_copy(doc);
	if (!old || doc_set_str(doc, "metadata.labels.bad", "x y") < 0 ||
	    doc_set_str(doc, "spec.hostname", "other") < 0)
		return -ENOMEM;
	kind_check(kind, doc, old, &causes);
	r = causes.failed ? -ENOMEM : causes.n ? 0 : -ENOENT;
	causes_fini(&causes);
	return r;
}

static void failing_allocations(void **state)
{
	(void)state;
	json_set_alloc_funcs(malloc, free);
	for (int id = 0; id < KIND_COUNT; id++) {
		_cleanup_free_ char *text = strdup(read_sample(id));
		long k = 1;

		for (;; k++) {
			int r;

			allocfail_at(k);
			r = work(id, text);
			if (!allocfail_hit())
				break;
			if (r >= 0)
				fail_msg("%s: allocation %ld failed unseen", kinds[id].name, k);
		}
		allocfail_at(0);
		assert_int_equal(work(id, text), 0);
		assert_true(k > 20);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(bodies),
		cmocka_unit_test(status_bodies),
		cmocka_unit_test(many_errors),
		cmocka_unit_test(defaulting),
		cmocka_unit_test(failing_allocations),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
