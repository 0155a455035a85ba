# SPDX-License-Identifier: Apache-2.0
"""Using sessions: headers, status, explain, logout, and the account's MFA."""

import base64
import hashlib
import hmac
import re
import struct
import time

from harness import Terminal, check, equal, error_of, home, test, wait_for


def totp(secret):
    """The code of an authenticator app: RFC 6238."""
    key = base64.b32decode(secret + "=" * (-len(secret) % 8))
    mac = hmac.new(key, struct.pack(">Q", int(time.time()) // 30), hashlib.sha1).digest()
    at = mac[-1] & 15
    return f"{(struct.unpack('>I', mac[at:at + 4])[0] & 0x7fffffff) % 1000000:06d}"


# ---- headers and token


@test
def headers_are_ready_for_curl(platform):
    with home(platform) as me:
        me.signed_in()
        result = me.good("headers")
        equal(result.err, "")
        names = [line.split(": ")[0] for line in result.out.splitlines()]
        equal(names, ["Authorization", "X-Preferred-Partner-Id"])
        headers = dict(line.split(": ", 1) for line in result.out.splitlines())
        equal(platform.call("GET", "/api/echo", None, headers)[0], 200)
        document = me.good("headers", "--json").json
        equal(sorted(document), ["expires_ms", "generation", "headers", "session", "usable_ms"])
        equal(document["headers"], headers)
        token = me.good("token").out.strip()
        equal("Bearer " + token, headers["Authorization"])
        document = me.good("token", "--json").json
        equal(sorted(document), ["expires_ms", "generation", "session", "token", "usable_ms"])
        equal(document["token"], token)
        equal(platform.counters()["refreshes"], 0)


@test
def both_headers_or_neither(platform):
    with home(platform) as me:
        me.signed_in("svc-two", "two")
        me.signed_in("nopartner", "none")
        for verb in ("headers", "token"):
            me.bad(64, verb, "two")
            me.bad(77, verb, "two", "--partner", "fd9")
            me.bad(77, verb, "none")
            equal(error_of(me.run(verb, "none", "--json"))["status"], "FRESHET_EPARTNER")
            me.good(verb, "two", "--partner", "fd1")
        check("Partner-Id: partner-id-acme\n" in
              me.good("headers", "two", FRESHET_PARTNER="partner-id-acme").out, "the partner")


@test
def a_token_below_the_threshold_is_refreshed(platform):
    with home(platform) as me:
        platform.good("PUT", "/_dev/lifetime", {"seconds": 3})
        try:
            me.signed_in()
            before = platform.counters()["refreshes"]
            tokens = {me.good("token").out}
            wait_for(lambda: tokens.add(me.good("token").out) or len(tokens) > 1, "a new token")
            check(platform.counters()["refreshes"] > before, "no refresh")
        finally:
            platform.good("PUT", "/_dev/lifetime", {"seconds": 3600})


@test
def an_unknown_session_is_signed_out(platform):
    with home(platform) as me:
        check("freshet login" in me.bad(77, "headers").err, "nobody has signed in")
        me.signed_in()
        check("sign in" in me.bad(77, "headers", "other").err, "another session")


# ---- looking


@test
def status_shows_what_is(platform):
    with home(platform) as me:
        equal(me.good("status", "--json").json, [])
        check("no sessions" in me.good("status").err, "nothing is said")
        me.signed_in("svc-demo", "b")
        me.signed_in("svc-demo", "a")
        before = platform.sent()
        equal([one["session"] for one in me.good("status", "--json").json], ["a", "b"])
        one = me.good("status", "a", "--json").json
        equal(sorted(one), ["age_ms", "challenge", "expires_ms", "generation", "partners", "phase",
                            "service", "session", "status", "usable", "usable_ms"])
        equal((one["phase"], one["status"], one["usable"]), ("live", "FRESHET_OK", True))
        check(re.search(r"^a: signed in; token \d+ may be used for 59 min", me.good("status").out),
              "in words")
        none = me.good("status", "c", "--json").json
        equal((none["phase"], none["status"]), ("none", "FRESHET_ESIGNEDOUT"))
        equal(me.good("sessions", "--json").json[0]["session"], "a")
        check("a                        interactive  signed in\n" in me.good("sessions").out, "list")
        equal(platform.sent(), before, "looking sends something")


@test
def colour_on_a_terminal_alone(platform):
    with home(platform) as me:
        me.signed_in()
        check("\033" not in me.good("status").out, "colour in a pipe")
        for more, coloured in (({}, True), ({"NO_COLOR": "1"}, False), ({"TERM": "dumb"}, False)):
            with Terminal(me, "status", **more) as terminal:
                equal(terminal.end(), 0)
                equal("\033" in terminal.seen, coloured, f"{more}")


@test
def explain_tells_the_latest_last(platform):
    with home(platform) as me:
        me.bad(77, "explain")
        me.signed_in()
        me.good("logout")
        entries = me.good("explain", "--json").json
        equal([entry["name"] for entry in entries], ["sign_in_explicit", "signed_in", "signed_out"])
        equal(sorted(entries[0]), ["at_ms", "name", "status", "times", "value", "what"])
        lines = me.good("explain").out.splitlines()
        equal(len(lines), 3)
        check(re.fullmatch(r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d  signed out", lines[2]), lines[2])
        equal(me.good("explain", "other", "--json").json, [])
        check("nothing is on record" in me.good("explain", "other").err, "nothing is said")


# ---- signing out


@test
def logout_and_hold(platform):
    with home(platform) as me:
        me.signed_in()
        check("default: signed out\n" == me.good("logout").out, "signed out")
        equal(error_of(me.run("headers", "--json"))["status"], "FRESHET_ESIGNEDOUT")
        me.signed_in()
        equal(me.good("logout", "--hold", "--json").json,
              {"session": "default", "signed_in": False, "held": True})
        equal(error_of(me.run("headers", "--json"))["status"], "FRESHET_EHELD")
        equal(me.good("status", "default", "--json").json["phase"], "held")
        me.signed_in()
        me.good("headers")


# ---- MFA of the account


@test
def mfa_settings(platform):
    with home(platform) as me:
        me.signed_in("mfa", "--mfa-code", platform.code("mfa"))
        equal(me.good("mfa", "default", "status", "--json").json,
              {"session": "default", "enabled": True, "preferred": "totp"})
        check("MFA is on; preferred: totp" in me.good("mfa", "default", "status").out, "words")
        me.bad(64, "mfa", "default", "enrol")
        result = me.run("mfa", "default", "prefer", "pigeon")
        check(result.code != 0 and "freshet: " in result.err, f"{result}")
        check("preferred: totp" in me.good("mfa", "default", "prefer", "totp").out, "prefer")


@test
def enrolling_shows_a_secret_and_wants_its_first_code(platform):
    platform.good("POST", "/_dev/accounts/load-7", {"mfa": "none"})
    with home(platform) as me:
        me.signed_in("load-7")
        with Terminal(me, "mfa", "default", "enrol", "--no-qr") as terminal:
            terminal.expect("Type this secret into your authenticator app: ")
            terminal.expect("Code that the app shows: ")
            secret = re.search(r"app: ([A-Z2-7]+)\r\n", terminal.seen).group(1)
            check("█" not in terminal.seen, "a QR code all the same")
            terminal.send("000000\n")
            terminal.answer("That code is wrong. Code that the app shows: ", totp(secret))
            terminal.expect("MFA is on; preferred: totp")
            equal(terminal.end(), 0)
        equal(me.login("load-7").code, 77, "the platform wants a code from now on")
        me.signed_in("load-7", "--mfa-code", totp(secret))


@test
def a_qr_code_where_the_terminal_can(platform):
    with home(platform) as me:
        me.signed_in("load-8")
        for more, drawn in (({}, True), ({"LANG": "C"}, False), ({"NO_COLOR": "1"}, True)):
            with Terminal(me, "mfa", "default", "enrol", **more) as terminal:
                terminal.expect("Code that the app shows: ")
                equal("▀" in terminal.seen, drawn, f"{more}")
                if drawn:
                    shown = re.sub(r"\033\[[0-9;]*m", "", terminal.seen)
                    rows = re.findall(r"^[ ▀▄█]+(?=\r\n)", shown, re.MULTILINE)
                    equal({len(row) for row in rows}, {2 * len(rows) - 1}, "a square")
                    check(set(rows[0]) == {"█"} and rows[2][:4] == "████", "a quiet zone")
                terminal.send("\x04")
                equal(terminal.end(), 64)
