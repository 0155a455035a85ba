# SPDX-License-Identifier: Apache-2.0
"""What the keeper shows of itself: /metrics, held to the standard and to what the platform counted, /healthz
and /readyz.

usage: test_metrics.py FRESHETD DEVSERVER FRESHET WORLD
"""
import time

import openmetrics
from contract import Contract
from harness import (PASSWORD, Child, UnixConnection, as_user, check, equal, exchange, request, run_cases,
                     wait_for, world_of)

HOUR = 3600
STORES = {("secrets", "read"), ("secrets", "lease"), ("secrets", "commit"), ("tokens", "put")}


def metrics_of(keeper):
    answer = keeper.get("/metrics")
    equal((answer.status, answer.headers["Content-Type"]), (200, openmetrics.TYPE), repr(answer))
    return openmetrics.Metrics(answer.body.decode())


def the_reader_is_strict(_):
    equal(openmetrics.check_reader(), [])


# ---- metrics


def outcomes_are_those_of_the_platform(lab):
    sessions = {f"s{i}": lab.service(f"load-{i}") for i in range(5)}
    with world_of(lab, sessions) as (world, platform, keeper):
        for name in sessions:
            keeper.signed_in(name)
        before = metrics_of(keeper)
        for _ in range(3):
            world.advance(HOUR - 100)
            for name in sessions:
                answer = keeper.headers(name, min_valid_ms=1000000)
                equal(answer.status, 200, repr(answer))
        platform.fault("status", match="/auth/refresh_token", status=503, count=1)
        world.advance(HOUR - 100)
        wait_for(lambda: platform.counter("faults") == 1, "a failure")
        for name in sessions:
            wait_for(lambda n=name: keeper.headers(n, min_valid_ms=1000000).status == 200 and
                     keeper.status(n)["expires_ms"] > 1000000, "a refresh after it")
        counted = platform.counters()
        # A token that could be had again is served before its commit is done.
        now = wait_for(lambda: (now := metrics_of(keeper)).count(
            "freshet_store_seconds", store="secrets", operation="commit") >=
            counted["refreshes"] + counted["sign_ins"] and now, "the commits")
        equal(now.shrunk(before), [])
        equal(now.total("freshet_refreshes", outcome="granted"), counted["refreshes"])
        equal(now.total("freshet_refreshes", outcome="unavailable") +
              now.total("freshet_refreshes", outcome="unknown"), 1)
        equal(now.total("freshet_refreshes"), counted["refresh_attempts"])
        equal(now.total("freshet_sign_ins", outcome="granted"), counted["sign_ins"])
        equal(now.count("freshet_exchange_seconds", exchange="refresh"),
              now.total("freshet_refreshes"))
        equal(now.count("freshet_flight_seconds", flight="sign_in"), 5)
        check(now.count("freshet_flight_seconds", flight="refresh") >= counted["refreshes"],
              "flights of refreshes")
        equal(now.value("freshet_sessions", state="live", kind="service", challenged="no"), 5)
        equal(now.value("freshet_sessions"), 5)
        equal(now.value("freshet_sessions_usable"), 5)
        stores = {(labels["store"], labels["operation"])
                  for labels in now.labels("freshet_store_seconds")}
        equal(STORES - stores, set())
        equal(now.count("freshet_store_seconds", store="secrets", operation="commit"),
              counted["refreshes"] + counted["sign_ins"])
        equal(now.total("freshet_store_failures"), 0)
        equal(now.total("freshet_events_lost"), 0)


def latencies_are_told(lab):
    with world_of(lab, {"billing": lab.service(on_demand="yes")}) as (world, platform, keeper):
        keeper.signed_in("billing")
        platform.fault("latency", match="/auth/refresh_token", ms=600)
        world.advance(HOUR)
        begin = time.monotonic()
        equal(keeper.headers("billing").status, 200)
        took = time.monotonic() - begin
        now = metrics_of(keeper)
        for family, labels in (("freshet_exchange_seconds", {"exchange": "refresh"}),
                               ("freshet_flight_seconds", {"flight": "refresh"})):
            equal(now.value(family, "_bucket", le="0.5", **labels), 0, family)
            equal(now.count(family, **labels), 1, family)
            check(0.6 <= now.value(family, "_sum", **labels) <= took + 0.002, family)


def callers_who_share_a_flight_are_counted(lab):
    with world_of(lab, {"billing": lab.service(on_demand="yes")}) as (world, platform, keeper):
        keeper.signed_in("billing")
        world.advance(HOUR)
        platform.hold("/auth/refresh_token")
        waiting = [Child(lambda: request(keeper.control, "GET", "/v1/sessions/billing/headers").status)
                   for _ in range(20)]
        keeper.waiting("billing", 20)
        platform.clear_faults()
        equal([child.result() for child in waiting], [200] * 20)
        now = metrics_of(keeper)
        equal((now.total("freshet_callers_waited"), now.total("freshet_callers_coalesced")), (20, 19))
        equal((now.total("freshet_refreshes"), platform.counter("refreshes")), (1, 1))


def time_left_is_told_when_a_token_is_handed_out(lab):
    with world_of(lab, {"billing": lab.service(on_demand="yes")}) as (world, _, keeper):
        keeper.signed_in("billing")
        family = "freshet_time_left_seconds"
        equal(metrics_of(keeper).count(family), 0)
        for _ in range(10):
            equal(keeper.headers("billing").status, 200)
        now = metrics_of(keeper)
        equal((now.count(family), now.value(family, "_bucket", le="2700.0")), (10, 0))
        world.advance(HOUR - 1000)
        keeper.headers("billing")
        now = metrics_of(keeper)
        equal((now.count(family), now.value(family, "_bucket", le="1200.0")), (11, 1))
        equal(now.value(family, "_bucket", le="600.0"), 0)


def what_becomes_of_401s_is_told(lab):
    with lab.keeper({"billing": lab.service("load-41", sign_in_pause="1s")}) as keeper:
        generation = keeper.signed_in("billing")["generation"]
        report = lambda number: keeper.call("POST", "/v1/sessions/billing/unauthorized",
                                            {"generation": number})
        equal(report(generation + 5).status, 204)
        equal(report(generation).status, 204)
        wait_for(lambda: metrics_of(keeper).total("freshet_probes", outcome="granted") == 1, "a probe")
        lab.platform.revoke("load-41", "all")
        now = metrics_of(keeper)
        equal((now.total("freshet_unauthorized", outcome="late"),
               now.total("freshet_unauthorized", outcome="counted")), (1, 1))
        equal(now.total("freshet_probes"), lab.platform.counter("probes"))
        equal(now.total("freshet_endings"), 0)


def endings_are_told_by_reason(lab):
    sessions = {"gone": lab.service("load-42", sign_in_pause="1h"), "held": lab.service("load-43")}
    with world_of(lab, sessions) as (world, platform, keeper):
        for name in sessions:
            keeper.signed_in(name)
        equal(keeper.call("POST", "/v1/sessions/held/sign-out", {"hold": True}).status, 204)
        platform.revoke("load-42", "all")
        world.advance(HOUR - 100)
        keeper.headers("gone", min_valid_ms=1000000)
        wait_for(lambda: metrics_of(keeper).total("freshet_endings", reason="ended") == 1, "its end")
        now = metrics_of(keeper)
        equal(now.total("freshet_endings", reason="held"), 1)
        equal(now.total("freshet_refreshes", outcome="refused"), platform.counter("refreshes_refused"))
        equal(now.value("freshet_sessions", state="held"), 1)
        equal(now.value("freshet_sessions", state="ended"), 1)
        equal(now.value("freshet_sessions_usable"), 0)


def a_parked_service_is_told(lab):
    with lab.keeper({"parked": lab.service("mfa")}) as keeper:
        wait_for(lambda: keeper.status("parked")["challenge"] == "FRESHET_EMFA", "parks")
        now = metrics_of(keeper)
        equal(now.value("freshet_sessions", kind="service", challenged="yes"), 1)
        equal(now.total("freshet_parkings"), 1)
        equal(now.total("freshet_sign_ins", outcome="challenged"),
              lab.platform.counter("mfa_challenges"))


def requests_are_told_by_route_and_status(lab):
    with lab.keeper({"billing": lab.service()}) as keeper:
        keeper.signed_in("billing")
        route = "/v1/sessions/:name/headers"
        before = metrics_of(keeper)
        connection = UnixConnection(keeper.control)
        for _ in range(25):
            equal(exchange(connection, "GET", "/v1/sessions/billing/headers").status, 200)
        equal(keeper.get("/nowhere").status, 404)
        equal(as_user(lambda: request(keeper.control, "GET",
                                      "/v1/sessions/billing/headers").status), 403)
        now = metrics_of(keeper)
        equal(now.shrunk(before), [])
        equal(now.total("freshet_requests", route=route, status="200", door="control", method="GET"),
              25)
        equal(now.total("freshet_requests", route=route, status="403"), 1)
        equal(now.total("freshet_requests", route="", status="404"), 1)
        equal(now.total("freshet_requests", route="/metrics", status="200"), 1)
        wait_for(lambda: metrics_of(keeper).value("freshet_connections") == 2, "that one, and who asks")
        connection.close()
        wait_for(lambda: metrics_of(keeper).value("freshet_connections") == 1, "it is gone")
        check(now.total("freshet_connections_accepted") >= 4, "connections")


def no_name_is_told(lab):
    """Neither of a session nor of an account: any peer may ask."""
    sessions = {"unheard-of": lab.service("load-51"), "parked-one": lab.service("mfa")}
    with lab.keeper(sessions) as keeper:
        keeper.signed_in("unheard-of")
        keeper.call("POST", "/v1/sessions/ann-s-own/sign-in",
                    {"username": "load-52", "password": PASSWORD})
        keeper.headers("unheard-of")
        keeper.get("/v1/sessions/not-there-at-all/headers")
        for path in ("/metrics", "/healthz", "/readyz"):
            body = as_user(lambda p=path: request(keeper.control, "GET", p).body).decode()
            check(len(body) > 10, path)
            for name in ("unheard-of", "parked-one", "load-5", "ann-s-own", "not-there", PASSWORD):
                check(name not in body, f"{name} is in {path}")


# ---- health


def ready_when_every_service_was_tried(lab):
    lab.platform.hold("/auth", username="load-61")
    sessions = {"slow": lab.service("load-61"), "refused": lab.service("load-62", password="wrong"),
                "parked": lab.service("mfa")}
    with lab.keeper(sessions) as keeper:
        answer = keeper.get("/readyz")
        equal((answer.status, answer.json["status"]), (503, "not ready"), repr(answer))
        check(any("not been tried" in reason for reason in answer.json["reasons"]), repr(answer))
        equal((keeper.get("/healthz").status, keeper.get("/healthz").json), (200, {"status": "alive"}))
        lab.platform.clear_faults()
        answer = wait_for(lambda: (now := keeper.get("/readyz")).status == 200 and now, "it is ready")
        equal(answer.json, {"status": "ready"})
        equal(keeper.status("slow")["sign_ins"], 1)
        keeper.restart()
        wait_for(lambda: keeper.get("/readyz").status == 200, "ready again")


def not_ready_without_a_store(lab):
    with world_of(lab) as (world, _, keeper):
        keeper.signed_in("billing")
        wait_for(lambda: keeper.get("/readyz").status == 200, "it is ready")
        world.disk_full(True)
        world.advance(HOUR - 200)
        keeper.headers("billing")
        answer = wait_for(lambda: (now := keeper.get("/readyz")).status == 503 and now, "not ready")
        check(any("secret store" in reason for reason in answer.json["reasons"]), repr(answer))
        check(metrics_of(keeper).total("freshet_store_failures", store="secrets") >= 1, "failures")
        world.disk_full(False)
        keeper.settled("billing")
        world.advance(35)
        keeper.headers("billing")
        wait_for(lambda: keeper.get("/readyz").status == 200, "it is ready again")


def not_ready_while_it_drains(lab):
    with world_of(lab, {"billing": lab.service(on_demand="yes")}) as (world, platform, keeper):
        keeper.signed_in("billing")
        platform.hold("/auth/refresh_token")
        world.advance(HOUR)
        connection = UnixConnection(keeper.control)
        connection.connect()
        waiting = Child(lambda: request(keeper.control, "GET", "/v1/sessions/billing/headers").status)
        wait_for(lambda: keeper.status("billing")["waited"] == 1, "a caller waits")
        # Its request is on its way when the signal comes.
        connection.send(b"GET /readyz HTTP/1.1\r\nHost: x\r\n")
        keeper.process.terminate()
        wait_for(lambda: "draining" in keeper.log(), "it drains")
        connection.send(b"\r\n")
        answer = connection.response_class(connection.sock, method="GET")
        answer.begin()
        body = answer.read()
        equal(answer.status, 503, repr(body))
        check(b'"draining"' in body, repr(body))
        connection.close()
        platform.clear_faults()
        equal(waiting.result(), 200)
        equal(keeper.wait(), 0)
        keeper.start()


run_cases([
    the_reader_is_strict, outcomes_are_those_of_the_platform, latencies_are_told,
    callers_who_share_a_flight_are_counted, time_left_is_told_when_a_token_is_handed_out,
    what_becomes_of_401s_is_told, endings_are_told_by_reason, a_parked_service_is_told,
    requests_are_told_by_route_and_status, no_name_is_told, ready_when_every_service_was_tried,
    not_ready_without_a_store, not_ready_while_it_drains,
], Contract())
