# SPDX-License-Identifier: Apache-2.0
"""Runs freshetd in front of a devserver, and speaks to its sockets: HTTP/1.1 by http.client, or bytes
as a test likes them."""
import contextlib
import http.client
import importlib.util
import json
import mmap
import os
import pickle
import shutil
import signal
import socket
import struct
import subprocess
import sys
import tempfile
import time
import traceback
import urllib.parse

TESTS = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
sys.path.insert(0, os.path.join(TESTS, "checks"))
from tap import Tap  # noqa: E402  pylint: disable=wrong-import-position


def _load(name, *path):
    spec = importlib.util.spec_from_file_location(name, os.path.join(TESTS, *path))
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


_cli = _load("cli_harness", "cli", "harness.py")  # its name is this file's, too
PASSWORD, NEW_PASSWORD, PATIENCE = _cli.PASSWORD, _cli.NEW_PASSWORD, _cli.PATIENCE
check, equal, wait_for = _cli.check, _cli.equal, _cli.wait_for

# What a sanitizer's report contains.
REPORTS = ("Sanitizer", "runtime error:")

# Nobody's in particular: no account of the machine has them.
STRANGER_UID, STRANGER_GID = 54321, 54322


class Platform(_cli.Platform):
    """A devserver, with options of its own, whose clocks may run ahead."""

    def __init__(self, binary, *options):
        self.folder = tempfile.mkdtemp(prefix="freshet-platform-")
        self.tested = None
        port_file = os.path.join(self.folder, "port")
        self.process = subprocess.Popen([binary, "--listen", "127.0.0.1:0", "--port-file", port_file,
                                         "--quiet", *options])
        try:
            wait_for(lambda: self.process.poll() is not None or
                     os.path.exists(port_file) and os.path.getsize(port_file), "the devserver")
            check(self.process.poll() is None, f"the devserver ends with {self.process.poll()}")
        except AssertionError:
            self.close()
            raise
        with open(port_file, encoding="ascii") as file:
            self.address = file.read().strip()
        self.url = "http://" + self.address

    def counter(self, name):
        return self.counters()[name]

    def fault(self, kind, **more):
        self.good("POST", "/_dev/faults", {"kind": kind, **more})

    def hold(self, match, **more):
        """Whoever asks waits, until the faults are cleared: for less than the 15 s that a keeper waits."""
        self.fault("latency", match=match, ms=300000, count=-1, **more)

    def clear_faults(self):
        status, _ = self.call("DELETE", "/_dev/faults")
        check(status < 300, f"faults are not cleared: {status}")

    def revoke(self, username, what):
        self.good("POST", "/_dev/revoke", {"username": username, "what": what})

    def lifetime(self, seconds):
        self.good("PUT", "/_dev/lifetime", {"seconds": seconds})

    def account(self, username, **what):
        self.good("POST", "/_dev/accounts/" + username, what)


class World:
    """A file that world.c follows: how far the clocks of a devserver and of keepers run ahead, and
    whether the keepers' disk is full."""

    def __init__(self, preload):
        self.preload = os.path.abspath(preload)
        with tempfile.NamedTemporaryFile(prefix="freshet-world-", delete=False) as file:
            file.write(bytes(16))
            self.path = file.name
        with open(self.path, "r+b") as file:
            self.map = mmap.mmap(file.fileno(), 16)

    def close(self):
        self.map.close()
        os.unlink(self.path)

    def _put(self, at, value):
        self.map[at:at + 8] = struct.pack("=q", value)

    def advance(self, seconds):
        ahead, = struct.unpack("=q", self.map[0:8])
        self._put(0, ahead + int(seconds * 1e9))

    def disk_full(self, full):
        self._put(8, int(full))

    def environment(self):
        """What a program needs to live in it."""
        options = os.environ.get("ASAN_OPTIONS", "")
        return {"LD_PRELOAD": self.preload, "FRESHET_TEST_WORLD": self.path,
                "ASAN_OPTIONS": ":".join(filter(None, (options, "verify_asan_link_order=0")))}


class UnixConnection(http.client.HTTPConnection):
    """A connection of http.client over a Unix socket."""

    def __init__(self, path, timeout=PATIENCE):
        super().__init__("localhost", timeout=timeout)
        self.path = path

    def connect(self):
        self.sock = unix_socket(self.path, self.timeout)


def unix_socket(path, timeout=PATIENCE):
    sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        # Waits where the backlog is full, which a socket with a timeout of Python does not.
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_SNDTIMEO, struct.pack("ll", PATIENCE, 0))
        sock.connect(path)
        sock.settimeout(timeout)
    except BaseException:
        sock.close()
        raise
    return sock


class Answer:
    """An answer. `json` is its document, or None without a body."""

    def __init__(self, status, headers, body):
        self.status, self.headers, self.body = status, headers, body

    @property
    def json(self):
        return json.loads(self.body) if self.body else None

    @property
    def code(self):
        """Our status in a problem."""
        check((self.headers["Content-Type"] or "").startswith("application/problem+json"),
              f"no problem: {self}")
        return self.json["code"]

    def __repr__(self):
        return f"{self.status} {dict(self.headers.items())} {self.body!r}"


def exchange(connection, method, path, body=None, headers=None):
    """One request on an open connection; `body` is a document, or bytes as they are."""
    headers = dict(headers or {})
    if body is not None and not isinstance(body, bytes):
        body = json.dumps(body).encode()
        headers.setdefault("Content-Type", "application/json")
    connection.request(method, path, body, headers)
    response = connection.getresponse()
    return Answer(response.status, response.headers, response.read())


def read_answer(stream):
    """The next answer in a stream."""
    line = stream.readline()
    check(line.startswith(b"HTTP/1.1 "), f"no answer: {line!r}")
    headers = http.client.parse_headers(stream)
    return Answer(int(line[9:12]), headers, stream.read(int(headers["Content-Length"] or 0)))


def request(path_of_socket, method, path, body=None, headers=None, timeout=PATIENCE):
    connection = UnixConnection(path_of_socket, timeout)
    try:
        return exchange(connection, method, path, body, headers)
    finally:
        connection.close()


def with_query(path, **arguments):
    arguments = {name: value for name, value in arguments.items() if value is not None}
    return path + ("?" + urllib.parse.urlencode(arguments) if arguments else "")


class Child:
    """A function in a process of its own, whose result `result` waits for. As another user, when one
    is named: group ids of nobody but those given."""

    living = []  # a case that fails leaves some behind: run_cases ends them

    def __init__(self, function, uid=None, gid=None, groups=()):
        reader, writer = os.pipe()
        self.pid = os.fork()
        if self.pid == 0:
            self._run(function, writer, uid, gid, groups)
        os.close(writer)
        self.reader = os.fdopen(reader, "rb")
        Child.living.append(self)

    @staticmethod
    def _run(function, writer, uid, gid, groups):
        try:
            if uid is not None:
                os.setgroups(list(groups))
                os.setresgid(gid, gid, gid)
                os.setresuid(uid, uid, uid)
            outcome = (True, function())
        except BaseException:  # pylint: disable=broad-except
            outcome = (False, traceback.format_exc())
        try:
            with os.fdopen(writer, "wb") as file:
                pickle.dump(outcome, file)
        finally:
            os._exit(0)

    def result(self):
        data = self.reader.read()
        self.reader.close()
        os.waitpid(self.pid, 0)
        Child.living.remove(self)
        check(data, "the child ended without a word")
        good, value = pickle.loads(data)
        check(good, f"in the child: {value}")
        return value

    def kill(self):
        self.reader.close()
        os.kill(self.pid, signal.SIGKILL)
        os.waitpid(self.pid, 0)
        Child.living.remove(self)


def as_user(function, uid=STRANGER_UID, gid=STRANGER_GID, groups=()):
    """Calls it as another user, which only root can; its result goes through pickle."""
    return Child(function, uid, gid, groups).result()


class Keeper:
    """A freshetd with a folder of its own. `sessions` maps a session's name to its keys, of which
    `password` is written into a file and `allow` may be a list; `browser` and `keeper` are keys of
    those sections. Not started yet."""

    def __init__(self, lab, sessions=None, browser=None, keeper=None, platform=None, world=None):
        self.lab = lab
        self.world = world
        self.platform = platform or lab.platform
        self.folder = tempfile.mkdtemp(prefix="freshet-keeper-")
        os.chmod(self.folder, 0o755)  # others come as far as the sockets
        self.control = self.path("control.sock")
        self.browser = self.path("browser.sock")
        self.log_path = self.path("log")
        self.process = None
        self.key_file = self.path("store.key")
        subprocess.run([lab.freshet, "key", "new", self.key_file], check=True, timeout=PATIENCE,
                       stdout=subprocess.DEVNULL, env=self.environment())
        self.configure(sessions or {}, browser, keeper)

    def path(self, *names):
        return os.path.join(self.folder, *names)

    def write(self, name, text, mode=0o600):
        with open(os.open(self.path(name), os.O_CREAT | os.O_WRONLY | os.O_TRUNC, mode), "w",
                  encoding="utf-8") as file:
            file.write(text)
        return self.path(name)

    def environment(self, **more):
        sanitizers = {name: value for name, value in os.environ.items()
                      if name.endswith("SAN_OPTIONS")}
        return {"HOME": self.folder, "PATH": os.environ["PATH"], "LANG": "C.UTF-8", **sanitizers,
                **more}

    # ---- its configuration

    def configure(self, sessions, browser=None, keeper=None):
        """Writes freshet.conf, anew if need be."""
        sections = [
            ("platform", {"url": self.platform.url}),
            ("store", {"secrets": "sqlite:secrets.db", "tokens": "sqlite:tokens.db",
                       "key_file": "store.key"}),
            ("keeper", {"control_socket": "control.sock",
                        **({"browser_socket": "browser.sock"} if browser is not None else {}),
                        **(keeper or {})}),
        ]
        if browser is not None:
            sections.append(("browser", browser))
        for name, keys in sessions.items():
            sections.append(("session " + name, self._session(name, dict(keys))))
        self.config = self.write("freshet.conf", "\n".join(
            f"[{name}]\n" + "".join(f"{key} = {line}\n" for key, value in keys.items()
                                    for line in (value if isinstance(value, list) else [value]))
            for name, keys in sections))

    def _session(self, name, keys):
        password = keys.pop("password", None)
        if password is not None:
            keys["password_file"] = os.path.basename(self.write(name + ".password", password + "\n"))
        return keys

    # ---- its life

    def start(self, *arguments, ready=True, before=None, **environment):
        """Starts it; returns when it answers. `before` runs in the child, before freshetd."""
        check(self.process is None, "it runs")
        if self.world:
            environment = {**self.world.environment(), **environment}
        with open(self.log_path, "ab") as log:
            self.process = subprocess.Popen(
                [self.lab.freshetd, "--config", self.config, *arguments], stdin=subprocess.DEVNULL,
                stdout=log, stderr=log, cwd=self.folder, env=self.environment(**environment),
                preexec_fn=before)
        if ready:
            wait_for(self._answers, "freshetd answers")
        return self

    def _answers(self):
        check(self.process.poll() is None, f"freshetd ended: {self.process.poll()}\n{self.log()}")
        try:
            return request(self.control, "GET", "/v1/platform").status
        except (FileNotFoundError, ConnectionError):
            return False

    def wait(self):
        """Waits for its end; its exit code, or minus the signal."""
        try:
            code = self.process.wait(PATIENCE)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
            raise AssertionError(f"freshetd does not end\n{self.log()}") from None
        finally:
            self.process = None
        self.clean()
        return code

    def stop(self):
        self.process.terminate()
        equal(self.wait(), 0, "exit code after SIGTERM")

    def kill(self):
        """kill -9."""
        self.process.kill()
        equal(self.wait(), -signal.SIGKILL, "exit code after SIGKILL")

    def restart(self):
        self.stop()
        self.start()

    def reload(self):
        self.process.send_signal(signal.SIGHUP)

    def log(self):
        with open(self.log_path, encoding="utf-8", errors="replace") as file:
            return file.read()

    def clean(self):
        """No sanitizer has found anything so far."""
        log = self.log()
        check(not any(word in log for word in REPORTS), "a sanitizer reports:\n" + log)

    def close(self):
        if self.process:
            self.process.kill()
            self.process.wait()
            self.process = None
        shutil.rmtree(self.folder)

    def __enter__(self):
        return self.start()

    def __exit__(self, kind, *_):
        try:
            if self.process and kind is None:
                self.stop()
            elif kind is not None:
                sys.stderr.write(self.log())
        finally:
            self.close()

    # ---- its sockets

    def get(self, path, headers=None, **arguments):
        return self.call("GET", with_query(path, **arguments), None, headers)

    def call(self, method, path, body=None, headers=None):
        return self._judged(method, path, request(self.control, method, path, body, headers))

    def browse(self, method, path, body=None, headers=None):
        return self._judged(method, path, request(self.browser, method, path, body, headers))

    def _judged(self, method, path, answer):
        if self.lab.contract:
            problems = self.lab.contract.judge(method, path, answer)
            check(not problems, "\n".join(problems + [repr(answer)]))
        return answer

    def status(self, name):
        answer = self.get("/v1/sessions/" + name)
        equal(answer.status, 200, f"status of {name}: {answer}")
        return answer.json

    def headers(self, name, headers=None, **arguments):
        return self.get(f"/v1/sessions/{name}/headers", headers, **arguments)

    def settled(self, name):
        """Waits until all that is due is done."""
        wait_for(lambda: self.status(name)["next_ms"] > 0, name + " has done what is due")

    def waiting(self, name, count):
        """Waits until so many callers wait for a session's token, or have waited."""
        wait_for(lambda: self.status(name)["waited"] == count, f"{count} callers wait for {name}")

    def signed_in(self, name):
        """Waits until a session is usable."""
        return wait_for(lambda: (status := self.status(name))["usable"] and status, name + " signs in")


class Lab:
    """The programs under test, and a devserver that is shared. With a contract (contract.py) every
    answer is held to it."""

    def __init__(self, freshetd, devserver, freshet, contract=None):
        self.contract = contract
        self.freshetd, self.devserver, self.freshet = map(os.path.abspath,
                                                          (freshetd, devserver, freshet))
        self.platform = Platform(self.devserver)

    def close(self):
        self.platform.close()

    def keeper(self, sessions=None, **more):
        return Keeper(self, sessions, **more)

    def service(self, username="svc-demo", **more):
        """The keys of a service session."""
        return {"username": username, "password": PASSWORD, **more}


@contextlib.contextmanager
def world_of(lab, sessions=None, **more):
    """A platform and a keeper whose clocks a case can move. The program's fourth argument is WORLD."""
    world = World(sys.argv[4])
    platform = Platform(lab.devserver, "--clock", world.path)
    try:
        with lab.keeper({"billing": lab.service()} if sessions is None else sessions, platform=platform,
                        world=world, **more) as keeper:
            yield world, platform, keeper
    finally:
        platform.close()
        world.close()


def run_cases(cases, contract=None):
    """Runs functions of a lab as cases of TAP. The programs are the arguments: freshetd,
    freshet-devserver, freshet. TEST_FILTER in the environment narrows them down."""
    lab = Lab(*sys.argv[1:4], contract=contract)
    tap = Tap()
    chosen = os.environ.get("TEST_FILTER", "")
    try:
        for case in cases:
            if chosen not in case.__name__:
                continue
            problems = []
            begin = time.monotonic()
            try:
                lab.platform.clear_faults()
                lab.platform.good("POST", "/_dev/counters/reset")
                case(lab)
            except Exception:  # pylint: disable=broad-except
                problems = traceback.format_exc().splitlines()
            for child in list(Child.living):
                child.kill()
            tap.case(case.__name__, problems)
            print(f"# {time.monotonic() - begin:.1f} s", flush=True)
    finally:
        lab.close()
    tap.end()
