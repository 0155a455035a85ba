# SPDX-License-Identifier: Apache-2.0
"""What the keeper bears: slow, half-open, oversized, pipelined and malformed requests, thousands of idle
connections. After each of them it serves as before, and no sanitizer has found anything.

usage: test_abuse.py FRESHETD DEVSERVER FRESHET plain|sanitized
"""
import concurrent.futures
import os
import random
import resource
import select
import socket
import sys
import threading
import time

from harness import (STRANGER_GID, STRANGER_UID, Child, as_user, check, equal, read_answer, request, run_cases,
                     unix_socket, wait_for)

SANITIZED = sys.argv[4] == "sanitized"
HEADERS = "/v1/sessions/billing/headers"
PLAIN = b"GET /v1/platform HTTP/1.1\r\nHost: x\r\n\r\n"


def keeper_of(lab, **more):
    return lab.keeper({"billing": lab.service(allow=f"uid:{STRANGER_UID + 1} read")}, **more)


def serves(keeper):
    answer = keeper.headers("billing")
    equal(answer.status, 200, repr(answer))


def read_all(sock):
    """Everything until the end, or a reset."""
    data = b""
    try:
        while piece := sock.recv(65536):
            data += piece
    except ConnectionError:
        pass
    return data


def talk(keeper, data, finish=True):
    """Sends bytes, and reads what comes until the keeper closes. `finish`: we send no more."""
    with unix_socket(keeper.control) as sock:
        try:
            sock.sendall(data)
            if finish:
                sock.shutdown(socket.SHUT_WR)
        except OSError:
            pass  # it may have closed already
        return read_all(sock)


def talk_all(keeper, pieces):
    with concurrent.futures.ThreadPoolExecutor(64) as pool:
        return list(pool.map(lambda data: talk(keeper, data), pieces))


def statuses(data):
    """The statuses of the answers in a stream that has no body which looks like one."""
    return [int(part[:3]) for part in data.split(b"HTTP/1.1 ")[1:]]


# ---- malformed

POST = b"POST /v1/sessions/billing/unauthorized HTTP/1.1\r\nHost: x\r\n"
LATER = b"GET /v1/sessions HTTP/1.1\r\nHost: x\r\n\r\n"  # what a smuggler would get through

# What is no request, or has an unclear end: refused, and nothing behind it is answered.
REFUSED = {
    "no path": b"GET\r\n\r\n",
    "HTTP/0.9": b"GET /v1/platform\r\n\r\n",
    "a version there is not": b"GET /v1/platform HTTP/9.9\r\nHost: x\r\n\r\n",
    "no version": b"GET /v1/platform FOO\r\nHost: x\r\n\r\n",
    "a NUL in the path": b"GET /v1/pla\0tform HTTP/1.1\r\nHost: x\r\n\r\n",
    "a header without a colon": b"GET /v1/platform HTTP/1.1\r\nHost: x\r\nnonsense\r\n\r\n",
    "a control character in a header": PLAIN[:-2] + b"X-A: a\x01b\r\n\r\n",
    "a DEL in a header": PLAIN[:-2] + b"X-A: a\x7fb\r\n\r\n",
    "a CR alone in a header": PLAIN[:-2] + b"X-A: a\rX-B: b\r\n\r\n",
    "a NUL in a header's name": PLAIN[:-2] + b"X\0A: ab\r\n\r\n",
    "a NUL in an argument": b"GET /v1/sessions/billing/headers?partner=fd42%00x HTTP/1.1\r\nHost: x\r\n\r\n",
    "a space before the colon": POST + b"Content-Length : 5\r\n\r\n12345",
    "lengths that differ": POST + b"Content-Length: 5\r\nContent-Length: 6\r\n\r\n12345" + LATER,
    "a length and chunks": POST + b"Content-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n" +
                           LATER,
    "a negative length": POST + b"Content-Length: -1\r\n\r\n" + LATER,
    "a length with a sign": POST + b"Content-Length: +5\r\n\r\n12345" + LATER,
    "a length in hexadecimal": POST + b"Content-Length: 0x5\r\n\r\n12345" + LATER,
    "a length of two words": POST + b"Content-Length: 5 5\r\n\r\n12345" + LATER,
    "a length list": POST + b"Content-Length: 5, 5\r\n\r\n12345" + LATER,
    "an immense length": POST + b"Content-Length: " + b"9" * 40 + b"\r\n\r\n",
    "an unknown coding": POST + b"Transfer-Encoding: gzip\r\n\r\n12345" + LATER,
    "chunked before another coding": POST + b"Transfer-Encoding: chunked, gzip\r\n\r\n0\r\n\r\n" + LATER,
    "chunked twice": POST + b"Transfer-Encoding: chunked\r\nTransfer-Encoding: gzip\r\n\r\n0\r\n\r\n" +
                     LATER,
    "a chunk that is no number": POST + b"Transfer-Encoding: chunked\r\n\r\nzz\r\n12345" + LATER,
    "a negative chunk": POST + b"Transfer-Encoding: chunked\r\n\r\n-5\r\n12345\r\n0\r\n\r\n" + LATER,
    "an immense chunk": POST + b"Transfer-Encoding: chunked\r\n\r\nFFFFFFFFFFFFFFFFFF\r\n12345",
    "a chunk of all memory": POST + b"Transfer-Encoding: chunked\r\n\r\nFFFFFFFFFFFFFFFF\r\n12345",
    "a chunk that goes on": POST + b"Transfer-Encoding: chunked\r\n\r\n3\r\n12345\r\n0\r\n\r\n" + LATER,
    "an unfinished chunk": POST + b"Transfer-Encoding: chunked\r\n\r\n5\r\n123",
    "an unfinished body": POST + b"Content-Length: 100\r\n\r\n{",
    "an unfinished header": b"GET /v1/platform HTTP/1.1\r\nHost: x\r\nAccept",
    "an unfinished line": b"GET /v1/pla",
    "a TLS client": bytes.fromhex("16030100c8010000c40303") + bytes(190),
    "HTTP/2": b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
    "noise": bytes(range(256)) * 8,
    "a long method": b"A" * 9000 + b" / HTTP/1.1\r\nHost: x\r\n\r\n",
    "a method there is not": b"BREW /v1/platform HTTP/1.1\r\nHost: x\r\n\r\n",
    "TRACE": b"TRACE /v1/platform HTTP/1.1\r\nHost: x\r\n\r\n",
    "CONNECT": b"CONNECT x:443 HTTP/1.1\r\nHost: x\r\n\r\n",
    "OPTIONS *": b"OPTIONS * HTTP/1.1\r\nHost: x\r\n\r\n",
    "a broken escape": b"GET /v1/sessions/%zz/headers HTTP/1.1\r\nHost: x\r\n\r\n",
    "an escaped NUL": b"GET /v1/sessions/billing%00x/headers HTTP/1.1\r\nHost: x\r\n\r\n",
    "an escaped slash": b"GET /v1/sessions/a%2fb/nothing HTTP/1.1\r\nHost: x\r\n\r\n",
}


def malformed_requests_are_refused(lab):
    with keeper_of(lab) as keeper:
        keeper.signed_in("billing")
        generation = keeper.status("billing")["generation"]
        # In parallel: what is unfinished is closed after 10 s, not at once.
        for (what, _), answer in zip(REFUSED.items(), talk_all(keeper, REFUSED.values())):
            got = statuses(answer)
            # libmicrohttpd sends the head of its own refusals twice now and then: no matter.
            check(all(400 <= status <= 505 for status in got), f"{what}: {answer!r}")
            check(not answer or got, f"{what}: {answer!r}")
        equal(keeper.status("billing")["generation"], generation)
        serves(keeper)


def nothing_of_a_header_is_answered_back(lab):
    """A header cannot be split by what a request says."""
    with keeper_of(lab) as keeper:
        keeper.signed_in("billing")
        for path in ("/v1/sessions/billing/headers?partner=a%0d%0aX-Evil:%201",
                     "/v1/sessions/x%0d%0aX-Evil:1/headers", "/%0d%0aX-Evil:1"):
            answer = talk(keeper, b"GET " + path.encode() + b" HTTP/1.1\r\nHost: x\r\n\r\n")
            head = answer.partition(b"\r\n\r\n")[0]
            check(b"X-Evil" not in head, answer)
            check(statuses(answer)[0] >= 400, answer)


def seeded_noise(lab):
    """Good requests with some bytes changed, gone or doubled."""
    seed = int(os.environ.get("FRESHET_SEED", random.SystemRandom().randrange(1 << 32)))
    print(f"# seed {seed}: FRESHET_SEED repeats it")
    dice = random.Random(seed)
    body = b'{"generation": 1}'
    good = [PLAIN, LATER, f"GET {HEADERS}?timeout_ms=0&min_valid_ms=1 HTTP/1.1\r\nHost: x\r\n"
            f'If-None-Match: "1"\r\n\r\n'.encode(),
            POST + b"Content-Length: %d\r\n\r\n" % len(body) + body,
            POST + b"Transfer-Encoding: chunked\r\n\r\n%x\r\n" % len(body) + body + b"\r\n0\r\n\r\n"]
    pieces = [b"\r\n", b"\n", b"\0", b":", b" ", b"\xff", b"%", b"%00", b"HTTP/1.1", b"chunked", b"9" * 20,
              b"Content-Length: 3\r\n", b"/", b"?", b"&", b"="]
    with keeper_of(lab) as keeper:
        keeper.signed_in("billing")
        inputs = []
        for _ in range(400 if SANITIZED else 2000):
            data = bytearray(b"".join(dice.choices(good, k=dice.randint(1, 3))))
            for _ in range(dice.randint(1, 6)):
                at = dice.randrange(len(data) + 1)
                end = at + dice.choice((0, 1, 4))
                data[at:end] = dice.choice((dice.choice(pieces), b"", bytes(data[at:at + 9]) * 2,
                                            bytes([dice.randrange(256)])))
            inputs.append(bytes(data))
        talk_all(keeper, inputs)
        serves(keeper)


# ---- oversized


def oversized_requests_are_refused(lab):
    big = 70000
    with keeper_of(lab) as keeper:
        keeper.signed_in("billing")
        for what, data, expected in (
                ("a header of 64 KiB", PLAIN[:-2] + b"A: " + b"a" * big + b"\r\n\r\n", {400, 413, 431}),
                ("10,000 headers", PLAIN[:-2] + b"A: a\r\n" * 10000 + b"\r\n", {400, 413, 431}),
                ("a path of 64 KiB", b"GET /" + b"a" * big + b" HTTP/1.1\r\nHost: x\r\n\r\n",
                 {400, 404, 413, 414, 431}),
                ("a query of 64 KiB", b"GET /v1/platform?" + b"a" * big + b" HTTP/1.1\r\nHost: x\r\n\r\n",
                 {400, 413, 414, 431}),
                ("a body of 64 KiB and a byte",
                 POST + b"Content-Length: 65537\r\n\r\n" + b" " * 65537, {413}),
                ("a body of 10 GB", POST + b"Content-Length: 10000000000\r\n\r\n", {413}),
                ("one that waits for 100 Continue",
                 POST + b"Expect: 100-continue\r\nContent-Length: 10000000000\r\n\r\n", {413}),
                ("a chunk of 1 GB", POST + b"Transfer-Encoding: chunked\r\n\r\n40000000\r\n" +
                 b" " * 200000, {413}),
        ):
            got = statuses(talk(keeper, data))
            check(not got or len(got) == 1 and got[0] in expected, f"{what}: {got}")
            serves(keeper)
        big_enough = b'{"generation": 1' + b" " * 65000 + b"}"
        data = POST + b"Content-Length: %d\r\n\r\n" % len(big_enough) + big_enough
        equal(statuses(talk(keeper, data)), [204], "a body within the bound")


def a_body_without_end_is_cut_off(lab):
    with keeper_of(lab) as keeper:
        keeper.signed_in("billing")
        with unix_socket(keeper.control) as sock:
            sent = 0
            try:
                sock.sendall(POST + b"Transfer-Encoding: chunked\r\n\r\n")
                while sent < 64 << 20:
                    sock.sendall(b"10000\r\n" + b" " * 65536 + b"\r\n")
                    sent += 65536
            except OSError:
                pass
            check(sent < 64 << 20, "it takes a body of 64 MiB")
            got = statuses(read_all(sock))
            check(got in ([], [413]), got)
        serves(keeper)


# ---- pipelined


def a_hundred_pipelined_requests_are_answered_in_order(lab):
    kinds = {
        200: PLAIN,
        404: b"GET /nothing HTTP/1.1\r\nHost: x\r\n\r\n",
        405: b"DELETE /v1/platform HTTP/1.1\r\nHost: x\r\n\r\n",
        204: POST + b'Content-Length: 17\r\n\r\n{"generation": 1}',
        400: POST + b"Content-Length: 2\r\n\r\n{}",
    }
    dice = random.Random(5)
    order = dice.choices(sorted(kinds), k=100)
    with keeper_of(lab) as keeper:
        keeper.signed_in("billing")
        with unix_socket(keeper.control) as sock:
            sender = threading.Thread(
                target=sock.sendall, args=(b"".join(kinds[status] for status in order),))
            sender.start()
            got = []
            stream = sock.makefile("rb")
            for _ in order:
                got.append(read_answer(stream).status)
            sender.join()
        equal(got, order)


def pipelined_behind_one_that_waits(lab):
    lab.platform.fault("latency", match="/auth", ms=1000)
    with keeper_of(lab) as keeper:
        with unix_socket(keeper.control) as sock:
            sock.sendall(f"GET {HEADERS} HTTP/1.1\r\nHost: x\r\n\r\n".encode() + PLAIN * 50)
            stream = sock.makefile("rb")
            answer = read_answer(stream)
            equal(answer.status, 200)
            check(b"Authorization" in answer.body, "the first answer is the first request's")
            for _ in range(50):
                equal(read_answer(stream).status, 200)
        with unix_socket(keeper.control) as sock:  # gone before the first is answered
            lab.platform.revoke("svc-demo", "all")
            sock.sendall(f"GET {HEADERS} HTTP/1.1\r\nHost: x\r\n\r\n".encode() * 100)
        serves(keeper)


# ---- slow, half-open


def drip(keeper, head, data, bound):
    """Sends byte by byte, until the keeper has enough of it; how long that took."""
    begin = time.monotonic()
    with unix_socket(keeper.control) as sock:
        sock.sendall(head)
        sock.setblocking(False)
        for byte in data:
            readable, _, _ = select.select([sock], [], [], 0.25)
            if readable:
                break
            check(time.monotonic() < begin + bound, "it is patient for too long")
            try:
                sock.send(bytes([byte]))
            except OSError:
                break
        else:
            raise AssertionError("all of it was taken")
        sock.setblocking(True)
        got = statuses(read_all(sock))
        check(got in ([], [408]), got)
    return time.monotonic() - begin


def slow_requests_are_cut_off(lab):
    """10 s for a request, whatever drips in; others are served meanwhile."""
    with keeper_of(lab) as keeper:
        keeper.signed_in("billing")
        slow = {
            "headers": (b"GET /v1/platform HTTP/1.1\r\n", b"X-Slow: " + b"a" * 500),
            "body": (POST + b"Content-Length: 5000\r\n\r\n", b" " * 500),
            "chunks": (POST + b"Transfer-Encoding: chunked\r\n\r\n", b"1\r\n \r\n" * 100),
        }
        took, wrong = {}, []

        def one(name):
            try:
                took[name] = drip(keeper, *slow[name], bound=25)
            except Exception as error:  # pylint: disable=broad-except
                wrong.append(f"{name}: {error!r}")

        threads = [threading.Thread(target=one, args=(name,)) for name in slow for _ in range(8)]
        for thread in threads:
            thread.start()
        asked = 0
        while any(thread.is_alive() for thread in threads):
            serves(keeper)
            asked += 1
        equal(wrong, [])
        check(all(7 < seconds < 20 for seconds in took.values()), took)
        check(asked > 100, f"{asked} answers meanwhile")


def slow_readers_do_not_hold_up_others(lab):
    """Clients that ask for much and read nothing."""
    with keeper_of(lab) as keeper:
        keeper.signed_in("billing")
        ask = f"GET {HEADERS} HTTP/1.1\r\nHost: x\r\n\r\n".encode()
        socks = []
        for _ in range(20):
            sock = unix_socket(keeper.control)
            sock.setblocking(False)
            try:
                while True:
                    sock.send(ask * 50)
            except BlockingIOError:
                pass
            socks.append(sock)
        for _ in range(200):
            serves(keeper)
        for sock in socks:
            sock.close()


def half_open_connections_are_answered(lab):
    with keeper_of(lab) as keeper:
        keeper.signed_in("billing")
        for _ in range(50):
            equal(statuses(talk(keeper, PLAIN)), [200])
            equal(statuses(talk(keeper, PLAIN * 3)), [200] * 3)
            equal(talk(keeper, b""), b"")
        lab.platform.clear_faults()
        serves(keeper)


# ---- many


def idle_connections(path, count, data, tell, go):
    """Of another process: opens them, sends `data` on each, tells, and stays until told to go."""
    resource.setrlimit(resource.RLIMIT_NOFILE, (count + 100, count + 100))
    socks = []
    for _ in range(count):
        sock = unix_socket(path)
        try:
            sock.send(data) if data else None
        except OSError:
            pass  # it was turned away at once
        socks.append(sock)
    os.write(tell, b".")
    os.read(go, 1)
    return len(socks)


def idle_connections_do_not_shut_others_out(lab):
    """10,000 of one stranger's, silent or stuck in a header."""
    room = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    check(room > 2000, "the hard limit of open files is too low for this test")
    count = min(10000, room - 200)
    with keeper_of(lab) as keeper:
        keeper.signed_in("billing")
        for data in (b"", b"GET /v1/platform HTTP/1.1\r\nA: "):
            ready, tell = os.pipe()
            go, release = os.pipe()
            child = Child(lambda data=data, tell=tell, go=go: idle_connections(
                keeper.control, count, data, tell, go), STRANGER_UID, STRANGER_GID)
            slowest, answers = 0, 0
            while not (came := select.select([ready, child.reader], [], [], 0)[0]):
                begin = time.monotonic()
                serves(keeper)
                slowest = max(slowest, time.monotonic() - begin)
                answers += 1
            if ready not in came:
                child.result()  # it failed, and says why
            for _ in range(50):
                serves(keeper)
                equal(as_user(lambda: request(keeper.control, "GET", HEADERS).status,
                              STRANGER_UID + 1, STRANGER_GID + 1), 200, "another user's")
            held = len(os.listdir(f"/proc/{keeper.process.pid}/fd"))
            check(held < 1200, f"{held} descriptors")
            check(slowest < 5, f"one waited for {slowest:.1f} s")
            print(f"# {answers} answers meanwhile, the slowest after {slowest * 1000:.0f} ms; "
                  f"{held} descriptors")
            os.write(release, b".")
            equal(child.result(), count)
            for fd in (ready, tell, go, release):
                os.close(fd)
            wait_for(lambda: len(os.listdir(f"/proc/{keeper.process.pid}/fd")) < 100,
                     "the descriptors come back")
        serves(keeper)


def many_clients_come_and_go(lab):
    with keeper_of(lab) as keeper:
        keeper.signed_in("billing")
        for _ in range(3000):
            with unix_socket(keeper.control) as sock:
                sock.send(PLAIN)
        serves(keeper)
        wait_for(lambda: len(os.listdir(f"/proc/{keeper.process.pid}/fd")) < 100,
                 "the descriptors come back")


run_cases([
    malformed_requests_are_refused, nothing_of_a_header_is_answered_back, seeded_noise,
    oversized_requests_are_refused, a_body_without_end_is_cut_off,
    a_hundred_pipelined_requests_are_answered_in_order, pipelined_behind_one_that_waits,
    slow_requests_are_cut_off, slow_readers_do_not_hold_up_others, half_open_connections_are_answered,
    idle_connections_do_not_shut_others_out, many_clients_come_and_go,
])
