# SPDX-License-Identifier: Apache-2.0
"""What the tests of the command line stand on: a devserver, a folder of their own, and freshet in it."""
import base64
import hmac
import json
import os
import shutil
import struct
import subprocess
import sys
import tempfile
import time
import traceback
import urllib.request

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
PASSWORD = "demo-password-not-secret"
TOTP_SECRET = "GEZDGNBVGY3TQOJQGEZDGNBVGY3TQOJQ"
PATIENCE = 30  # seconds until something that must come is given up

sys.path.insert(0, os.path.join(ROOT, "tests", "checks"))
from tap import Tap  # noqa: E402  pylint: disable=wrong-import-position


def wait_for(condition, what):
    end = time.monotonic() + PATIENCE
    while True:
        result = condition()
        if result:
            return result
        if time.monotonic() > end:
            raise AssertionError("waited in vain: " + what)
        time.sleep(0.01)


def equal(actual, expected, what=""):
    if actual != expected:
        raise AssertionError(f"{what}: {actual!r}, not {expected!r}")


def check(condition, what):
    if not condition:
        raise AssertionError(what)


def totp(secret=TOTP_SECRET):
    mac = hmac.new(base64.b32decode(secret), struct.pack(">Q", int(time.time()) // 30), "sha1").digest()
    at = mac[-1] & 15
    return f"{(struct.unpack('>I', mac[at:at + 4])[0] & 0x7FFFFFFF) % 1000000:06}"


class Devserver:
    def __init__(self, binary, folder, *options):
        port = os.path.join(folder, f"port-{len(os.listdir(folder))}")
        self.process = subprocess.Popen([binary, "--listen", "127.0.0.1:0", "--port-file", port, "--quiet",
                                         *options])
        wait_for(lambda: os.path.exists(port) and os.path.getsize(port), "the devserver")
        with open(port, encoding="ascii") as f:
            self.address = f.read().strip()
        self.url = "http://" + self.address
        # Whatever proxy this machine has is none of the tests' concern.
        self.opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))

    def control(self, method, path, body=None):
        data = None if body is None else json.dumps(body).encode()
        request = urllib.request.Request(self.url + path, data, method=method)
        with self.opener.open(request, timeout=PATIENCE) as answer:
            text = answer.read()
            return json.loads(text) if text else None

    def counter(self, name):
        return self.control("GET", "/_dev/counters")[name]

    def fault(self, kind, **more):
        self.control("POST", "/_dev/faults", {"kind": kind, **more})

    def clear_faults(self):
        self.control("DELETE", "/_dev/faults")

    def stop(self):
        self.process.terminate()
        self.process.wait()


class World:
    """A folder with a configuration, and the binaries of one build."""

    def __init__(self, binary, devserver, *options):
        self.binary = os.path.abspath(binary)
        self.folder = tempfile.mkdtemp(prefix="freshet-cli-")
        self.dev = Devserver(os.path.abspath(devserver), self.folder, *options)
        self.devserver_binary = os.path.abspath(devserver)
        password = self.write("password", PASSWORD)
        services = "".join(
            f"[session {name}]\nusername = {account}\npassword_file = {password}\n"
            for name, account in (("billing", "svc-demo"), ("two", "svc-two")))
        self.config = self.write("freshet.conf", f"[platform]\nurl = {self.dev.url}\n{services}")
        self.environment = {
            "PATH": os.environ["PATH"], "HOME": self.folder, "LANG": "C.UTF-8", "TERM": "dumb",
            **{name: value for name, value in os.environ.items() if name.endswith("SAN_OPTIONS")}}

    def write(self, name, text):
        path = os.path.join(self.folder, name)
        with open(path, "w", encoding="utf-8") as f:
            os.fchmod(f.fileno(), 0o600)
            f.write(text)
        return path

    def read(self, name):
        with open(os.path.join(self.folder, name), encoding="utf-8") as f:
            return f.read()

    def command(self, *arguments):
        return [self.binary, "--config", self.config, *arguments]

    def run(self, *arguments, stdin=b"", **environment):
        return subprocess.run(self.command(*arguments), input=stdin, capture_output=True,
                              cwd=self.folder, timeout=PATIENCE,
                              env={**self.environment, **environment})

    def run_bare(self, *arguments):
        """Without a configuration: flags, environment, and the state folder below HOME."""
        return subprocess.run([self.binary, *arguments], stdin=subprocess.DEVNULL, capture_output=True,
                              cwd=self.folder, timeout=PATIENCE,
                              env={**self.environment, "FRESHET_URL": self.dev.url})

    def start(self, *arguments, **environment):
        return subprocess.Popen(self.command(*arguments), stdin=subprocess.DEVNULL,
                                stdout=subprocess.PIPE, stderr=subprocess.PIPE, cwd=self.folder,
                                env={**self.environment, **environment})

    def end(self):
        self.dev.stop()
        shutil.rmtree(self.folder)


def run_cases(cases, world):
    """Each case is a function of the world; its name is the case's."""
    tap = Tap()
    try:
        for case in cases:
            problems = []
            try:
                case(world)
            except Exception:  # pylint: disable=broad-except
                problems = traceback.format_exc().splitlines()
            world.dev.clear_faults()
            tap.case(case.__name__, problems)
    finally:
        world.end()
    tap.end()
