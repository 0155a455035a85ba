#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""The scenario files are what the schema says, say what they need, and test every rule."""
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

FILES_LEAST = 60
PER_RULE_LEAST = 3
BROKEN = {
    "an unknown verb": {"wiat": "5m"},
    "two verbs": {"wait": "5m", "suspend": "5m"},
    "an unknown argument": {"call": "ann", "do": "ensure", "min_vaild": "5m"},
    "an argument of another verb": {"wait": "5m", "engine": "a"},
    "a number for a duration": {"wait": 300},
    "an unknown expectation": {"expect": {"in_the_air": []}},
    "an unknown status of a session": {"expect": {"session": {"phase": "dead"}}},
}


def load(path):
    with open(path, encoding="utf-8") as f:
        return json.load(f)


def invalid(validator, base, scenario):
    problems = []
    for error in validator.iter_errors(scenario):
        step = error.path[1] if len(error.path) > 1 and error.path[0] == "steps" else None
        where = f"step {step + 1}" if step is not None else error.json_path
        best = jsonschema.exceptions.best_match([error]) or error
        problems.append(f"{base}: {where}: {best.message[:160]}")
    return problems


def capabilities(scenario):
    """What a scenario uses that an implementation may lack, as far as its words tell."""
    config, steps = scenario["config"], scenario["steps"]
    used = set()
    if config.get("service"):
        used.add("service")
    if config.get("profile") == "partner-rotating":
        used.add("rotation")
    if config.get("engines", 1) > 1:
        used.add("shared_store")
    if any("store" in step or "cache" in step or "restart" in step for step in steps):
        used.add("store")
    if "url" in config or any("url" in step for step in steps):
        used.add("origins")
    return used


def needs(base, scenario):
    missing = capabilities(scenario) - set(scenario["needs"])
    # Whoever shares a store has one.
    if "shared_store" in scenario["needs"]:
        missing.discard("store")
    return [f"{base}: needs {', '.join(sorted(missing))}"] if missing else []


def main():
    schema = load(os.path.join(ROOT, "spec", "scenario.schema.json"))
    jsonschema.Draft202012Validator.check_schema(schema)
    validator = jsonschema.Draft202012Validator(schema)
    wrong, names, rules, lacking, misnamed = [], collections.Counter(), collections.Counter(), [], []
    files = sorted(glob.glob(os.path.join(ROOT, "spec", "scenarios", "*.json")))
    for path in files:
        base = os.path.basename(path)
        scenario = load(path)
        problems = invalid(validator, base, scenario)
        wrong += problems
        if not re.fullmatch(r"[a-z0-9]+(-[a-z0-9]+)*\.json", base):
            misnamed.append(base)
        if problems:
            continue
        lacking += needs(base, scenario)
        names[scenario["name"]] += 1
        rules.update(scenario["rule"])
    whole = {"name": "a broken scenario", "why": "to see the check bite", "rule": [1], "needs": [],
             "config": {}, "steps": []}
    tap = Tap()
    tap.case("every scenario is what the schema says", wrong)
    tap.case("every file is named in kebab-case", misnamed)
    tap.case("no two have one name", [name for name, count in names.items() if count > 1])
    tap.case("every scenario says what it needs", lacking)
    tap.case(f"there are at least {FILES_LEAST}",
             [] if len(files) >= FILES_LEAST else [f"{len(files)}"])
    tap.case(f"every rule is tested by {PER_RULE_LEAST} or more",
             [f"rule {n}: {rules[n]}" for n in range(1, 14) if rules[n] < PER_RULE_LEAST])
    for what, step in BROKEN.items():
        bites = list(validator.iter_errors({**whole, "steps": [step]}))
        tap.case(f"the schema refuses {what}", [] if bites else ["it does not"])
    tap.end()


main()
