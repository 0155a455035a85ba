# SPDX-License-Identifier: Apache-2.0
"""The little of TAP that the checks need."""
import sys


class Tap:
    def __init__(self):
        self.count = 0
        self.failed = 0

    def case(self, name, problems):
        """One case; it passed when there are no problems."""
        self.count += 1
        self.failed += bool(problems)
        print(f"{'not ok' if problems else 'ok'} {self.count} - {name}")
        for problem in problems:
            print(f"# {problem}")

    def end(self):
        print(f"1..{self.count}")
        sys.exit(1 if self.failed else 0)
