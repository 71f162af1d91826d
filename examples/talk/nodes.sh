# shellcheck shell=sh
# nodes.sh - the two nodes of steps 3 and 4, and their checks; sourced after lib.sh
#
#       node1 10.0.0.10 ------------ lan ------------ 10.0.0.20 node2
#        br0 172.16.0.1/24                             br0 172.16.1.1/24
#         +-- con1 172.16.0.2                           +-- con1 172.16.1.2
#         +-- con2 172.16.0.3                           +-- con2 172.16.1.3

v1=/apis/podnet.dev/v1

# ready WISH... - until the kernel has it so
ready() {
	for wish in "$@"; do
		await "$v1/$wish" '.status.conditions[]? | select(.type == "Ready") | .status == "True"'
	done
}

# pods_of NET - a bridge and two namespaces on it, as in step 2, in 172.16.NET.0/24
pods_of() {
	post $v1/bridges '{"metadata": {"name": "br0"}, "spec": {"addresses": ["172.16.'"$1"'.1/24"]}}'
	for n in 1 2; do
		post $v1/networknamespaces '{"metadata": {"name": "con'$n'"}}'
		post $v1/veths '{"metadata": {"name": "con'$n'"}, "spec": {"ends": [
    {"name": "veth'$n'0", "bridge": "br0"},
    {"name": "veth'$n'1", "networkNamespace": "con'$n'", "addresses": ["172.16.'"$1"'.'$((n + 1))'/24"]}]}}'
		post $v1/routes '{"metadata": {"name": "con'$n'-default"},
    "spec": {"networkNamespace": "con'$n'", "destination": "default", "gateway": "172.16.'"$1"'.1"}}'
	done
	ready bridges/br0 veths/con1 veths/con2 routes/con1-default routes/con2-default
}

# checks - of both nodes, 24 each: from the node and its two namespaces to all there is
checks() {
	for node in 1 2; do
		say "The talk's checks, node $node"
		use node$node
		for from in node con1 con2; do
			for to in 10.0.0.10 10.0.0.20 172.16.0.1 172.16.1.1 172.16.0.2 172.16.0.3 172.16.1.2 172.16.1.3; do
				ping_from $from $to
			done
		done
	done
}
