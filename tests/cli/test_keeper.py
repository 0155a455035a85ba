#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""freshet over a keeper: test_keeper.py FRESHET DEVSERVER FRESHETD. Prints TAP."""
import json
import os
import socket
import subprocess
import sys
import time

from world import World, ROOT

sys.path.insert(0, os.path.join(ROOT, "tests", "checks"))
from tap import Tap  # noqa: E402  pylint: disable=wrong-import-position


class Kept(World):
    """A world with a keeper, of the same configuration."""

    def __init__(self, binary, devserver, keeper):
        super().__init__(binary, devserver)
        self.keeper = os.path.abspath(keeper)
        self.socket = os.path.join(self.folder, "control.sock")
        with open(self.config, "a", encoding="utf-8") as f:
            f.write(f"[store]\nsecrets = memory:\ntokens = memory:\n[keeper]\ncontrol_socket = {self.socket}\n"
                    f"[session stranger]\nusername = nobody\npassword_file = {self.folder}/password\n")
        self.process = None

    def begin(self):
        self.process = subprocess.Popen([self.keeper, "--config", self.config], stderr=subprocess.DEVNULL)
        for _ in range(2000):
            with socket.socket(socket.AF_UNIX) as probe:
                if probe.connect_ex(self.socket) == 0:
                    return
            time.sleep(0.005)
        raise RuntimeError("the keeper does not listen")

    def end(self):
        self.process.terminate()
        return self.process.wait(30)

    def good(self, *arguments, **more):
        result = self.run(*arguments, **more)
        if result.returncode != 0:
            raise AssertionError(f"{arguments}: {result.returncode}: {result.stderr}")
        return result.stdout.decode()

    def code(self, *arguments):
        return self.run(*arguments).returncode


def main():
    world = Kept(*sys.argv[1:4])
    tap = Tap()

    def check(name, good):
        tap.case(name, [] if good else ["it is not so"])

    password = os.path.join(world.folder, "password")
    world.begin()
    try:
        headers = world.good("headers", "billing")
        check("headers come from the keeper", headers.startswith("Authorization: Bearer ")
                  and world.good("headers", "billing") == headers and world.dev.counter("sign_ins") >= 1)
        check("the token is the same", world.good("token", "billing").strip() in headers)
        check("status says whose word it is", world.socket in world.run("status", "billing").stderr.decode())
        check("curl sends them", world.good("curl", "billing", "--", "-s", "-o", "/dev/null", "-w",
                                                "%{http_code}", world.dev.url + "/api/x") == "200")
        world.good("login", "mary", "--username", "svc-two", "--password-file", password)
        listed = json.loads(world.good("sessions", "--json"))
        check("a person's session is the keeper's, too",
                  {"billing", "two", "stranger", "mary"} == {one["session"] for one in listed})
        check("mfa asks through it", "MFA is" in world.good("mfa", "mary", "status"))
        check("explain tells the keeper's ledger", "signed in" in world.good("explain", "billing"))
        check("doctor looks at the socket",
                  any(one["check"] == "keeper" and one["health"] == "ok"
                      for one in json.loads(world.run("doctor", "--json").stdout)["findings"]))
        world.good("logout", "billing")
        check("held is held for everyone", world.code("headers", "billing") == 77)
        world.good("login", "billing")
        check("login brings it back", world.code("headers", "billing") == 0)
        check("status says that credentials were refused", world.code("headers", "stranger") == 77 and
                  "refused the credentials" in world.run("status", "stranger").stdout.decode())
        check("--no-keeper has stores of its own",
                  "not used yet" in world.good("--no-keeper", "status", "billing"))
        check("--keeper and --no-keeper are no pair",
                  world.code("--keeper", world.socket, "--no-keeper", "status") == 64)
        check("nobody signed it in", world.code("headers", "nosuch") == 77)
        check("the keeper ends cleanly", world.end() == 0)
        check("without a keeper the stores are used", world.code("headers", "billing") == 0)
        check("a keeper that was named must be there",
              world.code("--keeper", world.socket, "status", "billing") == 75)
    finally:
        world.end()
        world.dev.close()
        world.close()
    tap.end()


main()
