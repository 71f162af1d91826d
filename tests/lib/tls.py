# SPDX-License-Identifier: LGPL-2.1-or-later
"""tls.py - a node's TLS door: its flags, its files, clients with this or that credential

Room: what a client has to do.  What it may do is for the tests.
"""
import base64
import contextlib
import http.client
import json
import os
import ssl
import subprocess
import tempfile

import yaml

from node import DEADLINE, Checked

PORT = 6443


class Connection(Checked, http.client.HTTPSConnection):
    pass


class Door:
    """Gives a node that is not started yet a TLS door, with all its files in the node's folder."""

    def __init__(self, node, listen="127.0.0.1:%d" % PORT, flags=()):
        self.node = node
        self.pki = node.dir + "/pki"
        self.kubeconfig = node.dir + "/admin.kubeconfig"
        self.tokens = node.dir + "/tokens"
        self.flags = ["--listen", listen, "--pki-dir", self.pki, "--kubeconfig", self.kubeconfig,
                      "--token-file", self.tokens] + list(flags)
        node.flags += self.flags

    def netd(self, *args):
        """(exit status, stdout, stderr) of netd with the door's flags and others, not as a daemon"""
        done = subprocess.run([self.node.netd, "--config", "/dev/null", "--node-name", "node1",
                               "--state-dir", self.node.dir + "/state", "--run-dir", self.node.dir]
                              + self.flags + list(args), stdin=subprocess.DEVNULL,
                              stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        return done.returncode, done.stdout, done.stderr

    def new(self, what, who):
        """What netd --new-token or --new-kubeconfig prints."""
        code, text, err = self.netd("--new-" + what, who)
        assert code == 0, err
        return text.strip() if what == "token" else text

    def context(self, kubeconfig=None, versions=None):
        """Trusts the node's authority; with the client's certificate of a kubeconfig's text."""
        context = ssl.create_default_context(cafile=self.pki + "/ca.crt")
        if versions:
            context.minimum_version, context.maximum_version = versions
            context.set_ciphers("ALL:@SECLEVEL=0")
        if kubeconfig:
            user = yaml.safe_load(kubeconfig)["users"][0]["user"]
            load(context, user["client-certificate-data"], user["client-key-data"])
        return context

    def client(self, context=None, host="127.0.0.1", port=PORT):
        return Connection(host, port, timeout=DEADLINE, context=context or self.context())

    def server_context(self):
        """To stand before netd: with its own certificate, for who has one of its authority."""
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(self.pki + "/server.crt", self.pki + "/server.key")
        context.load_verify_locations(self.pki + "/ca.crt")
        context.verify_mode = ssl.CERT_REQUIRED
        return context

    def ask(self, url, method="GET", body=None, token=None, context=None, headers=None, **where):
        """(code, decoded body) of one request on a connection of its own."""
        headers = dict(headers or {})
        if token:
            headers["Authorization"] = "Bearer " + token
        with contextlib.closing(self.client(context, **where)) as client:
            client.request(method, url, json.dumps(body) if body else None, headers)
            answer = client.getresponse()
            return answer.status, json.loads(answer.read())


def load(context, certificate, key):
    """A client's pair, in base64 of PEM, as kubeconfigs have it."""
    with tempfile.NamedTemporaryFile("wb") as file:
        file.write(base64.b64decode(certificate) + base64.b64decode(key))
        file.flush()
        context.load_cert_chain(file.name)


class Authority:
    """Signs clients by openssl: with the node's own key, or another of the same name."""

    def __init__(self, directory, door=None):
        self.dir = directory
        os.makedirs(directory)
        self.key, self.crt = directory + "/ca.key", directory + "/ca.crt"
        if door:
            self.key, self.crt = door.pki + "/ca.key", door.pki + "/ca.crt"
        else:
            openssl("req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes",
                    "-subj", "/CN=podnet CA", "-keyout", self.key, "-out", self.crt)
        with open(directory + "/conf", "w") as conf:
            conf.write("[ca]\ndefault_ca=a\n[a]\ndatabase=%s/index\nserial=%s/serial\nnew_certs_dir=%s\n"
                       "default_md=sha256\nunique_subject=no\npolicy=p\nx509_extensions=e\n"
                       "[p]\ncommonName=supplied\norganizationName=optional\n"
                       "[e]\nkeyUsage=digitalSignature\nextendedKeyUsage=$ENV::PURPOSE\n"
                       % ((directory,) * 3))
        open(directory + "/index", "w").close()
        with open(directory + "/serial", "w") as serial:
            serial.write("01\n")

    def client(self, context, subject, start="20200101000000Z", end="20990101000000Z",
               purpose="clientAuth"):
        """Loads a new pair into a context, and gives it back."""
        key, csr, crt = (self.dir + "/client." + end for end in ("key", "csr", "crt"))
        openssl("req", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-subj",
                subject, "-keyout", key, "-out", csr)
        openssl("ca", "-batch", "-config", self.dir + "/conf", "-cert", self.crt, "-keyfile", self.key,
                "-startdate", start, "-enddate", end, "-in", csr, "-out", crt, "-notext",
                PURPOSE=purpose)
        context.load_cert_chain(crt, key)
        return context


def openssl(*args, **env):
    done = subprocess.run(("openssl",) + args, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                          stderr=subprocess.STDOUT, text=True, env=dict(os.environ, **env))
    assert done.returncode == 0, done.stdout


def fingerprint(host="127.0.0.1", port=PORT):
    """Of the certificate that the server shows."""
    return ssl.get_server_certificate((host, port))
