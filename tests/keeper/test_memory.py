# SPDX-License-Identifier: Apache-2.0
"""After thousands of refreshes of a rotating platform: whether a refresh token is anywhere but where it must
be. The programs as they ship: sanitizers keep what was freed.

usage: test_memory.py FRESHETD DEVSERVER FRESHET WORLD PROGRAM
where PROGRAM is that of tests/canary
"""
import json
import os
import subprocess
import sys
import tempfile
import threading

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "canary"))
import memory  # noqa: E402
from harness import (Keeper, Lab, Platform, UnixConnection, World, check, equal, exchange,  # noqa: E402
                     wait_for)
from recorder import Recorder  # noqa: E402
from search import Places, Watch, add_folder, forms  # noqa: E402
from tap import Tap  # noqa: E402

HOUR = 3600
ROUNDS = 30
SERVICES = 100
REFRESHES = 2500  # at least; each brings a new refresh token
PASSWORD = "Memory+{}/pass&word=9%Z?"
NEW_PASSWORD = "Memory+new/pass&word=7%X?"
ORIGIN = "http://127.0.0.1:8080"
WRITES = {"Origin": ORIGIN, "X-Freshet-CSRF": "1"}

# A client in another language, which asks as long as it is told to.
CLIENT = """
import http.client, json, socket, sys
class Connection(http.client.HTTPConnection):
    def connect(self):
        self.sock = socket.socket(socket.AF_UNIX)
        self.sock.connect(sys.argv[1])
connection = Connection("localhost")
kept = []
for line in sys.stdin:
    method, path, headers, body = json.loads(line)
    try:
        connection.request(method, path, body, headers)
        answer = connection.getresponse()
    except (ConnectionError, http.client.HTTPException):  # it was idle for an hour
        connection.close()
        connection.request(method, path, body, headers)
        answer = connection.getresponse()
    kept.append(answer.read())
    print(json.dumps([answer.status, dict(answer.headers.items()), kept[-1].decode()]), flush=True)
    del kept[:-50]
"""


class Client:
    """Another process that speaks to a socket of the keeper, and lives on: a program, or a front."""

    def __init__(self, path):
        self.process = subprocess.Popen([sys.executable, "-c", CLIENT, path], text=True,
                                        stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        self.lock = threading.Lock()

    def ask(self, method, path, headers=None, body=None):
        with self.lock:
            self.process.stdin.write(json.dumps([method, path, headers or {},
                                                 None if body is None else json.dumps(body)]) + "\n")
            self.process.stdin.flush()
            status, headers, body = json.loads(self.process.stdout.readline())
        return status, headers, json.loads(body) if body else None

    def end(self):
        self.process.stdin.close()
        self.process.wait()
        self.process.stdout.close()


class Program:
    """A program that uses the library in remote mode, and lives on."""

    def __init__(self, program, keeper):
        self.process = subprocess.Popen([program, "-", "keeper:" + keeper.control, "memory:", "-", "service-7"],
                                        text=True, stdin=subprocess.PIPE, stdout=subprocess.PIPE)

    def ask(self, *words):
        self.process.stdin.write(" ".join(words) + "\n")
        self.process.stdin.flush()
        said = []
        while not said or said[-1] != ".\n":
            said.append(self.process.stdout.readline())
            check(said[-1], f"the program ended at {words}: {said}")
        return said


class Recorded:
    """A platform as the keeper sees it: through the recorder."""

    def __init__(self, platform, recorder):
        self.platform, self.url = platform, recorder.url

    def __getattr__(self, name):
        return getattr(self.platform, name)


class Scene:
    def __init__(self, lab):
        self.world = World(sys.argv[4])
        self.platform = Platform(lab.devserver, "--clock", self.world.path, "--rotate", "--grace", "10")
        self.recorder = Recorder(self.platform.address)
        self.places = Places()
        self.watch = Watch(self.places)
        self.services = {f"service-{i}": self.account(f"load-{i}") for i in range(SERVICES)}
        self.keeper = Keeper(lab, {**self.services, "parked": self.account("mfa")},
                             browser={"origin": ORIGIN, "idle_timeout": "30d",
                                      "absolute_timeout": "30d"}, world=self.world,
                             platform=Recorded(self.platform, self.recorder))
        with open(self.keeper.config, "r+", encoding="utf-8") as file:
            text = file.read().replace("[platform]\n", "[platform]\nprofile = partner-rotating\n")
            file.seek(0)
            file.write(text)
        self.others = {}  # name -> process
        self.cookies = []

    def account(self, username):
        password = PASSWORD.format(username)
        self.platform.account(username, password=password)
        return {"username": username, "password": password, "allow": "uid:0 read report"}

    def close(self):
        self.watch.end()
        for process in self.others.values():
            process.kill()
            process.wait()
        self.keeper.close()
        self.recorder.close()
        self.platform.close()
        self.world.close()

    # ---- where is what

    def secrets(self, *kinds):
        """Those of the recorder; of many refresh tokens all, of their forms those of some."""
        return {text: kind for kind in kinds for text in self.recorder.of_kind(kind)}

    def found_in(self, pid, index):
        return [f"a {kind} in {where}: {needle!r}" for where, kind, needle in
                index.find(memory.image(pid))]


# ---- what happens


def sign_in_in_every_way(scene):
    keeper = scene.keeper.start()
    for name in scene.services:
        keeper.signed_in(name)
    wait_for(lambda: keeper.status("parked")["challenge"] == "FRESHET_EMFA", "parks")
    equal(keeper.call("POST", "/v1/sessions/parked/sign-in").code, "FRESHET_EMFA")
    answer = keeper.call("POST", "/v1/sessions/parked/mfa", {"code": scene.platform.code("mfa")})
    equal(answer.status, 200, repr(answer))
    for number in range(3):
        scene.account(f"load-{1000 + number}")
        answer = keeper.call("POST", f"/v1/sessions/person-{number}/sign-in",
                             {"username": f"load-{1000 + number}",
                              "password": PASSWORD.format(f"load-{1000 + number}")})
        equal(answer.status, 200, repr(answer))
    scene.account("newpass")
    answer = keeper.call("POST", "/v1/sessions/person-new/sign-in",
                         {"username": "newpass", "password": PASSWORD.format("newpass")})
    equal(answer.code, "FRESHET_ENEWPASSWORD")
    answer = keeper.call("POST", "/v1/sessions/person-new/new-password",
                         {"new_password": NEW_PASSWORD})
    equal(answer.status, 200, repr(answer))


def cookie_of(headers):
    return headers["Set-Cookie"].partition(";")[0]


def browsers_sign_in(scene):
    """By way of a front, which sees their passwords go by."""
    front = scene.front = Client(scene.keeper.browser)
    scene.others["front"] = front.process
    for number in range(5):
        scene.account(f"load-{2000 + number}")
        status, headers, body = front.ask(
            "POST", "/freshet/sign-in", {**WRITES, "Content-Type": "application/json"},
            {"username": f"load-{2000 + number}", "password": PASSWORD.format(f"load-{2000 + number}")})
        equal(status, 200, body)
        scene.cookies.append(cookie_of(headers))


def others_use_them(scene):
    client = scene.client = Client(scene.keeper.control)
    scene.others["client"] = client.process
    for name in list(scene.services)[:5]:
        equal(client.ask("GET", f"/v1/sessions/{name}/headers")[0], 200)
        equal(client.ask("GET", f"/v1/sessions/{name}/token")[0], 200)
        equal(client.ask("GET", f"/v1/sessions/{name}/explain")[0], 200)
    program = Program(sys.argv[5], scene.keeper)
    scene.others["program"] = program.process
    scene.program = program
    program.ask("ensure")


def thousands_of_refreshes(scene):
    """An hour passes, again and again: each session is refreshed, and its token replaced."""
    for _ in range(ROUNDS):
        before = scene.platform.counter("refreshes")
        scene.world.advance(HOUR - 60)
        for name in scene.services:
            equal(scene.keeper.headers(name, min_valid_ms=1800000).status, 200, name)
        for cookie in scene.cookies:
            status, _, body = scene.front.ask("GET", "/authz", {"Cookie": cookie,
                                                                "X-Forwarded-Method": "GET"})
            equal(status, 200, body)
        scene.client.ask("GET", "/v1/sessions/service-1/headers")
        scene.program.ask("ensure")
        wait_for(lambda b=before: scene.platform.counter("refreshes") >= b + SERVICES, "refreshes")
    check(scene.platform.counter("refreshes") >= REFRESHES, scene.platform.counters())
    tokens = len(scene.recorder.of_kind("refresh token"))
    check(tokens >= REFRESHES, f"{tokens} refresh tokens")


def no_flight_is_in_the_air(scene):
    """Every token is fresh, and the clock is ours: nothing is due before it is moved again. A flight has
    ended when its token is served, since a rotating platform's are committed before."""
    def fresh(usable_ms):
        return usable_ms > 1800000

    everybody = {*scene.services, "parked", "person-0", "person-1", "person-2", "person-new"}
    for name in everybody:
        wait_for(lambda n=name: fresh(scene.keeper.headers(n, min_valid_ms=1800000).json["usable_ms"]), name)
    for cookie in scene.cookies:
        wait_for(lambda c=cookie: fresh(scene.front.ask("GET", "/freshet/session", {"Cookie": c})[2]["usable_ms"]),
                 "a browser")
    listed = {session["name"]: session for session in scene.keeper.get("/v1/sessions").json["sessions"]}
    equal(set(listed), everybody)
    equal([name for name, session in listed.items() if session["next_ms"] < 1800000], [])
    scene.quiet = scene.platform.counter("refresh_attempts")
    equal(scene.platform.counter("refresh_in_flight"), 0)


# ---- the verdicts


def not_in_other_processes(scene):
    index = memory.Index(scene.secrets("refresh token", "device key", "challenge session"))
    return [f"{name}: {what}" for name, process in scene.others.items()
            for what in scene.found_in(process.pid, index)]


def access_tokens_are_in_others(scene):
    """Else nothing would have been found there for the wrong reason."""
    index = memory.Index(scene.secrets("access token"))
    return [f"no access token in the {name}" for name, process in scene.others.items()
            if not scene.found_in(process.pid, index)]


def not_in_cores(scene):
    problems = []
    index = memory.Index(scene.secrets("refresh token", "device key", "challenge session"))
    with tempfile.TemporaryDirectory() as folder:
        for name, process in scene.others.items():
            path = os.path.join(folder, name)
            subprocess.run(["gcore", "-o", path, str(process.pid)], check=True, timeout=120,
                           stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
            with open(f"{path}.{process.pid}", "rb") as file:
                problems += [f"core of the {name}: a {kind}: {needle!r}" for _, kind, needle in
                             index.find([(path, file.read())])]
    return problems


def not_in_the_keeper_between_flights(scene):
    """Its sessions live: their refresh tokens are sealed."""
    index = memory.Index(scene.secrets("refresh token", "device key", "challenge session", "password"))
    found = scene.found_in(scene.keeper.process.pid, index)
    equal(scene.platform.counter("refresh_attempts"), scene.quiet, "no flight meanwhile")
    return found


def access_tokens_are_in_the_keeper(scene):
    index = memory.Index(scene.secrets("access token"))
    return [] if scene.found_in(scene.keeper.process.pid, index) else ["none"]


def everybody_signs_out(scene):
    keeper = scene.keeper
    for name in [*scene.services, "parked"]:
        equal(keeper.call("POST", f"/v1/sessions/{name}/sign-out", {"hold": True}).status, 204, name)
    for name in ["person-0", "person-1", "person-2", "person-new"]:
        equal(keeper.call("POST", f"/v1/sessions/{name}/sign-out").status, 204, name)
    for cookie in scene.cookies:
        status, _, body = scene.front.ask("POST", "/freshet/sign-out",
                                          {**WRITES, "Cookie": cookie})
        equal(status, 204, body)


def not_in_the_keeper_after_sign_out(scene):
    """Nor the tokens that it handed out, in any answer that it kept."""
    index = memory.Index(scene.secrets("refresh token", "device key", "challenge session", "password",
                                       "access token"))
    return scene.found_in(scene.keeper.process.pid, index)


def not_in_files(scene):
    places = Places()
    given = [os.path.join(scene.keeper.folder, name) for name in os.listdir(scene.keeper.folder)
             if name.endswith(".password")]
    add_folder(places, scene.keeper.folder, omit=given)
    index = memory.Index(scene.secrets("refresh token", "device key", "challenge session", "password",
                                       "access token"))
    problems = [f"no {kind} was looked at" for kind in ("database", "file") if not places.count(kind)]
    for place in ("database", "file"):
        for content, name in places.seen.get(place, {}).items():
            problems += [f"a {kind} in {name}" for _, kind, _ in index.find([(name, content)])]
    return problems


def not_in_arguments_or_environment(scene):
    scene.watch.look()
    index = memory.Index(scene.secrets("refresh token", "device key", "challenge session", "password",
                                       "access token"))
    problems = [] if "freshetd" in scene.watch.names else [f"not seen: {scene.watch.names}"]
    scene.watch.end()
    for place in ("arguments", "environment"):
        for content, name in scene.places.seen.get(place, {}).items():
            problems += [f"a {kind} in the {place} of {name}"
                         for _, kind, _ in index.find([(name, content)])]
    return problems


STEPS = (
    sign_in_in_every_way, browsers_sign_in, others_use_them, thousands_of_refreshes,
    no_flight_is_in_the_air, not_in_other_processes, access_tokens_are_in_others, not_in_cores,
    access_tokens_are_in_the_keeper, not_in_the_keeper_between_flights, not_in_files,
    everybody_signs_out, not_in_the_keeper_after_sign_out, not_in_arguments_or_environment,
)


def main():
    tap = Tap()
    tap.case("what_is_planted_is_found", memory.proof())
    lab = Lab(*sys.argv[1:4])
    scene = Scene(lab)
    try:
        for step in STEPS:
            try:
                problems = step(scene) or []
            except Exception as error:  # pylint: disable=broad-except
                problems = f"{type(error).__name__}: {error}".splitlines()
            tap.case(step.__name__, problems)
    finally:
        scene.close()
        lab.close()
    tap.end()


main()
