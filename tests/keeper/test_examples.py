# SPDX-License-Identifier: Apache-2.0
"""The examples do what they say, and say what goes wrong.

usage: test_examples.py FRESHETD DEVSERVER FRESHET CALL
CALL is examples/c/call.c; those of other languages need no library.
"""
import functools
import os
import subprocess
import sys

from harness import PATIENCE, TESTS, check, equal, run_cases, wait_for

EXAMPLES = os.path.join(os.path.dirname(TESTS), "examples")
PROGRAMS = {
    "c": [os.path.abspath(sys.argv[4])],
    "python": ["/usr/bin/python3", os.path.join(EXAMPLES, "python", "call.py")],
    "node": ["node", os.path.join(EXAMPLES, "node", "call.mjs")],
    "curl": ["sh", os.path.join(EXAMPLES, "curl", "call.sh")],
}


def run(program, keeper, session, path):
    place = [keeper.control, session, path]
    if program == "c":
        place = ["keeper:" + keeper.control, session, keeper.lab.platform.url + path]
    return subprocess.run([*PROGRAMS[program], *place], capture_output=True, text=True,
                          timeout=PATIENCE, cwd=keeper.folder)


def refused(program, keeper, session, path, what):
    """It fails, says why in its last line, and shows no trace of itself."""
    result = run(program, keeper, session, path)
    check(result.returncode not in (0, 126, 127), f"{program}: {result}")
    check(what in result.stderr, f"{program}: {result}")
    check("Traceback" not in result.stderr and "    at " not in result.stderr, f"{program}: {result}")
    return result


def example(program, lab):
    dev = lab.platform
    with lab.keeper({"billing": lab.service("load-3", sign_in_pause="1s"), "held": lab.service()}) as keeper:
        keeper.signed_in("billing")
        result = run(program, keeper, "billing", "/api/echo")
        equal(result.returncode, 0, f"{program}: {result}")
        check("load-3" in result.stdout, f"{program}: {result}")
        counters = dev.counters()
        equal((counters["api_ok"], counters["api_lacking_header"]), (1, 0))

        refused(program, keeper, "billing", "/api/status/500", "the platform: 500")
        refused(program, keeper, "nobody", "/api/echo", "no session of that name")
        keeper.call("POST", "/v1/sessions/held/sign-out", {"hold": True})
        refused(program, keeper, "held", "/api/echo", "an operator signed this session out")

        requests = dev.counter("api_requests")
        there = lab.platform.url.replace("127.0.0.1", "localhost") + "/api/echo"
        refused(program, keeper, "billing", "/api/redirect?to=" + there, "the platform: 302")
        equal(dev.counter("api_requests"), requests + 1, "a redirect is not followed")

        generation = keeper.status("billing")["generation"]
        dev.revoke("load-3", "all")
        refused(program, keeper, "billing", "/api/echo", "the platform: 401")
        wait_for(lambda: (now := keeper.status("billing"))["usable"] and
                 now["generation"] > generation, "the 401 was told, and the service signed in anew")
        keeper.stop()
        refused(program, keeper, "billing", "/api/echo", "")
        keeper.start()


def cases():
    for program in PROGRAMS:
        case = functools.partial(example, program)
        case.__name__ = program
        yield case


run_cases(list(cases()))
