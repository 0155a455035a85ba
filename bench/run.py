#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Runs the benchmarks, prints a table, and writes build/bench.json.

A benchmark prints a line a row: NAME OURS PEER GOAL WHAT-THE-PEER-IS. The ratio is ours over the peer's."""
import json
import os
import subprocess
import sys
import tempfile
import time

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))


def devserver(folder):
    port = os.path.join(folder, "port")
    process = subprocess.Popen(
        [os.path.join(ROOT, "build", "freshet-devserver"), "--listen", "127.0.0.1:0", "--port-file",
         port, "--quiet"], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    for _ in range(200):
        if os.path.exists(port) and os.path.getsize(port) > 0:
            with open(port, encoding="utf-8") as f:
                return process, "http://" + f.read().strip()
        time.sleep(0.05)
    process.kill()
    sys.exit("the devserver does not come up")


def rows(url):
    out = subprocess.run([os.path.join(ROOT, "build", "bench_ensure_fresh"), url],
                         capture_output=True, text=True, check=True).stdout
    for line in out.splitlines():
        name, ours, peer, goal, what = line.split(maxsplit=4)
        ratio = float(ours) / float(peer)
        yield {"name": name, "ours": float(ours), "peer": float(peer), "unit": "ns",
               "ratio": round(ratio, 3), "goal": float(goal), "met": ratio <= float(goal),
               "peer_is": what}


def main():
    with tempfile.TemporaryDirectory() as folder:
        process, url = devserver(folder)
        try:
            table = list(rows(url))
        finally:
            process.terminate()
            process.wait()
    print(f"{'row':24} {'ours':>9} {'peer':>9} {'ratio':>7} {'goal':>6}      against")
    for row in table:
        print(f"{row['name']:24} {row['ours']:6.1f} {row['unit']} {row['peer']:6.1f} {row['unit']} "
              f"{row['ratio']:7.2f} {row['goal']:6.2f} {'met' if row['met'] else 'NOT':>4} "
              f" {row['peer_is']}")
    with open(os.path.join(ROOT, "build", "bench.json"), "w", encoding="utf-8") as f:
        json.dump([{key: value for key, value in row.items() if key != "peer_is"} for row in table],
                  f, indent=2)


main()
