#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Tests of freshet, the command line: test_cli.py FRESHET DEVSERVER plain|sanitized. Prints TAP."""

import base64
import hashlib
import hmac
import os
import re
import signal
import stat
import struct
import subprocess
import sys
import time
import traceback

from harness import (NEW_PASSWORD, PASSWORD, Home, Platform, Terminal, check, equal, wait_for)

BINARY, DEVSERVER = (os.path.abspath(path) for path in sys.argv[1:3])
BUILD = sys.argv[3]
TESTS = []
PLAIN_ONLY = []


def test(function):
    TESTS.append(function)
    return function


def plain(function):
    """Of a build without sanitizers alone, which replace free(3) and look into the process."""
    PLAIN_ONLY.append(function)
    return function


def home(platform):
    return Home(BINARY, platform.url)


def totp(secret):
    """The code of an authenticator app: RFC 6238."""
    key = base64.b32decode(secret + "=" * (-len(secret) % 8))
    mac = hmac.new(key, struct.pack(">Q", int(time.time()) // 30), hashlib.sha1).digest()
    at = mac[-1] & 15
    return f"{(struct.unpack('>I', mac[at:at + 4])[0] & 0x7fffffff) % 1000000:06d}"


def sent(platform):
    """What came to the platform, besides our own questions."""
    counters = platform.counters()
    return [counters[name] for name in ("sign_in_attempts", "refresh_attempts", "probes",
                                        "api_requests")]


def error_of(result):
    equal(list(result.json), ["error"])
    equal(result.err, "", "with --json, standard error")
    error = result.json["error"]
    equal(sorted(error), ["class", "code", "exit_code", "http_status", "message", "retry_after_ms",
                          "status"])
    equal(error["exit_code"], result.code)
    return error


def config(me, platform, sessions=""):
    me.write("secret.password", PASSWORD + "\n")
    me.good("key", "new", me.path("keys"))
    return me.write(".config/freshet/freshet.conf", f"""\
[platform]
url = {platform.url}

[store]
secrets = sqlite:{me.path('secrets.db')}
tokens = sqlite:{me.path('tokens.db')}
key_file = {me.path('keys')}
{sessions}""")


def service(me, name, username, more=""):
    return (f"\n[session {name}]\nusername = {username}\n"
            f"password_file = {me.path('secret.password')}\n{more}")


# ---- the line itself


@test
def what_is_wrong_with_the_line_is_said(platform):
    with home(platform) as me:
        for words, part in [
                ((), "freshet help"), (("fly",), "no verb fly"), (("login", "--fly"), "--fly"),
                (("login", "--username"), "lacks its NAME"),
                (("login", "--json=yes"), "takes no value"),
                (("login", "a", "b"), "too many words"),
                (("login", "a", "b", "c", "d", "e", "f"), "too many words"),
                (("status", "--hold"), "no option --hold"),
                (("login", "--url", "x", "--url", "y"), "twice"),
                (("-v",), "no option -v"), (("status", "--", "x"), "behind --"),
                (("headers", "--timeout", "soon"), "number of seconds"),
                (("headers", "--timeout", "-1"), "number of seconds"),
                (("headers", "--timeout", "nan"), "number of seconds"),
                (("mfa", "enrol"), "freshet mfa SESSION"), (("mfa", "a", "fly"), "freshet mfa"),
                (("mfa", "a", "prefer"), "freshet mfa"), (("key",), "new [FILE]"),
                (("key", "fly"), "new [FILE]"), (("help", "fly"), "no verb fly"),
                (("headers", "two words"), "name"), (("headers", "é"), "name")]:
            if words[:1] == ("headers",) and "--timeout" not in words:
                me.signed_in()
            result = me.bad(64, *words)
            check(part in result.err, f"{words}: {result}")
            error = error_of(me.run("--json", *words))
            equal((error["status"], error["class"]), ("FRESHET_EINVAL", "usage"), f"{words}")


@test
def a_password_is_no_argument(platform):
    with home(platform) as me:
        for words in (("--password", PASSWORD), ("--password=" + PASSWORD,)):
            result = me.bad(64, "login", *words)
            check(PASSWORD not in result.err and "--password-file" in result.err, f"{result}")
        result = me.bad(64, "login", "--pasword=" + PASSWORD)
        check(PASSWORD not in result.err, f"{result}")


@test
def help_and_version(platform):
    with home(platform) as me:
        verbs = [verb["name"] for verb in me.good("help", "--json").json["verbs"]]
        text = me.good("help").out
        for verb in verbs:
            check(re.search(rf"^  {verb}\b", text, re.MULTILINE), f"{verb} is not in the help")
            one = me.good("help", verb)
            if verb != "help":
                for words in ((verb, "--help"), (verb, "-h"), ("--help", verb)):
                    equal(me.good(*words).out, one.out, f"{words}")
            listed = me.good("help", verb, "--json").json
            equal(sorted(listed), ["help", "name", "operands", "options"])
            for option in listed["options"]:
                check("--" + option["name"] in one.out, f"{verb} --{option['name']}")
            check(all(len(line) <= 80 for line in one.out.splitlines()), f"{verb}: wide lines")
        check("login" in verbs and "doctor" in verbs, f"{verbs}")
        equal(me.good("--help").out, text)
        version = me.good("version").out
        equal(me.good("--version").out, version)
        equal("freshet " + me.good("version", "--json").json["version"] + "\n", version)


@test
def options_stand_anywhere(platform):
    with home(platform) as me:
        me.signed_in("svc-demo", "one")
        for words in (("--json", "status", "one"), ("status", "--json", "one"),
                      ("status", "one", "--json"),
                      ("--url=" + platform.url, "status", "one", "--json")):
            equal(me.good(*words).json["session"], "one", f"{words}")


# ---- signing in without a terminal


@test
def signing_in_makes_the_state_folder(platform):
    with home(platform) as me:
        state = me.path(".local/state/freshet")
        first = me.signed_in()
        check(f"made {state}/store.key" in first.err, f"{first}")
        check("default: signed in" in first.out, f"{first}")
        equal(stat.S_IMODE(os.stat(state).st_mode), 0o700)
        for name in ("store.key", "secrets.db", "tokens.db"):
            equal(stat.S_IMODE(os.stat(os.path.join(state, name)).st_mode), 0o600, name)
        equal(me.signed_in().err, "")
        me.good("status", "default", XDG_STATE_HOME=me.path(".local/state"))
        me.good("status", "default", "--state", state)
        equal(me.run("headers", XDG_STATE_HOME=me.path("elsewhere")).code, 77)
        me.signed_in("svc-demo", "--state", me.path("a/b/c"))
        me.good("headers", FRESHET_STATE=me.path("a/b/c"))


@test
def signing_in_as_json(platform):
    with home(platform) as me:
        answer = me.signed_in("svc-demo", "--json", "one").json
        equal(sorted(answer), ["expires_ms", "generation", "partners", "session", "signed_in"])
        equal((answer["session"], answer["signed_in"], answer["partners"]), ("one", True, 1))
        check(answer["generation"] >= 1 and answer["expires_ms"] > 0, f"{answer}")


@test
def passwords_come_from_files_and_commands(platform):
    with home(platform) as me:
        file = me.write("secret", PASSWORD + "\r\nand more\n")
        me.good("login", "--username", "svc-demo", "--password-file", file)
        me.good("login", "--username", "svc-demo", "--password-file", "-", stdin=PASSWORD)
        me.good("login", "--username", "svc-demo", "--password-command", f"cat {file}")
        me.good("login", "--username", "svc-demo", "--password-command",
                f"cat {file}; yes | head -c 200000")
        for options, code, part in [
                (("--password-file", me.path("none")), 78, "No such file"),
                (("--password-file", me.folder), 78, "cannot be read"),
                (("--password-file", me.write("empty", "\nx")), 78, "empty"),
                (("--password-file", me.write("nul", "a\0b\n")), 78, "no text"),
                (("--password-file", me.write("long", "x" * 1025 + "\n")), 78, "1024 bytes"),
                (("--password-command", "echo x; exit 3"), 78, "failed"),
                (("--password-command", "kill -9 $$"), 78, "failed"),
                (("--password-command", "true"), 78, "empty"),
                ((), 64, "--password-file")]:
            result = me.bad(code, "login", "--username", "svc-demo", *options)
            check(part in result.err, f"{options}: {result}")
        check("--username" in me.bad(64, "login", "--password-file", file).err, "no username")


@test
def a_wrong_password_is_refused(platform):
    with home(platform) as me:
        result = me.login(password="wrong-password")
        equal(result.code, 77, f"{result}")
        check("refused the credentials" in result.err, f"{result}")
        check("wrong-password" not in result.err + result.out, "the password is told")
        result = me.login("svc-demo", "--json", password="wrong-password")
        error = error_of(result)
        equal((error["status"], error["class"]), ("FRESHET_ECREDENTIALS", "ended"))
        equal(error_of(me.login("suspended", "--json"))["status"], "FRESHET_ESUSPENDED")


@test
def mfa_codes_as_options(platform):
    with home(platform) as me:
        result = me.login("mfa")
        equal(result.code, 77)
        check("--mfa-code" in result.err, f"{result}")
        equal(me.login("mfa", "--mfa-code", "000000").code, 77)
        equal(error_of(me.login("mfa", "--json", "--mfa-code", "000000"))["status"],
              "FRESHET_EMFACODE")
        me.signed_in("mfa", "--mfa-code", platform.code("mfa"))
        me.good("mfa", "other", "--username", "mfa", "--password-file", me.path("password"),
                "--mfa-code", platform.code("mfa"))
        equal(sorted(entry["session"] for entry in me.good("status", "--json").json),
              ["default", "other"])


@test
def a_remembered_device_spares_the_code(platform):
    with home(platform) as me:
        me.signed_in("mfa", "--remember-device", "--mfa-code", platform.code("mfa"))
        me.good("logout")
        me.signed_in("mfa")


@test
def new_passwords_as_options(platform):
    with home(platform) as me:
        platform.good("POST", "/_dev/accounts/newpass", {"new_password_required": True,
                                                         "password": PASSWORD})
        result = me.login("newpass")
        equal(result.code, 77)
        check("--new-password-file" in result.err, f"{result}")
        weak = me.login("newpass", "--new-password-file", me.write("weak", "weak\n"))
        equal(weak.code, 77, f"{weak}")
        me.signed_in("newpass", "--new-password-file", me.write("new", NEW_PASSWORD + "\n"))
        check(me.login("newpass", password=NEW_PASSWORD).code == 0, "the new password works")


@test
def a_platform_that_is_down(platform):
    with home(platform) as me:
        me.signed_in()
        result = me.login("svc-demo", "--url", "http://127.0.0.1:1", "--timeout", "2")
        equal(result.code, 75, f"{result}")
        me.good("headers", FRESHET_URL="http://127.0.0.1:1")  # the token in hand serves on


# ---- signing in at a terminal


@test
def a_person_is_asked(platform):
    with home(platform) as me:
        with Terminal(me, "login") as terminal:
            terminal.answer("Username: ", "mfa")
            terminal.hidden("Password of mfa: ", PASSWORD)
            terminal.answer("MFA code: ", platform.code("mfa"))
            terminal.expect("default: signed in")
            equal(terminal.end(), 0)
            check(PASSWORD not in terminal.seen, "the password is shown")
            check(terminal.echoes(), "echo is off afterwards")


@test
def a_wrong_code_is_asked_for_again(platform):
    with home(platform) as me:
        with Terminal(me, "login", "--username", "mfa", "--mfa-code", "000000") as terminal:
            terminal.hidden("Password of mfa: ", PASSWORD)
            terminal.answer("That code is wrong. MFA code: ", "111111")
            terminal.answer("That code is wrong. MFA code: ", platform.code("mfa"))
            terminal.expect("default: signed in")
            equal(terminal.end(), 0)
        with Terminal(me, "login", "--username", "mfa") as terminal:
            terminal.hidden("Password of mfa: ", PASSWORD)
            terminal.answer("MFA code: ", "000000")
            terminal.answer("That code is wrong. MFA code: ", "000000")
            terminal.answer("That code is wrong. MFA code: ", "000000")
            terminal.expect("the MFA code is wrong")
            equal(terminal.end(), 77)
            equal(terminal.seen.count("MFA code: "), 3)


@test
def a_new_password_is_asked_for_twice(platform):
    platform.good("POST", "/_dev/accounts/newmfa", {"new_password_required": True,
                                                    "password": PASSWORD})
    with home(platform) as me:
        with Terminal(me, "login", "--username", "newmfa") as terminal:
            terminal.hidden("Password of newmfa: ", PASSWORD)
            terminal.hidden("New password: ", "weak")
            terminal.hidden("The same again: ", "weaker")
            terminal.hidden("They differ. New password: ", "weak")
            terminal.hidden("The same again: ", "weak")
            terminal.hidden("That one is too weak. New password: ", NEW_PASSWORD)
            terminal.hidden("The same again: ", NEW_PASSWORD)
            terminal.answer("MFA code: ", platform.code("newmfa"))
            terminal.expect("default: signed in")
            equal(terminal.end(), 0)
            check(NEW_PASSWORD not in terminal.seen, "the password is shown")


@test
def echo_comes_back_whatever_ends_the_question(platform):
    with home(platform) as me:
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGQUIT):
            with Terminal(me, "login", "--username", "svc-demo") as terminal:
                terminal.expect("Password of svc-demo: ")
                check(not terminal.echoes(), "echo is on")
                if number == signal.SIGINT:
                    terminal.send("\x03")
                else:
                    os.kill(terminal.pid, number)
                wait_for(terminal.echoes, "echo, after " + number.name)
                equal(terminal.end(), -number)
        with Terminal(me, "login", "--username", "svc-demo") as terminal:
            terminal.expect("Password of svc-demo: ")
            terminal.send("\x04")
            terminal.expect("no answer came")
            equal(terminal.end(), 64)
            check(terminal.echoes(), "echo is off after the end of file")


@test
def a_question_survives_being_stopped(platform):
    with home(platform) as me, Terminal(me, "login", "--username", "svc-demo") as terminal:
        terminal.expect("Password of svc-demo: ")
        os.kill(terminal.pid, signal.SIGTSTP)
        wait_for(terminal.echoes, "echo while stopped")
        os.kill(terminal.pid, signal.SIGCONT)
        terminal.expect("Password of svc-demo: ")
        wait_for(lambda: not terminal.echoes(), "echo off again")
        terminal.send(PASSWORD + "\n")
        terminal.expect("default: signed in")
        equal(terminal.end(), 0)


@test
def a_long_wait_is_shown(platform):
    with home(platform) as me:
        platform.good("POST", "/_dev/faults", {"match": "/auth", "count": 1, "kind": "latency",
                                               "ms": 2500})
        with Terminal(me, "login", "--username", "svc-demo") as terminal:
            terminal.hidden("Password of svc-demo: ", PASSWORD)
            terminal.expect("signing in (1 s)")
            terminal.expect("default: signed in")
            equal(terminal.end(), 0)


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
        before = sent(platform)
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
        equal(sent(platform), before, "looking sends something")


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
                    rows = [re.sub(r"\033\[[0-9;]*m", "", row) for row in
                            terminal.seen.split("Scan")[0].splitlines() if row]
                    equal({len(row) for row in rows}, {2 * len(rows) - len(rows) * 2 % 2 - 1}
                          if len(rows[0]) % 2 else {2 * len(rows)}, "a square")
                    check(set(rows[0]) == {"█"} and rows[2][:4] == "████", "a quiet zone")
                terminal.send("\x04")
                equal(terminal.end(), 64)


# ---- with a configuration


@test
def services_of_a_configuration(platform):
    with home(platform) as me:
        config(me, platform, service(me, "billing", "svc-demo") + service(me, "reports", "svc-two",
                                                                          "partner_id = fd1\n"))
        equal([(one["session"], one["service"], one["phase"]) for one in
               me.good("status", "--json").json],
              [("billing", True, "none"), ("reports", True, "none")])
        equal(me.good("sessions", "--json").json[0]["configured"], True)
        check("which session?" in me.bad(64, "headers").err, "two to choose from")
        check("Partner-Id: fd42" in me.good("headers", "billing").out, "signs in by itself")
        check("Partner-Id: fd1\n" in me.good("headers", "reports").out, "its partner")
        me.good("login", "billing")
        me.bad(64, "login", "billing", "--username", "svc-demo")
        equal(me.good("logout", "billing", "--json").json["held"], True)
        equal(error_of(me.run("headers", "billing", "--json"))["status"], "FRESHET_EHELD")
        me.good("login", "billing")
        me.good("headers", "billing")
        me.signed_in("svc-demo", "mine")
        equal([one["session"] for one in me.good("sessions", "--json").json],
              ["billing", "mine", "reports"])


@test
def the_only_service_is_meant(platform):
    with home(platform) as me:
        path = config(me, platform, service(me, "billing", "svc-demo"))
        equal(me.good("headers", "--json").json["session"], "billing")
        os.rename(path, me.path("other.conf"))
        equal(me.good("token", "--json", "--config", me.path("other.conf")).json["session"],
              "billing")
        equal(me.good("token", "--json", FRESHET_CONFIG=me.path("other.conf")).json["session"],
              "billing")
        me.bad(77, "token")
        me.bad(64, "token", "--config", me.path("other.conf"), "--url", platform.url)
        me.bad(77, "token", "--url", platform.url, FRESHET_CONFIG=me.path("other.conf"))


@test
def a_parked_service_is_completed(platform):
    with home(platform) as me:
        config(me, platform, service(me, "billing", "mfa"))
        equal(error_of(me.run("headers", "--json"))["status"], "FRESHET_EOPERATOR")
        one = me.good("status", "billing", "--json").json
        equal((one["challenge"], one["usable"]), ("FRESHET_EMFA", False))
        check("freshet mfa billing" in me.good("status").out, "what to do")
        me.bad(77, "mfa", "billing")
        with Terminal(me, "mfa", "billing") as terminal:
            terminal.answer("MFA code: ", platform.code("mfa"))
            terminal.expect("billing: signed in")
            equal(terminal.end(), 0)
        me.good("headers")


@test
def a_broken_configuration(platform):
    with home(platform) as me:
        path = me.write(".config/freshet/freshet.conf", "[platform]\nurl = http://127.0.0.1:1\n"
                        "profil = partner\n")
        for words in (("status",), ("headers",), ("login",), ("logout",), ("sessions",),
                      ("explain",), ("token",), ("key", "list")):
            result = me.bad(78, *words)
            check(f"{path}:3:" in result.err and "profile" in result.err, f"{words}: {result}")
            equal(error_of(me.run(*words, "--json"))["status"], "FRESHET_ECONFIG")
        me.good("help")
        me.bad(78, "status", "--config", me.path("none"))


@test
def without_a_platform(platform):
    with Home(BINARY) as me:
        for words in (("login",), ("headers",), ("status", "x"), ("doctor",)):
            check("FRESHET_URL" in me.bad(78, *words).err, f"{words}")
        equal(me.good("sessions", "--json").json, [])


# ---- keys


@test
def keys_are_made_listed_changed_and_dropped(platform):
    with home(platform) as me:
        me.signed_in()
        first = me.good("key", "list", "--json").json
        equal([sorted(key) for key in first], [["id", "present", "records", "sealing"]])
        equal((first[0]["sealing"], first[0]["records"]), (True, 2))
        equal(me.good("key", "rotate", "--json").json, {"records": 2})
        two = me.good("key", "list", "--json").json
        equal([(key["records"], key["sealing"]) for key in two], [(2, True), (0, False)])
        check(re.search(rf"^{first[0]['id']} .* can be pruned$", me.good("key", "list").out,
                        re.MULTILINE), "the old one")
        equal(me.good("key", "prune", "--json").json, {"dropped": 1})
        check("0 keys dropped" in me.good("key", "prune").out, "nothing more")
        me.good("headers")
        path = me.path("new.key")
        equal(me.good("key", "new", path, "--json").json, {"key_file": path})
        equal(stat.S_IMODE(os.stat(path).st_mode), 0o600)
        me.bad(78, "key", "new", path)
        me.bad(78, "key", "new")
        with Terminal(me, "key", "rotate") as terminal:
            terminal.expect("sealing anew: 2 of 2")
            terminal.expect("2 records were sealed anew")
            equal(terminal.end(), 0)


@test
def the_first_key_can_be_made_by_hand(platform):
    with home(platform) as me:
        me.good("key", "new")
        equal(me.signed_in().err, "")


@test
def a_lost_key_is_told(platform):
    with home(platform) as me:
        me.signed_in()
        key = me.path(".local/state/freshet/store.key")
        os.unlink(key)
        me.good("key", "new")
        result = me.bad(74, "headers")
        check("key" in result.err, f"{result}")
        check("missing" in me.good("key", "list").out, "in the list")


# ---- doctor


@test
def doctor_finds_what_is_wrong(platform):
    with home(platform) as me:
        path = config(me, platform, service(me, "billing", "svc-demo"))
        document = me.good("doctor", "--json").json
        equal((sorted(document), document["healthy"]), (["findings", "healthy"], True))
        checks = {finding["check"] for finding in document["findings"]}
        for name in ("config", "permissions", "platform", "clock", "store", "key"):
            check(name in checks, f"{name} is not checked: {checks}")
        check(re.search(r"^ok +platform ", me.good("doctor").out, re.MULTILINE), "in words")
        os.chmod(me.path("keys"), 0o644)
        result = me.run("doctor", "--json")
        check(result.code != 0 and not result.json["healthy"] and result.err == "", f"{result}")
        check("bad" in {finding["health"] for finding in result.json["findings"]}, f"{result}")
        result = me.run("doctor")
        check(result.code != 0 and re.search("^bad ", result.out, re.MULTILINE), f"{result}")
        os.chmod(me.path("keys"), 0o600)
        me.write(".config/freshet/freshet.conf", "nonsense\n")
        result = me.run("doctor")
        equal(result.code, 78, f"{result}")
        check(re.search(rf"^bad +config .*{re.escape(path)}:1", result.out, re.MULTILINE),
              f"{result}")


# ---- what is printed


@test
def output_that_cannot_be_written(platform):
    with home(platform) as me:
        me.signed_in()
        for words in (("headers",), ("status", "--json"), ("help",), ("version",)):
            with open("/dev/full", "w", encoding="ascii") as full:
                result = me.run(*words, stdout=full)
            equal(result.code, 74, f"{words}: {result}")
            check("No space left" in result.err or "--json" in words, f"{words}: {result}")
        reader, writer = os.pipe()
        os.close(reader)
        result = me.run("headers", stdout=writer)
        os.close(writer)
        equal((result.code, result.err), (-signal.SIGPIPE, ""))


# ---- secrets


@plain
def no_core_and_nothing_left_in_memory(platform):
    """At the question for a code the password has done its work: it is nowhere any more."""
    with home(platform) as me:
        with Terminal(me, "login", "--username", "mfa", "--password-file",
                      me.write("secret", PASSWORD + "\n")) as terminal:
            terminal.expect("MFA code: ")
            with open(f"/proc/{terminal.pid}/limits", encoding="ascii") as limits:
                check(re.search(r"^Max core file size +0 +0 ", limits.read(), re.MULTILINE),
                      "cores are on")
            equal(memory_has(terminal.pid, PASSWORD.encode()), False, "the password")


def memory_has(pid, text):
    """Whether a process has `text` anywhere. Its memory is closed to all but root."""
    found = 0
    try:
        with open(f"/proc/{pid}/maps", encoding="ascii") as maps, open(f"/proc/{pid}/mem", "rb") as mem:
            for line in maps:
                match = re.match(r"([0-9a-f]+)-([0-9a-f]+) rw", line)
                if not match:
                    continue
                start, end = (int(number, 16) for number in match.groups())
                mem.seek(start)
                try:
                    found += text in mem.read(end - start)
                except OSError:
                    pass
    except PermissionError:
        check(os.geteuid() != 0, "root may not look")
    return found > 0


def main():
    platform = Platform(DEVSERVER)
    tests = TESTS + (PLAIN_ONLY if BUILD == "plain" else [])
    wanted = os.environ.get("TEST_FILTER", "").rstrip("*")
    tests = [one for one in tests if one.__name__.startswith(wanted)]
    print(f"1..{len(tests)}", flush=True)
    failed = 0
    for number, function in enumerate(tests, 1):
        try:
            began = time.monotonic()
            function(platform)
            print(f"ok {number} - {function.__name__} # {time.monotonic() - began:.1f} s", flush=True)
        except Exception:  # every failure is that case's, and the next one's turn
            failed += 1
            for line in traceback.format_exc().splitlines():
                print("# " + line)
            print(f"not ok {number} - {function.__name__}", flush=True)
    platform.close()
    sys.exit(1 if failed else 0)


main()
