#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Plants distinctive secrets, has the programs do all they do, and looks for the secrets where they
must not be: test_canary.py FRESHET DEVSERVER PROGRAM. Prints TAP."""
import json
import os
import resource
import signal
import sqlite3
import stat
import subprocess
import sys
import tempfile

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path[:0] = [os.path.join(HERE, "..", "cli"), os.path.join(HERE, "..", "checks")]
from harness import Home, Platform, Terminal, check, wait_for  # noqa: E402
from recorder import Recorder  # noqa: E402
from search import Places, Watch, add_folder, forms, read  # noqa: E402
from tap import Tap  # noqa: E402

# Characters that every encoding changes, each account another.
PASSWORD = "Canary+{}/pass&word=9%Z?"
WRONG = "Wrong+canary/pass&word=8%Y?"
NEW = "New+canary/pass&word=7%X?"
PLACES = ("output", "arguments", "environment", "database", "file", "core")
SLOW = {"kind": "latency", "ms": 150, "count": -1, "match": "/auth"}


class Scene:
    """A platform behind a recorder, a home, and everything that is seen."""

    def __init__(self, binary, devserver, program):
        self.program = program
        self.places = Places()
        self.platform = Platform(devserver, binary)
        self.recorder = Recorder(self.platform.address)
        self.home = Home(binary, self.recorder.url)
        self.given = tempfile.mkdtemp(prefix="freshet-given-")  # where secrets may lie
        self.temporary = self.home.path("tmp")
        os.mkdir(self.temporary)
        self.home.environment.update(TMPDIR=self.temporary, FRESHET_PROFILE="partner-rotating")
        self.platform.good("PUT", "/_dev/rotation", {"rotate": True, "grace": 10})
        for user in ("svc-demo", "mfa", "newpass", "suspended"):
            self.platform.good("POST", "/_dev/accounts/" + user,
                               {"password": PASSWORD.format(user)})
        self.wrap_curl()
        self.watch = Watch(self.places)

    def close(self):
        self.watch.end()
        self.recorder.close()
        self.platform.close()
        self.home.close()

    def wrap_curl(self):
        """A curl that first tells what it was given, so that no process is too quick to be seen."""
        folder = self.home.path("bin")
        os.mkdir(folder)
        tells = self.home.path("told")
        os.mkdir(tells)
        for name in ("curl", "sh"):
            true = next(path for path in (f"/usr/bin/{name}", f"/bin/{name}")
                        if os.path.exists(path))
            path = os.path.join(folder, name)
            with open(path, "w", encoding="utf-8") as file:
                file.write(f"#!/bin/bash\ncat /proc/$$/cmdline >{tells}/arguments.$$\n"
                           f"cat /proc/$$/environ >{tells}/environment.$$\nexec {true} \"$@\"\n")
            os.chmod(path, stat.S_IRWXU)
        self.home.environment["PATH"] = folder + ":" + self.home.environment["PATH"]

    def file(self, name, text):
        path = os.path.join(self.given, name)
        with open(os.open(path, os.O_CREAT | os.O_WRONLY | os.O_TRUNC, 0o600), "w",
                  encoding="utf-8") as file:
            file.write(text + "\n")
        return path

    def password(self, user):
        return self.file("password-" + user, PASSWORD.format(user))

    def fault(self, kind, **more):
        self.platform.good("POST", "/_dev/faults", {"kind": kind, **more})

    def slow(self, slow=True):
        """While the platform takes its time there is time to look."""
        self.platform.call("DELETE", "/_dev/faults")
        if slow:
            self.fault(**SLOW)

    def look(self):
        add_folder(self.places, self.home.folder)
        for name in os.listdir(self.home.path("told")):
            self.places.add(name.split(".")[0], "told by a child",
                            read(os.path.join(self.home.path("told"), name)))

    def run(self, *arguments, **more):
        result = self.home.run(*arguments, **more)
        name = " ".join(("freshet", *arguments))
        for text in (result.out, result.err):
            self.places.add("output", name, text.encode())
        self.look()
        return result


def both(scene, *arguments):
    """As text and as JSON."""
    scene.run(*arguments)
    scene.run(*arguments, "--json")


# ---- what the programs do


def sign_in(scene):
    file = scene.password("svc-demo")
    wrong = scene.file("wrong", WRONG)
    user = ("--username", "svc-demo")
    both(scene, "login", *user, "--password-file", wrong)
    both(scene, "login", *user, "--password-command", f"cat {wrong}")
    result = scene.run("login", *user, "--password-command", f"cat {file}")
    check(result.code == 0, f"a password from a command: {result}")
    result = scene.run("login", *user, "--password-file", file)
    check(result.code == 0, f"a password from a file: {result}")
    result = scene.run("login", *user, "--password-file", "-", stdin=PASSWORD.format("svc-demo"))
    check(result.code == 0, f"a password from standard input: {result}")
    both(scene, "login", "--username", "suspended", "--password-file", scene.password("suspended"))
    both(scene, "login", "x", *user, "--password-file", file, "--state", "/proc/nowhere")


def sign_in_by_challenges(scene):
    file = scene.password("mfa")
    user = ("login", "second", "--username", "mfa", "--password-file", file)
    both(scene, *user, "--mfa-code", "000000")
    result = scene.run(*user, "--mfa-code", scene.platform.code("mfa"), "--remember-device")
    check(result.code == 0, f"a device to remember: {result}")
    result = scene.run(*user)
    check(result.code == 0, f"a device that is remembered: {result}")
    user = ("login", "third", "--username", "newpass", "--password-file", scene.password("newpass"))
    both(scene, *user)
    both(scene, *user, "--new-password-file", scene.file("weak", "weakcanary/only+lower"))
    result = scene.run(*user, "--new-password-file", scene.file("new", NEW))
    check(result.code == 0, f"a new password: {result}")


def sign_in_at_a_terminal(scene):
    with Terminal(scene.home, "login", "--username", "svc-demo") as terminal:
        terminal.hidden("assword", PASSWORD.format("svc-demo"))
        check(terminal.end() == 0, terminal.seen)
        scene.places.add("output", "freshet login at a terminal", terminal.seen.encode())
    scene.look()


def look_around(scene):
    for arguments in (["status"], ["status", "default"], ["sessions"], ["explain"], ["doctor"],
                      ["key", "list"], ["headers"], ["token"], ["key", "rotate"], ["key", "prune"],
                      ["mfa", "second", "status"]):
        both(scene, *arguments)
    api = scene.recorder.url + "/api/x"
    check(scene.run("curl", "-s", api).code == 0, "curl")
    scene.run("curl", "-s", "http://127.0.0.1:1/api/elsewhere")


def sign_in_for_a_moment(scene):
    """With a token that is used up when it comes."""
    scene.slow()
    scene.platform.good("PUT", "/_dev/lifetime", {"seconds": 1.1})
    result = scene.run("login", "--username", "svc-demo", "--password-file",
                       scene.password("svc-demo"))
    check(result.code == 0, f"a short token: {result}")
    scene.platform.good("PUT", "/_dev/lifetime", {"seconds": 3600})
    wait_for(lambda: not scene.home.run("status", "default", "--json").json["usable"],
             "the end of its use")


def refresh_and_fail(scene):
    """The platform fails in every way, and tells the refresh token back in its errors."""
    sign_in_for_a_moment(scene)
    token = scene.recorder.of_kind("refresh token")[-1]
    echo = json.dumps({"code": "OddException", "message": f"bad token {token}",
                       "error_description": token, "request": {"refresh_token": token}})
    for fault in ({"kind": "status", "status": 503}, {"kind": "html"}, {"kind": "truncate"},
                  {"kind": "body", "status": 403, "body": echo}, {"kind": "giant"},
                  {"kind": "reset_before"}):
        scene.slow(False)
        scene.fault(**fault, match="/auth", count=-1)
        both(scene, "headers", "--timeout", "1")
        both(scene, "explain")
    sign_in_for_a_moment(scene)
    check(scene.run("headers").code == 0, "the refresh in the end")
    scene.platform.good("POST", "/_dev/revoke", {"username": "svc-demo", "what": "access"})
    scene.run("curl", "-s", scene.recorder.url + "/api/x")
    both(scene, "headers")
    both(scene, "status")


def sign_out(scene):
    both(scene, "logout", "second")
    both(scene, "logout", "third", "--hold")
    both(scene, "headers", "third")
    both(scene, "explain", "third")


class Program:
    """A program that uses the library, and lives on between its calls."""

    def __init__(self, scene):
        self.scene = scene
        home = scene.home
        folder = home.path("program")
        os.makedirs(folder)
        check(home.run("key", "new", f"{folder}/key").code == 0, "a key")
        self.process = subprocess.Popen(
            [scene.program, scene.recorder.url, f"sqlite:{folder}/secrets.db",
             f"sqlite:{folder}/tokens.db", f"{folder}/key"], env=home.environment,
            cwd=home.folder, text=True, stdin=subprocess.PIPE, stdout=subprocess.PIPE,
            stderr=subprocess.PIPE)

    def ask(self, *words):
        self.process.stdin.write(" ".join(words) + "\n")
        self.process.stdin.flush()
        said = []
        while not said or said[-1] != ".\n":
            line = self.process.stdout.readline()
            check(line, f"the program ended at {words}")
            said.append(line)
        self.scene.places.add("output", "program " + " ".join(words), "".join(said).encode())
        self.scene.look()  # it is alive: so are its -wal and -shm

    def end(self):
        _, errors = self.process.communicate(timeout=30)
        self.scene.places.add("output", "program", errors.encode())
        check(self.process.returncode == 0, errors)
        self.scene.look()


def use_the_library(scene):
    program = Program(scene)
    program.ask("sign-in", "svc-demo", scene.file("wrong", WRONG))
    program.ask("sign-in", "mfa", scene.password("mfa"))
    program.ask("mfa", "000000")
    program.ask("mfa", scene.platform.code("mfa"))
    program.ask("ensure")
    program.ask("partner", "none-of-mine")
    # Three quarters of a life are asked for: a refresh each time.
    for fault in ({"kind": "status", "status": 500}, {"kind": "html"}, None):
        scene.slow(fault is None)
        if fault:
            scene.fault(**fault, match="/auth")
        program.ask("ensure", "3600000")
    check(any(name.endswith(("-wal", "-shm"))
              for name in scene.places.seen["database"].values()), "no WAL was looked at")
    program.ask("sign-out")
    program.ask("ensure")
    program.ask("sign-in", "svc-demo", scene.password("svc-demo"))
    program.end()


def die_with_secrets(scene):
    """Killed while it waits for the platform's answer, its core asked for."""
    def wish_for_cores():
        resource.setrlimit(resource.RLIMIT_CORE, (resource.RLIM_INFINITY,) * 2)

    folder = scene.home.path("cores")
    os.mkdir(folder)
    # A program without care leaves one, if this machine leaves any in the working folder.
    with open("/proc/sys/kernel/core_pattern", encoding="ascii") as file:
        here = not file.read().startswith(("|", "/"))
    careless = subprocess.Popen(
        ["sleep", "60"], cwd=folder, preexec_fn=wish_for_cores)
    careless.send_signal(signal.SIGABRT)
    careless.wait()
    left = [name for name in os.listdir(folder) if name.startswith("core")]
    check(bool(left) or not here, "no core of a careless program: the search proves nothing")
    for name in left:
        os.unlink(os.path.join(folder, name))
    scene.slow(False)
    scene.fault("latency", ms=20000, match="/auth")
    before = scene.platform.counters()["sign_in_attempts"]
    victim = subprocess.Popen(
        [scene.home.binary, "login", "--username", "svc-demo", "--password-file",
         scene.password("svc-demo")], cwd=folder, env=scene.home.environment,
        preexec_fn=wish_for_cores, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    # The observation of sign-ins in the air comes before the delay.
    wait_for(lambda: scene.platform.counters()["sign_in_in_flight"] == 1 or
             scene.platform.counters()["sign_in_attempts"] > before, "the sign-in")
    with open(f"/proc/{victim.pid}/limits", encoding="ascii") as file:
        limits = [line.split() for line in file if line.startswith("Max core file size")]
    check(limits[0][4] == "0", f"cores are allowed: {limits}")
    victim.send_signal(signal.SIGABRT)
    out, err = victim.communicate(timeout=30)
    scene.places.add("output", "freshet that was killed", out + err)
    scene.look()
    check(not os.listdir(folder), f"it leaves {os.listdir(folder)}")
    scene.platform.call("DELETE", "/_dev/faults")


ACTS = (sign_in, sign_in_by_challenges, sign_in_at_a_terminal, look_around, refresh_and_fail,
        sign_out, use_the_library, die_with_secrets)


# ---- the search proves itself


def plant(places, secret, folder):
    """One canary in each kind of place."""
    places.add("output", "planted", b"error: " + secret.encode() + b"\n")
    children = [subprocess.Popen(["sleep", "60", "0." + "0" * 3], env={"PLANTED": secret}),
                subprocess.Popen(["bash", "-c", "read", secret], stdin=subprocess.PIPE)]
    watch = Watch(places)
    wait_for(lambda: {"sleep", "bash"} <= watch.names, "the planted processes")
    watch.end()
    for child in children:
        child.kill()
        child.wait()
    base = sqlite3.connect(os.path.join(folder, "base.db"))
    base.execute("CREATE TABLE t (x)")
    base.execute("INSERT INTO t VALUES (?)", (secret,))
    base.commit()
    base.close()
    log = sqlite3.connect(os.path.join(folder, "log.db"))
    log.execute("PRAGMA journal_mode=WAL")
    log.execute("CREATE TABLE t (x)")
    log.execute("INSERT INTO t VALUES (?)", (secret,))
    log.commit()
    for name in ("tmpfile", "core.1", "index.db-shm"):
        with open(os.path.join(folder, name), "wb") as file:
            file.write(b"\0" * 5000 + secret.encode() + b"\0")
    add_folder(places, folder)
    log.close()


def planted_is_found(folder):
    secret = PASSWORD.format("planted")
    places, problems = Places(), []
    plant(places, secret, folder)
    for place in PLACES:
        if not places.find({secret: "planted"}, place):
            problems.append(f"a canary in {place} is not found")
    names = {os.path.basename(name) for _, name, _ in places.find({secret: "planted"}, "database")}
    for name in ("base.db", "log.db-wal", "index.db-shm"):
        if name not in names:
            problems.append(f"a canary in {name} is not found")
    return problems


def encoded_is_found():
    secret = PASSWORD.format("encoded") + "-and-long-enough-to-be-cut-in-pieces"
    problems = []
    for form in set(forms(secret)):
        places = Places()
        places.add("output", "planted", b"prefix" + form + b"suffix")
        if not places.find({secret: "planted"}, "output"):
            problems.append(f"{form!r} is not found")
    places = Places()
    places.add("output", "none", b"Canary+encoded/pass&word=9%Z, all but the whole")
    if places.find({secret: "planted"}, "output"):
        problems.append("what is not there is found")
    return problems


# ---- the verdict


def allowed(name, kind):
    """Who prints headers prints the access token, and nothing else of it all."""
    return kind == "access token" and name.split()[:2] in (["freshet", "headers"],
                                                           ["freshet", "token"])


def secrets_were_there(scene):
    wanted = {"password": 6, "refresh token": 8, "device key": 2, "challenge session": 3,
              "access token": 8}
    return [f"only {len(scene.recorder.of_kind(kind))} of the kind {kind} passed"
            for kind, count in wanted.items() if len(scene.recorder.of_kind(kind)) < count]


def places_were_seen(scene):
    wanted = {"output": 50, "arguments": 20, "environment": 10, "database": 20, "file": 3}
    problems = [f"{place} was looked at {scene.places.count(place)} times only"
                for place, count in wanted.items() if scene.places.count(place) < count]
    return problems + [f"{name} was never seen to run" for name in
                       ("freshet", "curl", os.path.basename(scene.program))
                       if name not in scene.watch.names]


def tokens_are_printed(scene):
    """What is allowed happens: else the search would find nothing for the wrong reason."""
    access = {text: "access token" for text in scene.recorder.of_kind("access token")}
    names = {name.split()[1] for _, name, _ in scene.places.find(access, "output")}
    return [] if {"headers", "token"} <= names else [f"access tokens are printed by {names} alone"]


def absent(scene, place):
    found = scene.places.find(dict(scene.recorder.secrets), place, allowed)
    return sorted({f"a {kind} in {where}: {name}" for where, name, kind in found})


def main():
    tap = Tap()
    with tempfile.TemporaryDirectory() as folder:
        tap.case("planted canaries are found", planted_is_found(folder))
    tap.case("encoded canaries are found", encoded_is_found())
    scene = Scene(*map(os.path.abspath, sys.argv[1:4]))
    try:
        for act in ACTS:
            problems = []
            scene.slow()
            try:
                act(scene)
            except Exception as error:  # pylint: disable=broad-except
                problems = f"{type(error).__name__}: {error}".splitlines()
            tap.case("does " + act.__name__, problems)
        scene.look()
        tap.case("secrets of every kind passed", secrets_were_there(scene))
        tap.case("every place was looked at", places_were_seen(scene))
        tap.case("access tokens are printed where they are asked for", tokens_are_printed(scene))
        for place in PLACES:
            tap.case(f"no secret in {place}", absent(scene, place))
    finally:
        scene.close()
    tap.end()


main()
