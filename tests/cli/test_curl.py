#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""freshet curl: test_curl.py FRESHET DEVSERVER. Prints TAP."""
import json
import os
import signal
import sys

from harness import PATIENCE, check, equal, wait_for
from world import Devserver, World, run_cases

CASES = []


def case(function):
    CASES.append(function)
    return function


def good(result):
    equal((result.returncode, result.stderr), (0, b""), "curl")
    return result.stdout


def refused(result, *words, status=64):
    """It ended with that status and a sentence with those words, and printed nothing."""
    equal((result.returncode, result.stdout), (status, b""), result.stderr)
    for word in words:
        check(word.encode() in result.stderr, f"{word!r} is not in {result.stderr!r}")
    check(result.stderr.startswith(b"freshet: ") and result.stderr.count(b"\n") == 1, result.stderr)


@case
def a_request_bears_both_headers(w):
    answer = json.loads(good(w.run("curl", "billing", "-s", w.dev.url + "/api/orders")))
    equal((answer["username"], answer["partner"], answer["path"]), ("svc-demo", "fd42", "/api/orders"))


@case
def with_and_without_the_dashes(w):
    url = w.dev.url + "/api/x"
    for arguments in (("billing", url), ("billing", "--", url, "-s"), ("billing", "-sS", "--", url),
                      ("billing", "--timeout", "9", "--", "-s", url), ("billing", "-s", "--", url)):
        equal(json.loads(w.run("curl", *arguments).stdout)["username"], "svc-demo", arguments)


@case
def curls_own_json_is_not_ours(w):
    out = good(w.run("curl", "billing", "-s", "--json", '{"a": 1}', w.dev.url + "/api/x"))
    equal((json.loads(out)["method"], json.loads(out)["body_bytes"]), ("POST", 8))
    refused(w.run("curl", "billing", "-L", "--json", "{}", w.dev.url), "-L")


@case
def the_partner_is_chosen(w):
    url = w.dev.url + "/api/x"
    equal(json.loads(good(w.run("curl", "two", "--partner", "fd1", "-s", url)))["partner"], "fd1")
    requests = w.dev.counter("api_requests")
    refused(w.run("curl", "two", url), "partner-id-acme")
    refused(w.run("curl", "two", "--partner", "fd9", url), "fd1", status=77)
    equal(w.dev.counter("api_requests"), requests, "requests")


@case
def what_could_carry_the_headers_elsewhere_is_refused(w):
    url = w.dev.url + "/api/x"
    rows = [
        (("-L", url), "Location"), (("-sSL", url), "Location"), (("--location", url), "Location"),
        (("--location-trusted", url), "Location"), ((url, "-L"), "Location"),
        ((url, "--next", url), "one URL"), ((url, "-:", url), "one URL"), (("--url", url), "one URL"),
        (("-K", "f", url), "write them out"), (("-sKf", url), "write them out"),
        ((url, url), "more than one URL"), ((url, "--", "-s"), "more than one URL"),
        (("-k", url), "--cacert"), (("-sk", url), "--cacert"), (("--insecure", url), "--cacert"),
        (("-v", url), "token"), (("-sv", url), "token"), (("--trace", "-", url), "token"),
        (("--trace-ascii", "f", url), "token"), (("--libcurl", "f", url), "token"),
        (("-u", "a:b", url), "session"), (("-n", url), "session"),
        (("--retry", "2", "--retry-all-errors", url), "401"),
        (("-H", "Authorization: Bearer x", url), "Authorization"),
        (("-sHAuthorization: x", url), "Authorization"), (("-H", "authorization : x", url), "Auth"),
        (("-H", "AUTHORIZATION;", url), "Authorization"), (("-H", "authorization:", url), "Auth"),
        (("--header", "x-preferred-partner-id: fd1", url), "--partner"),
        (("-H", "@file", url), "one by one"), (("-H", "X: y\r\nAuthorization: z", url), "one line"),
        (("-H", " Authorization: z", url), "its name"), (("-A", "x\r\nAuthorization: z", url), "one line"),
        (("--loc", url), "in full"), (("--no-globoff", url), "--no-globoff"),
        (("--alt-svc", "f", url), "--alt-svc"), (("-%", url), "-%"),
        (("-D", "-", url), "-i"), (("-s",), "which URL"), (("-o",), "-o"), (("-", url), "-"),
        (("-s", "http://evil.example/"), "https"), (("-s", "https://evil.example/"), "origins"),
        (("-s", "http://127.0.0.1:1/"), "origins"), (("-s", w.dev.address + "/api/x"), "https://"),
        (("-s", url.replace("//", "//user@")), "user"), (("-s", "http://[127.0.0.1]/"), "URL"),
    ]
    for option in ("-x", "--proxy", "--preproxy", "--socks5", "--resolve", "--connect-to", "--unix-socket",
                   "--doh-url"):
        rows.append(((option, "evil.example:80", url), "leave it out"))
    requests = w.dev.counter("api_requests")
    for arguments, word in rows:
        refused(w.run("curl", "billing", "--", *arguments), word)
    equal(w.dev.counter("api_requests"), requests, "requests")


@case
def a_redirect_is_not_followed(w):
    elsewhere = Devserver(sys.argv[2])
    try:
        out = good(w.run("curl", "billing", "-si", f"{w.dev.url}/api/redirect?to={elsewhere.url}/api/x"))
        check(b" 302 " in out.splitlines()[0], out)
        check(b"location: " + elsewhere.url.encode() in out.replace(b"Location", b"location"), out)
        equal(elsewhere.counter("api_requests"), 0, "requests elsewhere")
    finally:
        elsewhere.close()


@case
def curlrc_adds_nothing(w):
    w.write(".curlrc", f"output = {w.folder}/stolen\nlocation-trusted\nverbose\n")
    try:
        for place in ({}, {"CURL_HOME": w.folder}, {"XDG_CONFIG_HOME": w.folder}):
            answer = json.loads(good(w.run("curl", "billing", "-s", w.dev.url + "/api/x", **place)))
            equal(answer["username"], "svc-demo")
        check(not os.path.exists(w.folder + "/stolen"), "the output of ~/.curlrc")
    finally:
        os.unlink(w.folder + "/.curlrc")


@case
def loopback_is_reached_without_a_proxy(w):
    dead = "http://127.0.0.1:1"
    out = good(w.run("curl", "billing", "-s", "--noproxy", "nothing.example", w.dev.url + "/api/x",
                     http_proxy=dead, ALL_PROXY=dead))
    equal(json.loads(out)["username"], "svc-demo")


@case
def braces_are_part_of_the_url(w):
    requests = w.dev.counter("api_requests")
    good(w.run("curl", "billing", "-s", w.dev.url + "/api/{a,b}[1-3]"))
    equal(w.dev.counter("api_requests") - requests, 1, "requests")


@case
def a_body_comes_from_standard_input(w):
    body = bytes(range(256)) * 512  # more than a pipe holds
    for option in (("--data-binary", "@-"), ("-T", "-", "-X", "POST")):
        out = good(w.run("curl", "billing", "-s", *option, w.dev.url + "/api/x", stdin=body))
        equal((json.loads(out)["method"], json.loads(out)["body_bytes"]), ("POST", len(body)), option)


@case
def the_exit_code_is_curls(w):
    equal(w.run("curl", "billing", "-sf", "-o", "o", w.dev.url + "/nonesuch").returncode, 22)
    equal(w.run("curl", "billing", "-s", "-o", "/nonexistent/o", w.dev.url + "/api/x").returncode, 23)
    w.dev.fault("latency", match="/api/slow", count=1, ms=60000)
    equal(w.run("curl", "billing", "-s", "-m", "0.2", w.dev.url + "/api/slow").returncode, 28)


@case
def without_curl_there_is_a_clear_error(w):
    result = w.run("curl", "billing", "-s", w.dev.url + "/api/x", PATH="/nonexistent")
    equal((result.returncode, result.stdout), (127, b""))
    check(b"no curl" in result.stderr, result.stderr)
    result = w.run("--json", "curl", "billing", "-s", w.dev.url + "/api/x", PATH="/nonexistent")
    equal((result.returncode, result.stdout), (127, b""))
    check(b"no curl" in result.stderr, result.stderr)


def of_process(pid, name):
    with open(f"/proc/{pid}/{name}", "rb") as f:
        return f.read()


def child_of(pid):
    """The pid of curl, once it is curl: its name changes before its arguments and environment are there."""
    with open(f"/proc/{pid}/task/{pid}/children", encoding="ascii") as f:
        for child in f.read().split():
            if of_process(child, "cmdline").startswith(b"curl\0") and of_process(child, "environ"):
                return int(child)
    return None


def token_of(w):
    """The token that the devserver gave the service last, told by a marker of its own: all begin so."""
    answer = good(w.run("headers", "billing")).decode()
    return answer.split("Bearer ")[1].split("\n", 1)[0]


@case
def no_token_in_the_childs_arguments_or_environment(w):
    w.dev.fault("latency", match="/api/slow", count=1, ms=60000)
    process = w.start("curl", "billing", "-s", w.dev.url + "/api/slow")
    try:
        curl = wait_for(lambda: child_of(process.pid), "curl")
        arguments, environment = of_process(curl, "cmdline"), of_process(curl, "environ")
        # A JWT, whichever: they all begin with {"alg": in base64.
        beginning = token_of(w)[:8].encode()
        check(beginning.startswith(b"eyJ"), beginning)
        for where in (arguments, environment, of_process(process.pid, "cmdline"),
                      of_process(process.pid, "environ")):
            check(where and beginning not in where and b"Bearer" not in where, where)
            check(b"demo-password" not in where, where)
        check(arguments.startswith(b"curl\0-q\0") and b"@/dev/fd/" in arguments, arguments)
    finally:
        process.terminate()
        process.communicate(timeout=PATIENCE)


@case
def signals_reach_curl_and_end_freshet_alike(w):
    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
        w.dev.fault("latency", match="/api/slow", count=1, ms=60000)
        process = w.start("curl", "billing", "-s", w.dev.url + "/api/slow")
        curl = wait_for(lambda: child_of(process.pid), "curl")
        process.send_signal(number)
        process.communicate(timeout=PATIENCE)
        equal(process.returncode, -number, "how freshet ended")
        check(not os.path.exists(f"/proc/{curl}"), "curl lives on")


@case
def the_headers_of_an_answer_go_where_the_user_wants(w):
    for option in (("-D", "heads"), ("-sDheads",), ("--dump-header", "heads")):
        good(w.run("curl", "billing", "-s", *option, w.dev.url + "/api/x"))
        heads = w.read("heads")
        check(heads.startswith("HTTP/1.1 200 OK") and "Content-Length:" in heads, heads)
        os.unlink(os.path.join(w.folder, "heads"))
    refused(w.run("curl", "billing", "-D", "/nonexistent/x", w.dev.url + "/api/x"), "/nonexistent/x")


@case
def a_401_of_a_live_token_ends_nothing(w):
    w.dev.fault("status", match="/api/forbidden", count=1, status=401)
    probes = w.dev.counter("probes")
    result = w.run("curl", "billing", "-s", "-o", "o", w.dev.url + "/api/forbidden")
    equal(result.returncode, 0)
    check(b"401" in result.stderr and b"session lives" in result.stderr, result.stderr)
    equal(w.dev.counter("probes") - probes, 1, "probes")


@case
def a_401_of_a_dead_token_ends_the_session(w):
    """The token dies between its issue and the call: the probe gets 401, too."""
    for path in ("/api/dead", "/auth/mfa/settings"):
        w.dev.fault("status", match=path, count=1, status=401)
    result = w.run("curl", "billing", "-sf", "-o", "o", w.dev.url + "/api/dead")
    equal(result.returncode, 22)
    check(b"is over" in result.stderr and b"signs in by itself" in result.stderr, result.stderr)


@case
def a_401_of_a_dead_token_of_a_persons_session(w):
    """It is over for every process: the verdict stands in the store before this one ends."""
    password = os.path.join(w.folder, "password")
    login = w.run_bare("login", "ann", "--username", "svc-demo", "--password-file", password)
    equal((login.returncode, b"signed in" in login.stdout), (0, True), login.stderr)
    w.dev.good("POST", "/_dev/revoke", {"username": "svc-demo", "what": "access"})
    result = w.run_bare("curl", "ann", "-s", "-o", "o", w.dev.url + "/api/x")
    equal(result.returncode, 0)
    check(b"401" in result.stderr and b"freshet login ann" in result.stderr, result.stderr)
    requests = w.dev.counter("api_requests")
    refused(w.run_bare("curl", "ann", "-s", w.dev.url + "/api/x"), "sign in", status=77)
    equal(w.dev.counter("api_requests"), requests, "requests of a dead session")


@case
def other_answers_are_not_reported(w):
    for status in (403, 404, 500, 503):
        w.dev.fault("status", match="/api/other", count=1, status=status)
        good(w.run("curl", "billing", "-s", "-o", "o", w.dev.url + "/api/other"))


@case
def a_parent_that_ignores_sigchld_is_no_matter(w):
    """What is ignored stays so across exec, and then no child's end is ever told."""
    result = w.run("curl", "billing", "-s", w.dev.url + "/api/x",
                   before=lambda: signal.signal(signal.SIGCHLD, signal.SIG_IGN))
    equal(json.loads(good(result))["username"], "svc-demo")


@case
def the_last_answer_counts(w):
    """curl asks again after a 503, and a 401 may be what comes then."""
    w.dev.fault("status", match="/api/again", count=1, status=503)
    w.dev.fault("status", match="/api/again", count=1, status=401)
    result = w.run("curl", "billing", "-s", "--retry", "2", "-o", "o", w.dev.url + "/api/again")
    check(b"session lives" in result.stderr, result.stderr)


run_cases(CASES, World(*sys.argv[1:3]))
