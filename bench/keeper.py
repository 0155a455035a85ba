# SPDX-License-Identifier: Apache-2.0
"""The rows keeper/*: freshetd as it ships, with a platform and clients in processes of their own."""
import contextlib
import os
import re
import select
import signal
import socket
import statistics
import subprocess
import tempfile
import time

REQUESTS = 20000
ROUNDS = 7
MEMORY_MIB = 8
SESSIONS = 100000
FEW = 1000
SESSION_BYTES = 600
COLD_MS = 50
COLD_RUNS = 11
USES = 1000         # refreshes in a round
USE_ROUNDS = 7
LIFE_S = 4          # of tokens, where refreshes are counted


def cpu_ns(pid):
    """What all threads of a process have run; a thread that has ended is not counted."""
    total = 0
    for task in os.listdir(f"/proc/{pid}/task"):
        with contextlib.suppress(FileNotFoundError):
            with open(f"/proc/{pid}/task/{task}/schedstat", encoding="ascii") as f:
                total += int(f.read().split()[0])
    return total


def anon_bytes(pid):
    with open(f"/proc/{pid}/status", encoding="ascii") as f:
        return int(re.search(r"RssAnon:\s+(\d+) kB", f.read()).group(1)) * 1024


def read_line(stream, seconds, what):
    ready, _, _ = select.select([stream], [], [], seconds)
    line = stream.readline() if ready else ""
    if not line:
        raise SystemExit(f"{what} says nothing")
    return line.strip()


class Process:
    """A program of the benchmark that ends when its input does."""

    def __init__(self, *command):
        self.name = os.path.basename(command[0])
        self.process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                                        text=True)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.process.stdin.close()
        try:
            self.process.wait(30)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()

    @property
    def pid(self):
        return self.process.pid

    def line(self, seconds=30):
        return read_line(self.process.stdout, seconds, self.name)

    def order(self, name, number=0):
        print(f"{name} {number}", file=self.process.stdin, flush=True)
        return float(self.line(300))


CONFIG = """[platform]
url = {url}

[store]
secrets = sqlite:{folder}/secrets.db
tokens = sqlite:{folder}/tokens.db
key_file = {folder}/keys

[keeper]
control_socket = {folder}/control.sock
browser_socket = {folder}/browser.sock

[session bench]
username = bench
password_file = {folder}/password

[browser]
origin = https://app.example.com
"""


def answers(path, target, seconds=20):
    """Asks until there is somebody to ask; whether the answer was 200."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        with socket.socket(socket.AF_UNIX) as client:
            try:
                client.connect(path)
            except (FileNotFoundError, ConnectionRefusedError):
                time.sleep(0.0005)
                continue
            client.sendall(f"GET {target} HTTP/1.1\r\nHost: localhost\r\n"
                           "Connection: close\r\n\r\n".encode())
            return client.recv(65536).startswith(b"HTTP/1.1 200 ")
    raise SystemExit("freshetd does not come up")


HEADERS = "/v1/sessions/bench/headers"


class Keeper:
    """freshetd with new stores in a folder of its own."""

    def __init__(self, build, url):
        self.build = build
        self.home = tempfile.TemporaryDirectory(dir=build)
        self.folder = self.home.name
        self.control = os.path.join(self.folder, "control.sock")
        self.browser = os.path.join(self.folder, "browser.sock")
        self.config = os.path.join(self.folder, "freshet.conf")
        self.process = None
        self.write("freshet.conf", CONFIG.format(url=url, folder=self.folder))
        self.write("password", "bench")
        subprocess.run([os.path.join(build, "freshet"), "key", "new",
                        os.path.join(self.folder, "keys")], check=True, capture_output=True)

    def write(self, name, text):
        path = os.path.join(self.folder, name)
        with open(path, "w", encoding="ascii") as f:
            f.write(text)
        os.chmod(path, 0o600)

    def start(self):
        """Nanoseconds from exec to the first headers."""
        log = os.path.join(self.folder, "log")
        with open(log, "ab") as out:
            begun = time.monotonic_ns()
            self.process = subprocess.Popen(
                [os.path.join(self.build, "freshetd"), "--config", self.config], stdout=out,
                stderr=out, stdin=subprocess.DEVNULL)
        if not answers(self.control, HEADERS):
            with open(log, encoding="utf-8") as f:
                raise SystemExit("freshetd has no headers:\n" + f.read())
        return time.monotonic_ns() - begun

    def stop(self):
        if self.process:
            self.process.send_signal(signal.SIGTERM)
            self.process.wait(30)
            self.process = None

    @property
    def pid(self):
        return self.process.pid

    def __enter__(self):
        self.start()
        return self

    def __exit__(self, *_):
        self.stop()
        self.home.cleanup()


def program(build, name, *arguments):
    return Process(os.path.join(build, name), *arguments)


def per_request(server, clients):
    before = cpu_ns(server.pid)
    clients.order("get", REQUESTS)
    return (cpu_ns(server.pid) - before) / REQUESTS


def headers(build, url, in_turn, row):
    with Keeper(build, url) as keeper, \
            program(build, "bench_load", keeper.control, HEADERS) as ours:
        ours.order("get", 1)
        path = os.path.join(keeper.folder, "bare.sock")
        with program(build, "bench_bare", path, str(int(ours.order("size")))) as bare:
            bare.line()
            with program(build, "bench_load", path, HEADERS) as theirs:
                mine, peer = (ns / 1e3 for ns in in_turn(ROUNDS, lambda: per_request(keeper, ours),
                                                         lambda: per_request(bare, theirs)))
        yield row("keeper/headers", mine, peer, "us", 1.25, "a bare libmicrohttpd")


def memory(build, url, row):
    with Keeper(build, url) as keeper, \
            program(build, "bench_load", keeper.control, HEADERS) as clients:
        clients.order("get", REQUESTS)
        yield row("keeper/memory", anon_bytes(keeper.pid) / 2 ** 20, MEMORY_MIB, "MB", 1.0,
                  "a limit")


def cold_start(build, platform, url, in_turn, row):
    """The platform's time is what it spent; the way there and back is ours."""
    def once():
        keeper = Keeper(build, url)
        try:
            platform.order("spent")
            return (keeper.start() - platform.order("spent")) / 1e6
        finally:
            keeper.stop()
            keeper.home.cleanup()

    yield row("keeper/cold_start", *in_turn(COLD_RUNS, once), COLD_MS, "ms", 1.0, "a limit")


def per_refresh(keeper, platform, clients):
    """Tokens of a moment ago are not usable any more: whoever uses one waits for a refresh."""
    time.sleep(LIFE_S)
    asked = platform.order("refreshes")
    before = cpu_ns(keeper.pid)
    clients.order("use", USES)
    spent = cpu_ns(keeper.pid) - before
    return spent / (platform.order("refreshes") - asked)


def refreshes(build, platform, url, count):
    """CPU of a refresh, and what the sessions beyond the first few take of the memory."""
    platform.order("sign_in", LIFE_S)
    platform.order("refresh", LIFE_S)
    with Keeper(build, url) as keeper, \
            program(build, "bench_load", keeper.browser, "/") as clients:
        clients.order("sign_in", FEW)
        few = anon_bytes(keeper.pid)
        clients.order("sign_in", count - FEW)
        many = anon_bytes(keeper.pid)
        taken = [per_refresh(keeper, platform, clients) for _ in range(USE_ROUNDS + 1)][1:]
        return statistics.median(taken), (many - few) / max(1, count - FEW)


def browsers(build, platform, url, snapshot_bytes, row):
    few, _ = refreshes(build, platform, url, FEW)
    many, each = refreshes(build, platform, url, SESSIONS)
    yield row("keeper/session_bytes", each - snapshot_bytes, SESSION_BYTES, "B", 1.0, "a limit")
    yield row("keeper/scaling", many / 1e3, few / 1e3, "us", 1.2, f"{FEW} sessions")


def rows(build, snapshot_bytes, in_turn, row):
    with program(build, "bench_stand_in") as platform:
        url = platform.line()
        yield from headers(build, url, in_turn, row)
        yield from memory(build, url, row)
        yield from cold_start(build, platform, url, in_turn, row)
        yield from browsers(build, platform, url, snapshot_bytes, row)
