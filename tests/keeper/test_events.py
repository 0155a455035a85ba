# SPDX-License-Identifier: Apache-2.0
"""GET /v1/events: what happens to sessions, as it happens, to whom it may be told.

usage: test_events.py FRESHETD DEVSERVER FRESHET WORLD
"""
import json
import os
import socket
import time

from harness import (PASSWORD, STRANGER_GID, STRANGER_UID, Child, UnixConnection, check, equal, request,
                     run_cases, unix_socket, wait_for, world_of)

READER = (STRANGER_UID, STRANGER_GID)


class Stream:
    """A reader of events; open when the keeper has begun to tell it."""

    def __init__(self, keeper, last=None):
        self.connection = UnixConnection(keeper.control)
        self.connection.request("GET", "/v1/events", headers={"Last-Event-ID": last} if last else {})
        self.response = self.connection.getresponse()
        equal((self.response.status, self.response.headers["Content-Type"]),
              (200, "text/event-stream"))
        equal(self.line(), ": keep-alive")
        equal(self.line(), "")

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

    def close(self):
        self.connection.close()

    def line(self):
        line = self.response.readline().decode()
        return line.rstrip("\n") if line else None

    def next(self):
        """The next event, without comments; None at the end."""
        event = {}
        while (line := self.line()) is not None:
            if line and not line.startswith(":"):
                name, colon, value = line.partition(": ")
                check(colon and name not in event, f"the line {line!r}")
                event[name] = value
            elif not line and event:
                return event
        check(not event, "the end of half an event")
        return None

    def until(self, name):
        """Events up to the first of a name."""
        events = []
        while not events or events[-1]["event"] != name:
            event = self.next()
            check(event, f"no {name} after {[event['event'] for event in events]}")
            events.append(event)
        return events


def sign_in(keeper, name, username):
    answer = keeper.call("POST", f"/v1/sessions/{name}/sign-in",
                         {"username": username, "password": PASSWORD})
    equal(answer.status, 200, repr(answer))


def events_are_told_in_their_order(lab):
    with lab.keeper() as keeper, Stream(keeper) as stream:
        sign_in(keeper, "ann", "load-1")
        events = stream.until("signed_in")
        equal([event["event"] for event in events], ["opened", "sign_in_explicit", "signed_in"])
        for event in events:
            data = json.loads(event["data"])
            equal((data["session"], data["entry"]["name"]), ("ann", event["event"]))
            equal(event["id"].partition("-")[2], str(data["entry"]["number"]))
        equal(keeper.call("POST", "/v1/sessions/ann/sign-out").status, 204)
        event = stream.next()
        equal((event["event"], json.loads(event["data"])["entry"]["status"]),
              ("signed_out", "FRESHET_ESIGNEDOUT"))


def many_readers_hear_the_same(lab):
    with lab.keeper() as keeper:
        streams = [Stream(keeper) for _ in range(64)]
        answer = keeper.get("/v1/events")
        equal((answer.status, answer.code), (503, "FRESHET_ELIMIT"))
        sign_in(keeper, "ann", "load-2")
        told = [stream.until("signed_in") for stream in streams]
        check(all(events == told[0] for events in told), "they differ")
        streams.pop().close()
        with wait_for(lambda: again(keeper), "a place"):
            pass
        for stream in streams:
            stream.close()


def again(keeper):
    try:
        return Stream(keeper)
    except AssertionError:
        return None


def who_comes_back_misses_nothing(lab):
    with lab.keeper() as keeper:
        with Stream(keeper) as stream:
            sign_in(keeper, "ann", "load-3")
            last = stream.until("signed_in")[-1]["id"]
        equal(keeper.call("POST", "/v1/sessions/ann/sign-out").status, 204)
        sign_in(keeper, "ann", "load-3")
        with Stream(keeper, last) as stream:
            events = stream.until("signed_in")
            equal([event["event"] for event in events],
                  ["signed_out", "sign_in_explicit", "signed_in"])
        # Of an earlier life of the keeper, or of nobody: all there is, and that something is missing.
        for strange in ("1-1", "nonsense", last + "x", last.partition("-")[0] + "-"):
            with Stream(keeper, strange) as stream:
                event = stream.next()
                equal((event["event"], json.loads(event["data"])), ("lost", {"lost": None}))
                equal(stream.next()["event"], "opened")


def who_comes_back_too_late_is_told(lab):
    """More happened than is kept: what is left is told, and how much is not."""
    with lab.keeper() as keeper:
        with Stream(keeper) as stream:
            sign_in(keeper, "ann", "load-4")
            last = stream.until("signed_in")[-1]["id"]
        number = int(last.partition("-")[2])
        for _ in range(100):
            equal(keeper.call("POST", "/v1/sessions/ann/sign-out").status, 204)
            sign_in(keeper, "ann", "load-4")
        with Stream(keeper, last) as stream:
            event = stream.next()
            equal(event["event"], "lost")
            lost = json.loads(event["data"])["lost"]
            following = int(stream.next()["id"].partition("-")[2])
            equal(following, number + lost + 1)
            check(lost >= 300 - 256, f"{lost} lost")
            for expected in range(following + 1, number + 301):
                equal(int(stream.next()["id"].partition("-")[2]), expected)


def hear(keeper, ready, stop):
    """What somebody hears of sessions, from when a byte comes to the last thing that happens."""
    stream = Stream(keeper)
    os.write(ready, b".")
    os.read(stop, 1)
    heard = []
    while ("secret", "signed_in") not in heard and (event := stream.next()):
        heard.append((json.loads(event["data"])["session"], event["event"]))
    return heard


def only_those_who_may_read_hear_of_a_session(lab):
    sessions = {"mine": lab.service("load-5", allow=[f"uid:{STRANGER_UID} read"]),
                "reported": lab.service("load-6", allow=[f"uid:{STRANGER_UID} report"]),
                "secret": lab.service("load-7")}
    ready, tell = os.pipe()
    stop, release = os.pipe()
    with lab.keeper(sessions) as keeper:
        for name in sessions:
            keeper.signed_in(name)
        reader = Child(lambda: hear(keeper, tell, stop), *READER)
        os.read(ready, 1)
        for name in sessions:
            equal(keeper.call("POST", f"/v1/sessions/{name}/sign-out", {"hold": True}).status, 204)
        sign_in(keeper, "ann", "load-8")
        # The grant goes, while the stream is open.
        keeper.configure({"mine": lab.service("load-5"), "reported": lab.service("load-6"),
                          "secret": lab.service("load-7", allow=[f"uid:{STRANGER_UID} read"])})
        keeper.reload()
        wait_for(lambda: Child(lambda: request(keeper.control, "GET", "/v1/sessions/mine").status,
                               *READER).result() == 403, "the reload")
        for name in ("mine", "reported", "secret"):
            equal(keeper.call("POST", f"/v1/sessions/{name}/sign-in").status, 200)
        os.write(release, b".")
        heard = reader.result()
        equal([name for name, event in heard if event == "signed_out"], ["mine"])
        equal({name for name, _ in heard}, {"mine", "secret"})
        check(("mine", "signed_in") not in heard and ("secret", "signed_in") in heard, heard)
    for fd in (ready, tell, stop, release):
        os.close(fd)


def a_slow_reader_is_let_go(lab):
    """Nothing is kept for it without end, and the others hear all."""
    with lab.keeper() as keeper:
        sign_in(keeper, "ann", "load-9")
        slow = unix_socket(keeper.control)
        slow.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        slow.sendall(b"GET /v1/events HTTP/1.1\r\nHost: x\r\n\r\n")
        with Stream(keeper) as quick:
            wait_for(lambda: readers(keeper) == 2, "two readers")
            rounds = 0
            while readers(keeper) == 2:
                equal(keeper.call("POST", "/v1/sessions/ann/sign-out").status, 204)
                sign_in(keeper, "ann", "load-9")
                rounds += 1
                check(rounds < 3000, "it is never let go")
                quick.until("signed_in")
            equal(dropped(keeper), 1)
            seen = b""
            while not seen.endswith(b"\r\n0\r\n\r\n"):
                part = slow.recv(65536)
                check(part, f"no good end: {seen[-80:]}")
                seen += part
            slow.close()
            check(b"\nevent: lost\ndata: {\"lost\": 1}\n\n" in seen, "it is not told")
            check(seen.index(b"event: lost") > 60000, "too early")


def count(keeper, name):
    for line in keeper.get("/metrics").body.decode().splitlines():
        if line.startswith(name + " "):
            return int(line.split()[1])
    raise AssertionError(name)


def one_user_has_a_share_of_the_places(lab):
    with lab.keeper() as keeper:
        def fill():
            streams = [Stream(keeper) for _ in range(16)]
            answer = request(keeper.control, "GET", "/v1/events")
            return len(streams), answer.status, answer.code

        equal(Child(fill, *READER).result(), (16, 503, "FRESHET_ELIMIT"))
        with Stream(keeper):
            pass


def readers(keeper):
    return count(keeper, "freshet_event_readers")


def dropped(keeper):
    return count(keeper, "freshet_event_readers_dropped_total")


def readers_who_go_are_forgotten(lab):
    with lab.keeper() as keeper:
        for _ in range(100):
            with Stream(keeper):
                pass
        wait_for(lambda: readers(keeper) == 0, "they are gone")
        equal(dropped(keeper), 0)
        equal(keeper.call("HEAD", "/v1/events").status, 200)
        equal(readers(keeper), 0)


def a_sign_of_life_comes_in_time(lab):
    """Each 15 s of a clock that is moved; not more often, but for the time that truly passes."""
    with world_of(lab, {}) as (world, _, keeper):
        begin = time.monotonic()
        with Stream(keeper) as stream:
            for _ in range(20):
                world.advance(15)
                equal((stream.line(), stream.line()), (": keep-alive", ""))
            sign_in(keeper, "ann", "load-9")
            more = 0
            while (line := stream.line()) != "event: signed_in":
                more += line == ": keep-alive"
            true = (time.monotonic() - begin) / 15
            check(true < 10, "the true clock would have brought half of them")
            check(more <= true + 1, f"{more} too many")


def streams_end_with_the_keeper(lab):
    with lab.keeper() as keeper, Stream(keeper) as stream:
        keeper.process.terminate()
        equal(stream.next(), None)
        equal(keeper.wait(), 0)
        check("drained unanswered=0" in keeper.log(), "it waits for its readers, until the drain's deadline")
        keeper.start()


run_cases([
    events_are_told_in_their_order, many_readers_hear_the_same, who_comes_back_misses_nothing,
    who_comes_back_too_late_is_told, only_those_who_may_read_hear_of_a_session, a_slow_reader_is_let_go,
    one_user_has_a_share_of_the_places, readers_who_go_are_forgotten, a_sign_of_life_comes_in_time, streams_end_with_the_keeper,
])
