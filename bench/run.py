#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Runs the benchmarks, prints a table, and writes bench.json into the build folder.

A row's ratio is our cost over that of a peer or a limit; docs/benchmarks.md says what each one is.

usage: run.py [BUILD-FOLDER]"""
import json
import os
import re
import statistics
import subprocess
import sys
import tempfile
import time

import keeper

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
BUILD = os.path.join(ROOT, sys.argv[1] if len(sys.argv) > 1 else "build")
HERD = 10000
SEEDS = 300
SESSION_BYTES = 256
HEADERS_RUNS = 41
HEADERS_MS = 10
CHANGES = {"single": 1600, "grouped": 12800}
WIDTH = 24


class Program:
    """A program that takes rounds when it is told to: bench/rounds.h."""

    def __init__(self, name):
        self.name = name
        self.process = subprocess.Popen([os.path.join(BUILD, name)], stdin=subprocess.PIPE,
                                        stdout=subprocess.PIPE, text=True)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.process.stdin.close()
        try:
            self.process.wait(30)
        except subprocess.TimeoutExpired:
            self.process.kill()

    def round(self, name, number):
        print(f"{name} {number}", file=self.process.stdin, flush=True)
        answer = self.process.stdout.readline()
        if not answer:
            sys.exit(f"{self.name} failed at {name} {number}")
        return float(answer)


def in_turn(count, *rounds):
    """The median of <count> rounds of each; a round before them warms caches and is not counted."""
    taken = [[measure() for measure in rounds] for _ in range(count + 1)]
    return [statistics.median(column) for column in zip(*taken[1:])]


def row(name, ours, peer, unit, goal, against):
    return {"name": name, "ours": round(ours, 4), "peer": round(peer, 4), "unit": unit,
            "ratio": round(ours / peer, 3), "goal": goal, "met": ours / peer <= goal,
            "against": against}


def build_peer():
    """Debian's package is the source; nothing comes from a network."""
    env = dict(os.environ, GO111MODULE="off", GOPATH="/usr/share/gocode", GOPROXY="off", GOFLAGS="",
               GOCACHE=os.path.join(BUILD, "go-cache"))
    subprocess.run(["go", "build", "-o", os.path.join(BUILD, "bench_peer"),
                    os.path.join(ROOT, "bench", "peer", "main.go")], env=env, check=True)


def ensure_fresh(ours, peer, threads):
    mine, clock, mutex, go = in_turn(
        9, *[lambda name=name: ours.round(name, threads) for name in ("ours", "clock", "mutex")],
        lambda: peer.round("valid", threads))
    yield row(f"ensure_fresh/{threads}", mine, clock, "ns", 1.5, "clock_gettime")
    yield row(f"ensure_fresh/mutex{threads}", mine, mutex, "ns", 1.0, "mutex and copy")
    yield row(f"ensure_fresh/go{threads}", mine, go, "ns", 0.5 / threads, "ReuseTokenSource, Go")


def herd(ours, peer):
    mine, go = (ns / 1e6 for ns in in_turn(9, lambda: ours.round("async", HERD),
                                           lambda: peer.round("herd", HERD)))
    yield row("herd/async", mine, go, "ms", 0.5, f"{HERD} goroutines, Go")
    mine, bare = (ns / 1e6 for ns in in_turn(5, lambda: ours.round("threads", HERD),
                                             lambda: ours.round("broadcast", HERD)))
    yield row("herd/threads", mine, bare, "ms", 1.5, f"a broadcast to {HERD} threads")


def simulator():
    def seconds():
        out = subprocess.run([os.path.join(BUILD, "freshet-sim"), "--seeds", str(SEEDS)],
                             capture_output=True, text=True, check=True).stdout
        return 1000 / float(re.search(r"([0-9]+) a second", out).group(1))

    yield row("sim/hours", *in_turn(5, seconds), 1.0, "s", 1.0, "1000 session-hours in 1 s")


def store():
    """Where a disk puts a file makes a difference of half, so each round has files of its own."""
    for name, changes in CHANGES.items():
        taken = []
        for _ in range(9):
            with Program("bench_store") as ours:
                taken.append(in_turn(1, *[lambda kind=kind: ours.round(kind, changes)
                                          for kind in (name, "bare_" + name)]))
        mine, bare = (statistics.median(column) / 1e3 for column in zip(*taken))
        yield row(f"store/{name}", mine, bare, "us", 1.4, "a bare SQLite loop")


def session_parts():
    # What a thread's cache of malloc holds back would count as in use.
    env = dict(os.environ, GLIBC_TUNABLES="glibc.malloc.tcache_count=0")
    out = subprocess.run([os.path.join(BUILD, "bench_session")], env=env, capture_output=True,
                         text=True, check=True).stdout
    return {part: float(size) for part, size in (line.split() for line in out.splitlines())}


def session(parts):
    beside = parts["session"] + parts["handle"] - parts["name"]
    yield row("session/bytes", beside, SESSION_BYTES, "B", 1.0, "a limit")


def cpu_ms(command, env):
    """User and system time of one run."""
    process = subprocess.Popen(command, env=env, stdout=subprocess.DEVNULL)
    _, status, usage = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode != 0:
        sys.exit(f"{command} failed")
    return (usage.ru_utime + usage.ru_stime) * 1000


def headers():
    with tempfile.TemporaryDirectory() as folder:
        port = os.path.join(folder, "port")
        devserver = subprocess.Popen([os.path.join(BUILD, "freshet-devserver"), "--quiet",
                                      "--listen", "127.0.0.1:0", "--port-file", port])
        try:
            end = time.monotonic() + 20
            while not os.path.exists(port) or os.path.getsize(port) == 0:
                if devserver.poll() is not None or time.monotonic() > end:
                    sys.exit("the devserver does not come up")
                time.sleep(0.01)
            with open(port, encoding="ascii") as f:
                env = {"PATH": os.environ["PATH"], "FRESHET_STATE": os.path.join(folder, "state"),
                       "FRESHET_URL": "http://" + f.read().strip()}
            program = os.path.join(BUILD, "freshet")
            subprocess.run([program, "login", "--username", "svc-demo", "--password-file", "-"],
                           env=env, input="demo-password-not-secret", text=True, check=True,
                           capture_output=True)
            taken = [cpu_ms([program, "headers"], env) for _ in range(HEADERS_RUNS + 1)][1:]
        finally:
            devserver.kill()
            devserver.wait()
    yield row("headers/cpu", statistics.median(taken), HEADERS_MS, "ms", 1.0, "a limit")


def show(table, parts):
    print(f"{'row':{WIDTH}} {'ours':>9}    {'peer':>9}     {'ratio':>6} {'goal':>6}       against")
    for line in table:
        print(f"{line['name']:{WIDTH}} {line['ours']:9.2f} {line['unit']:2} {line['peer']:9.2f} "
              f"{line['unit']:2} {line['ratio']:7.2f} {line['goal']:6.2f} "
              f"{'met' if line['met'] else 'NOT':>4}  {line['against']}")
    print(f"\na session at rest takes {parts['session']:.0f} B of the heap, {parts['name']:.0f} B of "
          f"them its name, and {parts['handle']:.0f} B of its handle's timers;\nbeside it "
          f"{parts['snapshot']:.0f} B its token snapshot, {parts['refresh_token']:.0f} B its refresh "
          f"token, {parts['rows']:.0f} B the rows of both memory: stores")


def main():
    build_peer()
    table = []
    with Program("bench_peer") as peer:
        with Program("bench_ensure_fresh") as ours:
            table += [line for threads in (1, 2) for line in ensure_fresh(ours, peer, threads)]
        with Program("bench_herd") as ours:
            table += herd(ours, peer)
    table += store()
    table += simulator()
    parts = session_parts()
    table += session(parts)
    table += headers()
    table += keeper.rows(BUILD, parts["snapshot"], in_turn, row)
    show(table, parts)
    with open(os.path.join(BUILD, "bench.json"), "w", encoding="utf-8") as f:
        json.dump([{key: value for key, value in line.items() if key != "against"}
                   for line in table], f, indent=2)
        f.write("\n")


main()
