# SPDX-License-Identifier: Apache-2.0
"""What the tests of the command line stand on: a devserver, a folder of their own, and freshet in it."""
import os
import subprocess
import sys
import traceback

from harness import PASSWORD, PATIENCE, Home, Platform

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
sys.path.insert(0, os.path.join(ROOT, "tests", "checks"))
from tap import Tap  # noqa: E402  pylint: disable=wrong-import-position


class Devserver(Platform):
    def counter(self, name):
        return self.counters()[name]

    def fault(self, kind, **more):
        self.good("POST", "/_dev/faults", {"kind": kind, **more})

    def clear_faults(self):
        self.call("DELETE", "/_dev/faults")


class World(Home):
    """A home with a configuration, whose programs print bytes."""

    def __init__(self, binary, devserver):
        super().__init__(os.path.abspath(binary))
        self.dev = Devserver(os.path.abspath(devserver))
        password = self.write("password", PASSWORD)
        services = "".join(
            f"[session {name}]\nusername = {account}\npassword_file = {password}\n"
            for name, account in (("billing", "svc-demo"), ("two", "svc-two")))
        self.config = self.write("freshet.conf", f"[platform]\nurl = {self.dev.url}\n{services}")

    def read(self, name):
        with open(os.path.join(self.folder, name), encoding="utf-8") as f:
            return f.read()

    def command(self, *arguments):
        return [self.binary, "--config", self.config, *arguments]

    def run(self, *arguments, stdin=b"", before=None, **environment):
        return subprocess.run(self.command(*arguments), input=stdin, capture_output=True,
                              cwd=self.folder, timeout=PATIENCE, preexec_fn=before,
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
        self.dev.close()
        self.close()


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
