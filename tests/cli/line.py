# SPDX-License-Identifier: Apache-2.0
"""The line itself, what is printed, and what is left of secrets."""

import os
import re
import signal

from harness import PASSWORD, Terminal, check, equal, error_of, home, plain_test, test


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


@plain_test
def no_core_and_nothing_left_in_memory(platform):
    """At the question for a code the password has done its work: it is nowhere any more."""
    with home(platform) as me:
        file = me.write("secret", PASSWORD + "\n")
        for options in (("--password-file", file), ("--password-command", "cat " + file), ()):
            with Terminal(me, "login", "--username", "mfa", *options) as terminal:
                if not options:
                    terminal.hidden("Password of mfa: ", PASSWORD)
                terminal.expect("MFA code: ")
                with open(f"/proc/{terminal.pid}/limits", encoding="ascii") as limits:
                    check(re.search(r"^Max core file size +0 +0 ", limits.read(), re.MULTILINE),
                          "cores are on")
                equal(memory_has(terminal.pid, PASSWORD.encode()), False, f"{options}")


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
