# SPDX-License-Identifier: Apache-2.0
"""freshetd as a service among others: what it tells the service manager and its log, what it takes from
them, how it reloads and ends, and what it has given up.

usage: test_citizen.py FRESHETD DEVSERVER FRESHET WORLD sanitized|plain
where WORLD is the library of world.c
"""
import contextlib
import datetime
import fcntl
import grp
import http.client
import json
import os
import pwd
import re
import resource
import shutil
import signal
import socket
import struct
import subprocess
import sys
import tempfile
import termios
import threading
import time

from harness import (PASSWORD, PATIENCE, STRANGER_GID, STRANGER_UID, Child, UnixConnection, World, check, equal,
                     exchange, request, run_cases, unix_socket, wait_for)

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
UNITS = os.path.join(ROOT, "packaging", "systemd")
SANITIZED = sys.argv[5] == "sanitized"
ROOTED = os.getuid() == 0
CAP_IPC_LOCK, CAP_SYS_RESOURCE = 14, 24
NOBODY = pwd.getpwnam("nobody")
HEADERS = "/v1/sessions/billing/headers"


class Manager:
    """What a service manager has at NOTIFY_SOCKET."""

    def __init__(self, abstract=False):
        self.folder = tempfile.mkdtemp(prefix="freshet-notify-")
        name = os.path.join(self.folder, "notify")
        self.socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self.socket.bind("\0" + name if abstract else name)
        self.socket.settimeout(PATIENCE)
        self.environment = {"NOTIFY_SOCKET": ("@" if abstract else "") + name}

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.socket.close()
        shutil.rmtree(self.folder)

    def next(self):
        text = self.socket.recv(4096).decode()
        return dict(line.split("=", 1) for line in text.splitlines())

    def until(self, name):
        while name not in (message := self.next()):
            pass
        return message

    def empty(self):
        """Takes what is there already."""
        self.socket.setblocking(False)
        try:
            while True:
                self.socket.recv(4096)
        except BlockingIOError:
            self.socket.settimeout(PATIENCE)

    def silent_for(self, seconds):
        self.socket.settimeout(seconds)
        try:
            return self.socket.recv(4096) is None
        except TimeoutError:
            return True
        finally:
            self.socket.settimeout(PATIENCE)


def said(keeper, *words):
    """Waits for a line of the log with all these words."""
    return wait_for(lambda: next((line for line in keeper.log().splitlines()
                                  if all(word in line for word in words)), None),
                    f"a line with {words}")


def of_process(pid, name):
    """A line of /proc/PID/status."""
    with open(f"/proc/{pid}/status", encoding="ascii") as file:
        return next(line.split(":", 1)[1].split() for line in file if line.startswith(name + ":"))


# ---- the service manager


def tells_when_it_is_ready_and_when_it_stops(lab):
    for abstract in (False, True):
        with Manager(abstract) as manager:
            keeper = lab.keeper({"billing": lab.service()})
            try:
                keeper.start(ready=False, **manager.environment)
                message = manager.next()
                equal((message["READY"], message["STATUS"]), ("1", "serving"))
                equal(keeper.get("/v1/platform").status, 200)  # at once: it was ready
                keeper.process.terminate()
                equal(manager.until("STOPPING")["STOPPING"], "1")
                equal(keeper.wait(), 0)
            finally:
                keeper.close()


def tells_of_a_reload_with_its_time(lab):
    with Manager() as manager, lab.keeper({"billing": lab.service()}) as keeper:
        keeper.stop()
        keeper.start(**manager.environment)
        manager.until("READY")
        before = time.clock_gettime_ns(time.CLOCK_MONOTONIC) // 1000
        keeper.reload()
        message = manager.next()
        equal(message["RELOADING"], "1")
        after = time.clock_gettime_ns(time.CLOCK_MONOTONIC) // 1000
        check(before <= int(message["MONOTONIC_USEC"]) <= after, message)
        equal(manager.next()["READY"], "1")
        keeper.write("freshet.conf", "[platform]\n")
        keeper.reload()
        manager.until("RELOADING")
        check("wrong" in manager.until("READY")["STATUS"], "the status tells of the failure")


def answers_the_watchdog_while_its_loop_turns(lab):
    with Manager() as manager, lab.keeper({"billing": lab.service()}) as keeper:
        keeper.stop()
        begin = time.monotonic()
        keeper.start(WATCHDOG_USEC="200000", **manager.environment)
        pid = keeper.process.pid
        # Some may have come while we were not looking: from its begin on.
        for _ in range(20):
            manager.until("WATCHDOG")
        took = time.monotonic() - begin
        check(took >= 1.9, f"every 100 ms, not 20 in {took:.2f} s")
        os.kill(pid, signal.SIGSTOP)
        wait_for(lambda: of_process(pid, "State")[0] == "T", "it is stopped")
        manager.empty()
        check(manager.silent_for(0.6), "a process that stands still answers")
        os.kill(pid, signal.SIGCONT)
        manager.until("WATCHDOG")
        keeper.stop()
        # Meant for another process.
        keeper.start(WATCHDOG_USEC="20000", WATCHDOG_PID="1", **manager.environment)
        manager.until("READY")
        check(manager.silent_for(0.2), "it answers for another process")


def listens(path, datagrams=False):
    """Whether a socket is bound to a path, and takes connections, without making one."""
    with open("/proc/net/unix", encoding="utf-8") as file:
        bound = [line.split() for line in file if line.rstrip("\n").endswith(" " + path)]
    return any(datagrams or int(fields[3], 16) & 0x10000 for fields in bound)  # __SO_ACCEPTCON


def activate(keeper, *arguments, names="control:browser", sockets=("control.sock", "browser.sock")):
    """freshetd below systemd-socket-activate, which listens and starts it at the first connection."""
    command = ["systemd-socket-activate", *arguments, "--fdname=" + names]
    for name in sockets:
        command += ["-l", keeper.path(name)]
    environment = keeper.environment()
    for name in environment:
        command += ["-E", name]
    log = open(keeper.log_path, "ab")  # pylint: disable=consider-using-with
    with log:
        keeper.process = subprocess.Popen([*command, keeper.lab.freshetd, "--config", keeper.config],
                                          stdin=subprocess.DEVNULL, stdout=log, stderr=log,
                                          cwd=keeper.folder, env=environment)
    wait_for(lambda: all(listens(keeper.path(name), "--datagram" in arguments) for name in sockets), "it listens")


def takes_sockets_by_their_names(lab):
    keeper = lab.keeper({"billing": lab.service()}, keeper={"control_socket": "not-made.sock"},
                        browser={"origin": "http://127.0.0.1:8080"})
    try:
        activate(keeper)
        equal(wait_for(lambda: keeper.get("/v1/platform"), "it answers").status, 200)
        equal(keeper.get("/v1/platform").status, 200)
        check(not os.path.exists(keeper.path("not-made.sock")), "the passed socket stands in for the key's")
        check(request(keeper.browser, "GET", "/v1/platform").status == 404, "browser.sock is the browsers'")
        keeper.stop()
        check(os.path.exists(keeper.control), "the manager's sockets stay")
    finally:
        keeper.close()


def refuses_sockets_that_are_wrong(lab):
    for arguments, names, sockets, word in (
            ([], "other", ["control.sock"], "named other"),
            (["--seqpacket"], "control", ["control.sock"], "Unix stream"),
            (["--datagram"], "browser", ["control.sock"], "Unix stream")):
        keeper = lab.keeper()
        try:
            activate(keeper, *arguments, names=names, sockets=sockets)
            kind = {"--seqpacket": socket.SOCK_SEQPACKET, "--datagram": socket.SOCK_DGRAM}
            with socket.socket(socket.AF_UNIX, kind.get("".join(arguments), socket.SOCK_STREAM)) as client:
                client.connect(keeper.path(sockets[0]))
                client.send(b"GET / HTTP/1.1\r\n\r\n")
                equal(keeper.wait(), 78)
            check(word in keeper.log(), keeper.log())
        finally:
            keeper.close()


def passes_over_sockets_of_another_process(lab):
    with lab.keeper({"billing": lab.service()}) as keeper:
        keeper.stop()
        keeper.start(LISTEN_PID="1", LISTEN_FDS="3", LISTEN_FDNAMES="control:control:control")
        equal(keeper.get("/v1/platform").status, 200)


def without_any_socket_it_says_so(lab):
    keeper = lab.keeper()
    try:
        keeper.write("freshet.conf", f"[platform]\nurl = {lab.platform.url}\n")
        keeper.start(ready=False)
        equal(keeper.wait(), 78)
        said(keeper, "there is no socket to serve")
    finally:
        keeper.close()


def a_keeper_needs_stores_of_its_own(lab):
    keeper = lab.keeper()
    try:
        keeper.write("freshet.conf", f"[platform]\nurl = {lab.platform.url}\n[store]\nsecrets = "
                     f"keeper:{keeper.control}\n[keeper]\ncontrol_socket = {keeper.control}\n")
        keeper.start(ready=False)
        equal(keeper.wait(), 78)
        said(keeper, "it needs a store of its own")
    finally:
        keeper.close()


def takes_credentials_of_the_manager(lab):
    keeper = lab.keeper()
    folder = keeper.path("credentials")
    try:
        os.mkdir(folder, 0o700)
        shutil.move(keeper.key_file, os.path.join(folder, "store.key"))
        keeper.write("credentials/billing.password", PASSWORD + "\n")
        keeper.configure({"billing": {"username": "svc-demo",
                                      "password_file": "${CREDENTIALS_DIRECTORY}/billing.password"}})
        with open(keeper.config, encoding="utf-8") as file:
            text = file.read().replace("key_file = store.key", "key_file = ${CREDENTIALS_DIRECTORY}/store.key")
        keeper.write("freshet.conf", text)
        keeper.start(CREDENTIALS_DIRECTORY=folder)
        keeper.signed_in("billing")
        keeper.stop()
        keeper.start(ready=False)
        check(keeper.wait() != 0, "there are no credentials")
        said(keeper, "${CREDENTIALS_DIRECTORY}/store.key")
    finally:
        keeper.close()


# ---- reload


def ask_in_turns(uid=STRANGER_UID, gid=STRANGER_GID):
    """Pipes to a process of another user that asks once a byte, over one connection."""
    go, release = os.pipe()
    answers, tell = os.pipe()

    def run(path):
        def ask():
            connection = UnixConnection(path)
            while os.read(go, 1) == b".":
                os.write(tell, b"%d " % exchange(connection, "GET", HEADERS).status)
        return Child(ask, uid, gid)

    def once():
        os.write(release, b".")
        return int(os.read(answers, 64))

    def end(child):
        os.write(release, b"q")
        child.result()
        for fd in (go, release, answers, tell):
            os.close(fd)
    return run, once, end


def a_reload_swaps_sessions_and_grants(lab):
    granted = {"billing": lab.service(allow=f"uid:{STRANGER_UID} read")}
    with lab.keeper(granted) as keeper:
        keeper.signed_in("billing")
        run, once, end = ask_in_turns()
        child = run(keeper.control)
        try:
            equal(once(), 200)
            keeper.configure({**granted, "more": lab.service()})
            keeper.reload()
            said(keeper, "reloaded", "sessions=2")
            keeper.signed_in("more")
            equal(once(), 200)
            keeper.configure({"billing": lab.service()})
            keeper.reload()
            said(keeper, "reloaded", "sessions=1")
            equal(once(), 403)  # on the connection that was served before
            equal(keeper.get("/v1/sessions/billing").json["generation"] >= 1, True)
        finally:
            end(child)
        equal(lab.platform.counter("sign_in_attempts"), 2)  # one each: a reload opens nothing anew


def a_reload_swaps_the_origin_of_browsers(lab):
    old, new = "http://127.0.0.1:8080", "http://127.0.0.1:8081"
    with lab.keeper(browser={"origin": old}) as keeper:
        def answers(origin):
            return request(keeper.browser, "POST", "/freshet/sign-in", {"username": "svc-demo", "password": "wrong"},
                           {"Origin": origin, "X-Freshet-CSRF": "1"}).status
        equal((answers(old), answers(new)), (401, 403))
        keeper.configure({}, browser={"origin": new})
        keeper.reload()
        said(keeper, "reloaded")
        equal((answers(old), answers(new)), (403, 401))
        check("reload-needs-restart" not in keeper.log(), keeper.log())


def a_wrong_configuration_changes_nothing(lab):
    granted = {"billing": lab.service(allow=f"uid:{STRANGER_UID} read")}
    with lab.keeper(granted) as keeper:
        generation = keeper.signed_in("billing")["generation"]
        run, once, end = ask_in_turns()
        child = run(keeper.control)
        try:
            with open(keeper.config, encoding="utf-8") as file:
                good = file.read()
            lines = good.count("\n")
            for wrong, word in ((good + "passwort = x\n", f"freshet.conf:{lines + 1}:"),
                                (good.replace(f"uid:{STRANGER_UID}", "uid:no-such-user-here"),
                                 "no-such-user-here"),
                                (good + "[session ]\n", f"freshet.conf:{lines + 1}:")):
                keeper.write("freshet.conf", wrong)
                keeper.reload()
                line = said(keeper, "reload-failed", word)
                check(" error " in line and 'stays="the old configuration"' in line, line)
                equal(once(), 200)
                equal(keeper.status("billing")["generation"], generation)
            os.unlink(keeper.config)
            keeper.reload()
            said(keeper, "reload-failed", "No such file")
            equal(once(), 200)
        finally:
            end(child)


def what_needs_a_restart_is_named_and_stays(lab):
    with lab.keeper({"billing": lab.service()}) as keeper:
        with open(keeper.config, encoding="utf-8") as file:
            text = file.read()
        text = text.replace(lab.platform.url, "http://127.0.0.1:1")
        text = text.replace("tokens.db", "other.db").replace("control.sock", "other.sock")
        keeper.write("freshet.conf", text)
        keeper.reload()
        said(keeper, "reloaded")
        for section, key in (("platform", "url"), ("store", "tokens"), ("keeper", "control_socket")):
            check(" warning " in said(keeper, "reload-needs-restart", f"section={section}", f"key={key}"), "level")
        equal(keeper.log().count("reload-needs-restart"), 3)
        equal(keeper.get("/v1/platform").json["url"], lab.platform.url)


# ---- the end


class Gate:
    """A platform that keeps its callers waiting until it is opened; then it is the devserver."""

    def __init__(self, platform):
        self.platform = platform
        self.opened = threading.Event()
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.url = "http://127.0.0.1:%d" % self.listener.getsockname()[1]
        threading.Thread(target=self._accept, daemon=True).start()

    def _accept(self):
        while True:
            try:
                caller, _ = self.listener.accept()
            except OSError:
                return
            threading.Thread(target=self._pass, args=(caller,), daemon=True).start()

    def _pass(self, caller):
        host, port = self.platform.address.split(":")
        self.opened.wait()
        with caller, socket.create_connection((host, int(port))) as there:
            back = threading.Thread(target=self._copy, args=(there, caller), daemon=True)
            back.start()
            self._copy(caller, there)
            back.join()

    @staticmethod
    def _copy(source, sink):
        try:
            while data := source.recv(65536):
                sink.sendall(data)
            sink.shutdown(socket.SHUT_WR)
        except OSError:
            pass

    def close(self):
        self.listener.close()
        self.opened.set()


class Waiter:
    """A client whose request the keeper has read, and not answered yet."""

    def __init__(self, keeper):
        self.socket = unix_socket(keeper.control)
        self.socket.sendall(f"GET {HEADERS} HTTP/1.1\r\nHost: localhost\r\n\r\n".encode())
        wait_for(self._read, "the request is read")

    def _read(self):
        return struct.unpack("i", fcntl.ioctl(self.socket, termios.TIOCOUTQ, bytes(4)))[0] == 0

    def status(self):
        """Of the answer; None when the keeper hung up."""
        response = http.client.HTTPResponse(self.socket)
        try:
            response.begin()
            return response.status
        except (ConnectionError, http.client.HTTPException):
            return None

    def close(self):
        self.socket.close()


@contextlib.contextmanager
def somebody_waits(lab, world=None):
    gate = Gate(lab.platform)
    keeper = lab.keeper({"billing": lab.service()}, platform=gate, world=world)
    waiter = None
    try:
        keeper.start()
        waiter = Waiter(keeper)
        yield gate, keeper, waiter
    except Exception:
        sys.stderr.write(keeper.log())
        raise
    finally:
        if waiter:
            waiter.close()
        gate.close()
        keeper.close()


def refused(function):
    """Whether the keeper hangs up on it or does not take it."""
    try:
        function()
    except (OSError, http.client.HTTPException):
        return True
    return False


def drained_after(keeper):
    """How long the drain took, in seconds by the keeper's own clock."""
    begin, end = (datetime.datetime.fromisoformat(said(keeper, f" {word} ").split()[0].rstrip("Z"))
                  for word in ("draining", "drained"))
    return (end - begin).total_seconds()


def who_waits_is_answered_before_the_end(lab):
    with somebody_waits(lab) as (gate, keeper, waiter):
        idle = UnixConnection(keeper.control)
        exchange(idle, "GET", "/v1/platform")
        keeper.process.terminate()
        said(keeper, "draining", "signal=SIGTERM", "waiting=1")
        check(refused(lambda: exchange(idle, "GET", "/v1/platform")), "an idle connection is still served")
        check(refused(lambda: request(keeper.control, "GET", "/v1/platform")), "a new connection is served")
        keeper.reload()  # too late, and no harm
        gate.opened.set()
        equal(waiter.status(), 200)
        equal(keeper.wait(), 0)
        said(keeper, "drained", "unanswered=0")
        check("reloaded" not in keeper.log(), "it reloads at its end")
        check(not os.path.exists(keeper.control), "its socket is gone")
        idle.close()


def streams_end_with_the_keeper(lab):
    with lab.keeper({"billing": lab.service()}) as keeper:
        keeper.signed_in("billing")
        stream = unix_socket(keeper.control)
        stream.sendall(b"GET /v1/events HTTP/1.1\r\nHost: localhost\r\n\r\n")
        check(stream.recv(4096).startswith(b"HTTP/1.1 200 "), "the stream opens")
        keeper.stop()
        said(keeper, "drained", "unanswered=0")  # not at the drain's deadline, when it is one
        while stream.recv(4096):
            pass
        stream.close()


def a_second_signal_waits_for_nobody(lab):
    with somebody_waits(lab) as (_gate, keeper, waiter):
        keeper.process.send_signal(signal.SIGINT)
        said(keeper, "draining", "signal=SIGINT", "waiting=1")
        keeper.process.send_signal(signal.SIGINT)
        equal(keeper.wait(), 0)
        said(keeper, "drained", "unanswered=1")
        check(drained_after(keeper) < 9.5, "at once, not after the drain's 10 s")
        check(waiter.status() in (None, 503), "it is let go")


def the_drain_has_a_deadline(lab):
    world = World(sys.argv[4])
    try:
        with somebody_waits(lab, world) as (_gate, keeper, waiter):
            keeper.process.terminate()
            said(keeper, "draining", "waiting=1")
            begin = time.monotonic()
            world.advance(9)
            world.advance(2)
            equal(keeper.wait(), 0)
            true = time.monotonic() - begin  # which passes besides
            said(keeper, "drained", "unanswered=1")
            check(10 <= drained_after(keeper) <= 11.5 + true, f"{drained_after(keeper):.1f} s, not 10")
            check(waiter.status() in (None, 503), "it is let go")
    finally:
        world.close()


def a_restart_keeps_every_session(lab):
    with lab.keeper({"billing": lab.service(), "more": lab.service()}) as keeper:
        before = {name: keeper.signed_in(name)["generation"] for name in ("billing", "more")}
        equal(keeper.call("POST", "/v1/sessions/ann/sign-in",
                          {"username": "svc-demo", "password": PASSWORD}).status, 200)
        before["ann"] = keeper.status("ann")["generation"]
        sign_ins = lab.platform.counter("sign_in_attempts")
        keeper.restart()
        for name, generation in before.items():
            equal(keeper.headers(name).json["generation"], generation, name)
        equal(lab.platform.counter("sign_in_attempts"), sign_ins)


# ---- what it has given up


@contextlib.contextmanager
def keeper_of_nobody(lab, prepare=None, **keys):
    """A keeper that root starts and that becomes nobody; or, where the tests are not root's, ours."""
    keeper = lab.keeper({"billing": lab.service()}, keeper={**({"user": "nobody"} if ROOTED else {}), **keys})
    try:
        if ROOTED:
            for folder, _, names in os.walk(keeper.folder):
                for name in [".", *names]:
                    os.chown(os.path.join(folder, name), NOBODY.pw_uid, NOBODY.pw_gid)
        keeper.start(before=prepare)
        yield keeper
        if keeper.process:
            keeper.stop()
    finally:
        keeper.close()


def becomes_its_user_for_good(lab):
    with keeper_of_nobody(lab, gateway_group="nogroup", browser_socket="browser.sock") as keeper:
        keeper.signed_in("billing")  # it reads its files as that user
        pid = keeper.process.pid
        equal(of_process(pid, "Uid"), [str(NOBODY.pw_uid)] * 4)
        equal(of_process(pid, "Gid"), [str(NOBODY.pw_gid)] * 4)
        check("0" not in of_process(pid, "Groups"), "it keeps a group of root's")
        equal({of_process(pid, name)[0] for name in ("CapEff", "CapPrm", "CapInh")}, {"0" * 16})
        equal(os.stat(keeper.browser).st_gid, grp.getgrnam("nogroup").gr_gid)  # root's to give


def refuses_a_user_that_it_cannot_be(lab):
    for uid, user, word in ((None, "no-such-user-here", "there is no user no-such-user-here"),
                            (STRANGER_UID, "nobody", "only root can become the user nobody")):
        keeper = lab.keeper(keeper={"user": user})
        try:
            os.chmod(keeper.config, 0o644)
            os.chmod(keeper.folder, 0o777)
            keeper.start(ready=False, before=lambda uid=uid: uid and os.setuid(uid))
            equal(keeper.wait(), 78)
            said(keeper, word)
        finally:
            keeper.close()


def nobody_looks_into_it(lab):
    def wish_for_cores():
        resource.setrlimit(resource.RLIMIT_CORE, (resource.getrlimit(resource.RLIMIT_CORE)[1],) * 2)

    with keeper_of_nobody(lab, prepare=wish_for_cores) as keeper:
        pid = keeper.process.pid
        check(int(of_process(pid, "Uid")[1]) != 0, "it is not root's")
        equal(of_process(pid, "NoNewPrivs"), ["1"])
        with open(f"/proc/{pid}/limits", encoding="ascii") as file:
            equal(re.search(r"Max core file size +(\d+) +(\d+)", file.read()).groups(), ("0", "0"))
        if not SANITIZED:  # whose leak checker looks into it
            # Of a process that is dumpable these are its user's (proc(5)).
            equal([os.stat(f"/proc/{pid}/{name}").st_uid for name in ("mem", "environ", "maps")], [0] * 3)
        keeper.process.send_signal(signal.SIGABRT)
        _, status = os.waitpid(pid, 0)
        keeper.process = None
        check(os.WIFSIGNALED(status) and not os.WCOREDUMP(status), f"a core: {status}")
        equal([name for name in os.listdir(keeper.folder) if "core" in name], [])


def memory_is_locked_or_a_warning_says_why(lab):
    def little():
        resource.setrlimit(resource.RLIMIT_MEMLOCK, (65536, 65536))
        if ROOTED:
            os.setgid(NOBODY.pw_gid)
            os.setuid(NOBODY.pw_uid)

    keeper = lab.keeper({"billing": lab.service()})
    try:
        if ROOTED:
            for name in [".", *os.listdir(keeper.folder)]:
                os.chown(keeper.path(name), NOBODY.pw_uid, NOBODY.pw_gid)
        keeper.start(before=little)
        check(" warning " in said(keeper, "memory-not-locked", "65536 bytes", "LimitMEMLOCK=infinity"), "level")
        keeper.signed_in("billing")  # and it serves
        keeper.stop()
    finally:
        keeper.close()
    if ROOTED and may(CAP_IPC_LOCK):
        with lab.keeper({"billing": lab.service()}) as rooted:
            all_is_locked(rooted)
    if ROOTED and may(CAP_SYS_RESOURCE):
        with keeper_of_nobody(lab) as dropped:
            all_is_locked(dropped)


def all_is_locked(keeper):
    keeper.signed_in("billing")
    check("memory-not-locked" not in keeper.log(), keeper.log())
    with open(f"/proc/{keeper.process.pid}/smaps", encoding="utf-8") as file:
        text = file.read()
    heap = text[text.index("[heap]"):]
    sizes = {name: int(re.search(rf"^{name}: +(\d+) kB", heap, re.MULTILINE).group(1))
             for name in ("Rss", "Locked")}
    check(sizes["Locked"] >= sizes["Rss"] > 0, f"of the heap: {sizes}")


def it_wipes_what_its_libraries_free(lab):
    """Their free(3) is the program's: it exports one (the canary test looks for what is left)."""
    out = subprocess.run(["nm", "-D", "--defined-only", lab.freshetd], capture_output=True, text=True,
                         check=True).stdout
    equal({name for name in ("free", "realloc") if re.search(rf" T {name}$", out, re.MULTILINE)},
          {"free", "realloc"})


def may(capability):
    """Whether this root may do what root may (capabilities(7))."""
    return int(of_process("self", "CapEff")[0], 16) >> capability & 1 == 1


# ---- the log


def the_log_never_holds_a_secret(lab):
    with lab.keeper({"billing": lab.service(), "wrong": lab.service(password="not-The-Password-1")},
                    keeper={"log_level": "debug", "log_format": "json"},
                    browser={"origin": "http://127.0.0.1:8080"}) as keeper:
        keeper.signed_in("billing")
        token = dict(keeper.headers("billing").json["headers"])["Authorization"].split()[-1]
        keeper.call("POST", "/v1/sessions/ann/sign-in", {"username": "demo", "password": "wrong-Password-2"})
        keeper.call("POST", "/v1/sessions/ann/sign-in", {"username": "demo", "password": PASSWORD})
        request(keeper.browser, "POST", "/freshet/sign-in", {"username": "demo", "password": "wrong-Password-3"},
                {"Origin": "http://127.0.0.1:8080", "X-Freshet-CSRF": "1"})
        answer = request(keeper.browser, "POST", "/freshet/sign-in", {"username": "svc-demo", "password": PASSWORD},
                         {"Origin": "http://127.0.0.1:8080", "X-Freshet-CSRF": "1"})
        equal(answer.status, 200, repr(answer))
        cookie = answer.headers["Set-Cookie"].split(";")[0].split("=", 1)[1]
        request(keeper.control, "GET", f"/v1/sessions/x%0A{token}/headers", None, {"Authorization": token})
        keeper.configure({"billing": lab.service()}, keeper={"log_level": "debug", "log_format": "json"})
        keeper.reload()
        said(keeper, "reloaded")
        keeper.stop()
        log = keeper.log()
        with open(keeper.key_file, encoding="ascii") as file:
            keys = [word for word in file.read().split() if len(word) >= 32]
        secrets = [token, token[:40], cookie, cookie[22:], PASSWORD, "not-The-Password-1", "wrong-Password-2", "wrong-Password-3", *keys]
        equal([secret for secret in secrets if secret in log], [])
        for line in log.splitlines():
            event = json.loads(line)
            check({"time", "level", "event"} <= event.keys(), line)
            check(re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z", event["time"]), line)
        check({"serving", "reloaded", "draining", "drained"} <=
              {json.loads(line)["event"] for line in log.splitlines()}, log)


def the_journal_gets_priorities(lab):
    keeper = lab.keeper({"billing": lab.service()})
    try:
        about = os.stat(keeper.write("log", ""))
        keeper.start(JOURNAL_STREAM=f"{about.st_dev}:{about.st_ino}")
        keeper.stop()
        check(all(re.match(r"<[3467]>[a-z-]+", line) for line in keeper.log().splitlines()), keeper.log())
        check("<6>serving " in keeper.log(), keeper.log())
    finally:
        keeper.close()


# ---- the units


TARGETS = ("sysinit", "basic", "shutdown", "sockets", "network-online", "nss-user-lookup", "multi-user")


@contextlib.contextmanager
def root_with_units(lab):
    """A root folder with the units in it, as they are installed, and as much else as they name."""
    root = tempfile.mkdtemp(prefix="freshet-root-")
    try:
        units = os.path.join(root, "usr", "lib", "systemd", "system")
        for folder in (units, os.path.join(root, "usr", "sbin"), os.path.join(root, "bin")):
            os.makedirs(folder)
        shutil.copy(lab.freshetd, os.path.join(root, "usr", "sbin", "freshetd"))
        shutil.copy("/bin/kill", os.path.join(root, "bin", "kill"))
        for name in TARGETS:
            with open(os.path.join(units, name + ".target"), "w", encoding="ascii") as file:
                file.write(f"[Unit]\nDescription={name}\n")
        for name in os.listdir(UNITS):
            with open(os.path.join(UNITS, name), encoding="utf-8") as file:
                text = file.read().replace("@sbindir@", "/usr/sbin").replace("@sysconfdir@", "/etc")
            if ".service" in name or name.endswith(".socket"):
                with open(os.path.join(units, name.removesuffix(".in")), "w", encoding="utf-8") as file:
                    file.write(text)
        yield root, units
    finally:
        shutil.rmtree(root)


def analyze(root, *arguments):
    done = subprocess.run(["systemd-analyze", *arguments[:1], "--root=" + root, *arguments[1:]],
                          capture_output=True, text=True, timeout=PATIENCE, check=False,
                          env={**os.environ, "SYSTEMD_PAGER": "", "LC_ALL": "C.UTF-8"})
    return done.returncode, done.stdout, done.stderr


def the_units_are_good(lab):
    names = ["freshetd.service", "freshetd-control.socket", "freshetd-browser.socket"]
    with root_with_units(lab) as (root, units):
        equal(analyze(root, "verify", "--man=no", *names), (0, "", ""))
        path = os.path.join(units, "freshetd.service")
        with open(path, encoding="utf-8") as file:
            text = file.read()
        with open(path, "w", encoding="utf-8") as file:
            file.write(text.replace("ProtectHome=", "ProtectHone="))
        check("ProtectHone" in analyze(root, "verify", "--man=no", *names)[2], "a wrong key is noticed")


def its_user_and_folders_can_be_made(lab):
    with root_with_units(lab) as (root, _units):
        os.mkdir(os.path.join(root, "etc"))
        for command, name in (("systemd-sysusers", "freshet.sysusers"),
                              ("systemd-tmpfiles", "freshet.tmpfiles")):
            more = ["--create"] if command == "systemd-tmpfiles" else []
            done = subprocess.run([command, "--root=" + root, *more, os.path.join(UNITS, name)],
                                  capture_output=True, text=True, timeout=PATIENCE, check=False)
            equal(done.returncode, 0, done.stderr)
        with open(os.path.join(root, "etc", "passwd"), encoding="utf-8") as file:
            check(re.search("^freshet:.*:/var/lib/freshet:/usr/sbin/nologin$", file.read(), re.MULTILINE), "the user")
        with open(os.path.join(root, "etc", "group"), encoding="utf-8") as file:
            check("freshet-gateway:" in file.read(), "the group")
        equal([os.stat(os.path.join(root, name)).st_mode & 0o777 for name in ("run/freshet", "etc/freshet")],
              [0o755, 0o750])


def the_units_score_is_the_one_in_the_docs(lab):
    with root_with_units(lab) as (root, _units):
        code, out, err = analyze(root, "security", "--offline=true", "freshetd.service")
        equal(code, 0, err)
        score = re.search(r"Overall exposure level for freshetd.service: ([\d.]+) OK", out).group(1)
    with open(os.path.join(ROOT, "docs", "keeper.md"), encoding="utf-8") as file:
        equal(re.search(r"exposure level of ([\d.]+)", file.read()).group(1), score)


CASES = [
    tells_when_it_is_ready_and_when_it_stops, tells_of_a_reload_with_its_time,
    answers_the_watchdog_while_its_loop_turns, takes_sockets_by_their_names, refuses_sockets_that_are_wrong,
    passes_over_sockets_of_another_process, without_any_socket_it_says_so,
    a_keeper_needs_stores_of_its_own, takes_credentials_of_the_manager,
    a_reload_swaps_sessions_and_grants, a_reload_swaps_the_origin_of_browsers, a_wrong_configuration_changes_nothing,
    what_needs_a_restart_is_named_and_stays, who_waits_is_answered_before_the_end,
    streams_end_with_the_keeper, a_second_signal_waits_for_nobody, the_drain_has_a_deadline, a_restart_keeps_every_session,
    nobody_looks_into_it, the_log_never_holds_a_secret, the_journal_gets_priorities, the_units_are_good, the_units_score_is_the_one_in_the_docs,
]
# Only root can become somebody, or have others ask.
ROOTS = [becomes_its_user_for_good, refuses_a_user_that_it_cannot_be, its_user_and_folders_can_be_made]
# Sanitizers have terabytes reserved, and their own free.
PLAIN = [memory_is_locked_or_a_warning_says_why, it_wipes_what_its_libraries_free]

run_cases(CASES + (ROOTS if ROOTED else []) + ([] if SANITIZED else PLAIN))
