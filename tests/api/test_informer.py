# SPDX-License-Identifier: LGPL-2.1-or-later
"""test_informer.py - no event is missed, doubled or out of order, whatever happens to the watches

    tests/lib/sandbox python3 test_informer.py [--events N] [--history N] [--restarts N]

Eight writers make, change and delete objects of two kinds, each its own, and note every version
that was acknowledged.  Informers of many sorts follow, whose watches the server ends every few
seconds; some doze and read on from the history, some sleep until what they know is compacted, some
forget all and begin anew; netd is killed and restarted.  A write whose answer a kill took away is
looked up afterwards: it is then known to have happened or not.  At the end each informer compares
what it saw with what was done, object by object: within watches each version once and in order,
over a new list no step back, and the cache like the server's list.
"""
import argparse
import array
import bisect
import http.client
import json
import multiprocessing.connection
import os
import pickle
import random
import re
import select
import signal
import socket
import sys
import time
import traceback

from informer import METADATA, TABLE, Informer
from node import DEADLINE, Client, Node, Refused

WRITERS = 8
OBJECTS = 80            # of a writer and a kind
TICK = 100              # writes that a writer tells of at a time
NAMESPACES = ("one", "two")
KINDS = ("events", "endpointslices")
PATHS = {"events": "/api/v1", "endpointslices": "/apis/discovery.k8s.io/v1"}
EVENTS, SLICES = (PATHS[k] + "/" + k for k in KINDS)


class Thing:
    """An object by its number, and what its n-th version looks like: everybody can tell."""

    def __init__(self, number):
        self.number = number
        self.name = "o%05d" % number
        self.kind = KINDS[number // OBJECTS % 2]
        self.namespace = NAMESPACES[number % 2]
        self.url = "%s/namespaces/%s/%s" % (PATHS[self.kind], self.namespace, self.kind)

    def dice(self, n):
        x = (self.number * 2654435761 + n * 40503) & 0xffffffff
        x = (x ^ x >> 15) * 2246822519 & 0xffffffff
        return x ^ x >> 13

    def hot(self, n):
        return self.dice(n) & 1

    def told(self, n):
        return self.dice(n) >> 1 & 1

    def change(self, n):
        body = {"metadata": {"labels": {"hot": "yes" if self.hot(n) else "no"},
                             "annotations": {"n": str(n)}}}
        if self.kind == "events":
            body["reason"] = "Told" if self.told(n) else "Kept"
        return body

    def whole(self, n):
        body = self.change(n)
        body["metadata"]["name"] = self.name
        if self.kind == "events":
            body["involvedObject"] = {"namespace": self.namespace}
        else:
            body.update(addressType="IPv4", endpoints=[])
        return body


class Lane:
    """A writer's connection: one request at a time, about objects that nobody else writes."""

    def __init__(self, path, things, seed):
        self.path, self.things = path, things
        self.random = random.Random(seed)
        self.n = {t.number: 0 for t in things}
        self.version = {t.number: 0 for t in things}        # 0: not there
        self.log = {t.number: array.array("Q") for t in things}     # n, or 0 for gone; version
        self.sock, self.buf, self.asked, self.made = None, b"", None, 0

    def connect(self):
        self.sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.sock.settimeout(DEADLINE)
        self.sock.connect(self.path)

    def send(self, method, url, body, media="application/json"):
        text = json.dumps(body)
        self.sock.sendall(("%s %s HTTP/1.1\r\nHost: podnet\r\nContent-Type: %s\r\n"
                           "Content-Length: %d\r\n\r\n%s"
                           % (method, url, media, len(text), text)).encode())

    def next(self):
        thing = self.random.choice(self.things)
        n, there = self.n[thing.number], self.version[thing.number]
        self.buf, one = b"", thing.url + "/" + thing.name
        if not there:
            self.asked = ("POST", thing, n + 1)
            self.send("POST", thing.url, thing.whole(n + 1))
        elif thing.dice(n) % 8 == 7:
            self.asked = ("DELETE", thing, n)
            self.send("DELETE", one, {})
        elif self.random.random() < 0.05:       # changes nothing, so it is no event
            self.asked = ("NOTHING", thing, n)
            self.send("PATCH", one, thing.change(n), "application/merge-patch+json")
        elif thing.dice(n) % 4 == 0:
            self.asked = ("PUT", thing, n + 1)
            self.send("PUT", one, thing.whole(n + 1))
        else:
            self.asked = ("PATCH", thing, n + 1)
            self.send("PATCH", one, thing.change(n + 1), "application/merge-patch+json")

    def answer(self):
        """(code, body) when all of it is there."""
        data = self.sock.recv(65536)
        if not data:
            raise ConnectionError("no answer")
        self.buf += data
        end = self.buf.find(b"\r\n\r\n")
        length = re.search(rb"\r\nContent-Length: (\d+)", self.buf[:end + 2]) if end > 0 else None
        if not length or len(self.buf) < end + 4 + int(length[1]):
            return None
        return int(self.buf[9:12]), self.buf[end + 4:]

    def note(self, thing, n, version):
        self.n[thing.number] = n or self.n[thing.number]
        self.version[thing.number] = version
        self.log[thing.number].extend((n, version))
        self.made += 1

    def done(self, code, body):
        """The answer to what was asked."""
        how, thing, n = self.asked
        if code == 503:
            raise ConnectionError("netd is stopping")
        assert code == (201 if how == "POST" else 200), (how, thing.name, code, body)
        if how == "DELETE":
            self.note(thing, 0, 0)
            return
        version = int(re.search(rb'"resourceVersion":"(\d+)"', body)[1])
        if how == "NOTHING":
            assert version == self.version[thing.number], "a change of nothing has a version"
            return
        assert version > self.version[thing.number], (how, thing.name, version)
        self.note(thing, n, version)

    def look_up(self):
        """What came of the write whose answer was lost."""
        how, thing, n = self.asked
        client = Client(self.path)
        try:
            meta = client.get(thing.url + "/" + thing.name)["metadata"]
        except Refused as err:
            if err.code != 404:
                raise OSError(str(err)) from err
            assert how in ("POST", "DELETE"), "%s is gone" % thing.name
            if how == "DELETE":
                self.note(thing, 0, 0)
            return
        finally:
            client.close()
        now, version = int(meta["annotations"]["n"]), int(meta["resourceVersion"])
        if version == self.version[thing.number]:
            assert now == self.n[thing.number], (how, meta)
            return
        assert how not in ("DELETE", "NOTHING") and now == n, (how, thing.name, n, meta)
        self.note(thing, n, version)


class Writer:
    """A lane for each kind, until so many events were made."""

    def __init__(self, path, index, events, tell):
        first = index * len(KINDS) * OBJECTS
        self.lanes = [Lane(path, [Thing(first + k * OBJECTS + i) for i in range(OBJECTS)], first + k)
                      for k in range(len(KINDS))]
        self.events, self.tell, self.told = events, tell, 0
        self.poll, self.by_fd = select.poll(), {}

    def ask(self, lane):
        made = sum(each.made for each in self.lanes)
        if made - self.told >= TICK or made >= self.events:
            self.tell.send(made - self.told)
            self.told = made
        if made < self.events:
            lane.next()
        else:
            self.drop(lane)

    def begin(self, lane):
        lane.connect()
        self.by_fd[lane.sock.fileno()] = lane
        self.poll.register(lane.sock, select.POLLIN)
        self.ask(lane)

    def drop(self, lane):
        if lane.sock.fileno() in self.by_fd:
            self.poll.unregister(lane.sock)
            del self.by_fd[lane.sock.fileno()]
        lane.sock.close()

    def revive(self, lane):
        """After its connection broke: as soon as there is a server."""
        end = time.monotonic() + DEADLINE
        while True:
            self.drop(lane)
            try:
                lane.look_up()
                self.begin(lane)
                return
            except (OSError, http.client.HTTPException):
                assert time.monotonic() < end, "no server came back"
                time.sleep(0.02)

    def hear(self, lane):
        try:
            answer = lane.answer()
            if answer:
                lane.done(*answer)
                self.ask(lane)
        except OSError:
            self.revive(lane)

    def run(self):
        for lane in self.lanes:
            self.begin(lane)
        while self.by_fd:
            ready = self.poll.poll(DEADLINE * 1000)
            assert ready, "netd says nothing"
            for fd, _ in ready:
                if fd in self.by_fd:
                    self.hear(self.by_fd[fd])


LIST, ITEM, ADDED, MODIFIED, DELETED, LOST, END = range(7)
TYPES = {"ADDED": ADDED, "MODIFIED": MODIFIED, "DELETED": DELETED}


class Forgotten(Exception):
    """An informer begins anew, as a client that was restarted."""


class Recorder(Informer):
    """Notes all it sees: (object, n, what), version.

    One that sleeps does so between its watches, until what it knows is compacted; one that dozes, in
    the middle of a watch, and is behind but not too far; one that forgets begins anew every now and
    then.  Those who sleep and doze are called when so many writes were made.
    """

    def __init__(self, path, url, final, wake, every, sleeps=False, dozes=False, forgets=False, **how):
        super().__init__(path, url, seed=url, **how)
        self.record, self.losses = array.array("Q"), 0
        self.final, self.wake, self.until = final, wake, None
        self.sleeps, self.dozes, self.forgets = sleeps, dozes, forgets
        self.every, self.since = every, 0       # so many events it dozes or forgets

    def put(self, what, version, meta=None):
        if meta is None:
            self.record.extend((what, version))
        elif re.fullmatch(r"o\d{5}", meta["name"]):
            n = int(meta["annotations"]["n"])
            self.record.extend((int(meta["name"][1:]) << 40 | n << 8 | what, version))

    def listed(self, version, items):
        self.put(LIST, version)
        for meta in items:
            self.put(ITEM, int(meta["resourceVersion"]), meta)

    def heard(self, kind, meta):
        self.put(TYPES[kind], int(meta["resourceVersion"]), meta)
        self.since += 1
        if self.since < self.every:
            return
        self.since = 0
        if self.dozes:
            self.nap()
        if self.forgets and self.until is None:
            raise Forgotten

    def lost(self):
        self.losses += 1
        self.put(LOST, self.version)

    def turn(self):
        try:
            super().turn()
        except Forgotten:
            self.put(END, self.version)
            self.version, self.cache = None, {}

    def finished(self):
        """It has got as far as the writers."""
        if self.version is None:
            return False
        if self.sleeps:
            self.nap()
        if self.until is None and self.final.poll():
            self.until = self.final.recv()
        return self.until is not None and self.version >= self.until

    def nap(self):
        """From a call to wake up to the one after it; a false one says that all is written."""
        missed = [self.wake.recv() for _ in iter(self.wake.poll, False)]
        if not (all(missed) and self.wake.recv() and self.wake.recv()):
            self.sleeps = self.dozes = False

    def settle(self):
        """With nobody writing any more, the cache is what the server has."""
        answer = self.get("")
        self.put(END, self.version)
        have = {k: m["resourceVersion"] for k, m in self.cache.items()}
        want = {self.key(m): m["resourceVersion"] for m in self.metas(answer)}
        assert have == want, "the cache is not the list: %s" % sorted(have.items() ^ want.items())


class Story:
    """What was done to one object, and how far somebody who watches has got in it."""

    def __init__(self, thing, log, last, wanted):
        self.thing, self.log, self.last, self.wanted = thing, log, last, wanted
        self.at, self.size = 0, len(log) // 2

    def selects(self, n):
        return n and self.wanted(self.thing, n)

    def latest(self, i):
        """Its version; that of a deletion is told to nobody, and below that of the next write."""
        if self.log[2 * i]:
            return self.log[2 * i + 1]
        return self.log[2 * i + 3] - 1 if i + 1 < self.size else self.last

    def shown(self, i):
        """The event of the i-th write as a watch shows it, or None."""
        n, version = self.log[2 * i], self.log[2 * i + 1]
        before = self.log[2 * i - 2] if i else 0
        now, was = self.selects(n), self.selects(before)
        if now:
            return MODIFIED if was else ADDED, n, version
        return (DELETED, before, version) if was else None

    def hear(self, what, n, version):
        while self.at < self.size:
            want = self.shown(self.at)
            self.at += 1
            if want:
                break
        else:
            want = None
        assert want and want[:2] == (what, n) and want[2] in (0, version), \
            "%s: %s, where %s was to come" % (self.thing.name, (what, n, version), want)

    def seek(self, version, listed):
        """To where a list of this version is; @listed: (n, version) of the object in it, or None."""
        while self.at < self.size and self.latest(self.at) <= version:
            self.at += 1
        if self.at < self.size and not self.log[2 * self.at] and not listed:
            self.at += 1            # a deletion that may have been before or after
        n, at = self.log[2 * self.at - 2:2 * self.at] if self.at else (0, 0)
        want = (n, at) if self.selects(n) else None
        assert listed == want, "%s: in a list of %d as %s, not %s" % (
            self.thing.name, version, listed, want)

    def caught_up(self, version):
        """All up to this version was seen."""
        while self.at < self.size and self.latest(self.at) <= version:
            want = self.shown(self.at)
            assert not want, "%s: missed %s, at %d" % (self.thing.name, want, version)
            self.at += 1


def check(record, stories, last, versions, history):
    """The record of an informer against what was done."""
    position, lost = 0, None
    at = 0
    while at < len(record):
        word, version = record[at:at + 2]
        number, n, what = word >> 40, word >> 8 & 0xffffffff, word & 0xff
        at += 2
        if what == LIST:
            listed = {}
            while at < len(record) and record[at] & 0xff == ITEM:
                listed[record[at] >> 40] = (record[at] >> 8 & 0xffffffff, record[at + 1])
                at += 2
            if lost is not None:
                behind = bisect.bisect_right(versions, version) - bisect.bisect_right(versions, lost)
                assert behind > history * 0.7, \
                    "410 for a version that is %d changes old, of %d" % (behind, history)
            lost = None
            assert set(listed) <= set(stories), "objects that are not to be seen"
            for story in stories.values():
                story.seek(version, listed.get(story.thing.number))
        elif what in (LOST, END):
            for story in stories.values():
                story.caught_up(version)
            lost = version if what == LOST else None
        else:
            stories[number].hear(what, n, version)
        assert version >= position, "%d after %d" % (version, position)
        position = version
    assert position >= last


def event(thing, n):
    return thing.kind == "events"


def endpoints(thing, n):
    return thing.kind == "endpointslices"


# says, URL, what is to be seen of it, and how
INFORMERS = [
    ("Events", EVENTS, event, {}),
    ("Events, sleeping", EVENTS, event, {"sleeps": True}),
    ("Events as a Table, dozing", EVENTS, event, {"accept": TABLE, "dozes": True}),
    ("Events by reason, forgetting", EVENTS + "?fieldSelector=reason%3DTold",
     lambda t, n: event(t, n) and t.told(n), {"forgets": True}),
    ("one Event", EVENTS + "?fieldSelector=metadata.name%3Do00001",
     lambda t, n: t.number == 1, {"initial": True}),
    ("Events of a namespace by label and reason",
     "/api/v1/namespaces/one/events?labelSelector=hot!%3Dyes&fieldSelector=reason!%3DTold",
     lambda t, n: event(t, n) and t.namespace == "one" and not t.hot(n) and not t.told(n),
     {"initial": True}),
    ("EndpointSlices, initial events, forgetting", SLICES, endpoints,
     {"initial": True, "forgets": True}),
    ("EndpointSlices as metadata, forgetting", SLICES, endpoints,
     {"accept": METADATA, "forgets": True}),
    ("EndpointSlices of a namespace",
     "/apis/discovery.k8s.io/v1/namespaces/two/endpointslices",
     lambda t, n: endpoints(t, n) and t.namespace == "two", {"dozes": True}),
    ("EndpointSlices by label, initial events, sleeping",
     SLICES + "?labelSelector=hot+in+(yes)", lambda t, n: endpoints(t, n) and t.hot(n),
     {"initial": True, "sleeps": True}),
]


def follow(node, row, final, wake, logs, history):
    """The life of one informer, in a process of its own."""
    says, url, wanted, how = row
    every = history // 2 if "dozes" in how else 300
    informer = Recorder(node.socket, url, final, wake, every, **how)
    informer.run(informer.finished)
    informer.settle()
    done = {}
    for log in logs:
        with open(log, "rb") as file:
            done.update(pickle.load(file))
    stories = {number: Story(Thing(number), log, informer.until, wanted)
               for number, log in done.items()}
    versions = sorted(v for log in done.values() for v in log[1::2] if v) if informer.losses else []
    check(informer.record, stories, informer.until, versions, history)
    assert bool(informer.losses) or "sleeps" not in how, "what a sleeper knew was never compacted"
    print("%-50s %8d events, %3d watches, %3d lists, %2d times expired"
          % (says, informer.events, informer.watches, informer.lists, informer.losses), flush=True)


def write(node, index, events, tell, log):
    """The life of one writer, in a process of its own."""
    writer = Writer(node.socket, index, events, tell)
    writer.run()
    with open(log, "wb") as file:
        pickle.dump({number: each for lane in writer.lanes for number, each in lane.log.items()},
                    file)


class Calls:
    """Who naps is called to wake up, each time so many writes were made."""

    def __init__(self, interval):
        self.interval, self.called, self.pipes = interval, 0, []

    def pipe(self):
        wake, call = multiprocessing.Pipe(duplex=False)
        self.pipes.append(call)
        return wake

    def call(self, written):
        while written >= (self.called + 1) * self.interval:
            self.called += 1
            for pipe in self.pipes:
                pipe.send(True)

    def end(self):
        for pipe in self.pipes:
            pipe.send(False)


class Run:
    """The processes, and the server that is taken away from them."""

    def __init__(self, events, history, restarts):
        self.events, self.history, self.restarts = events, history, restarts
        self.node = Node(flags=["--history", str(history)]).start()
        self.logs = [self.node.dir + "/writes-%d" % i for i in range(WRITERS)]
        self.long, self.short = Calls(history * 3 // 2 + 1000), Calls(history // 4)
        self.writers, self.informers, self.finals = [], [], []
        for name in NAMESPACES:
            self.node.client.post("/api/v1/namespaces", {"metadata": {"name": name}})

    def spawn(self, children, target, *args):
        child = multiprocessing.Process(target=target, args=args, daemon=True)
        child.start()
        children.append(child)

    def start_informers(self):
        for row in INFORMERS:
            final, tell = multiprocessing.Pipe(duplex=False)
            self.finals.append(tell)
            calls = self.long if "sleeps" in row[3] else self.short if "dozes" in row[3] else None
            self.spawn(self.informers, follow, self.node, row, final, calls and calls.pipe(),
                       self.logs, self.history)

    def start_writers(self):
        """What tells how much was written; its other end is the writers' alone."""
        told, tell = multiprocessing.Pipe(duplex=False)
        for i, log in enumerate(self.logs):
            self.spawn(self.writers, write, self.node, i, self.events // WRITERS, tell, log)
        return told

    def restart(self, number):
        if number % 2:
            self.node.stop()
        else:
            self.node.kill(signal.SIGKILL)
        self.node.start()

    def written(self, told):
        """How much, as it grows; and an informer that ends before ends all."""
        sum_, ends = 0, [child.sentinel for child in self.informers]
        while sum_ < self.events:
            ready = multiprocessing.connection.wait([told] + ends, DEADLINE)
            assert ready == [told], "an informer or all writers have ended"
            sum_ += told.recv()
            yield sum_

    def run(self):
        begin, restarts = time.monotonic(), 0
        self.start_informers()
        for written in self.written(self.start_writers()):
            self.long.call(written)
            self.short.call(written)
            if restarts < self.restarts and \
                    written * (self.restarts + 1) >= self.events * (restarts + 1):
                self.restart(restarts)
                restarts += 1
        took = time.monotonic() - begin
        for child in self.writers:
            child.join()
            assert child.exitcode == 0, "a writer saw what may not be"
        self.long.end()
        self.short.end()
        last = int(self.node.client.get(EVENTS + "?limit=1")["metadata"]["resourceVersion"])
        for final in self.finals:
            final.send(last)
        for child in self.informers:
            child.join()
            assert child.exitcode == 0, "an informer saw what may not be"
        self.node.stop()
        print("%d events by %d writers in %.0f s, netd restarted %d times"
              % (self.events, WRITERS, took, restarts))


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n", maxsplit=1)[0])
    parser.add_argument("--events", type=int, default=16000)
    parser.add_argument("--history", type=int, default=3000)
    parser.add_argument("--restarts", type=int, default=2)
    args = parser.parse_args()
    multiprocessing.set_start_method("fork")
    Run(args.events // WRITERS * WRITERS, args.history, args.restarts).run()


main()
