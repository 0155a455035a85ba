# SPDX-License-Identifier: Apache-2.0
"""The daemon does what spec/keeper-api.yaml says: every operation of it is asked, well and badly, and every
answer is held to it.

usage: test_api.py FRESHETD DEVSERVER FRESHET
"""
import base64
import hmac
import http.client
import json
import re
import struct
import time

from contract import Contract
from harness import (NEW_PASSWORD, PASSWORD, STRANGER_GID, Answer, Platform, UnixConnection, as_user, check, equal,
                     request, run_cases, wait_for)

CONTRACT = Contract()
ORIGIN = "http://127.0.0.1:8080"
WRITES = {"Origin": ORIGIN, "X-Freshet-CSRF": "1"}
SAFE = {"X-Forwarded-Method": "GET"}


def keeper_of(lab, **more):
    sessions = {"billing": lab.service(), "two": lab.service("svc-two"),
                "parked": lab.service("mfa"), "nobody": lab.service("nopartner"), "person": {}, **more}
    return lab.keeper(sessions, browser={"origin": ORIGIN}, keeper={"gateway_group": str(STRANGER_GID)})


def problem(answer, status, code=None):
    equal(answer.status, status, repr(answer))
    if code:
        equal(answer.code, code, repr(answer))


def the_document_is_well_formed(_):
    for method, template, operation in CONTRACT.operations():
        where = f"{method} {template}"
        check(operation["operationId"] and operation["summary"], where)
        for status, response in operation["responses"].items():
            check(CONTRACT.resolve(response)["description"], f"{where} {status}")
        named = {CONTRACT.resolve(parameter)["name"]
                 for parameter in CONTRACT.document["paths"][template].get("parameters", [])
                 if CONTRACT.resolve(parameter)["in"] == "path"}
        equal(named, set(re.findall(r"\{(\w+)\}", template)), where)


def the_document_and_the_route_tables_agree(_):
    equal(CONTRACT.against_routes(), [])


# ---- control.sock


def platform_and_sessions(lab):
    with keeper_of(lab) as keeper:
        platform = keeper.get("/v1/platform").json
        equal((platform["url"], platform["origins"], platform["profile"], platform["threshold_ms"]),
              (lab.platform.url, [lab.platform.url], "partner", 300000))
        keeper.signed_in("billing")
        equal([session["name"] for session in keeper.get("/v1/sessions").json["sessions"]],
              ["billing", "two", "parked", "nobody", "person"])


def status(lab):
    with keeper_of(lab) as keeper:
        now = keeper.signed_in("billing")
        equal((now["kind"], now["phase"], now["status"], now["challenge"], now["partners"],
               now["sign_ins"]), ("service", "live", "FRESHET_OK", None, 1, 1))
        wait_for(lambda: keeper.status("parked")["challenge"] == "FRESHET_EMFA", "parks")
        equal(keeper.status("parked")["status"], "FRESHET_EOPERATOR")
        problem(keeper.get("/v1/sessions/ann"), 404, "FRESHET_ENOSESSION")
        keeper.call("POST", "/v1/sessions/ann/sign-in", {"username": "svc-demo", "password": PASSWORD})
        equal(keeper.status("ann")["kind"], "person")
        problem(keeper.get("/v1/sessions/" + "n" * 129), 400, "FRESHET_EINVAL")
        problem(keeper.get("/v1/sessions/a%20b"), 400, "FRESHET_EINVAL")


def headers(lab):
    with keeper_of(lab) as keeper:
        answer = keeper.headers("billing")
        equal(answer.status, 200, repr(answer))
        names = [name for name, _ in answer.json["headers"]]
        equal(names, ["Authorization", "X-Preferred-Partner-Id"])
        status_there, _ = lab.platform.call("GET", "/api/me", None, dict(answer.json["headers"]))
        equal(status_there, 200, "the platform takes them")
        tag = answer.headers["ETag"]
        equal(tag, f'"{answer.json["generation"]}"')
        equal(keeper.headers("billing", {"If-None-Match": tag}).status, 304)
        equal(keeper.headers("billing", {"If-None-Match": '"999999"'}).status, 200)
        problem(keeper.headers("billing", partner="fd1"), 403, "FRESHET_EPARTNER")
        problem(keeper.headers("two"), 409, "FRESHET_EPARTNERCHOICE")
        equal(dict(keeper.headers("two", partner="fd1").json["headers"])["X-Preferred-Partner-Id"],
              "fd1")
        problem(keeper.headers("nobody"), 403, "FRESHET_EPARTNER")
        problem(keeper.headers("parked"), 503, "FRESHET_EOPERATOR")
        problem(keeper.headers("ann"), 404, "FRESHET_ENOSESSION")
        problem(keeper.headers("person", timeout_ms=100), 401, "FRESHET_ESIGNEDOUT")


def arguments_are_checked(lab):
    with keeper_of(lab) as keeper:
        keeper.signed_in("billing")
        for name in ("min_valid_ms", "timeout_ms"):
            for value in ("", "x", "1x", "1.5", "1e3", " 1", "+1", "-9223372036854775809", "9" * 40,
                          "0x10"):
                answer = keeper.headers("billing", **{name: value})
                problem(answer, 400, "FRESHET_EINVAL")
                problem(keeper.get("/v1/sessions/billing/token", **{name: value}), 400)
        problem(keeper.headers("billing", min_valid_ms=-1), 400)
        equal(keeper.headers("billing", min_valid_ms=1000, timeout_ms=1000).status, 200)


def token(lab):
    with keeper_of(lab) as keeper:
        keeper.signed_in("two")
        answer = keeper.get("/v1/sessions/two/token")
        document = answer.json
        equal((sorted(document["partners"]), document["partner"], document["partner_header"]),
              (["fd1", "partner-id-acme"], None, "X-Preferred-Partner-Id"))
        equal((document["lifetime_ms"], document["threshold_ms"]), (3600000, 300000))
        check(document["usable_ms"] < document["expires_ms"] <= document["lifetime_ms"], document)
        tag = answer.headers["ETag"]
        equal(keeper.get("/v1/sessions/two/token", {"If-None-Match": tag}).status, 304)
        problem(keeper.get("/v1/sessions/person/token", timeout_ms=100), 401, "FRESHET_ESIGNEDOUT")


def unauthorized(lab):
    with keeper_of(lab) as keeper:
        generation = keeper.signed_in("billing")["generation"]
        path = "/v1/sessions/billing/unauthorized"
        equal(keeper.call("POST", path, {"generation": generation}).status, 204)
        wait_for(lambda: "confirmed_401" in repr(keeper.get("/v1/sessions/billing/explain").json) or
                 lab.platform.counter("probes") > 0, "the probe")
        equal(keeper.headers("billing").status, 200)  # the probe said that it lives


def sign_in_and_challenges(lab):
    with keeper_of(lab) as keeper:
        wait_for(lambda: keeper.status("parked")["challenge"] == "FRESHET_EMFA", "parks")
        base = "/v1/sessions/parked/"
        problem(keeper.call("POST", base + "sign-in"), 401, "FRESHET_EMFA")
        problem(keeper.call("POST", base + "mfa", {"code": "000000"}), 401, "FRESHET_EMFACODE")
        code = lab.platform.code("mfa")
        answer = keeper.call("POST", base + "mfa", {"code": code, "remember_device": True})
        equal((answer.status, answer.json and answer.json["phase"]), (200, "live"), repr(answer))
        problem(keeper.call("POST", base + "mfa", {"code": code}), 409, "FRESHET_ENOCHALLENGE")
        problem(keeper.call("POST", base + "new-password", {"new_password": NEW_PASSWORD}), 409,
                "FRESHET_ENOCHALLENGE")
        person = "/v1/sessions/ann/"
        problem(keeper.call("POST", person + "sign-in", {"username": "svc-demo", "password": "wrong"}),
                401, "FRESHET_ECREDENTIALS")
        problem(keeper.call("POST", person + "sign-in",
                            {"username": "suspended", "password": PASSWORD}), 403,
                "FRESHET_ESUSPENDED")
        problem(keeper.call("POST", person + "sign-in",
                            {"username": "newpass", "password": PASSWORD}), 401,
                "FRESHET_ENEWPASSWORD")
        problem(keeper.call("POST", person + "new-password", {"new_password": "weak"}), 400,
                "FRESHET_EPASSWORDPOLICY")
        equal(keeper.call("POST", person + "new-password", {"new_password": NEW_PASSWORD}).status, 200)
        equal(keeper.call("POST", person + "sign-in",
                          {"username": "svc-demo", "password": PASSWORD, "timeout_ms": 20000}).status,
              200)


def sign_out(lab):
    with keeper_of(lab) as keeper:
        keeper.signed_in("billing")
        equal(keeper.call("POST", "/v1/sessions/billing/sign-out", {"hold": True}).status, 204)
        problem(keeper.headers("billing"), 403, "FRESHET_EHELD")
        equal(keeper.status("billing")["phase"], "held")
        equal(keeper.call("POST", "/v1/sessions/billing/sign-in").status, 200)
        equal(keeper.call("POST", "/v1/sessions/billing/sign-out").status, 204)
        equal(keeper.status("billing")["phase"], "held")  # a service's is one always
        keeper.call("POST", "/v1/sessions/ann/sign-in", {"username": "svc-demo", "password": PASSWORD})
        equal(keeper.call("POST", "/v1/sessions/ann/sign-out", {"hold": False}).status, 204)
        equal(keeper.status("ann")["phase"], "signed_out")


def totp(secret):
    """The code of now (RFC 6238)."""
    key = base64.b32decode(secret + "=" * (-len(secret) % 8))
    digest = hmac.digest(key, struct.pack(">Q", int(time.time()) // 30), "sha1")
    number, = struct.unpack_from(">I", digest, digest[-1] & 15)
    return f"{(number & 0x7fffffff) % 1000000:06}"


def mfa_settings(lab):
    with keeper_of(lab) as keeper:
        keeper.signed_in("billing")
        base = "/v1/sessions/billing/"
        equal(keeper.get(base + "mfa-settings").json["enabled"], False)
        enrolment = keeper.call("POST", base + "totp").json
        check(enrolment["secret"] in enrolment["uri"], "the secret is in the URI")
        problem(keeper.call("PUT", base + "totp", {"code": "000000"}), 401, "FRESHET_EMFACODE")
        code = totp(enrolment["secret"])
        equal(keeper.call("PUT", base + "totp", {"code": code}).status, 204)
        equal(keeper.call("PUT", base + "mfa-settings",
                          {"enabled": True, "preferred": "totp"}).status, 204)
        equal(keeper.get(base + "mfa-settings").json, {"enabled": True, "preferred": "totp"})
        equal(keeper.call("PUT", base + "mfa-settings", {"enabled": False}).status, 204)
        problem(keeper.get("/v1/sessions/person/mfa-settings"), 401, "FRESHET_ESIGNEDOUT")
        problem(keeper.call("POST", "/v1/sessions/person/totp"), 401, "FRESHET_ESIGNEDOUT")


def explain(lab):
    with keeper_of(lab) as keeper:
        keeper.signed_in("billing")
        entries = keeper.get("/v1/sessions/billing/explain").json["entries"]
        check("signed_in" in [entry["name"] for entry in entries], entries)
        equal([entry["number"] for entry in entries], sorted(entry["number"] for entry in entries))


def read_event(stream):
    """The next event of a stream, as a dictionary; comments are passed over."""
    event = {}
    while True:
        line = stream.readline().decode()
        check(line, "the stream ends")
        line = line.rstrip("\n")
        if line and not line.startswith(":"):
            name, _, value = line.partition(": ")
            event[name] = value
        elif not line and event:
            return event


def events(lab):
    with keeper_of(lab) as keeper:
        keeper.signed_in("billing")
        connection = UnixConnection(keeper.control)
        connection.request("GET", "/v1/events")
        response = connection.getresponse()
        head = Answer(response.status, response.headers, b"")
        equal(CONTRACT.judge("GET", "/v1/events", head), [])
        equal(keeper.call("POST", "/v1/sessions/billing/sign-out").status, 204)
        event = read_event(response)
        data = json.loads(event["data"])
        schema = CONTRACT.document["components"]["schemas"]["Event"]
        equal(CONTRACT.validate(schema, data, "event"), [])
        equal((event["event"], event["id"]), (data["entry"]["name"], event["id"].partition("-")[0] + f"-{data['entry']['number']}"))
        connection.close()


def health(lab):
    with keeper_of(lab) as keeper:
        for path in ("/metrics", "/healthz"):
            equal(keeper.get(path).status, 200, path)
        wait_for(lambda: keeper.get("/readyz").status == 200, "all were tried")


def no_such_path_or_method(lab):
    with keeper_of(lab) as keeper:
        for path in ("/", "/v1", "/v1/", "/v1/session", "/v1/sessions/", "/v1/sessions/billing/",
                     "/v1/sessions/billing/nothing", "/v1/sessions//headers", "/v2/platform",
                     "/freshet/session", "/authz", "/v1/sessions/billing/headers/more"):
            problem(keeper.get(path), 404)
        for path in ("/v1/platform", "/v1/sessions/billing", "/freshet/session", "/freshet/nothing"):
            if path.startswith("/v1"):
                problem(keeper.browse("GET", path), 404)
        problem(keeper.browse("GET", "/freshet/nothing"), 404)
        answer = keeper.call("DELETE", "/v1/sessions/billing")
        problem(answer, 405)
        equal(answer.headers["Allow"].replace(" ", "").split(",")[0], "GET")
        problem(keeper.call("GET", "/v1/sessions/billing/sign-in"), 405)
        problem(keeper.browse("GET", "/freshet/sign-in"), 405)


def queries_are_checked(lab):
    """What an operation does not take, or takes once: 400, whoever asks. Gateways hand on any query to /authz."""
    with keeper_of(lab) as keeper:
        keeper.signed_in("billing")
        for method, template, operation in CONTRACT.operations():
            ask = keeper.browse if CONTRACT.door(operation) == "BROWSER" else keeper.call
            path = template.replace("{name}", "billing").replace("{id}", "x")
            named = [parameter["name"] for parameter in map(CONTRACT.resolve, operation.get("parameters", []))
                     if parameter["in"] == "query"]
            strange = ["strange=1", "strange", "=1", "&strange=", "Partner=fd42"]
            for query in strange + [f"{name}=1&{name}=1" for name in named] + [f"{name}=1%00" for name in named]:
                answer = ask(method, f"{path}?{query}")
                refused = answer.status == 400 and "query argument" in answer.json["detail"]
                check(refused != template.startswith("/authz"), f"{method} {path}?{query}: {answer}")
            for name in named:
                answer = ask(method, f"{path}?{name}=1")
                check(b"query argument" not in answer.body, f"{method} {path}?{name}: {answer}")


def verbs_of_strangers(lab):
    """Without a verb: 403 whether the name is there or not, and never what it would answer."""
    with keeper_of(lab) as keeper:
        keeper.signed_in("billing")

        def ask():
            answers = []
            for method, template, operation in CONTRACT.operations():
                if "x-verb" in operation:
                    for name in ("billing", "unknown"):
                        path = template.replace("{name}", name)
                        door = keeper.browser if CONTRACT.door(operation) == "BROWSER" else keeper.control
                        answer = request(door, method, path, body_for(operation))
                        answers.append((method, path, answer.status, dict(answer.headers.items()),
                                        answer.body))
            for path in ("/v1/platform", "/v1/sessions", "/metrics", "/healthz", "/readyz"):
                answer = request(keeper.control, "GET", path)
                answers.append(("GET", path, answer.status, dict(answer.headers.items()), answer.body))
            return answers

        for method, path, code, fields, body in as_user(ask):
            message = http.client.HTTPMessage()
            for field, value in fields.items():
                message[field] = value
            answer = Answer(code, message, body)
            equal(CONTRACT.judge(method, path, answer), [])
            if path.startswith(("/v1/sessions/", "/authz/service/")):
                problem(answer, 403, "FRESHET_EACCESS")
            else:
                equal(code, 200, path)
            if path == "/v1/sessions":
                equal(answer.json, {"sessions": []})


# ---- bodies


def sample(schema):
    """A value as a schema wants it."""
    schema = CONTRACT.resolve(schema)
    if "oneOf" in schema:
        return sample(schema["oneOf"][0])
    kind = schema["type"][0] if isinstance(schema["type"], list) else schema["type"]
    if kind == "object":
        return {name: sample(part) for name, part in schema["properties"].items()}
    return {"string": "text", "integer": schema.get("minimum", 1) or 1, "boolean": True}[kind]


def body_for(operation):
    schema = CONTRACT.body_schema(operation)
    return sample(schema) if schema else None


def bad_bodies(schema):
    """Bodies that the schema does not want, with what is wrong with them."""
    good = sample(schema)
    for name in schema.get("required", []):
        yield "no " + name, {key: value for key, value in good.items() if key != name}
    for name, part in schema["properties"].items():
        for wrong in ({}, [], 1.5, "text", 7, True, None, -1, ""):
            if CONTRACT.validate(part, wrong, name):
                yield f"{name} {wrong!r}", {**good, name: wrong}
        if CONTRACT.resolve(part).get("type") == "string":
            yield f"{name} with a NUL", {**good, name: "a\0b"}
    yield "an unknown field", {**good, "unknown": 1}
    for raw in (b"[]", b"7", b'"text"', b"null", b"{", b"{}}", b"{}{}", b"\xff", b"{'a': 1}",
                b"[" * 5000):
        yield repr(raw[:8]), raw
    if schema.get("required"):
        yield "nothing", b""
        name = schema["required"][0]
        value = json.dumps(good[name])
        yield "a field twice", f'{{"{name}": {value}, "{name}": {value}}}'.encode()


def bodies_are_checked(lab):
    """Every operation with a body refuses every one that its schema does, with 400."""
    with keeper_of(lab) as keeper:
        keeper.signed_in("billing")
        for method, template, operation in CONTRACT.operations():
            schema = CONTRACT.body_schema(operation)
            if not schema or CONTRACT.door(operation) == "BROWSER":
                continue
            for what, body in bad_bodies(schema):
                path = template.replace("{name}", "billing")
                answer = keeper.call(method, path, body, {"Content-Type": "application/json"})
                check(answer.status == 400, f"{method} {path} with {what}: {answer}")
        equal(keeper.status("billing")["phase"], "live")


# ---- browser.sock


def cookie_of(answer):
    """The cookie of an answer as a request sends it."""
    cookie = answer.headers["Set-Cookie"]
    check(cookie, f"no cookie: {answer}")
    return cookie.partition(";")[0]


def browser_sign_in(keeper, username="svc-demo"):
    answer = keeper.browse("POST", "/freshet/sign-in", {"username": username, "password": PASSWORD},
                           WRITES)
    equal(answer.status, 200, repr(answer))
    return {"Cookie": cookie_of(answer)}


def browser_session(lab):
    with keeper_of(lab) as keeper:
        cookie = browser_sign_in(keeper, "svc-two")
        me = keeper.browse("GET", "/freshet/session", None, cookie).json
        equal((me["username"], sorted(me["partners"]), me["partner"]),
              ("svc-two", ["fd1", "partner-id-acme"], None))
        chosen = keeper.browse("PUT", "/freshet/partner", {"partner": "fd1"}, {**cookie, **WRITES})
        equal(chosen.json["partner"], "fd1")
        sessions = keeper.browse("GET", "/freshet/sessions", None, cookie).json["sessions"]
        equal([session["current"] for session in sessions], [True])
        other = browser_sign_in(keeper, "svc-two")
        sessions = keeper.browse("GET", "/freshet/sessions", None, cookie).json["sessions"]
        ids = [session["id"] for session in sessions if not session["current"]]
        equal(len(ids), 1)
        path = "/freshet/sessions/" + ids[0]
        equal(keeper.browse("DELETE", path, None, {**cookie, **WRITES}).status, 204)
        problem(keeper.browse("GET", "/freshet/session", None, other), 401)
        problem(keeper.browse("DELETE", path, None, {**cookie, **WRITES}), 404)
        equal(keeper.browse("POST", "/freshet/sign-out", None, {**cookie, **WRITES}).status, 204)
        problem(keeper.browse("GET", "/freshet/session", None, cookie), 401)
        cookie = browser_sign_in(keeper)
        everywhere = keeper.browse("POST", "/freshet/sign-out-everywhere", None, {**cookie, **WRITES})
        equal(everywhere.status, 204)
        problem(keeper.browse("GET", "/freshet/session", None, cookie), 401)


def browser_challenges(lab):
    platform = Platform(lab.devserver)  # whose accounts have not set their passwords yet
    try:
        answer_challenges(lab.keeper({}, browser={"origin": ORIGIN}, platform=platform), platform)
    finally:
        platform.close()


def answer_challenges(begun, platform):
    with begun as keeper:
        first = keeper.browse("POST", "/freshet/sign-in", {"username": "mfa", "password": PASSWORD},
                              WRITES)
        problem(first, 401, "FRESHET_EMFA")
        cookie = {"Cookie": cookie_of(first), **WRITES}
        wrong = keeper.browse("POST", "/freshet/mfa", {"code": "000000"}, cookie)
        problem(wrong, 401, "FRESHET_EMFACODE")
        cookie = {"Cookie": cookie_of(wrong), **WRITES}
        body = {"code": platform.code("mfa"), "remember_device": False}
        equal(keeper.browse("POST", "/freshet/mfa", body, cookie).status, 200)
        first = keeper.browse("POST", "/freshet/sign-in",
                              {"username": "newmfa", "password": PASSWORD}, WRITES)
        problem(first, 401, "FRESHET_ENEWPASSWORD")
        cookie = {"Cookie": cookie_of(first), **WRITES}
        second = keeper.browse("POST", "/freshet/new-password", {"new_password": NEW_PASSWORD}, cookie)
        problem(second, 401, "FRESHET_EMFA")
        newpass = keeper.browse("POST", "/freshet/sign-in",
                                {"username": "newpass", "password": PASSWORD}, WRITES)
        problem(newpass, 401, "FRESHET_ENEWPASSWORD")
        cookie = {"Cookie": cookie_of(newpass), **WRITES}
        equal(keeper.browse("POST", "/freshet/new-password", {"new_password": NEW_PASSWORD},
                            cookie).status, 200)


def authz(lab):
    with keeper_of(lab) as keeper:
        cookie = browser_sign_in(keeper)
        answer = keeper.browse("GET", "/authz", None, {**cookie, **SAFE})
        equal(answer.status, 200, repr(answer))
        sent = {name: answer.headers[name] for name in ("Authorization", "X-Preferred-Partner-Id")}
        equal(lab.platform.call("GET", "/api/me", None, sent)[0], 200)
        late = {"X-Freshet-Generation": "999"}
        equal(keeper.browse("POST", "/authz/unauthorized", None, {**cookie, **late}).status, 204)
        problem(keeper.browse("GET", "/authz", None, SAFE), 401)
        keeper.signed_in("two")
        problem(keeper.browse("GET", "/authz", None, {"X-Freshet-Service": "two", **SAFE}), 400)
        keeper.signed_in("billing")
        equal(keeper.browse("GET", "/authz/service/billing").headers["X-Freshet-Session"], "billing")
        # A client's header chooses no partner of a service, either.
        for partner in ({}, {"X-Freshet-Partner": "fd1"}):
            problem(keeper.browse("GET", "/authz/service/two", None, partner), 409, "FRESHET_EPARTNERCHOICE")
        problem(keeper.browse("GET", "/authz/service/nothing"), 404, "FRESHET_ENOSESSION")
        problem(keeper.browse("GET", "/authz/service/two/partner/fd99"), 403, "FRESHET_EPARTNER")
        answer = keeper.browse("GET", "/authz/service/two/partner/fd1", None, {"X-Freshet-Partner": "fd99"})
        equal(answer.headers["X-Preferred-Partner-Id"], "fd1")
        report = "/authz/service/two/unauthorized"
        equal(keeper.browse("POST", report, None, late).status, 204)
        problem(keeper.browse("POST", report), 400)
        problem(keeper.browse("POST", "/authz/unauthorized", None,
                              {"X-Freshet-Service": "two", **late}), 400)


def browser_bodies_are_checked(lab):
    with keeper_of(lab) as keeper:
        cookie = {**browser_sign_in(keeper), **WRITES, "Content-Type": "application/json"}
        for method, template, operation in CONTRACT.operations():
            schema = CONTRACT.body_schema(operation)
            if not schema or CONTRACT.door(operation) == "CONTROL":
                continue
            for what, body in bad_bodies(schema):
                answer = keeper.browse(method, template, body, cookie)
                check(answer.status == 400, f"{method} {template} with {what}: {answer}")
        equal(keeper.browse("GET", "/freshet/session", None, cookie).status, 200)


def every_operation_was_exercised(_):
    equal(CONTRACT.unserved(), [])


run_cases([
    the_document_is_well_formed, the_document_and_the_route_tables_agree, platform_and_sessions, status,
    headers, arguments_are_checked, token, unauthorized, sign_in_and_challenges, sign_out, mfa_settings,
    explain, events, health, no_such_path_or_method, queries_are_checked, verbs_of_strangers, bodies_are_checked,
    browser_session, browser_challenges, authz, browser_bodies_are_checked,
    every_operation_was_exercised,
], CONTRACT)
