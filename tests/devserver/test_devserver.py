#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Tests of freshet-devserver: test_devserver.py BINARY. Prints TAP."""

import base64
import hashlib
import hmac
import http.client
import json
import os
import shutil
import signal
import socket
import ssl
import struct
import subprocess
import sys
import tempfile
import threading
import time
import traceback

PASSWORD = "demo-password-not-secret"
TOTP_SECRET = "GEZDGNBVGY3TQOJQGEZDGNBVGY3TQOJQ"
SHA256_PREFIX = bytes.fromhex("3031300d060960864801650304020105000420")
PATIENCE = 20  # seconds until something that must come is given up

TESTS = []


def test(function):
    TESTS.append(function)
    return function


class Skip(Exception):
    pass


def equal(actual, expected, what=""):
    if actual != expected:
        raise AssertionError(f"{what}: {actual!r}, not {expected!r}")


def check(condition, what):
    if not condition:
        raise AssertionError(what)


def wait_for(condition, what):
    end = time.monotonic() + PATIENCE
    while not condition():
        if time.monotonic() > end:
            raise AssertionError("waited in vain: " + what)
        time.sleep(0.01)


# --- the server under test, and a client ---


class Answer:
    def __init__(self, status, headers, body):
        self.status, self.headers, self.body = status, headers, body

    @property
    def json(self):
        return json.loads(self.body)


class Server:
    def __init__(self, binary, *options):
        self.folder = tempfile.mkdtemp(prefix="freshet-devserver-")
        self.port_file = os.path.join(self.folder, "port")
        self.log = open(os.path.join(self.folder, "log"), "w+b")
        self.out = open(os.path.join(self.folder, "out"), "w+b")
        command = [binary, "--listen", "127.0.0.1:0", "--port-file", self.port_file, *options]
        self.process = subprocess.Popen(command, stdout=self.out, stderr=self.log)
        wait_for(self._listens, "the port file")
        with open(self.port_file) as file:
            host, _, port = file.read().strip().rpartition(":")
        self.address = (host, int(port))

    def _listens(self):
        check(self.process.poll() is None, f"the server ended: {self.text(self.log)}")
        return os.path.exists(self.port_file)

    @staticmethod
    def text(file):
        file.seek(0)
        return file.read().decode(errors="replace")

    def stop(self, number=signal.SIGTERM):
        if self.process.poll() is None:
            self.process.send_signal(number)
        status = self.process.wait(PATIENCE)
        return status

    def close(self):
        if self.process.poll() is None:
            self.process.kill()
            self.process.wait()
        self.log.close()
        self.out.close()
        shutil.rmtree(self.folder)

    def call(self, method, path, body=None, headers=None, timeout=PATIENCE):
        connection = http.client.HTTPConnection(*self.address, timeout=timeout)
        if body is not None and not isinstance(body, (bytes, str)):
            body = json.dumps(body)
        try:
            connection.request(method, path, body, headers or {})
            response = connection.getresponse()
            return Answer(response.status, response.headers, response.read())
        finally:
            connection.close()

    def good(self, method, path, body=None, headers=None):
        answer = self.call(method, path, body, headers)
        check(answer.status in (200, 201), f"{method} {path}: {answer.status} {answer.body!r}")
        return answer.json

    def raw(self, request):
        """What comes back for raw bytes, until the connection is closed."""
        with socket.create_connection(self.address, PATIENCE) as connection:
            connection.sendall(request)
            data = b""
            while True:
                piece = connection.recv(65536)
                if not piece:
                    return data
                data += piece

    # the platform

    def sign_in(self, username, password=PASSWORD, **more):
        return self.call("POST", "/auth", {"username": username, "password": password, **more})

    def grant(self, username="svc-demo", **more):
        answer = self.sign_in(username, **more)
        equal(answer.status, 200, "sign-in")
        check("AccessToken" in answer.json, f"a grant, not {answer.json.keys()}")
        return answer.json

    def refresh(self, token):
        return self.call("POST", "/auth/refresh_token", {"refresh_token": token})

    def api(self, token, partner="fd42", path="/api/echo", method="GET", body=None, **headers):
        headers = {name.replace("_", "-"): value for name, value in headers.items()}
        return self.call(method, path, body, {**authorized(token, partner), **headers})

    # the controls

    def counters(self):
        return self.good("GET", "/_dev/counters")

    def reset_counters(self):
        self.good("POST", "/_dev/counters/reset")

    def fault(self, kind, **more):
        return self.good("POST", "/_dev/faults", {"kind": kind, **more})["id"]

    def clear_faults(self):
        self.good("DELETE", "/_dev/faults")

    def account(self, username, **change):
        return self.good("POST", "/_dev/accounts/" + username, change)


def authorized(token, partner=None):
    headers = {}
    if token is not None:
        headers["Authorization"] = "Bearer " + token
    if partner is not None:
        headers["X-Preferred-Partner-Id"] = partner
    return headers


def code_of(answer):
    return answer.status, answer.json["code"]


def decode(text):
    return base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))


def claims(jwt):
    return json.loads(decode(jwt.split(".")[1]))


def totp(secret, drift=0):
    step = int(time.time()) // 30 + drift
    mac = hmac.new(base64.b32decode(secret), struct.pack(">Q", step), "sha1").digest()
    at = mac[-1] & 15
    return f"{(struct.unpack('>I', mac[at:at + 4])[0] & 0x7FFFFFFF) % 1000000:06}"


def wrong_code(secret):
    """A code that is none of the last and the next minutes."""
    near = {totp(secret, drift) for drift in range(-4, 5)}
    return next(code for code in map("{:06}".format, range(20)) if code not in near)


def in_threads(count, work):
    """Runs work(0) .. work(count - 1) at once; the results in order."""
    results = [None] * count
    barrier = threading.Barrier(count)

    def run(index):
        barrier.wait()
        try:
            results[index] = work(index)
        except Exception as error:  # pylint: disable=broad-except
            results[index] = error

    threads = [threading.Thread(target=run, args=(index,)) for index in range(count)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for result in results:
        if isinstance(result, Exception):
            raise result
    return results


# --- signing in ---


@test
def a_plain_account_gets_a_whole_grant(s):
    grant = s.grant()
    equal(
        set(grant), {"AccessToken", "IdToken", "RefreshToken", "ExpiresIn", "TokenType"}, "fields"
    )
    equal((grant["ExpiresIn"], grant["TokenType"]), (3600, "Bearer"))
    check(grant["RefreshToken"].startswith("dev-refresh-"), "prefix of the refresh token")


@test
def tokens_carry_their_claims(s):
    grant = s.grant("svc-two")
    access, identity = claims(grant["AccessToken"]), claims(grant["IdToken"])
    equal((access["token_use"], access["username"]), ("access", "svc-two"))
    equal((identity["token_use"], identity["cognito:username"]), ("id", "svc-two"))
    equal(access["cognito:groups"], ["fd1", "partner-id-acme"])
    equal(identity["cognito:groups"], ["fd1", "partner-id-acme"])
    equal(access["client_id"], identity["aud"])
    equal(access["iss"], "http://%s:%d" % s.address)
    check({"sub", "scope", "jti"} <= set(access) and "email" in identity, "the other claims")
    check(3600 <= access["exp"] - access["iat"] <= 3601, "exp - iat")
    check(abs(access["iat"] - time.time()) < 10, "iat")


@test
def jwks_verifies_the_tokens(s):
    keys = s.good("GET", "/.well-known/jwks.json")["keys"]
    for token in (s.grant()["AccessToken"], s.grant()["IdToken"]):
        header, payload, signature = token.split(".")
        kid = json.loads(decode(header))["kid"]
        key = next(key for key in keys if key["kid"] == kid)
        equal((key["kty"], key["alg"], key["use"]), ("RSA", "RS256", "sig"))
        modulus = int.from_bytes(decode(key["n"]), "big")
        exponent = int.from_bytes(decode(key["e"]), "big")
        size = (modulus.bit_length() + 7) // 8
        block = pow(int.from_bytes(decode(signature), "big"), exponent, modulus)
        tail = SHA256_PREFIX + hashlib.sha256(f"{header}.{payload}".encode()).digest()
        expected = b"\0\1" + b"\xff" * (size - len(tail) - 3) + b"\0" + tail
        equal(block.to_bytes(size, "big"), expected, "PKCS #1 block")


@test
def wrong_credentials_are_refused_alike(s):
    s.reset_counters()
    wrong, nobody = s.sign_in("svc-demo", "wrong"), s.sign_in("no-such-user")
    equal(code_of(wrong), (401, "NotAuthorizedException"))
    equal(wrong.body, nobody.body, "the body tells no names")
    counters = s.counters()
    equal((counters["sign_in_attempts"], counters["sign_ins_refused"]), (2, 2))
    equal(counters["sign_ins"], 0)


@test
def load_accounts_have_one_spelling_each(s):
    equal(claims(s.grant("load-65535")["AccessToken"])["username"], "load-65535")
    for name in ("load-", "load-01", "load-65536", "load--1", "load-1x", "load-99999999999999"):
        equal(s.sign_in(name).status, 401, name)


@test
def mfa_with_totp(s):
    s.reset_counters()
    challenge = s.sign_in("mfa").json
    equal(set(challenge), {"Challenge", "Session"})
    equal(challenge["Challenge"], "SOFTWARE_TOKEN_MFA")
    answer = {"username": "mfa", "session": challenge["Session"]}
    path = "/auth/challenge/mfa-token"
    wrong = s.call("PUT", path, {**answer, "mfa_token": wrong_code(TOTP_SECRET)})
    equal(code_of(wrong), (400, "CodeMismatchException"))
    stranger = s.call("PUT", path, {**answer, "username": "newmfa", "mfa_token": "123456"})
    equal(code_of(stranger), (400, "ExpiredCodeException"))
    grant = s.good("PUT", path, {**answer, "mfa_token": totp(TOTP_SECRET)})
    check("AccessToken" in grant and "DeviceKey" not in grant, "a grant without a device")
    again = s.call("PUT", path, {**answer, "mfa_token": totp(TOTP_SECRET)})
    equal(code_of(again), (400, "ExpiredCodeException"), "a session serves once")
    counters = s.counters()
    equal((counters["mfa_challenges"], counters["mfa_wrong_codes"]), (1, 1))
    equal(counters["sign_ins"], 1)


@test
def totp_allows_one_step_of_drift(s):
    for drift, status in ((-1, 200), (1, 200), (-3, 400), (3, 400)):
        session = s.sign_in("mfa").json["Session"]
        body = {"username": "mfa", "session": session, "mfa_token": totp(TOTP_SECRET, drift)}
        # A step may begin between our clock and theirs, so that -1 is -2: then once more.
        answer = s.call("PUT", "/auth/challenge/mfa-token", body)
        if answer.status != status:
            body["mfa_token"] = totp(TOTP_SECRET, drift)
            answer = s.call("PUT", "/auth/challenge/mfa-token", body)
        equal(answer.status, status, f"drift {drift}")


@test
def three_wrong_codes_end_a_challenge(s):
    body = {"username": "mfa", "session": s.sign_in("mfa").json["Session"]}
    path = "/auth/challenge/mfa-token"
    for _ in range(3):
        answer = s.call("PUT", path, {**body, "mfa_token": wrong_code(TOTP_SECRET)})
        equal(code_of(answer), (400, "CodeMismatchException"))
    answer = s.call("PUT", path, {**body, "mfa_token": totp(TOTP_SECRET)})
    equal(code_of(answer), (400, "ExpiredCodeException"))


@test
def a_challenge_expires(s):
    s.good("PUT", "/_dev/lifetime", {"challenge_seconds": 0})
    try:
        session = s.sign_in("mfa").json["Session"]
    finally:
        s.good("PUT", "/_dev/lifetime", {"challenge_seconds": 180})
    body = {"username": "mfa", "session": session, "mfa_token": totp(TOTP_SECRET)}
    answer = s.call("PUT", "/auth/challenge/mfa-token", body)
    equal(code_of(answer), (400, "ExpiredCodeException"))


@test
def a_remembered_device_skips_mfa(s):
    body = {
        "username": "mfa",
        "session": s.sign_in("mfa").json["Session"],
        "mfa_token": s.good("GET", "/_dev/totp/mfa")["code"],
        "remember_device": True,
    }
    grant = s.good("PUT", "/auth/challenge/mfa-token", body)
    device = {"device_key": grant["DeviceKey"], "device_group_key": grant["DeviceGroupKey"]}
    check("AccessToken" in s.sign_in("mfa", **device).json, "no challenge")
    other = {**device, "device_group_key": "dev-group-other"}
    check("Challenge" in s.sign_in("mfa", **other).json, "another group is challenged")
    check("Challenge" in s.sign_in("newmfa", **device).json, "another account is challenged")
    equal(s.sign_in("mfa", "wrong", **device).status, 401, "the password counts all the same")
    s.account("mfa", forget_devices=True)
    check("Challenge" in s.sign_in("mfa", **device).json, "forgotten")


@test
def mfa_with_sms(s):
    s.account("mfa", preferred_method="sms")
    try:
        challenge = s.sign_in("mfa").json
        equal(challenge["Challenge"], "SMS_MFA")
        code = s.good("GET", "/_dev/sms/mfa")["code"]
        body = {"username": "mfa", "session": challenge["Session"], "mfa_token": code}
        check("AccessToken" in s.good("PUT", "/auth/challenge/mfa-token", body), "a grant")
        equal(s.good("GET", "/_dev/sms/mfa")["code"], None, "the code is used up")
    finally:
        s.account("mfa", preferred_method="totp")


@test
def a_new_password_must_be_set(s):
    challenge = s.sign_in("newpass").json
    equal(challenge["Challenge"], "NEW_PASSWORD_REQUIRED")
    path = "/auth/challenge/new-password"
    body = {"username": "newpass", "session": challenge["Session"]}
    for weak in ("short1!", "alllower1!", "ALLUPPER1!", "NoDigits!!", "NoSymbol11"):
        answer = s.call("PUT", path, {**body, "new_password": weak})
        equal(code_of(answer), (400, "InvalidPasswordException"), weak)
    wrong_kind = {**body, "mfa_token": "123456"}
    equal(s.call("PUT", "/auth/challenge/mfa-token", wrong_kind).status, 400, "another challenge")
    check("AccessToken" in s.good("PUT", path, {**body, "new_password": "New-Pass-1"}), "a grant")
    answer = s.call("PUT", path, {**body, "new_password": "New-Pass-2"})
    equal(code_of(answer), (400, "ExpiredCodeException"), "a session serves once")
    equal(s.sign_in("newpass").status, 401, "the old password")
    check("AccessToken" in s.sign_in("newpass", "New-Pass-1").json, "the new password")
    s.account("newpass", password=PASSWORD, new_password_required=True)
    equal(s.sign_in("newpass").json["Challenge"], "NEW_PASSWORD_REQUIRED", "set back")


@test
def a_new_password_may_be_followed_by_mfa(s):
    first = s.sign_in("newmfa").json
    body = {"username": "newmfa", "session": first["Session"], "new_password": "New-Pass-1"}
    second = s.good("PUT", "/auth/challenge/new-password", body)
    equal(second["Challenge"], "SOFTWARE_TOKEN_MFA")
    check(second["Session"] != first["Session"], "a session of its own")
    body = {"username": "newmfa", "session": second["Session"], "mfa_token": totp(TOTP_SECRET)}
    check("AccessToken" in s.good("PUT", "/auth/challenge/mfa-token", body), "a grant")
    s.account("newmfa", password=PASSWORD, new_password_required=True)


# --- MFA settings ---


@test
def mfa_settings_need_a_token_but_no_partner(s):
    s.reset_counters()
    token = s.grant()["AccessToken"]
    expected = {"mfa_enabled": False, "preferred": None, "methods": []}
    equal(s.good("GET", "/auth/mfa/settings", None, authorized(token)), expected)
    for method in ("GET", "PUT"):
        for path in ("/auth/mfa/settings", "/auth/mfa/configure/totp"):
            answer = s.call(method, path, "{}" if method == "PUT" else None)
            equal(code_of(answer), (401, "NotAuthorizedException"), path)
    equal(s.counters()["probes"], 2)


@test
def mfa_settings_are_changed(s):
    headers = authorized(s.grant("load-1")["AccessToken"])
    path = "/auth/mfa/settings"
    for body in ({"mfa_enabled": True}, {"preferred_method": "sms"}, {"preferred_method": "x"}, {}):
        equal(code_of(s.call("PUT", path, body, headers)), (400, "ValidationException"), str(body))
    s.account("load-1", has_phone=True)
    body = {"mfa_enabled": True, "preferred_method": "sms"}
    expected = {"mfa_enabled": True, "preferred": "sms", "methods": ["sms"]}
    equal(s.good("PUT", path, body, headers), expected)
    equal(s.sign_in("load-1").json["Challenge"], "SMS_MFA")
    equal(s.good("PUT", path, {"mfa_enabled": False}, headers)["mfa_enabled"], False)
    check("AccessToken" in s.sign_in("load-1").json, "no challenge any more")


@test
def totp_is_enrolled(s):
    headers = authorized(s.grant("load-2")["AccessToken"])
    path = "/auth/mfa/configure/totp"
    equal(s.call("PUT", path, {"mfa_token": "123456"}, headers).status, 400, "nothing begun")
    begun = s.good("GET", path, None, headers)
    secret = begun["qr_secret"]
    check(begun["qr_uri"].startswith("otpauth://totp/"), "the URI")
    check("secret=" + secret in begun["qr_uri"], "the URI has the secret")
    answer = s.call("PUT", path, {"mfa_token": wrong_code(secret)}, headers)
    equal(code_of(answer), (400, "CodeMismatchException"))
    check("pending_code" in s.good("GET", "/_dev/totp/load-2"), "the pending code")
    methods = s.good("PUT", path, {"mfa_token": totp(secret)}, headers)["methods"]
    equal(methods, ["totp"])
    s.good("PUT", "/auth/mfa/settings", {"mfa_enabled": True}, headers)
    session = s.sign_in("load-2").json["Session"]
    body = {"username": "load-2", "session": session, "mfa_token": totp(secret)}
    check("AccessToken" in s.good("PUT", "/auth/challenge/mfa-token", body), "signed in with it")


# --- refreshing ---


@test
def a_refresh_without_rotation(s):
    s.reset_counters()
    grant = s.grant()
    fresh = s.refresh(grant["RefreshToken"]).json
    equal(set(fresh), {"AccessToken", "IdToken", "ExpiresIn", "TokenType"})
    check(fresh["AccessToken"] != grant["AccessToken"], "another token")
    equal(s.refresh(grant["RefreshToken"]).status, 200, "again")
    for token in (grant["AccessToken"], fresh["AccessToken"]):
        equal(s.api(token).status, 200, "both serve")
    equal(code_of(s.refresh("dev-refresh-unknown")), (401, "NotAuthorizedException"))
    counters = s.counters()
    equal((counters["refresh_attempts"], counters["refreshes"]), (3, 2))
    equal((counters["refreshes_refused"], counters["refresh_in_flight"]), (1, 0))
    equal(counters["refresh_in_flight_max"], 1)
    equal(s.good("GET", "/_dev/accounts/svc-demo")["refreshes"], 2)


@test
def refresh_tokens_expire(s):
    s.good("PUT", "/_dev/lifetime", {"refresh_seconds": 0.05})
    try:
        grant = s.grant()
    finally:
        s.good("PUT", "/_dev/lifetime", {"refresh_seconds": 2592000})
    time.sleep(0.06)
    equal(code_of(s.refresh(grant["RefreshToken"])), (401, "NotAuthorizedException"))


@test
def rotation_replays_within_the_grace(s):
    s.good("PUT", "/_dev/rotation", {"rotate": True, "grace": 100, "reuse": "revoke"})
    s.reset_counters()
    try:
        first = s.grant()["RefreshToken"]
        second = s.refresh(first).json["RefreshToken"]
        replayed = s.refresh(first).json["RefreshToken"]
        equal(len({first, second, replayed}), 3, "each is new")
        for token in (second, replayed):
            equal(s.refresh(token).status, 200, "both serve")
        counters = s.counters()
        equal((counters["refresh_replays"], counters["reuse_detected"]), (1, 0))
    finally:
        s.good("PUT", "/_dev/rotation", {"rotate": False, "grace": 10, "reuse": "refuse"})


@test
def reuse_after_the_grace_is_refused_or_revokes_the_family(s):
    try:
        for reuse, status in (("refuse", 200), ("revoke", 401)):
            s.good("PUT", "/_dev/rotation", {"rotate": True, "grace": 0, "reuse": reuse})
            s.reset_counters()
            first, other = s.grant()["RefreshToken"], s.grant()["RefreshToken"]
            second = s.refresh(first).json["RefreshToken"]
            equal(code_of(s.refresh(first)), (401, "NotAuthorizedException"), reuse)
            equal(s.counters()["reuse_detected"], 1)
            equal(s.refresh(second).status, status, f"the heir, reuse {reuse}")
            equal(s.refresh(other).status, 200, "another family")
    finally:
        s.good("PUT", "/_dev/rotation", {"rotate": False, "grace": 10, "reuse": "refuse"})


@test
def concurrent_refreshes_are_seen(s):
    grants = [s.grant("load-10"), s.grant("load-10"), s.grant("load-11")]
    s.reset_counters()
    s.fault("latency", match="/auth/refresh_token", count=4, ms=700)
    tokens = [grants[index]["RefreshToken"] for index in (0, 0, 1, 2)]
    answers = in_threads(4, lambda index: s.refresh(tokens[index]))
    equal([answer.status for answer in answers], [200] * 4)
    counters = s.counters()
    equal(counters["refresh_in_flight_max"], 4)
    equal(counters["refresh_in_flight_max_per_account"], 3)
    equal(counters["refresh_same_token_concurrent"], 1)
    equal(counters["refresh_in_flight"], 0)
    equal(s.good("GET", "/_dev/accounts/load-11")["refresh_in_flight_max"], 1)


@test
def refreshes_one_after_the_other_are_never_concurrent(s):
    token = s.grant("load-12")["RefreshToken"]
    s.reset_counters()
    s.fault("drip", match="/auth/refresh_token", bytes=500, count=5)
    for _ in range(20):
        equal(s.refresh(token).status, 200)
    counters = s.counters()
    equal((counters["refreshes"], counters["refresh_in_flight_max"]), (20, 1))
    equal(counters["refresh_same_token_concurrent"], 0)


@test
def concurrent_sign_ins_are_seen(s):
    s.reset_counters()
    s.fault("latency", match="/auth", username="load-13", count=2, ms=700)
    names = ["load-13", "load-13", "load-14"]
    answers = in_threads(3, lambda index: s.sign_in(names[index]))
    equal([answer.status for answer in answers], [200] * 3)
    equal(s.sign_in("nobody-of-that-name").status, 401)
    counters = s.counters()
    equal(counters["sign_in_in_flight_max_per_account"], 2)
    equal(counters["sign_in_in_flight"], 0)
    check(2 <= counters["sign_in_in_flight_max"] <= 3, "the two that waited were there at once")
    s.reset_counters()
    for _ in range(5):
        s.grant("load-13")
    equal(s.counters()["sign_in_in_flight_max_per_account"], 1, "one after the other")


@test
def a_refresh_token_is_looked_at_without_using_it(s):
    def state(token):
        return s.good("POST", "/_dev/refresh_token", {"refresh_token": token})["state"]

    s.good("PUT", "/_dev/rotation", {"rotate": True, "grace": 0})
    try:
        first = s.grant("load-15")["RefreshToken"]
        equal([state(first), state(first)], ["current", "current"])
        second = s.refresh(first).json["RefreshToken"]
        equal((state(first), state(second)), ("superseded", "current"))
        check(0 <= s.good("POST", "/_dev/refresh_token",
                          {"refresh_token": first})["superseded_for"] < PATIENCE, "since when")
        s.good("POST", "/_dev/revoke", {"username": "load-15", "what": "refresh"})
        equal(state(second), "revoked")
        equal(state("no-token"), "unknown")
        equal(s.call("POST", "/_dev/refresh_token", {}).status, 400)
    finally:
        s.good("PUT", "/_dev/rotation", {"rotate": False, "grace": 10})


@test
def revocation(s):
    grant = s.grant("load-20")
    other = s.grant("load-21")
    s.good("POST", "/_dev/revoke", {"username": "load-20", "what": "access"})
    equal(code_of(s.api(grant["AccessToken"])), (401, "NotAuthorizedException"))
    equal(s.api(other["AccessToken"]).status, 200, "another account")
    fresh = s.refresh(grant["RefreshToken"]).json
    equal(s.api(fresh["AccessToken"]).status, 200, "a token issued since")
    s.good("POST", "/_dev/revoke", {"username": "load-20", "what": "refresh"})
    equal(s.api(fresh["AccessToken"]).status, 200, "access tokens stay")
    equal(code_of(s.refresh(grant["RefreshToken"])), (401, "NotAuthorizedException"))
    s.good("POST", "/_dev/revoke", {"username": "load-21"})
    equal((s.api(other["AccessToken"]).status, s.refresh(other["RefreshToken"]).status), (401, 401))
    equal(s.call("POST", "/_dev/revoke", {"username": "nobody"}).status, 404)
    equal(s.call("POST", "/_dev/revoke", {"username": "mfa", "what": "x"}).status, 400)


# --- the API ---


@test
def the_api_echoes(s):
    token = s.grant()["AccessToken"]
    answer = s.api(token, path="/api/a/b?c=d", method="PATCH", body="12345", X_Request_Id="echo-1")
    equal(answer.status, 200)
    expected = {
        "method": "PATCH",
        "path": "/api/a/b",
        "partner": "fd42",
        "username": "svc-demo",
        "body_bytes": 5,
        "jti": claims(token)["jti"],
    }
    equal(answer.json, expected)
    equal(answer.headers["X-Request-Id"], "echo-1")
    for method in ("GET", "POST", "PUT", "DELETE", "OPTIONS", "HEAD"):
        equal(s.api(token, method=method).status, 200, method)


@test
def the_api_needs_both_headers(s):
    token = s.grant()["AccessToken"]
    s.reset_counters()
    equal(code_of(s.api(None)), (401, "NotAuthorizedException"))
    equal(code_of(s.api(token, None)), (400, "ValidationException"))
    equal(code_of(s.api(None, None)), (401, "NotAuthorizedException"))
    equal(code_of(s.api(token, "fd1")), (403, "AccessDeniedException"))
    counters = s.counters()
    expected = {
        "api_requests": 4,
        "api_lacking_header": 3,
        "api_lacking_authorization": 2,
        "api_lacking_partner": 2,
        "api_wrong_partner": 1,
        "api_401": 2,
        "api_403": 1,
        "api_ok": 0,
    }
    equal({name: counters[name] for name in expected}, expected)


@test
def duplicate_headers_are_refused(s):
    token = s.grant()["AccessToken"]
    s.reset_counters()
    request = (
        "GET /api/x HTTP/1.1\r\nHost: x\r\nConnection: close\r\n"
        f"Authorization: Bearer {token}\r\nX-Preferred-Partner-Id: fd42\r\n"
        "x-preferred-partner-id: fd42\r\n\r\n"
    )
    check(s.raw(request.encode()).startswith(b"HTTP/1.1 400 "), "400")
    equal(s.counters()["api_duplicate_header"], 1)


@test
def partners_are_groups_of_a_certain_form(s):
    token = s.grant("svc-two")["AccessToken"]
    for partner in ("fd1", "partner-id-acme"):
        equal(s.api(token, partner).json["partner"], partner)
    names = ["staff", "fd", "fdx", "fd1x", "partner-id-", "xfd1", "fd007", "partner-id-x y"]
    s.account("load-30", groups=names)
    token = s.grant("load-30")["AccessToken"]
    good = [name for name in names if s.api(token, name).status == 200]
    equal(good, ["fd007", "partner-id-x y"])
    equal(s.api(s.grant("nopartner")["AccessToken"], "staff").status, 403)


@test
def suspended_and_external_accounts(s):
    grant = s.grant("suspended")
    check("account-disabled" in claims(grant["IdToken"])["cognito:groups"], "the group")
    equal(s.api(grant["AccessToken"]).status, 403)
    grant = s.grant("external")
    check("external-user" in claims(grant["IdToken"])["cognito:groups"], "the group")
    equal(s.api(grant["AccessToken"]).status, 200)


@test
def an_account_is_suspended_at_run_time(s):
    grant = s.grant("load-31")
    equal(s.api(grant["AccessToken"]).status, 200)
    s.account("load-31", groups=["fd42", "account-disabled"])
    equal(s.api(grant["AccessToken"]).status, 403, "at once")
    fresh = s.refresh(grant["RefreshToken"]).json
    check("account-disabled" in claims(fresh["IdToken"])["cognito:groups"], "told by the refresh")


@test
def bad_tokens_are_refused(s):
    grant = s.grant()
    header, payload, signature = grant["AccessToken"].split(".")
    none = base64.urlsafe_b64encode(b'{"alg":"none","typ":"JWT"}').decode().rstrip("=")
    other = claims(grant["AccessToken"])
    other["username"] = "mfa"
    forged = base64.urlsafe_b64encode(json.dumps(other).encode()).decode().rstrip("=")
    flipped = ("B" if signature[0] == "A" else "A") + signature[1:]
    bad = {
        "an ID token": grant["IdToken"],
        "a refresh token": grant["RefreshToken"],
        "alg none": f"{none}.{payload}.",
        "alg none, signed": f"{none}.{payload}.{signature}",
        "other claims": f"{header}.{forged}.{signature}",
        "another signature": f"{header}.{payload}.{flipped}",
        "no signature": f"{header}.{payload}.",
        "a short one": header,
        "header and dot": header + ".",
        "no payload": f"{header}..{signature}",
        "padding": grant["AccessToken"] + "=",
        "a long one": f"{header}.{'A' * 20000}.{'A' * 20000}",
    }
    s.reset_counters()
    for what, token in bad.items():
        equal(code_of(s.api(token)), (401, "NotAuthorizedException"), what)
    equal(s.counters()["api_bad_token"], len(bad))
    for scheme in ("Basic ", "bearer", ""):
        headers = {**authorized(None, "fd42"), "Authorization": scheme + grant["AccessToken"]}
        equal(s.call("GET", "/api/x", None, headers).status, 401, "scheme " + scheme)


@test
def tokens_expire_to_the_fraction(s):
    s.good("PUT", "/_dev/lifetime", {"seconds": 0.4})
    s.reset_counters()
    try:
        began = time.monotonic()
        grant = s.grant()
        signed_in = time.monotonic()
        equal(grant["ExpiresIn"], 1, "rounded up")
        status = s.api(grant["AccessToken"]).status
        if time.monotonic() - began < 0.4:
            equal(status, 200, "fresh")
            equal(s.counters()["api_expired_token"], 0)
        s.reset_counters()
        time.sleep(max(0, signed_in + 0.4 - time.monotonic()))
        answer = s.api(grant["AccessToken"])
        equal((answer.status, answer.json["message"]), (401, "Access Token has expired"))
        equal(s.counters()["api_expired_token"], 1)
    finally:
        s.good("PUT", "/_dev/lifetime", {"seconds": 3600})


@test
def resent_requests_are_counted(s):
    token = s.grant()["AccessToken"]
    s.reset_counters()
    for request_id in ("resent-1", "resent-2", "resent-1", "resent-1"):
        s.api(token, X_Request_Id=request_id)
    equal(s.counters()["resent_requests"], 2)
    s.reset_counters()
    s.api(token, X_Request_Id="resent-1")
    equal(s.counters()["resent_requests"], 0, "forgotten with the counters")


@test
def special_paths_of_the_api(s):
    token = s.grant()["AccessToken"]
    began = time.monotonic()
    equal(s.api(token, path="/api/slow?ms=150").status, 200)
    check(time.monotonic() - began >= 0.15, "slow")
    for status in (200, 204, 304, 404, 418, 500, 503):
        equal(s.api(token, path=f"/api/status/{status}").status, status)
    answer = s.api(token, path="/api/redirect?to=http%3A%2F%2Fother.example%2F&code=307")
    equal((answer.status, answer.headers["Location"]), (307, "http://other.example/"))
    equal(s.api(token, path="/api/redirect?to=/api/x").status, 302)
    for path in ("slow", "slow?ms=-1", "slow?ms=9999999999", "status/99", "status/x", "status/600",
                 "redirect", "redirect?to=/x&code=200", "redirect?to=/%0d%0aX-Y:z"):
        equal(code_of(s.api(token, path="/api/" + path)), (400, "ValidationException"), path)
        equal(s.api(None, path="/api/" + path).status, 401, path)


@test
def headers_are_listed_without_secrets(s):
    token = s.grant()["AccessToken"]
    answer = s.api(token, path="/api/headers", X_Thing="seen", Cookie="a=secret-1; b=secret-2")
    equal(answer.json["headers"]["X-Thing"], ["seen"])
    equal(set(answer.json["cookies"]), {"a", "b"})
    check(token not in answer.body.decode() and b"secret-1" not in answer.body, "no secrets")


# --- faults ---


@test
def fault_latency(s):
    token = s.grant()["AccessToken"]
    s.fault("latency", match="/api/", ms=700)
    began = time.monotonic()
    answers = in_threads(2, lambda _: (s.api(token).status, time.monotonic() - began))
    equal([status for status, _ in answers], [200, 200])
    check(max(taken for _, taken in answers) >= 0.7, "one waited")
    check(min(taken for _, taken in answers) < 0.7, "the other went by")


@test
def fault_status(s):
    token = s.grant()["AccessToken"]
    s.reset_counters()
    s.fault("status", match="/api/")
    equal(code_of(s.api(token)), (503, "InternalErrorException"))
    s.fault("status", match="/api/", status=429, retry_after="120")
    answer = s.api(token)
    equal(code_of(answer), (429, "TooManyRequestsException"))
    equal(answer.headers["Retry-After"], "120")
    s.fault("status", match="/api/", status=401, body='{"odd":1}')
    answer = s.api(token)
    equal((answer.status, answer.json), (401, {"odd": 1}))
    equal(s.api(token).status, 200, "used up")
    equal(s.counters()["faults"], 3)


@test
def fault_reset_before_is_not_processed(s):
    grant = s.grant("load-40")
    s.reset_counters()
    s.fault("reset_before", match="/auth/refresh_token")
    expect_reset(lambda: s.refresh(grant["RefreshToken"]))
    counters = s.counters()
    equal((counters["refresh_attempts"], counters["refreshes"]), (1, 0))
    equal(counters["refresh_in_flight"], 0)


@test
def fault_reset_after_is_processed(s):
    s.good("PUT", "/_dev/rotation", {"rotate": True, "grace": 0})
    try:
        token = s.grant("load-40")["RefreshToken"]
        s.reset_counters()
        s.fault("reset_after", match="/auth/refresh_token")
        expect_reset(lambda: s.refresh(token))
        equal(s.counters()["refreshes"], 1)
        equal(s.refresh(token).status, 401, "it was rotated")
    finally:
        s.good("PUT", "/_dev/rotation", {"rotate": False, "grace": 10})


def expect_reset(call):
    try:
        call()
    except ConnectionResetError:
        return
    raise AssertionError("no reset")


@test
def fault_truncate(s):
    token = s.grant()["AccessToken"]
    whole = len(s.api(token).body)
    for more, got in (({}, whole // 2), ({"bytes": 0}, 0), ({"bytes": 7}, 7),
                      ({"bytes": whole}, whole)):
        s.fault("truncate", match="/api/", **more)
        try:
            s.api(token)
        except http.client.IncompleteRead as error:
            equal(len(error.partial), got, str(more))
            check(error.expected > 0, "more was promised")
        else:
            raise AssertionError(f"complete: {more}")


@test
def fault_html(s):
    token = s.grant()["RefreshToken"]
    s.reset_counters()
    s.fault("html", match="/auth/refresh_token")
    answer = s.refresh(token)
    equal((answer.status, answer.headers.get_content_type()), (200, "text/html"))
    check(answer.body.startswith(b"<!DOCTYPE html>"), "a page")
    equal(s.counters()["refreshes"], 0)


@test
def fault_giant(s):
    token = s.grant()["RefreshToken"]
    s.fault("giant", match="/auth/refresh_token", bytes=3000000)
    answer = s.refresh(token)
    equal((answer.status, len(answer.body)), (200, 3000000))
    equal(len(answer.json["AccessToken"]), 3000000 - 18)


@test
def fault_drip(s):
    token = s.grant()["AccessToken"]
    s.fault("drip", match="/api/", ms=20, bytes=20)
    began = time.monotonic()
    answer = s.api(token)
    equal(answer.json["username"], "svc-demo", "whole after all")
    pieces = (len(answer.body) + 19) // 20
    check(time.monotonic() - began >= 0.02 * (pieces - 1), "slowly")


@test
def fault_body(s):
    token = s.grant()["RefreshToken"]
    s.reset_counters()
    s.fault("body", match="/auth/refresh_token", body='{"ExpiresIn":"soon"}')
    equal(s.refresh(token).json, {"ExpiresIn": "soon"})
    s.fault("body", match="/auth/refresh_token", status=202)
    answer = s.refresh(token)
    equal((answer.status, answer.body), (202, b""))
    equal(s.counters()["refreshes"], 0)


@test
def faults_may_strike_after_processing(s):
    token = s.grant()["RefreshToken"]
    s.reset_counters()
    s.fault("status", match="/auth/refresh_token", status=502, when="after")
    equal(s.refresh(token).status, 502)
    equal(s.counters()["refreshes"], 1)
    s.fault("latency", match="/auth/refresh_token", ms=20, when="after")
    equal(s.refresh(token).status, 200)


@test
def faults_match_count_and_clear(s):
    tokens = {name: s.grant(name) for name in ("load-41", "load-42")}
    s.fault("status", match="/auth/refresh", username="load-41", count=-1)
    s.fault("status", method="DELETE", status=500)
    for _ in range(3):
        equal(s.refresh(tokens["load-41"]["RefreshToken"]).status, 503)
    equal(s.refresh(tokens["load-42"]["RefreshToken"]).status, 200, "another account")
    equal(s.api(tokens["load-41"]["AccessToken"]).status, 200, "another path")
    equal(s.api(tokens["load-41"]["AccessToken"], method="DELETE").status, 500, "the method")
    listed = s.good("GET", "/_dev/faults")["faults"]
    equal([(fault["kind"], fault["count"]) for fault in listed], [("status", -1)])
    s.clear_faults()
    equal(s.refresh(tokens["load-41"]["RefreshToken"]).status, 200, "cleared")
    s.fault("status", count=2)
    equal(s.good("GET", "/_dev/faults")["faults"][0]["count"], 2, "controls are exempt")
    equal([s.sign_in("svc-demo").status for _ in range(3)], [503, 503, 200])


@test
def clearing_faults_lets_go_of_who_waits(s):
    token = s.grant("load-43")["RefreshToken"]
    s.fault("latency", match="/auth/refresh", ms=300000)

    def work(number):
        if number == 0:
            return s.refresh(token).status
        wait_for(lambda: s.counters()["refresh_in_flight"] == 1, "it waits")
        s.clear_faults()
        return None

    equal(in_threads(2, work), [200, None])


@test
def bad_faults_are_refused(s):
    bad = [
        {}, {"kind": "x"}, {"kind": 1}, {"kind": "status", "status": 99},
        {"kind": "status", "status": "503"}, {"kind": "latency", "ms": -1},
        {"kind": "latency", "ms": 10**12}, {"kind": "status", "count": 0},
        {"kind": "status", "count": 1.5}, {"kind": "giant", "bytes": 2**40},
        {"kind": "body", "body": {}}, {"kind": "status", "when": "soon"},
        {"kind": "status", "match": "x" * 1000},
    ]
    for fault in bad:
        answer = s.call("POST", "/_dev/faults", fault)
        equal(code_of(answer), (400, "ValidationException"), str(fault)[:80])
    for _ in range(64):
        s.fault("status", match="/never")
    equal(s.call("POST", "/_dev/faults", {"kind": "status"}).status, 409, "a bounded number")
    s.clear_faults()


# --- hostile input ---

POSTED = {
    "/auth": ("POST", {"username": "u", "password": "p"}),
    "/auth/challenge/mfa-token": (
        "PUT", {"username": "u", "session": "s", "mfa_token": "1", "remember_device": False}),
    "/auth/challenge/new-password": (
        "PUT", {"username": "u", "session": "s", "new_password": "p"}),
    "/auth/refresh_token": ("POST", {"refresh_token": "r"}),
}

NO_OBJECTS = [
    b"", b"{", b"[]", b"null", b"1", b'"x"', b'{"a":1}x', b'{"username":"\\ud800"}', b"\0", b"\xff",
    b'{"username":"\xff"}', b'{"username":"a\\u0000b"}', b"{" * 100000, b'{"a":' * 50000,
    b"[" * 200000, b'{"a":1,"a":2}', b'{"a":1e999}', b'{"a":' + b"9" * 100000 + b"}",
]


@test
def bodies_that_are_no_json_objects_are_refused(s):
    for path, (method, _) in POSTED.items():
        for body in NO_OBJECTS:
            answer = s.call(method, path, body)
            equal(code_of(answer), (400, "ValidationException"), f"{path} {body[:20]!r}")


@test
def fields_of_the_wrong_type_are_refused(s):
    for path, (method, good) in POSTED.items():
        for field in good:
            for value in (None, 1, [], {}, [good[field]], "", "x" * 5000):
                answer = s.call(method, path, {**good, field: value})
                equal(code_of(answer), (400, "ValidationException"), f"{path} {field} {value!r:.9}")
        for field in set(good) - {"remember_device"}:
            less = {name: value for name, value in good.items() if name != field}
            equal(code_of(s.call(method, path, less)), (400, "ValidationException"), field)


@test
def bodies_are_bounded(s):
    token = s.grant()["AccessToken"]
    equal(s.api(token, method="POST", body=b"x" * 262144).json["body_bytes"], 262144)
    equal(s.api(token, method="POST", body=b"x" * 262145).status, 413)
    equal(s.call("POST", "/auth", b" " * 3000000).status, 413)
    try:
        s.call("POST", "/auth", b" " * 12000000)
    except (ConnectionError, http.client.HTTPException):
        pass
    else:
        raise AssertionError("12 MB were read")


@test
def unknown_paths_and_methods(s):
    for path in ("/", "/auth/", "/authx", "/auth/refresh_token/", "/api", "/x", "/_dev/", "/_dev/x",
                 "/%00", "//auth", "/auth/../auth", "/_dev/totp/nobody",
                 "/_dev/sms/nobody", "/_dev/accounts/", "/_dev/accounts/a/b",
                 "/" + "x" * 5000):
        equal(s.call("GET", path).status, 404, path[:40])
    for method, path in (("GET", "/auth"), ("POST", "/auth/mfa/settings"),
                         ("DELETE", "/_dev/counters"), ("PUT", "/auth/refresh_token")):
        equal(s.call(method, path).status, 405, path)


@test
def odd_bytes_in_a_path_are_echoed_harmlessly(s):
    token = s.grant()["AccessToken"]
    check("?" in s.api(token, path="/api/%ff%fe").json["path"], "no UTF-8")
    equal(s.api(token, path="/api/%0a%1b[31m").json["path"], "/api/\n\x1b[31m")
    check("\x1b" not in s.text(s.log), "the log is plain")


@test
def broken_requests_do_no_harm(s):
    for request in (b"\r\n\r\n", b"GET\r\n\r\n", b"\x16\x03\x01\x02\x00", b"A" * 300000,
                    b"GET / HTTP/1.1\r\nHost: x\r\nX: " + b"y" * 300000 + b"\r\n\r\n",
                    b"POST /auth HTTP/1.1\r\nHost: x\r\nContent-Length: -1\r\n\r\n"):
        with socket.create_connection(s.address, PATIENCE) as connection:
            try:
                connection.sendall(request)
                connection.shutdown(socket.SHUT_WR)
                connection.recv(65536)
            except ConnectionError:
                pass
    with socket.create_connection(s.address, PATIENCE) as connection:
        connection.sendall(b"POST /auth HTTP/1.1\r\nHost: x\r\nContent-Length: 100\r\n\r\n{")
    equal(s.sign_in("svc-demo").status, 200, "alive")
    wait_for(lambda: s.counters()["connections_open"] == 1, "all but ours are closed")


@test
def bad_settings_are_refused(s):
    for method, path, body in (
            ("PUT", "/_dev/lifetime", {"seconds": 0}), ("PUT", "/_dev/lifetime", {"seconds": "1"}),
            ("PUT", "/_dev/lifetime", {"seconds": 1e300}), ("PUT", "/_dev/rotation", {"rotate": 1}),
            ("PUT", "/_dev/rotation", {"reuse": "x"}), ("PUT", "/_dev/rotation", {"grace": -1}),
            ("POST", "/_dev/accounts/mfa", {"groups": "x"}),
            ("POST", "/_dev/accounts/mfa", {"groups": [1]}),
            ("POST", "/_dev/accounts/mfa", {"groups": ["x"] * 1000}),
            ("POST", "/_dev/accounts/mfa", {"mfa_enabled": 1}),
            ("POST", "/_dev/accounts/mfa", {"preferred_method": "x"}),
            ("POST", "/_dev/accounts/mfa", {"password": ""})):
        equal(code_of(s.call(method, path, body)), (400, "ValidationException"), f"{path} {body}")
    equal(s.call("POST", "/_dev/accounts/nobody", {}).status, 404)


@test
def many_at_once(s):
    grants = in_threads(32, lambda index: s.grant(f"load-{100 + index}"))
    s.reset_counters()

    def work(index):
        return [s.api(grants[index]["AccessToken"]).status for _ in range(5)] + [
            s.refresh(grants[index]["RefreshToken"]).status]

    equal(in_threads(32, work), [[200] * 6] * 32)
    counters = s.counters()
    equal((counters["api_ok"], counters["refreshes"]), (160, 32))
    equal(counters["api_lacking_header"] + counters["api_expired_token"], 0)


@test
def nothing_secret_is_logged(s):
    grant = s.grant()
    s.api(grant["AccessToken"], path="/api/x?token=query-secret")
    s.refresh(grant["RefreshToken"])
    wait_for(lambda: "POST /auth/refresh_token 200 " in s.text(s.log), "the log line")
    log = s.text(s.log)
    for secret in (PASSWORD, grant["AccessToken"], grant["RefreshToken"], "query-secret"):
        check(secret not in log, "a secret in the log")
    banner = s.text(s.out)
    for text in ("FOR DEVELOPMENT ONLY", "http://%s:%d" % s.address, PASSWORD, "svc-demo",
                 TOTP_SECRET, "/_dev/faults"):
        check(text in banner, text + " in the banner")


# --- the process; each test starts its own, so these get the binary ---


def process_test(function):
    function.starts = True
    return test(function)


def run(binary, *options):
    return subprocess.run([binary, *options], capture_output=True, text=True, timeout=PATIENCE,
                          check=False)


@process_test
def help_version_and_usage(binary):
    result = run(binary, "--help")
    equal((result.returncode, result.stderr), (0, ""))
    check("--port-file" in result.stdout, "help")
    result = run(binary, "--version")
    check(result.returncode == 0 and result.stdout.startswith("freshet-devserver "), "version")
    for options in (["--nonsense"], ["--lifetime", "0"], ["--lifetime", "x"], ["--lifetime", "nan"],
                    ["--lifetime", "1e99"], ["--grace", "-1"], ["--reuse", "x"], ["--scheme", "x"],
                    ["extra"], ["--tls-cert", "x"], ["--listen"], ["--listen", "x"],
                    ["--listen", "127.0.0.1"], ["--listen", "127.0.0.1:65536"],
                    ["--listen", "127.0.0.1:x"]):
        result = run(binary, *options)
        equal(result.returncode, 2, str(options))
        check(result.stderr and not result.stdout, "the message is on stderr")


@process_test
def only_loopback(binary):
    for address in ("0.0.0.0:0", "192.0.2.1:0", "[::]:0", "[2001:db8::1]:0", "example.com:0",
                    "128.0.0.1:0"):
        result = run(binary, "--listen", address)
        equal(result.returncode, 2, address)
        check("loopback" in result.stderr, "it says why")


@process_test
def failures_to_start(binary):
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        result = run(binary, "--listen", "127.0.0.1:%d" % taken.getsockname()[1])
        equal(result.returncode, 1, "the port is taken")
        check("cannot listen" in result.stderr, "it says why")
    for options in (["--key-file", "/nonexistent"], ["--key-file", __file__],
                    ["--tls-cert", "/nonexistent", "--tls-key", "/nonexistent"],
                    ["--tls-cert", __file__, "--tls-key", __file__],
                    ["--clock", "/nonexistent"], ["--clock", os.devnull],
                    ["--port-file", "/nonexistent/x"]):
        result = run(binary, "--listen", "127.0.0.1:0", *options)
        equal(result.returncode, 1, str(options))
        check(result.stderr, "it says why")


@process_test
def options_take_effect(binary):
    s = Server(binary, "--lifetime", "2.5", "--rotate", "--grace", "0", "--reuse", "revoke",
               "--scheme", "bare", "--quiet")
    try:
        grant = s.grant()
        equal(grant["ExpiresIn"], 3)
        headers = {"X-Preferred-Partner-Id": "fd42", "Authorization": grant["AccessToken"]}
        equal(s.call("GET", "/api/x", None, headers).status, 200, "bare")
        equal(s.api(grant["AccessToken"]).status, 200, "Bearer too")
        heir = s.refresh(grant["RefreshToken"]).json["RefreshToken"]
        equal(s.refresh(grant["RefreshToken"]).status, 401, "reuse")
        equal(s.refresh(heir).status, 401, "the family is revoked")
        equal(s.stop(signal.SIGINT), 0)
        equal((s.text(s.log), s.text(s.out)), ("", ""), "quiet")
    finally:
        s.close()


@process_test
def its_clock_follows_a_file(binary):
    with tempfile.NamedTemporaryFile() as clock:
        clock.write(bytes(8))
        clock.flush()
        s = Server(binary, "--clock", clock.name, "--lifetime", "3600")
        try:
            token = s.grant()["AccessToken"]
            equal(s.api(token).status, 200)
            for hours, status in ((0.9, 200), (1.1, 401), (0.5, 200)):
                clock.seek(0)
                clock.write(struct.pack("=q", int(hours * 3600e9)))
                clock.flush()
                equal(s.api(token).status, status, f"after {hours} hours")
            check(claims(s.grant()["AccessToken"])["iat"] - time.time() > 1700, "the calendar too")
        finally:
            s.close()


@process_test
def sigterm_ends_it_whatever_is_going_on(binary):
    s = Server(binary)
    try:
        token = s.grant()["AccessToken"]
        s.fault("drip", match="/api/drip", ms=60000)
        open_connections = []
        for path in ("/api/slow?ms=60000", "/api/drip", None):
            connection = socket.create_connection(s.address, PATIENCE)
            open_connections.append(connection)
            if path:
                connection.sendall((f"GET {path} HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer "
                                    f"{token}\r\nX-Preferred-Partner-Id: fd42\r\n\r\n").encode())
        wait_for(lambda: s.counters()["api_requests"] == 2, "both requests")
        open_connections[1].recv(10)
        equal(s.stop(), 0)
        for connection in open_connections:
            connection.close()
    finally:
        s.close()


def openssl(*arguments):
    if not shutil.which("openssl"):
        raise Skip("no openssl command")
    subprocess.run(["openssl", *arguments], check=True, capture_output=True, timeout=PATIENCE)


@process_test
def tls_and_a_key_file(binary):
    with tempfile.TemporaryDirectory() as folder:
        key, cert = os.path.join(folder, "key"), os.path.join(folder, "cert")
        openssl("req", "-x509", "-newkey", "rsa:2048", "-nodes", "-keyout", key, "-out", cert,
                "-subj", "/CN=localhost", "-addext", "subjectAltName=IP:127.0.0.1", "-days", "2")
        s = Server(binary, "--tls-cert", cert, "--tls-key", key, "--key-file", key)
        try:
            context = ssl.create_default_context(cafile=cert)
            connection = http.client.HTTPSConnection(*s.address, context=context, timeout=PATIENCE)
            body = json.dumps({"username": "svc-demo", "password": PASSWORD})
            connection.request("POST", "/auth", body)
            grant = json.loads(connection.getresponse().read())
            equal(claims(grant["AccessToken"])["iss"], "https://%s:%d" % s.address)
            connection.request("POST", "/_dev/faults", '{"kind":"reset_before"}')
            equal(connection.getresponse().read(), b'{"id":1}')
            connection.request("POST", "/auth", body)
            expect_reset(connection.getresponse)
            connection.close()
            equal(s.stop(), 0)
        finally:
            s.close()


# --- TAP ---


def run_one(function, subject):
    """The TAP line's end, or None when it failed."""
    try:
        function(subject)
    except Skip as reason:
        return f" # SKIP {reason}"
    except Exception:  # pylint: disable=broad-except
        for line in traceback.format_exc().splitlines():
            print("#", line)
        return None
    return ""


def main():
    if len(sys.argv) != 2:
        sys.exit("usage: test_devserver.py BINARY")
    binary = sys.argv[1]
    failures = 0
    print(f"1..{len(TESTS) + 1}", flush=True)
    server = Server(binary)
    try:
        for number, function in enumerate(TESTS, 1):
            end = run_one(function, binary if hasattr(function, "starts") else server)
            if end is None:
                failures += 1
                server.clear_faults()
            name = function.__name__.replace("_", " ")
            print(f"{'not ok' if end is None else 'ok'} {number} - {name}{end or ''}", flush=True)
        clean = server.stop() == 0
        failures += not clean
        print(f"{'ok' if clean else 'not ok'} {len(TESTS) + 1} - a clean end")
        if not clean:
            print("# " + server.text(server.log)[-4000:].replace("\n", "\n# "))
    finally:
        server.close()
    sys.exit(1 if failures else 0)


if __name__ == "__main__":
    main()
