# SPDX-License-Identifier: Apache-2.0
"""With a configuration: services, keys, doctor."""

import contextlib
import os
import re
import sqlite3
import stat

from harness import PASSWORD, Terminal, check, equal, error_of, home, test


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
    with home(platform, url=False) as me:
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
        result = me.bad(74, "headers", "--timeout", "1")
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
        me.write(".config/freshet/freshet.conf", "[platform]\nulr = x\n[keeper]\nlog_level = loud\n")
        found = me.run("doctor", "--json").json["findings"]
        check(any(":2" in one["text"] for one in found) and any(":4" in one["text"] for one in found),
              f"all that is wrong: {found}")


@test
def doctor_counts_what_labels_are_sealed_with(platform):
    """Labels are the keeper's of its browsers' sessions; a lost key is told of though it seals
    nothing else."""
    def keys_told():
        found = me.run("doctor", "--json").json["findings"]
        return [one["text"] for one in found if one["check"] == "key" and one["health"] == "bad"]

    with home(platform) as me:
        config(me, platform, service(me, "billing", "svc-demo"))
        me.good("headers")
        equal(keys_told(), [])
        with contextlib.closing(sqlite3.connect(me.path("secrets.db"))) as secrets, secrets:
            (key,), = secrets.execute("SELECT key FROM session")
            secrets.executemany("INSERT INTO label(name, sealed, key) VALUES(?, x'00', ?)",
                                [("browser-1", key), ("browser-2", key), ("browser-3", "0badc0de")])
        check("secrets.db is sound; 1 record," in me.run("doctor").out, "labels are no records")
        lost, = keys_told()
        check(lost.startswith("key 0badc0de seals 1 of the secrets and is not in"), lost)
        os.unlink(me.path("keys"))
        me.good("key", "new", me.path("keys"))
        told = sorted(keys_told())
        check(any(one.startswith(f"key {key} seals 3 of the secrets and is not in") for one in told),
              f"a record and two labels: {told}")
