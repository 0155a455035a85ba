# SPDX-License-Identifier: Apache-2.0
"""The main job over the control socket, and what becomes of it when things go wrong.

usage: test_keeper.py FRESHETD DEVSERVER FRESHET WORLD
where WORLD is the library of world.c
"""
import http.client
import os
import socket
import threading
import time

from contract import Contract
from harness import (PASSWORD, STRANGER_GID, STRANGER_UID, Child, UnixConnection, as_user, check, equal, exchange,
                     request, run_cases, unix_socket, wait_for, world_of)

HOUR = 3600
HEADERS = "/v1/sessions/billing/headers"


def equal_problem(answer, status, code):
    equal((answer.status, answer.code), (status, code), repr(answer))


# ---- one refresh


def twenty_processes_at_expiry_one_refresh(lab):
    with world_of(lab, {"billing": lab.service(on_demand="yes")}) as (world, platform, keeper):
        old = keeper.signed_in("billing")["generation"]
        go, release = os.pipe()

        def ask():
            os.read(go, 1)
            answer = request(keeper.control, "GET", HEADERS)
            return answer.status, answer.json

        children = [Child(ask) for _ in range(20)]
        platform.hold("/auth/refresh_token")
        world.advance(HOUR)
        os.write(release, b"." * 20)
        keeper.waiting("billing", 20)
        platform.clear_faults()
        answers = [child.result() for child in children]
        os.close(go)
        os.close(release)
        equal([status for status, _ in answers], [200] * 20)
        equal({document["generation"] for _, document in answers}, {old + 1})
        equal(len({repr(document["headers"]) for _, document in answers}), 1)
        equal(platform.counter("refresh_attempts"), 1)
        equal(platform.counter("sign_in_attempts"), 1)


def a_caller_below_the_threshold_does_not_wait(lab):
    with world_of(lab, {"billing": lab.service(on_demand="yes")}) as (world, platform, keeper):
        old = keeper.signed_in("billing")["generation"]
        platform.hold("/auth/refresh_token")
        world.advance(HOUR - 120)
        answer = keeper.headers("billing")
        equal((answer.status, answer.json["generation"]), (200, old), repr(answer))
        equal(platform.counter("refreshes"), 0)  # it is in the air, or not even that
        strict = Child(lambda: request(keeper.control, "GET", HEADERS + "?min_valid_ms=300000").json)
        keeper.waiting("billing", 1)
        platform.clear_faults()
        equal(strict.result()["generation"], old + 1)
        equal(platform.counter("refresh_attempts"), 1)


def refreshed_ahead_without_a_caller(lab):
    with world_of(lab) as (world, platform, keeper):
        keeper.signed_in("billing")
        world.advance(HOUR - 290)
        wait_for(lambda: platform.counter("refreshes") == 1, "the refresh in the background")
        equal(wait_for(lambda: keeper.status("billing")["refreshes"], "it lands"), 1)
        equal(platform.counter("sign_in_attempts"), 1)


def a_generation_in_hand_is_not_sent_again(lab):
    with world_of(lab) as (world, platform, keeper):
        keeper.signed_in("billing")
        answer = keeper.headers("billing")
        tag = {"If-None-Match": answer.headers["ETag"]}
        equal(keeper.headers("billing", tag).status, 304)
        for other in ("*", f'W/{tag["If-None-Match"]}', '"1", ' + tag["If-None-Match"]):
            check(keeper.headers("billing", {"If-None-Match": other}).status in (200, 304), other)
        world.advance(HOUR - 290)
        wait_for(lambda: platform.counter("refreshes") == 1 and
                 keeper.headers("billing", tag).status == 200, "another generation")


# ---- waiting


def slow_platform(lab):
    """A keeper whose session has no token, since its sign-in takes its time: until the faults are cleared."""
    lab.platform.hold("/auth")
    return lab.keeper({"billing": lab.service()})


def held_up(lab):
    wait_for(lambda: lab.platform.counter("sign_in_in_flight") == 1, "the sign-in")


def a_caller_has_its_deadline(lab):
    with slow_platform(lab) as keeper:
        held_up(lab)
        begin = time.monotonic()
        answer = keeper.headers("billing", timeout_ms=200)
        took = time.monotonic() - begin
        equal_problem(answer, 503, "FRESHET_EUNAVAILABLE")
        check(took >= 0.2, f"200 ms took {took:.3f} s")
        equal_problem(keeper.headers("billing", timeout_ms=-1), 503, "FRESHET_EUNAVAILABLE")
        equal(lab.platform.counter("sign_in_in_flight"), 1, "before the flight's own end")
        lab.platform.clear_faults()
        equal(keeper.headers("billing").status, 200)
        equal(lab.platform.counter("sign_in_in_flight_max"), 1)


def a_client_that_goes_is_forgotten(lab):
    with slow_platform(lab) as keeper:
        held_up(lab)
        lines = f"GET {HEADERS} HTTP/1.1\r\nHost: x\r\n\r\n".encode()
        for _ in range(50):
            with unix_socket(keeper.control) as sock:
                sock.sendall(lines)
        with unix_socket(keeper.control) as sock:  # half-closed: it still listens
            sock.sendall(lines)
            sock.shutdown(socket.SHUT_WR)
            descriptors = lambda: len(os.listdir(f"/proc/{keeper.process.pid}/fd"))
            wait_for(lambda: descriptors() < 40, "the connections go")
            equal(lab.platform.counter("sign_in_in_flight"), 1, "before they could be answered")
            lab.platform.clear_faults()
            check(sock.recv(4096).startswith(b"HTTP/1.1 200 "), "it is answered")
        equal(keeper.headers("billing").status, 200)


def others_are_served_while_one_waits(lab):
    lab.platform.hold("/auth", username="load-1")
    with lab.keeper({"billing": lab.service(), "slow": lab.service("load-1")}) as keeper:
        keeper.signed_in("billing")
        waiting = Child(lambda: request(keeper.control, "GET", "/v1/sessions/slow/headers").status)
        held_up(lab)
        keeper.waiting("slow", 1)
        for _ in range(200):
            equal(keeper.headers("billing").status, 200)
        equal(lab.platform.counter("sign_in_in_flight"), 1)
        lab.platform.clear_faults()
        equal(waiting.result(), 200)


# ---- grants


GRANTS = {
    # who is asked for, as (uid, gid, groups)
    "reader": (STRANGER_UID, STRANGER_GID, ()),
    "reporter": (STRANGER_UID + 1, STRANGER_GID + 10, ()),
    "operator": (STRANGER_UID + 2, STRANGER_GID + 10, ()),
    "member": (STRANGER_UID + 3, STRANGER_GID + 1, ()),
    "supplementary": (STRANGER_UID + 4, STRANGER_GID + 10, (STRANGER_GID + 1,)),
    "nobody": (STRANGER_UID + 5, STRANGER_GID + 10, ()),
}
ALLOW = [f"uid:{STRANGER_UID} read", f"uid:{STRANGER_UID + 1} report",
         f"uid:{STRANGER_UID + 2} admin", f"gid:{STRANGER_GID + 1} read report"]
EXPECTED = {"reader": "read", "reporter": "report", "operator": "admin", "member": "read report",
            "supplementary": "read report", "nobody": ""}


def ask_all(keeper, who):
    """What each verb brings somebody, as statuses."""
    uid, gid, groups = GRANTS[who]

    def ask():
        base = "/v1/sessions/billing"
        return {
            "read": request(keeper.control, "GET", base + "/headers").status,
            "status": request(keeper.control, "GET", base).status,
            "explain": request(keeper.control, "GET", base + "/explain").status,
            "report": request(keeper.control, "POST", base + "/unauthorized",
                              {"generation": 1}).status,
            "admin": request(keeper.control, "GET", base + "/mfa-settings").status,
            "listed": len(request(keeper.control, "GET", "/v1/sessions").json["sessions"]),
        }

    return as_user(ask, uid, gid, groups)


def verbs_are_granted_by_uid_and_gid(lab):
    sessions = {"billing": lab.service(allow=ALLOW), "other": lab.service("svc-two")}
    with lab.keeper(sessions) as keeper:
        keeper.signed_in("billing")
        for who, verbs in EXPECTED.items():
            verbs = verbs.split()
            read = 200 if "read" in verbs else 403
            equal(ask_all(keeper, who),
                  {"read": read, "status": read, "explain": read,
                   "report": 204 if "report" in verbs else 403,
                   "admin": 200 if "admin" in verbs else 403, "listed": 1 if verbs else 0}, who)


def grants_follow_a_reload(lab):
    sessions = {"billing": lab.service(allow=ALLOW)}
    with lab.keeper(sessions) as keeper:
        keeper.signed_in("billing")
        equal(ask_all(keeper, "reader")["read"], 200)
        keeper.configure({"billing": lab.service(allow=[f"uid:{STRANGER_UID + 5} read"])})
        keeper.reload()
        wait_for(lambda: ask_all(keeper, "nobody")["read"] == 200, "the reload")
        equal(ask_all(keeper, "reader")["read"], 403)
        equal(lab.platform.counters()["sign_in_in_flight_max"] <= 1, True)


def a_grant_goes_while_its_connection_is_open(lab):
    """A connection that was made before the reload is judged by the grants after it."""
    with lab.keeper({"billing": lab.service(allow=ALLOW)}) as keeper:
        keeper.signed_in("billing")
        ready, tell = os.pipe()
        go, release = os.pipe()

        def ask():
            connection = UnixConnection(keeper.control)
            first = exchange(connection, "GET", HEADERS).status
            os.write(tell, b".")
            os.read(go, 1)
            return first, exchange(connection, "GET", HEADERS).status

        child = Child(ask, STRANGER_UID, STRANGER_GID)
        os.read(ready, 1)
        keeper.configure({"billing": lab.service(allow=[f"uid:{STRANGER_UID + 5} read"])})
        keeper.reload()
        wait_for(lambda: ask_all(keeper, "nobody")["read"] == 200, "the reload")
        os.write(release, b".")
        equal(child.result(), (200, 403))
        for fd in (ready, tell, go, release):
            os.close(fd)


def a_grant_goes_while_its_request_waits(lab):
    """A flight lands after the reload: its token goes only to those who still may have it."""
    with world_of(lab, {"billing": lab.service(on_demand="yes", allow=ALLOW)}) as (world, platform, keeper):
        keeper.signed_in("billing")
        platform.hold("/auth/refresh_token")
        world.advance(HOUR)
        child = Child(lambda: request(keeper.control, "GET", HEADERS).status, STRANGER_UID, STRANGER_GID)
        wait_for(lambda: platform.counter("refresh_attempts") == 1, "the flight")
        keeper.configure({"billing": lab.service(on_demand="yes", allow=[f"uid:{STRANGER_UID + 5} read"])})
        keeper.reload()
        wait_for(lambda: "reloaded" in keeper.log(), "the reload")
        equal(platform.counter("refreshes"), 0)
        platform.clear_faults()
        equal(child.result(), 403)
        equal(keeper.headers("billing").status, 200)


# ---- service sessions


def a_service_signs_in_anew_after_its_end(lab):
    with lab.keeper({"billing": lab.service("load-7", sign_in_pause="1s")}) as keeper:
        old = keeper.signed_in("billing")["generation"]
        lab.platform.revoke("load-7", "all")
        answer = keeper.call("POST", "/v1/sessions/billing/unauthorized", {"generation": old})
        equal(answer.status, 204, repr(answer))
        answer = wait_for(lambda: (now := keeper.headers("billing")).status == 200 and
                          now.json["generation"] > old and now, "a new sign-in")
        equal(lab.platform.call("GET", "/api/me", None, dict(answer.json["headers"]))[0], 200)
        equal(keeper.status("billing")["ended"], 1)
        # A late 401 of the token that is dead ends nothing.
        keeper.call("POST", "/v1/sessions/billing/unauthorized", {"generation": old})
        equal(keeper.headers("billing").json["generation"], answer.json["generation"])


def a_challenge_parks_until_an_operator_answers(lab):
    with lab.keeper({"parked": lab.service("mfa")}) as keeper:
        wait_for(lambda: keeper.status("parked")["challenge"] == "FRESHET_EMFA", "parks")
        attempts = lab.platform.counter("sign_in_attempts")
        for _ in range(20):
            equal_problem(keeper.headers("parked"), 503, "FRESHET_EOPERATOR")
        keeper.restart()
        wait_for(lambda: keeper.status("parked")["challenge"] == "FRESHET_EMFA", "parked still")
        equal_problem(keeper.headers("parked"), 503, "FRESHET_EOPERATOR")
        equal(lab.platform.counter("sign_in_attempts"), attempts, "no sign-in loop")
        equal_problem(keeper.call("POST", "/v1/sessions/parked/sign-in"), 401, "FRESHET_EMFA")
        answer = keeper.call("POST", "/v1/sessions/parked/mfa", {"code": lab.platform.code("mfa")})
        equal(answer.status, 200, repr(answer))
        equal(keeper.headers("parked").status, 200)


def a_hold_outlives_a_restart(lab):
    with lab.keeper({"billing": lab.service()}) as keeper:
        keeper.signed_in("billing")
        equal(keeper.call("POST", "/v1/sessions/billing/sign-out", {"hold": True}).status, 204)
        attempts = lab.platform.counter("sign_in_attempts")
        keeper.restart()
        equal_problem(keeper.headers("billing"), 403, "FRESHET_EHELD")
        equal(lab.platform.counter("sign_in_attempts"), attempts)
        equal(keeper.call("POST", "/v1/sessions/billing/sign-in").status, 200)
        equal(keeper.headers("billing").status, 200)


def a_restart_keeps_every_session(lab):
    sessions = {f"s{i}": lab.service(f"load-{100 + i}") for i in range(20)}
    with lab.keeper(sessions) as keeper:
        before = {name: keeper.signed_in(name)["generation"] for name in sessions}
        answer = keeper.call("POST", "/v1/sessions/ann/sign-in",
                             {"username": "load-99", "password": PASSWORD})
        before["ann"] = answer.json["generation"]
        attempts = lab.platform.counter("sign_in_attempts")
        keeper.restart()
        equal({name: keeper.headers(name).json["generation"] for name in before}, before)
        equal(lab.platform.counter("sign_in_attempts"), attempts, "signed in once")
        keeper.kill()
        keeper.start()
        equal({name: keeper.headers(name).json["generation"] for name in before}, before)
        equal(lab.platform.counter("sign_in_attempts"), attempts, "signed in once")


# ---- kill -9, an outage, a full disk


class Load:
    """Threads that ask for headers over and over, through kills and restarts of the keeper."""

    def __init__(self, keeper, names, count):
        self.keeper, self.names = keeper, names
        self.served = 0
        self.wrong = []
        self.ends = threading.Event()
        self.lock = threading.Lock()
        self.threads = [threading.Thread(target=self._run, args=(i,)) for i in range(count)]
        for thread in self.threads:
            thread.start()

    def _run(self, number):
        name = self.names[number % len(self.names)]
        newest = 0
        while not self.ends.is_set():
            try:
                answer = request(self.keeper.control, "GET", f"/v1/sessions/{name}/headers")
            except (OSError, http.client.HTTPException):  # gone, or not yet there
                time.sleep(0.005)
                continue
            if answer.status == 503 and answer.code in ("FRESHET_EUNAVAILABLE", "FRESHET_ESTORE"):
                continue  # the lease of a dead keeper is waited for; a start was overtaken by the clock
            if answer.status != 200:
                self._note(f"{name}: {answer}")
                continue
            generation = answer.json["generation"]
            if generation < newest:
                self._note(f"{name}: generation {generation} after {newest}")
            newest = generation
            with self.lock:
                self.served += 1

    def _note(self, what):
        with self.lock:
            self.wrong.append(what)

    def end(self):
        self.ends.set()
        for thread in self.threads:
            thread.join()


def kill_9_under_load(lab):
    """Killed eight times, every other time in the middle of its refreshes. The leases of the dead hold
    their successor up for 30 s, which pass at once here; nothing is lost, and nothing sent twice."""
    names = [f"s{i}" for i in range(6)]
    sessions = {name: lab.service(f"load-{i}") for i, name in enumerate(names)}
    with world_of(lab, sessions) as (world, platform, keeper):
        for name in names:
            keeper.signed_in(name)
        load = Load(keeper, names, 6)
        try:
            for round_ in range(8):
                refreshes = platform.counter("refreshes")
                if round_ % 2:
                    platform.hold("/auth/refresh_token")
                world.advance(HOUR)
                wait_for(lambda: platform.counter("refresh_in_flight" if round_ % 2 else "refreshes")
                         > (0 if round_ % 2 else refreshes), "a refresh")
                keeper.kill()
                platform.clear_faults()
                wait_for(lambda: platform.counter("refresh_in_flight") == 0, "no flight of the dead")
                served = load.served
                keeper.start()
                world.advance(31)
                wait_for(lambda: load.served > served, "service goes on")
        finally:
            load.end()
        for name in names:
            equal(keeper.headers(name).status, 200, name)
        equal(load.wrong[:3], [])
        counters = platform.counters()
        equal(counters["refresh_in_flight_max_per_account"], 1)
        equal(counters["refresh_same_token_concurrent"], 0)
        equal(counters["sign_in_attempts"], len(names), "no session was lost")


def the_platform_is_down_for_two_hours(lab):
    with world_of(lab) as (world, platform, keeper):
        generation = keeper.signed_in("billing")["generation"]
        platform.fault("status", match="/auth", status=503, count=-1)
        usable = keeper.status("billing")["usable_ms"] // 1000
        steps = served = refused = 0
        begin = time.monotonic()
        while steps < 240:  # of 30 s: with a back-off of as much at the most
            world.advance(30)
            steps += 1
            keeper.settled("billing")
            answer = keeper.headers("billing", timeout_ms=-1)
            served += answer.status == 200
            if answer.status != 200:
                equal_problem(answer, 503, "FRESHET_EUNAVAILABLE")
                refused += 1
        true = time.monotonic() - begin  # which passes besides
        check(usable - 60 - true <= served * 30 <= usable + 60, f"{served * 30} of {usable} s were served")
        attempts = platform.counter("refresh_attempts")
        # From the threshold on, an hour and five minutes: at most one try a second on average would be
        # a storm; the window of 30 s allows one each 15 s on average.
        check(30 <= attempts <= 400, f"{attempts} attempts")
        equal(keeper.status("billing")["phase"], "live")
        platform.clear_faults()
        world.advance(60)
        answer = wait_for(lambda: (now := keeper.headers("billing")).status == 200 and now, "recovers")
        check(answer.json["generation"] > generation, answer)
        equal(platform.counter("sign_in_attempts"), 1, "nobody signs in for an outage")


def a_full_disk_ends_nothing(lab):
    with world_of(lab) as (world, platform, keeper):
        generation = keeper.signed_in("billing")["generation"]
        world.disk_full(True)
        world.advance(HOUR - 200)
        for _ in range(20):
            answer = keeper.headers("billing")
            equal((answer.status, answer.json["generation"]), (200, generation), repr(answer))
        wait_for(lambda: any(entry["name"] == "store_failed" for entry in
                             keeper.get("/v1/sessions/billing/explain").json["entries"]),
                 "the ledger says so")
        equal(platform.counter("refresh_attempts"), 0, "no lease, no refresh")
        world.advance(300)
        answer = keeper.headers("billing", timeout_ms=500)
        equal(answer.status, 503, repr(answer))
        equal(keeper.get("/v1/platform").status, 200)
        world.disk_full(False)
        keeper.settled("billing")
        world.advance(60)
        answer = wait_for(lambda: (now := keeper.headers("billing")).status == 200 and now, "recovers")
        # One that was reserved before the clock was moved may be left out.
        check(answer.json["generation"] > generation, repr(answer))
        equal(platform.counter("sign_in_attempts"), 1)


run_cases([
    twenty_processes_at_expiry_one_refresh, a_caller_below_the_threshold_does_not_wait,
    refreshed_ahead_without_a_caller, a_generation_in_hand_is_not_sent_again,
    a_caller_has_its_deadline, a_client_that_goes_is_forgotten, others_are_served_while_one_waits,
    verbs_are_granted_by_uid_and_gid, grants_follow_a_reload, a_grant_goes_while_its_connection_is_open,
    a_grant_goes_while_its_request_waits,
    a_service_signs_in_anew_after_its_end, a_challenge_parks_until_an_operator_answers,
    a_hold_outlives_a_restart, a_restart_keeps_every_session, kill_9_under_load,
    the_platform_is_down_for_two_hours, a_full_disk_ends_nothing,
], Contract())
