# SPDX-License-Identifier: Apache-2.0
"""A file system that is full, truly: a small one in memory, in a mount namespace of the test's own. Errors are
clear, nothing that was kept is lost, and all goes on when there is room again.

usage: test_disk.py FRESHETD DEVSERVER FRESHET WORLD
"""
import contextlib
import ctypes
import os
import select
import shutil
import subprocess
import tempfile

from harness import PASSWORD, PATIENCE, Child, check, equal, run_cases, wait_for, world_of

HOUR = 3600
SIZE = 4 << 20
ORIGIN = "https://app.example.com"
WRITES = {"Origin": ORIGIN, "X-Freshet-CSRF": "1"}
SAFE = {"X-Original-Method": "GET"}
MS_PRIVATE, MS_REC, MNT_DETACH, CLONE_NEWNS = 1 << 18, 1 << 14, 2, 0x20000
LIBC = ctypes.CDLL(None, use_errno=True)


def mount(source, target, kind=None, flags=0, data=None):
    """0, or why not."""
    words = [word and word.encode() for word in (source, target, kind)]
    return ctypes.get_errno() if LIBC.mount(*words, ctypes.c_ulong(flags), data and data.encode()) else 0


def private():
    """Mounts are this process's and its children's from now on; 0, or why not."""
    if LIBC.unshare(CLONE_NEWNS) != 0:
        return ctypes.get_errno()
    why = mount("none", "/", None, MS_REC | MS_PRIVATE)
    with tempfile.TemporaryDirectory() as folder:
        why = why or mount("none", folder, "tmpfs", 0, "size=65536")
        LIBC.umount2(folder.encode(), MNT_DETACH)
    return why


class Disk:
    """Its room is `SIZE`; `fill` takes all that is left."""

    def __init__(self, folder):
        self.folder = folder
        os.makedirs(folder, exist_ok=True)
        why = mount("none", folder, "tmpfs", 0, f"size={SIZE},mode=0700")
        check(not why, f"no file system in memory: {os.strerror(why)}")
        self.ballast = os.path.join(folder, "ballast")

    def fill(self):
        with open(self.ballast, "ab", buffering=0) as file:
            for size in (65536, 4096, 1):
                with contextlib.suppress(OSError):
                    while file.write(bytes(size)) == size:
                        pass
        equal(os.statvfs(self.folder).f_bfree, 0, "it is full")

    def free(self):
        os.unlink(self.ballast)

    def close(self):
        LIBC.umount2(self.folder.encode(), MNT_DETACH)


@contextlib.contextmanager
def keeper_on_disk(lab, **more):
    """A keeper that has its stores on a disk of their own."""
    with world_of(lab, {}, browser={"origin": ORIGIN, "idle_timeout": "4h"}, **more) as (world, platform, keeper):
        keeper.stop()
        disk = Disk(keeper.path("disk"))
        try:
            keeper.configure({"billing": lab.service()}, browser={"origin": ORIGIN, "idle_timeout": "4h"})
            with open(keeper.config, encoding="utf-8") as file:
                text = file.read()
            keeper.write("freshet.conf", text.replace("sqlite:", "sqlite:disk/"))
            keeper.start()
            keeper.signed_in("billing")
            yield world, platform, keeper, disk
            keeper.stop()
        finally:
            if keeper.process:
                keeper.process.kill()
                keeper.wait()
            disk.close()
        keeper.start()


def a_keeper_goes_on_with_what_it_has(lab):
    with keeper_on_disk(lab) as (world, platform, keeper, disk):
        generation = keeper.status("billing")["generation"]
        equal(sign_in(keeper, "bob").status, 200)
        disk.fill()
        world.advance(HOUR - 200)
        for _ in range(20):
            answer = keeper.headers("billing")
            equal((answer.status, answer.json["generation"]), (200, generation), repr(answer))
        answer = wait_for(lambda: (now := keeper.get("/readyz")).status != 200 and now, "it notices")
        equal((answer.status, answer.json["reasons"]), (503, ["the secret store cannot be used"]), repr(answer))
        equal(platform.counter("refresh_attempts"), 0, "no lease, no refresh")
        refused(sign_in(keeper, "ann"))
        # A sign-out wins at once, though it is not written yet.
        refused(keeper.call("POST", "/v1/sessions/bob/sign-out"))
        equal(keeper.headers("bob").status, 401)
        check("store_failed" in keeper.log(), keeper.log())
        disk.free()
        recovers(keeper, generation)
        wait_for(lambda: keeper.status("bob")["phase"] == "signed_out", "the sign-out is written")
        equal(sign_in(keeper, "ann").status, 200)
        keeper.restart()
        equal([keeper.headers(name).status for name in ("billing", "ann", "bob")], [200, 200, 401])
        equal(platform.counter("sign_ins"), 3, "one each: nothing was lost")


def sign_in(keeper, name):
    return keeper.call("POST", f"/v1/sessions/{name}/sign-in", {"username": "load-1", "password": PASSWORD})


def refused(answer):
    """And it says why, and that nothing is lost."""
    equal((answer.status, answer.code), (503, "FRESHET_ESTORE"), repr(answer))
    check("disk is full" in answer.json["detail"] and "nothing is lost" in answer.json["detail"], repr(answer))


def recovers(keeper, generation):
    """By itself, within the pause that few failures bring."""
    wait_for(lambda: keeper.headers("billing", min_valid_ms=1800000).json["generation"] == generation + 1, "a refresh")
    wait_for(lambda: keeper.get("/readyz").status == 200, "it is ready")


def a_keeper_is_killed_and_comes_back(lab):
    """The disk stays full meanwhile: what was committed is there."""
    with keeper_on_disk(lab) as (world, platform, keeper, disk):
        generation = keeper.status("billing")["generation"]
        disk.fill()
        world.advance(HOUR - 200)
        wait_for(lambda: "store_failed" in keeper.log(), "it notices")
        for _ in range(3):
            keeper.kill()
            keeper.start()
            answer = wait_for(lambda: (now := keeper.headers("billing")).status == 200 and now, "its token")
            equal(answer.json["generation"], generation)
        equal((platform.counter("refresh_attempts"), platform.counter("sign_in_attempts")), (0, 1))
        disk.free()
        recovers(keeper, generation)
        equal(platform.counter("sign_in_attempts"), 1)


def a_keeper_starts_on_a_full_disk(lab):
    """SQLite needs files beside the databases, for which there is no room."""
    with keeper_on_disk(lab) as (world, platform, keeper, disk):
        generation = keeper.status("billing")["generation"]
        keeper.stop()
        disk.fill()
        for _ in range(2):
            keeper.start(ready=False)
            equal(keeper.wait(), 74)
        equal(keeper.log().count("disk is full; make room, nothing is lost"), 2)
        disk.free()
        keeper.start()
        equal(keeper.headers("billing").json["generation"], generation)
        equal(platform.counter("sign_in_attempts"), 1)
        world.advance(HOUR - 200)
        recovers(keeper, generation)


def browsers_keep_their_sessions(lab):
    with keeper_on_disk(lab) as (world, platform, keeper, disk):
        def sign_in(username):
            return keeper.browse("POST", "/freshet/sign-in", {"username": username, "password": PASSWORD}, WRITES)

        def authz(cookie):
            answer = keeper.browse("GET", "/authz", None, {**cookie, **SAFE})
            return answer.status, answer.headers["Retry-After"]

        def sign_out(cookie):
            return keeper.browse("POST", "/freshet/sign-out", None, {**cookie, **WRITES})

        def cookie_of(answer):
            equal(answer.status, 200, repr(answer))
            return {"Cookie": answer.headers["Set-Cookie"].partition(";")[0]}

        gone, stays = cookie_of(sign_in("load-1")), cookie_of(sign_in("load-2"))
        disk.fill()
        refused(sign_in("load-3"))
        refused(sign_out(gone))
        equal((authz(gone)[0], authz(stays)[0]), (401, 200))
        world.advance(HOUR)
        waiting = Child(lambda: authz(stays))
        while not select.select([waiting.reader], [], [], 0.1)[0]:
            world.advance(5)
        status, retry_after = waiting.result()
        equal(status, 503)
        check(int(retry_after) >= 1, retry_after)
        disk.free()
        world.advance(35)
        wait_for(lambda: authz(stays)[0] == 200, "it goes on")
        equal(sign_in("load-3").status, 200)
        keeper.restart()
        equal((authz(gone)[0], authz(stays)[0]), (401, 200))
        equal(sign_out(stays).status, 204)
        equal(authz(stays)[0], 401)


def the_command_line_with_stores_of_its_own(lab):
    folder = tempfile.mkdtemp(prefix="freshet-disk-")
    disk = Disk(os.path.join(folder, "disk"))

    def write(name, text):
        with open(os.open(os.path.join(folder, name), os.O_CREAT | os.O_WRONLY, 0o600), "w", encoding="utf-8") as file:
            file.write(text)

    def run(*arguments):
        return subprocess.run([lab.freshet, "--config", os.path.join(folder, "freshet.conf"), *arguments], text=True,
                              capture_output=True, timeout=PATIENCE, check=False, cwd=folder,
                              env={"PATH": os.environ["PATH"], "HOME": folder, "LANG": "C.UTF-8",
                                   **{name: value for name, value in os.environ.items() if "SAN_OPTIONS" in name}})

    try:
        write("password", PASSWORD + "\n")
        write("freshet.conf", f"[platform]\nurl = {lab.platform.url}\n[store]\nsecrets = sqlite:disk/secrets.db\n"
              "tokens = sqlite:disk/tokens.db\nkey_file = store.key\n")
        equal(run("key", "new", os.path.join(folder, "store.key")).returncode, 0)
        login = ("login", "ann", "--username", "load-4", "--password-file", "password")
        result = run(*login)
        equal(result.returncode, 0, repr(result))
        headers = run("headers", "ann")
        equal(headers.returncode, 0, repr(headers))
        disk.fill()
        for arguments in (("login", "bob", *login[2:]), ("headers", "ann"), ("logout", "ann"), ("status", "ann")):
            result = run(*arguments)
            equal((result.returncode, result.stdout), (74, ""), repr(result))
            check("disk is full; make room, nothing is lost" in result.stderr, repr(result))
        disk.free()
        again = run("headers", "ann")
        equal((again.returncode, again.stdout), (0, headers.stdout), repr(again))
        equal(run("login", "bob", *login[2:]).returncode, 0)
        equal(run("logout", "ann").returncode, 0)
        equal(lab.platform.counter("refresh_attempts"), 0)
    finally:
        disk.close()
        shutil.rmtree(folder)


def main():
    why = private()
    if why:
        print(f"1..0 # SKIP no file system of its own may be mounted here: {os.strerror(why)}")
        return
    run_cases([a_keeper_goes_on_with_what_it_has, a_keeper_is_killed_and_comes_back, a_keeper_starts_on_a_full_disk,
               browsers_keep_their_sessions, the_command_line_with_stores_of_its_own])


main()
