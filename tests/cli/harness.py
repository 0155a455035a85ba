# SPDX-License-Identifier: Apache-2.0
"""Runs the program against a devserver, with and without a terminal."""

import codecs
import http.client
import json
import os
import pty
import re
import select
import shutil
import signal
import subprocess
import tempfile
import termios
import time

TESTS = []
PLAIN_TESTS = []
PASSWORD = "demo-password-not-secret"
NEW_PASSWORD = "another-Demo-Password-1"
PATIENCE = 30  # seconds until something that must come is given up


def test(function):
    TESTS.append(function)
    return function


def plain_test(function):
    """Of a build without sanitizers alone, which replace free(3) and look into the process."""
    PLAIN_TESTS.append(function)
    return function


def equal(actual, expected, what=""):
    if actual != expected:
        raise AssertionError(f"{what}: {actual!r}, not {expected!r}")


def check(condition, what):
    if not condition:
        raise AssertionError(what)


def wait_for(condition, what):
    end = time.monotonic() + PATIENCE
    while not (result := condition()):
        check(time.monotonic() < end, "waited in vain: " + what)
        time.sleep(0.01)
    return result


class Platform:
    """A devserver."""

    def __init__(self, binary, tested=None):
        self.tested = tested  # the program that calls it
        self.folder = tempfile.mkdtemp(prefix="freshet-cli-")
        port_file = os.path.join(self.folder, "port")
        self.process = subprocess.Popen([binary, "--listen", "127.0.0.1:0", "--port-file", port_file,
                                         "--quiet"])
        wait_for(lambda: os.path.exists(port_file) and os.path.getsize(port_file), "the devserver")
        with open(port_file, encoding="ascii") as file:
            self.address = file.read().strip()
        self.url = "http://" + self.address

    def close(self):
        self.process.kill()
        self.process.wait()
        shutil.rmtree(self.folder)

    def call(self, method, path, body=None, headers=None):
        host, _, port = self.address.rpartition(":")
        connection = http.client.HTTPConnection(host, int(port), timeout=PATIENCE)
        try:
            connection.request(method, path, None if body is None else json.dumps(body),
                               headers or {})
            response = connection.getresponse()
            text = response.read()
            return response.status, json.loads(text) if text else None
        finally:
            connection.close()

    def good(self, method, path, body=None):
        status, answer = self.call(method, path, body)
        check(status in (200, 201), f"{method} {path}: {status} {answer}")
        return answer

    def code(self, username):
        return str(self.good("GET", "/_dev/totp/" + username)["code"])

    def counters(self):
        return self.good("GET", "/_dev/counters")

    def sent(self):
        """What came to the platform, besides our own questions."""
        counters = self.counters()
        return [counters[name] for name in ("sign_in_attempts", "refresh_attempts", "probes",
                                            "api_requests")]


class Result:
    def __init__(self, code, out, err):
        self.code, self.out, self.err = code, out, err

    @property
    def json(self):
        return json.loads(self.out)

    def __repr__(self):
        return f"exit {self.code}\nout: {self.out}\nerr: {self.err}"



class Home:
    """A person's account on a machine: folders, environment, and the program to run in it."""

    def __init__(self, binary, url=None):
        self.binary = binary
        self.folder = tempfile.mkdtemp(prefix="freshet-home-")
        self.environment = {"HOME": self.folder, "PATH": os.environ["PATH"], "LANG": "C.UTF-8",
                            "TERM": "xterm"}
        self.environment.update({name: value for name, value in os.environ.items()
                                 if name.endswith("SAN_OPTIONS")})
        if url:
            self.environment["FRESHET_URL"] = url

    def close(self):
        shutil.rmtree(self.folder)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

    def path(self, name):
        return os.path.join(self.folder, name)

    def write(self, name, text, mode=0o600):
        path = self.path(name)
        os.makedirs(os.path.dirname(path), exist_ok=True)
        with open(os.open(path, os.O_CREAT | os.O_WRONLY | os.O_TRUNC, mode), "w",
                  encoding="utf-8") as file:
            file.write(text)
        return path

    def run(self, *arguments, stdin="", stdout=subprocess.PIPE, **environment):
        process = subprocess.Popen(
            [self.binary, *arguments], env={**self.environment, **environment}, stdout=stdout,
            stdin=subprocess.PIPE, stderr=subprocess.PIPE, text=True, cwd=self.folder)
        try:
            out, err = process.communicate(stdin, PATIENCE)
        except subprocess.TimeoutExpired:
            process.kill()
            process.communicate()
            raise AssertionError(f"{arguments} hangs") from None
        return Result(process.returncode, out, err)

    def good(self, *arguments, **more):
        result = self.run(*arguments, **more)
        check(result.code == 0, f"{arguments}: {result}")
        return result

    def bad(self, code, *arguments, **more):
        """Fails with that exit code, and says why: `freshet: sentence`, and the same as JSON."""
        result = self.run(*arguments, **more)
        equal(result.code, code, f"{arguments}: {result}")
        check(re.match(r"freshet: .+\n\Z", result.err) or "\n" in result.err.strip(),
              f"{arguments}: {result}")
        equal(result.out, "", f"{arguments}")
        return result

    def login(self, username="svc-demo", *more, password=PASSWORD):
        file = self.write("password", password + "\n")
        return self.run("login", *more, "--username", username, "--password-file", file)

    def signed_in(self, username="svc-demo", *more):
        result = self.login(username, *more)
        check(result.code == 0, f"sign-in of {username}: {result}")
        return result


def home(platform, url=True):
    """A new home, where the program under test is, and its environment names the platform."""
    return Home(platform.tested, platform.url if url else None)


class Terminal:
    """The program on a terminal of its own."""

    def __init__(self, home, *arguments, **environment):
        self.seen = ""
        self.decoder = codecs.getincrementaldecoder("utf-8")("replace")
        self.asked = 0  # where expect looks on
        command = [home.binary, *arguments]
        self.pid, self.master = pty.fork()
        if self.pid == 0:
            try:
                os.chdir(home.folder)
                os.execve(command[0], command, {**home.environment, **environment})
            finally:
                os._exit(127)
        self.status = None

    def close(self):
        if self.status is None:
            os.kill(self.pid, signal.SIGKILL)
            os.waitpid(self.pid, 0)
        os.close(self.master)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

    def _read(self, until):
        """One more piece; False at the end."""
        ready, _, _ = select.select([self.master], [], [], max(0, until - time.monotonic()))
        check(ready, f"nothing more comes of the terminal: {self.seen!r}")
        try:
            piece = os.read(self.master, 65536)
        except OSError:
            return False
        self.seen += self.decoder.decode(piece)
        return bool(piece)

    def expect(self, text):
        """Reads until `text` comes, after what was expected before."""
        end = time.monotonic() + PATIENCE
        while text not in self.seen[self.asked:]:
            check(self._read(end), f"{text!r} does not come: {self.seen!r}")
        self.asked = self.seen.index(text, self.asked) + len(text)

    def send(self, text):
        os.write(self.master, text.encode())

    def answer(self, question, text):
        self.expect(question)
        self.send(text + "\n")

    def hidden(self, question, text):
        """Answers a question for which echo must be off."""
        self.expect(question)
        check(not self.echoes(), f"{question!r} has echo on")
        self.send(text + "\n")

    def echoes(self):
        return bool(termios.tcgetattr(self.master)[3] & termios.ECHO)

    def end(self):
        """Reads to the end; returns the exit code, or minus the signal."""
        end = time.monotonic() + PATIENCE
        while self._read(end):
            pass
        wait_for(self._ended, "the program's end")
        code = self.status
        return -os.WTERMSIG(code) if os.WIFSIGNALED(code) else os.WEXITSTATUS(code)

    def _ended(self):
        pid, status = os.waitpid(self.pid, os.WNOHANG)
        if pid:
            self.status = status
        return bool(pid)


def error_of(result):
    equal(list(result.json), ["error"])
    equal(result.err, "", "with --json, standard error")
    error = result.json["error"]
    equal(sorted(error), ["class", "code", "exit_code", "http_status", "message", "retry_after_ms",
                          "status"])
    equal(error["exit_code"], result.code)
    return error
