# SPDX-License-Identifier: Apache-2.0
"""Storms: thousands of sessions, browsers or callers that want a token at the same moment. The platform gets
one refresh of each, few at once, and everybody else is served meanwhile.

usage: test_storms.py FRESHETD DEVSERVER FRESHET WORLD plain|sanitized
"""
import concurrent.futures
import sys
import threading
import time

from harness import (PASSWORD, STRANGER_GID, STRANGER_UID, Child, UnixConnection, check, equal, exchange, read_answer,
                     request, run_cases, unix_socket, wait_for, world_of)

SANITIZED = sys.argv[5] == "sanitized"
HOUR = 3600
FLIGHTS = 64  # at once, of one platform
HEADERS = "/v1/sessions/billing/headers"
ORIGIN = "https://app.example.com"
WRITES = {"Origin": ORIGIN, "X-Freshet-CSRF": "1"}
SAFE = {"X-Original-Method": "GET"}


def wait_long(condition, what):
    end = time.monotonic() + 240
    while not condition():
        check(time.monotonic() < end, "waited in vain: " + what)
        time.sleep(0.05)


def all_flights_are_in_the_air(platform):
    wait_for(lambda: platform.counter("refresh_in_flight") == FLIGHTS, f"{FLIGHTS} refreshes at once")


def land_slowly(platform):
    """Lets go of those that are held; the others take their time, so that there are always enough."""
    platform.clear_faults()
    platform.fault("latency", match="/auth/refresh_token", ms=20, count=-1)


def judge(platform, count):
    """One refresh of each, and the bound was met and kept."""
    counters = platform.counters()
    equal(counters["refresh_attempts"], count, "one each")
    equal(counters["refreshes"], count)
    equal(counters["refresh_in_flight_max_per_account"], 1)
    equal(counters["refresh_in_flight_max"], FLIGHTS)


def sessions_that_expire_together(lab):
    """All tokens run out at the same moment, as after an hour of sleep."""
    count = 1000 if SANITIZED else 10000
    names = [f"s{i}" for i in range(count)]
    with world_of(lab, {}) as (world, platform, keeper):
        keeper.stop()
        keeper.write("password", PASSWORD + "\n")
        keeper.configure({name: {"username": f"load-{i}", "password_file": "password"}
                          for i, name in enumerate(names)})
        keeper.start()
        wait_long(lambda: platform.counter("sign_ins") == count, "all sign in")
        counters = platform.counters()
        equal(counters["sign_in_attempts"], count)
        check(counters["sign_in_in_flight_max"] <= FLIGHTS, f"{counters['sign_in_in_flight_max']} sign-ins at once")
        wait_long(lambda: b'challenged="no"} %d\n' % count in keeper.get("/metrics").body, "all are signed in")
        platform.good("POST", "/_dev/counters/reset")
        platform.hold("/auth/refresh_token")
        world.advance(HOUR)
        all_flights_are_in_the_air(platform)
        for _ in range(100):
            equal(keeper.get("/v1/platform").status, 200)
        equal(platform.counter("refresh_attempts"), FLIGHTS, "no more than there is room for")
        land_slowly(platform)
        slowest, answers, end = 0, 0, time.monotonic() + 240
        while platform.counter("refreshes") < count:
            check(time.monotonic() < end, f"{platform.counter('refreshes')} refreshes in 240 s")
            begin = time.monotonic()
            equal(keeper.get("/v1/platform").status, 200)
            slowest = max(slowest, time.monotonic() - begin)
            answers += 1
        for name in names[::count // 50]:
            equal(keeper.headers(name).status, 200, name)
        print(f"# {answers} answers meanwhile, the slowest after {slowest * 1000:.0f} ms")
        judge(platform, count)
        equal(platform.counter("sign_in_attempts"), 0)
        check(slowest < 5, f"one waited for {slowest:.1f} s")


def sign_in(keeper, connection, username):
    answer = exchange(connection, "POST", "/freshet/sign-in", {"username": username, "password": PASSWORD}, WRITES)
    equal(answer.status, 200, repr(answer))
    return answer.headers["Set-Cookie"].partition(";")[0]


def sign_in_many(keeper, usernames):
    local = threading.local()

    def one(username):
        if not hasattr(local, "connection"):
            local.connection = UnixConnection(keeper.browser)
        return sign_in(keeper, local.connection, username)

    with concurrent.futures.ThreadPoolExecutor(16) as pool:
        return list(pool.map(one, usernames))


def ask_all(path, cookies, places):
    """Asks for the headers of all cookies at once, on so many connections; [(cookie, status, Retry-After)]."""
    shares = [cookies[i::places] for i in range(places)]
    socks = [unix_socket(path) for _ in shares]
    for sock, share in zip(socks, shares):
        sock.settimeout(240)
        sock.sendall(b"".join(b"GET /authz HTTP/1.1\r\nHost: x\r\nX-Original-Method: GET\r\nCookie: %s\r\n\r\n" %
                              cookie.encode() for cookie in share))
    said = []
    for sock, share in zip(socks, shares):
        stream = sock.makefile("rb")
        for cookie in share:
            answer = read_answer(stream)
            said.append((cookie, answer.status, answer.headers["Retry-After"]))
        sock.close()
    return said


def browsers_that_come_back_together(lab):
    """All browsers are used at the same moment after their tokens have run out, each by two gateways."""
    count = 300 if SANITIZED else 4000
    with world_of(lab, {}, browser={"origin": ORIGIN, "idle_timeout": "2h"},
                  keeper={"gateway_group": str(STRANGER_GID), "log_level": "warning"}) as (
            world, platform, keeper):
        cookies = sign_in_many(keeper, [f"load-{i}" for i in range(count)])
        platform.good("POST", "/_dev/counters/reset")
        platform.hold("/auth/refresh_token")
        world.advance(HOUR)
        gateways = [Child(lambda: ask_all(keeper.browser, cookies, 450), STRANGER_UID + i, STRANGER_GID)
                    for i in range(2)]
        all_flights_are_in_the_air(platform)
        # A person who comes meanwhile is signed in, and served.
        connection = UnixConnection(keeper.browser)
        cookie = sign_in(keeper, connection, f"load-{count}")
        equal(exchange(connection, "GET", "/authz", None, {"Cookie": cookie, **SAFE}).status, 200)
        for _ in range(100):
            equal(keeper.get("/v1/platform").status, 200)
        equal(platform.counter("refresh_attempts"), FLIGHTS, "no more than there is room for")
        land_slowly(platform)
        said = [answer for gateway in gateways for answer in gateway.result()]
        equal(len(said), 2 * count)
        strange = [(status, retry) for _, status, retry in said
                   if status != 200 and not (status == 503 and int(retry or 0) >= 1)]
        equal(strange[:5], [])
        refused = sorted({cookie for cookie, status, _ in said if status == 503})
        print(f"# {len(refused)} of {count} browsers were told to come back")
        for cookie in refused:
            wait_for(lambda c=cookie: exchange(connection, "GET", "/authz", None, {"Cookie": c, **SAFE}).status == 200,
                     "it may come back")
        connection.close()
        judge(platform, count)


def callers_of_one_session(lab):
    """500 connections ask for the same headers while there is no token."""
    lab.platform.hold("/auth")
    with lab.keeper({"billing": lab.service()}) as keeper:
        socks = [unix_socket(keeper.control) for _ in range(500)]
        ask = f"GET {HEADERS} HTTP/1.1\r\nHost: x\r\n\r\n".encode()
        for sock in socks:
            sock.sendall(ask)
        keeper.waiting("billing", 500)
        lab.platform.clear_faults()
        for sock in socks:
            equal(read_answer(sock.makefile("rb")).status, 200)
            sock.close()
        equal(lab.platform.counter("sign_in_attempts"), 1)


run_cases([sessions_that_expire_together, browsers_that_come_back_together, callers_of_one_session])
