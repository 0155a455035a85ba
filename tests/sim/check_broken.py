#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""A core that is broken on purpose must be caught by a checker of the simulator."""
import subprocess
import sys

result = subprocess.run([sys.argv[1], "--broken", sys.argv[2], "--seeds", "2000"],
                        capture_output=True, text=True)
first = " / ".join(result.stdout.splitlines()[:2]) if result.stdout else result.stderr
caught = result.returncode == 1 and first.startswith("seed ")
print(f"{'ok' if caught else 'not ok'} 1 - {sys.argv[2]}")
print(f"# {first}")
print("1..1")
sys.exit(0 if caught else 1)
