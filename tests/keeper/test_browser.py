#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Browsers and their gateway at browser.sock, by HTTP: what a restart, a flood, a forger and a
stranger get. What each operation answers is test_api.py's.

usage: test_browser.py FRESHETD DEVSERVER FRESHET WORLD
"""
import base64
import os
import time

from harness import (PASSWORD, STRANGER_GID, STRANGER_UID, UnixConnection, as_user, check, equal,
                     run_cases, wait_for, world_of)

HOUR = 3600
ORIGIN = "https://app.example.com"
WRITES = {"Origin": ORIGIN, "X-Freshet-CSRF": "1"}
SAFE = {"X-Original-Method": "GET"}
NAME = "__Host-freshet"


def keeper_of(lab, services=None, **browser):
    return lab.keeper(services, browser={"origin": ORIGIN, **browser},
                      keeper={"gateway_group": str(STRANGER_GID)})


def ask_to_sign_in(keeper, username="svc-demo", password=PASSWORD, **headers):
    headers = {name.replace("_", "-"): value for name, value in headers.items()}
    return keeper.browse("POST", "/freshet/sign-in", {"username": username, "password": password},
                         {**WRITES, **headers})


def sign_in(keeper, username="svc-demo", **headers):
    answer = ask_to_sign_in(keeper, username, **headers)
    equal(answer.status, 200, repr(answer))
    return answer.headers["Set-Cookie"].partition(";")[0]


def authz(keeper, cookie, **headers):
    headers = {name.replace("_", "-"): value for name, value in headers.items()}
    return keeper.browse("GET", "/authz", None, {"Cookie": cookie, **SAFE, **headers})


def write(keeper, method, path, cookie, body=None):
    return keeper.browse(method, path, body, {"Cookie": cookie, **WRITES})


def a_kill_keeps_every_session(lab):
    with keeper_of(lab) as keeper:
        cookies = [sign_in(keeper, f"load-{i}") for i in range(20)]
        gone = sign_in(keeper, "load-20")
        equal(write(keeper, "POST", "/freshet/sign-out", gone).status, 204)
        chooses = sign_in(keeper, "svc-two")
        equal(write(keeper, "PUT", "/freshet/partner", chooses, {"partner": "fd1"}).status, 200)
        tokens = [authz(keeper, cookie).headers["Authorization"] for cookie in cookies]
        before = lab.platform.counters()
        keeper.kill()
        keeper.start()
        for cookie, token in zip(cookies, tokens):
            answer = authz(keeper, cookie)
            equal((answer.status, answer.headers["Authorization"]), (200, token))
        equal(authz(keeper, gone).status, 401)
        equal(authz(keeper, chooses).headers["X-Preferred-Partner-Id"], "fd1")
        after = lab.platform.counters()
        equal((after["sign_ins"], after["refreshes"]), (before["sign_ins"], before["refreshes"]))
        equal(write(keeper, "POST", "/freshet/sign-out", cookies[0]).status, 204)
        keeper.kill()
        keeper.start()
        equal(authz(keeper, cookies[0]).status, 401)
        equal(authz(keeper, cookies[1]).status, 200)


def forgers_get_nothing(lab):
    with keeper_of(lab) as keeper:
        cookie = sign_in(keeper)
        value = cookie.partition("=")[2]
        equal(authz(keeper, "a=b; " + cookie).status, 200)
        zero = base64.urlsafe_b64encode(bytes(48)).decode()
        for forged in ("", NAME, NAME + "=", cookie[:-1], cookie + "A", NAME + "=" + zero,
                       f"{NAME}={value.swapcase()}", f"{cookie}; {cookie}", f'{NAME}="{value}"',
                       f"x={'a' * 8192}; {cookie}", "freshet-dev=" + value):
            equal(authz(keeper, forged).status, 401, forged[:100])
        # Two headers, which http.client's dictionaries do not give.
        connection = UnixConnection(keeper.browser)
        connection.putrequest("GET", "/authz")
        for _ in range(2):
            connection.putheader("Cookie", cookie)
        connection.putheader("X-Original-Method", "GET")
        connection.endheaders()
        equal(connection.getresponse().status, 401)
        connection.close()
        equal(authz(keeper, cookie).status, 200)


def guessers_are_slowed(lab):
    with keeper_of(lab) as keeper:
        statuses = [ask_to_sign_in(keeper, password="wrong").status for _ in range(12)]
        equal(statuses, [401] * 10 + [429] * 2)
        limited = ask_to_sign_in(keeper)
        equal((limited.status, limited.code), (429, "FRESHET_ERATE"))
        check(0 < int(limited.headers["Retry-After"]) <= 60, repr(limited))
        sign_in(keeper, "load-1")
        before = lab.platform.counter("sign_ins")
        begin, tried = time.monotonic(), 0
        while (status := ask_to_sign_in(keeper, f"nobody-{tried}",
                                        X_Forwarded_For=f"10.0.0.{tried}, 192.0.2.7").status) == 401:
            tried += 1
            check(tried < 200, "nobody slows it")
        equal(status, 429)
        # 60 at once, and one each 2 s.
        check(60 <= tried <= 61 + (time.monotonic() - begin) / 2, f"{tried} of one address")
        equal(lab.platform.counter("sign_ins"), before)
        sign_in(keeper, "load-1", X_Forwarded_For="192.0.2.8")


def idle_sessions_end_by_themselves(lab):
    with world_of(lab, {}, browser={"origin": ORIGIN, "idle_timeout": "1h"}) as (world, _, keeper):
        cookie = sign_in(keeper)
        world.advance(HOUR / 2)
        look = {"Cookie": cookie}
        equal(keeper.browse("GET", "/freshet/session", None, look).status, 200)
        # To look is no use; and its rows go, too.
        world.advance(HOUR / 2)
        wait_for(lambda: keeper.browse("GET", "/freshet/session", None, look).status == 401, "its end")
        wait_for(lambda: "browser-timed-out" in keeper.log(), "the line")
        equal(authz(keeper, cookie).status, 401)


def used_sessions_end_absolutely(lab):
    with world_of(lab, {}, browser={"origin": ORIGIN, "idle_timeout": "1h",
                                    "absolute_timeout": "3h"}) as (world, _, keeper):
        cookie = sign_in(keeper)
        for _ in range(4):
            equal(authz(keeper, cookie).status, 200)
            world.advance(HOUR * 0.74)
        equal(authz(keeper, cookie).status, 200)
        world.advance(HOUR * 0.05)
        wait_for(lambda: authz(keeper, cookie).status == 401, "its end")
        check("absolute timeout" in keeper.log(), keeper.log())


def sessions_are_bounded(lab):
    with keeper_of(lab, sessions_per_account="2", sessions="3") as keeper:
        first, second = sign_in(keeper), sign_in(keeper)
        third = sign_in(keeper)
        equal([authz(keeper, cookie).status for cookie in (first, second, third)], [401, 200, 200])
        check("browser-session-ended" in keeper.log()
              and "too many sessions of the account" in keeper.log(), keeper.log())
        other = sign_in(keeper, "load-1")
        before = lab.platform.counter("sign_ins")
        refused = ask_to_sign_in(keeper, "load-2")
        equal((refused.status, refused.code), (503, "FRESHET_ELIMIT"))
        check(int(refused.headers["Retry-After"]) > 0, repr(refused))
        equal(lab.platform.counter("sign_ins"), before)
        check("browser-sessions-full" in keeper.log(), keeper.log())
        equal([authz(keeper, cookie).status for cookie in (second, third, other)], [200] * 3)
        equal(write(keeper, "POST", "/freshet/sign-out", other).status, 204)
        sign_in(keeper, "load-2")


def a_client_that_goes_leaves_no_session(lab):
    with keeper_of(lab) as keeper:
        lab.platform.hold("/auth")
        before = lab.platform.counters()
        connection = UnixConnection(keeper.browser)
        connection.request("POST", "/freshet/sign-in",
                           f'{{"username": "load-9", "password": "{PASSWORD}"}}', WRITES)
        wait_for(lambda: lab.platform.counter("faults") > before["faults"], "the platform has it")
        connection.close()
        wait_for(lambda: b"\nfreshet_connections 1\n" in keeper.get("/metrics").body, "it is gone")
        lab.platform.clear_faults()
        wait_for(lambda: lab.platform.counter("sign_ins") > before["sign_ins"], "the grant")
        cookie = sign_in(keeper, "load-9")
        sessions = keeper.browse("GET", "/freshet/sessions", None, {"Cookie": cookie}).json["sessions"]
        equal([session["current"] for session in sessions], [True])


def strangers_need_grants(lab):
    """Cookies are anybody's who has them; services are the peer's who is granted them."""
    sessions = {"granted": lab.service(allow=f"uid:{STRANGER_UID} read"),
                "reported": lab.service(allow=f"gid:{STRANGER_GID} read report"),
                "other": lab.service()}
    with keeper_of(lab, sessions) as keeper:
        def gateway(method, path, **headers):
            headers = {name.replace("_", "-"): value for name, value in headers.items()}
            return as_user(lambda: keeper.browse(method, path, None, {**SAFE, **headers}).status)

        cookie = sign_in(keeper)
        equal(gateway("GET", "/authz", Cookie=cookie), 200)
        for name, read, report in (("granted", 200, 403), ("reported", 200, 204), ("other", 403, 403),
                                   ("nothing", 403, 403)):
            equal(gateway("GET", f"/authz/service/{name}"), read, name)
            equal(gateway("POST", f"/authz/service/{name}/unauthorized", X_Freshet_Generation="999"),
                  report, name)
        # A client's header, copied by its gateway, names no service, granted or not, whatever its cookie.
        for name in ("granted", "other"):
            for sent in (cookie, "a=b"):
                equal(gateway("GET", "/authz", Cookie=sent, X_Freshet_Service=name), 400)
        check("authz-ambiguous" in keeper.log(), keeper.log())
        # Nor does it or a cookie change which service the gateway's path names.
        equal(gateway("GET", "/authz/service/granted", Cookie=cookie, X_Freshet_Service="other"), 200)
        equal(gateway("GET", "/authz/service/other", Cookie=cookie, X_Freshet_Service="granted"), 403)


def the_audit_log_tells_no_secret(lab):
    with keeper_of(lab) as keeper:
        cookie = sign_in(keeper, X_Forwarded_For="192.0.2.1")
        token = authz(keeper, cookie).headers["Authorization"].partition(" ")[2]
        ask_to_sign_in(keeper, password="wrong-" + PASSWORD)
        write(keeper, "POST", "/freshet/sign-out-everywhere", cookie)
        log = keeper.log()
        for word in ("browser-signed-in", "browser-sign-in-refused", "browser-signed-out-everywhere",
                     "account=svc-demo", "address=192.0.2.1", "FRESHET_ECREDENTIALS"):
            check(word in log, f"no {word} in\n{log}")
        for secret in (PASSWORD, cookie.partition("=")[2], token):
            check(secret not in log, log)


def rows_of_browsers_need_their_cookie(lab):
    """Whoever has the databases and the host's key opens no session of a browser."""
    with keeper_of(lab) as keeper:
        cookie = sign_in(keeper)
        session = authz(keeper, cookie).headers["X-Freshet-Session"]
        answer = keeper.get(f"/v1/sessions/browser%2F{session}/headers", timeout_ms=1000)
        check(answer.status != 200 and b"Bearer" not in answer.body, repr(answer))
        equal(authz(keeper, cookie).status, 200)


def on_plain_http_the_cookie_has_another_name(lab):
    with lab.keeper(browser={"origin": "http://127.0.0.1:8080"}) as keeper:
        writes = {"Origin": "http://127.0.0.1:8080", "X-Freshet-CSRF": "1"}
        answer = keeper.browse("POST", "/freshet/sign-in",
                               {"username": "svc-demo", "password": PASSWORD}, writes)
        cookie, _, attributes = answer.headers["Set-Cookie"].partition(";")
        check(cookie.startswith("freshet-dev=") and "Secure" not in attributes, repr(answer))
        check("HttpOnly" in attributes and "SameSite=Strict" in attributes, repr(answer))
        equal(authz(keeper, cookie).status, 200)


CASES = [a_kill_keeps_every_session, forgers_get_nothing, guessers_are_slowed,
         idle_sessions_end_by_themselves, used_sessions_end_absolutely, sessions_are_bounded,
         a_client_that_goes_leaves_no_session, the_audit_log_tells_no_secret,
         rows_of_browsers_need_their_cookie, on_plain_http_the_cookie_has_another_name]
if os.getuid() == 0:
    CASES.append(strangers_need_grants)

run_cases(CASES)
