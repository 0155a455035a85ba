# SPDX-License-Identifier: Apache-2.0
"""Signing in, with and without a terminal."""

import os
import signal
import stat

from harness import NEW_PASSWORD, PASSWORD, Terminal, check, equal, error_of, home, test, wait_for


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
