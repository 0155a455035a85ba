#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""The scenario files are what the schema says, and test every rule."""
import collections
import glob
import json
import os
import re
import sys

import jsonschema

HERE = os.path.dirname(os.path.abspath(__file__))
ROOT = os.path.dirname(os.path.dirname(HERE))
sys.path.insert(0, os.path.join(ROOT, "tests", "checks"))
from tap import Tap  # noqa: E402


def main():
    with open(os.path.join(ROOT, "spec", "scenario.schema.json"), encoding="utf-8") as f:
        schema = json.load(f)
    validator = jsonschema.Draft202012Validator(schema)
    invalid, names, rules = [], collections.Counter(), collections.Counter()
    files = sorted(glob.glob(os.path.join(ROOT, "spec", "scenarios", "*.json")))
    for path in files:
        base = os.path.basename(path)
        with open(path, encoding="utf-8") as f:
            scenario = json.load(f)
        invalid += [f"{base}: {error.json_path}: {error.message[:100]}"
                    for error in validator.iter_errors(scenario)]
        if not re.fullmatch(r"[a-z0-9]+(-[a-z0-9]+)*\.json", base):
            invalid.append(f"{base}: the name is not in kebab-case")
        names[scenario["name"]] += 1
        rules.update(scenario["rule"])
    tap = Tap()
    tap.case("every scenario is what the schema says", invalid)
    tap.case("no two have one name", [name for name, count in names.items() if count > 1])
    tap.case("there are at least 60", [] if len(files) >= 60 else [f"{len(files)}"])
    tap.case("every rule is tested by three or more",
             [f"rule {n}: {rules[n]}" for n in range(1, 14) if rules[n] < 3])
    broken = {"name": "a broken scenario", "why": "to see the check bite", "rule": [14], "needs": [],
              "config": {}, "steps": [{"wiat": "5m"}]}
    tap.case("the check bites", [] if list(validator.iter_errors(broken)) else ["it does not"])
    tap.end()


main()
