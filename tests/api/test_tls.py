# SPDX-License-Identifier: LGPL-2.1-or-later
"""test_tls.py - the TLS door: who comes in, with what, and what is kept out"""
import contextlib
import json
import os
import select
import socket
import ssl
import stat
import threading
import time

from node import PODS, Node, eventually, main, pod, run
from tls import PORT, Authority, Door, fingerprint

SPACES = "/api/v1/namespaces"

node = Node()
door = Door(node, listen="0.0.0.0:%d,[::1]:%d" % (PORT, PORT))
node.start()
with open(door.kubeconfig) as file:
    ADMIN = file.read()
VIEW = door.new("kubeconfig", "view:vera")
ADMIN_TOKEN = door.new("token", "admin:anna")
VIEW_TOKEN = door.new("token", "view:vic")
BEGUN = time.monotonic()
SILENT = socket.create_connection(("127.0.0.1", PORT), timeout=30)
SLOW = socket.create_connection(("127.0.0.1", PORT), timeout=30)


def trickle():
    """A handshake that never ends, a byte at a time."""
    with contextlib.suppress(OSError):
        for byte in b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + b"x" * 400:
            SLOW.send(bytes([byte]))
            time.sleep(0.2)


threading.Thread(target=trickle, daemon=True).start()


def space(name):
    return {"metadata": {"name": name}}


def roles():
    """Each credential reads; who is admin writes, who is view hears why not."""
    rows = [("admin-cert", door.context(ADMIN), None, None), ("view-cert", door.context(VIEW), None, "vera"),
            ("admin-token", None, ADMIN_TOKEN, None), ("view-token", None, VIEW_TOKEN, "vic"),
            ("both", door.context(VIEW), ADMIN_TOKEN, "vera"),      # the certificate is asked first
            ("cert", door.context(ADMIN), "podnet_wrong", None)]
    for name, context, token, refused in rows:
        code, answer = door.ask(SPACES, token=token, context=context)
        assert (code, answer["kind"]) == (200, "NamespaceList"), (name, answer)
        code, answer = door.ask(SPACES, "POST", space(name), token=token, context=context)
        if refused:
            assert code == 403 and '"%s" has the role view' % refused in answer["message"], answer
        else:
            assert code == 201, (name, answer)


def nobody():
    """No credential, or one that is not good: 401, and nothing is written."""
    own = Authority(node.dir + "/own", door)
    other = Authority(node.dir + "/other")
    revoked = door.new("token", "admin:gone")
    assert door.ask(SPACES, token=revoked)[0] == 200
    with open(door.tokens) as file:
        rows = file.readlines()
    with open(door.tokens, "w") as file:
        file.writelines(row for row in rows if " gone " not in row)
    admin = "/O=podnet:admin/CN=anna"
    rows = [("nothing", None, {}), ("another's token", None, {"Authorization": "Bearer " + ADMIN_TOKEN[:-1] + "_"}),
            ("a revoked token", None, {"Authorization": "Bearer " + revoked}),
            ("a hash", None, {"Authorization": "Bearer " + rows[0].split()[2]}),
            ("no scheme", None, {"Authorization": ADMIN_TOKEN}),
            ("Basic", None, {"Authorization": "Basic YWRtaW46YWRtaW4="}),
            ("no token", None, {"Authorization": "Bearer "}),
            ("another authority", other.client(door.context(), admin), {}),
            ("ended", own.client(door.context(), admin, end="20240101000000Z"), {}),
            ("not begun", own.client(door.context(), admin, start="20900101000000Z"), {}),
            ("for servers", own.client(door.context(), admin, purpose="serverAuth"), {}),
            ("no role", own.client(door.context(), "/O=system:masters/CN=anna"), {}),
            ("no name", own.client(door.context(), "/O=podnet:admin/CN=an na"), {})]
    for name, context, headers in rows:
        for method, url, body in (("GET", SPACES, None), ("POST", SPACES, space("x")),
                                  ("GET", "/healthz", None), ("GET", "/nowhere", None)):
            code, answer = door.ask(url, method, body, context=context, headers=headers)
            assert (code, answer["reason"], answer["message"]) == \
                (401, "Unauthorized", "Unauthorized"), (name, answer)
    # what is not good is no harm to what is
    ended = own.client(door.context(), admin, end="20240101000000Z")
    assert door.ask(SPACES, token=VIEW_TOKEN, context=ended)[0] == 200
    assert door.ask(SPACES, context=own.client(door.context(), admin))[0] == 200
    names = [n["metadata"]["name"] for n in node.client.get(SPACES)["items"]]
    assert "x" not in names, names


def foreign():
    """What a web page could send, or who calls us by another name: 403 whatever it shows."""
    rows = [({"Origin": "https://127.0.0.1:6443"}, "header Origin"), ({"Origin": "null"}, "header Origin"),
            ({"Sec-Fetch-Site": "same-origin"}, "header Sec-Fetch-Site"),
            ({"Sec-Fetch-Site": "none"}, "header Sec-Fetch-Site"),
            ({"Host": "evil.example"}, 'host "evil.example"'), ({"Host": "127.0.0.2:6443"}, "127.0.0.2"),
            ({"Host": "localhost.evil.example"}, "evil"), ({"Host": ""}, 'host ""')]
    for headers, word in rows:
        for method, body in (("GET", None), ("POST", space("x"))):
            code, answer = door.ask(SPACES, method, body, token=ADMIN_TOKEN, headers=headers)
            assert code == 403 and answer["reason"] == "Forbidden" and word in answer["message"], answer
    for host in ("localhost", "LOCALHOST:1", "127.0.0.1:6443", "[::1]", "node1"):
        assert door.ask(SPACES, token=VIEW_TOKEN, headers={"Host": host})[0] == 200, host
    assert door.ask(SPACES, token=VIEW_TOKEN, host="::1")[0] == 200
    # the socket's clients are who the kernel says
    assert node.client.raw("GET", SPACES, headers={"Origin": "x", "Host": "evil"})[0] == 200


def versions():
    """TLS 1.2 and 1.3, HTTP/1.1 by ALPN, and a certificate that must be ours."""
    v = ssl.TLSVersion
    for version in (v.TLSv1_2, v.TLSv1_3):
        context = door.context(ADMIN, (version, version))
        context.set_alpn_protocols(["h2", "http/1.1"])
        with contextlib.closing(door.client(context)) as client:
            client.connect()
            assert client.sock.version() == version.name.replace("_", "."), client.sock.version()
            assert client.sock.selected_alpn_protocol() == "http/1.1"
            client.request("GET", SPACES)
            assert client.getresponse().status == 200
    for version in (v.TLSv1, v.TLSv1_1):
        try:
            door.ask(SPACES, context=door.context(versions=(version, version)))
            raise AssertionError("%s was taken" % version.name)
        except (ssl.SSLEOFError, ssl.SSLZeroReturnError):   # closed, without an alert
            pass
    try:
        door.ask(SPACES, context=ssl.create_default_context())
        raise AssertionError("anybody's certificate was taken")
    except ssl.SSLCertVerificationError:
        pass


def plain():
    """What is no TLS is closed, without an answer and without harm."""
    for text in (b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n", b"\x00" * 64, b"\x16\x03\x01\xff\xff" + b"x" * 64):
        with socket.create_connection(("127.0.0.1", PORT), timeout=30) as sock:
            sock.sendall(text)
            try:
                while sock.recv(4096) not in (b"",):
                    pass
            except ConnectionResetError:
                pass
    assert door.ask(SPACES, token=VIEW_TOKEN)[0] == 200


def streams():
    """Many requests and a watch; a client that goes is noticed though nothing happens."""
    with contextlib.closing(door.client()) as client:
        bearer = {"Authorization": "Bearer " + ADMIN_TOKEN}
        big = dict(pod("big"), metadata={"name": "big", "annotations": {"a": "x" * 200000}})
        client.request("POST", PODS, json.dumps(big), bearer)
        answer = client.getresponse()
        assert (answer.status, len(json.loads(answer.read())["metadata"]["annotations"]["a"])) == (201, 200000)
        for _ in range(200):
            client.request("GET", PODS + "/big", headers=bearer)
            assert len(client.getresponse().read()) > 200000
    watch = door.client()
    watch.request("GET", SPACES + "?watch=1", headers=bearer)
    answer = watch.getresponse()
    for name in ("w1", "w2"):
        assert door.ask(SPACES, "POST", space(name), token=ADMIN_TOKEN)[0] == 201
        while json.loads(answer.readline())["object"]["metadata"]["name"] != name:
            pass
    assert node.metric("podnet_watches") == 1
    answer.close()
    watch.close()
    eventually("the watch has ended", lambda: node.metric("podnet_watches") == 0)


def cpu():
    """Seconds that netd has used."""
    with open("/proc/%d/stat" % node.process.pid) as file:
        return sum(int(n) for n in file.read().split()[13:15]) / os.sysconf("SC_CLK_TCK")


def waiting():
    """Who keeps us waiting, at whatever point, costs nothing meanwhile: who turns round would at any time."""
    outgoing = ssl.MemoryBIO()
    with contextlib.suppress(ssl.SSLWantReadError):
        door.context().wrap_bio(ssl.MemoryBIO(), outgoing, server_hostname="localhost").do_handshake()
    hello = outgoing.read()
    socks = [socket.create_connection(("127.0.0.1", PORT)) for _ in range(3)]
    for sock, text in zip(socks, (b"", hello[:40], hello)):
        sock.sendall(text)
    clients = [door.client() for _ in range(2)]
    for client in clients:
        client.request("GET", SPACES, headers={"Authorization": "Bearer " + VIEW_TOKEN})
        client.getresponse().read()
    os.write(clients[1].sock.fileno(), b"\x17\x03\x03")      # of a record
    for last in (False, False, True):       # well within the 10 s that they have
        before, begun = cpu(), time.monotonic()
        select.select([], [], [], 1)
        used, wall = cpu() - before, time.monotonic() - begun
        if used < wall / 4:
            break
        assert not last, "%.2f s of %.2f" % (used, wall)
    for each in socks + clients:
        each.close()


def handshakes():
    """Who does not come to the point in 10 s is let go."""
    for sock in (SILENT, SLOW):
        with contextlib.suppress(ConnectionResetError):
            assert sock.recv(1) == b""
        assert time.monotonic() - BEGUN > 9
    assert door.ask(SPACES, token=VIEW_TOKEN)[0] == 200


def curl():
    """The same by curl, as README's readers have it."""
    base = "curl -sS --cacert %s/ca.crt https://localhost:%d%s" % (door.pki, PORT, SPACES)
    assert '"NamespaceList"' in run(*base.split(), "-H", "Authorization: Bearer " + VIEW_TOKEN)
    assert '"Unauthorized"' in run(base)
    assert "Empty reply" in run("curl -sS http://localhost:%d/" % PORT, check=False)


def modes():
    """Secrets are root's alone."""
    for name, mode in (("pki", 0o700), ("pki/ca.key", 0o600), ("pki/server.key", 0o600), ("pki/ca.crt", 0o644),
                       ("pki/server.crt", 0o644), ("admin.kubeconfig", 0o600), ("tokens", 0o600)):
        assert stat.S_IMODE(os.stat(node.dir + "/" + name).st_mode) == mode, name
    with open(door.tokens) as file:
        assert ADMIN_TOKEN.split("_", 1)[1] not in file.read()
    node.log.flush()
    with open(node.dir + "/log") as file:
        assert "podnet_" not in file.read()


def comes_in():
    try:
        return door.ask(SPACES, token=VIEW_TOKEN, host="10.0.0.10")[0] == 200
    except ssl.SSLCertVerificationError:
        return False


def new_address():
    """The node gets an address: its certificate covers it, without a restart."""
    before = fingerprint()
    run("ip link add underlay type veth peer name wire")
    for line in ("addr add 10.0.0.10/24 dev underlay", "link set wire up", "link set underlay up",
                 "route add default via 10.0.0.1"):
        run("ip " + line)
    eventually("another certificate", lambda: fingerprint() != before)
    eventually("who comes to that address comes in", comes_in)
    assert node.alive()


def given():
    """A start with keys that do not fit is refused, in --check too, and changes nothing."""
    node.stop()
    code, out, _ = door.netd("--check")
    assert code == 0 and "ok" in out
    with open(door.pki + "/server.key") as file:
        key = file.read()
    with open(door.pki + "/ca.key") as file:
        other = file.read()
    with open(door.pki + "/server.key", "w") as file:
        file.write(other)
    for args in (("--check",), ()):
        code, _, err = door.netd(*args)
        assert code == 1 and "server.key does not belong to server.crt" in err, err
    with open(door.pki + "/server.key") as file:
        assert file.read() == other
    with open(door.pki + "/server.key", "w") as file:
        file.write(key)
    before = open(door.pki + "/server.crt").read()
    node.start()
    assert open(door.pki + "/server.crt").read() == before
    assert door.ask(SPACES, token=VIEW_TOKEN)[0] == 200
    code, _, err = door.netd("--new-token", "root:anna")
    assert code == 1 and "ROLE:NAME" in err, err


def asleep():
    """Without --listen nothing listens, nothing is made, and GnuTLS has not been started."""
    node.stop()
    quiet = Node().start()
    assert run("ss -Hltn") == ""
    seen, code = 0, False
    with open("/proc/%d/smaps" % quiet.process.pid) as file:
        for line in file:
            if "-" in line.split()[0]:
                code = "libgnutls" in line and " r-x" in line
            elif code and line.startswith("Rss:"):
                seen += int(line.split()[1])
    assert 0 < seen < 200, "%d KiB of GnuTLS's code were looked at; awake it is 500" % seen
    quiet.stop()


main([roles, nobody, foreign, versions, plain, streams, curl, modes, new_address, waiting, handshakes,
      given, asleep])
