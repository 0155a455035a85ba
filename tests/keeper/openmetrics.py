# SPDX-License-Identifier: Apache-2.0
"""A strict reader of OpenMetrics 1.0 text, for what freshetd may write: no timestamps, exemplars or
creation times."""
import math
import re

TYPE = "application/openmetrics-text; version=1.0.0; charset=utf-8"

_NAME = r"[a-zA-Z_:][a-zA-Z0-9_:]*"
_META = re.compile(rf"# (TYPE|UNIT|HELP) ({_NAME}) (.*)")
_SAMPLE = re.compile(rf"({_NAME})(?:\{{(.*)\}})? (\S+)")
_LABEL = re.compile(r'([a-zA-Z_][a-zA-Z0-9_]*)="((?:[^"\\\n]|\\[\\"n])*)"(,|$)')
_NUMBER = re.compile(r"[0-9]+(\.[0-9]+)?")
_BOUND = re.compile(r"[0-9]+\.(0|[0-9]*[1-9])|\+Inf")
_SUFFIXES = {"counter": ("_total",), "gauge": ("",), "info": ("_info",),
             "histogram": ("_bucket", "_count", "_sum")}


class Bad(Exception):
    """The text is not what the standard says."""


def _need(condition, what):
    if not condition:
        raise Bad(what)


def _labels(text):
    found, at = {}, 0
    while text and at < len(text):
        match = _LABEL.match(text, at)
        _need(match, f"labels {text!r}")
        name, value, comma = match.groups()
        _need(name not in found, f"label {name} twice")
        found[name] = re.sub(r"\\(.)", lambda m: "\n" if m[1] == "n" else m[1], value)
        at = match.end()
        _need(comma == "," or at == len(text), f"labels {text!r}")
        _need(comma != "," or at < len(text), "a comma too many")
    return found


class Family:
    def __init__(self, name):
        self.name, self.meta = name, {}
        self.samples = []  # (suffix, labels, value)

    def add_meta(self, what, value):
        _need(not self.samples, f"{what} of {self.name} behind its samples")
        _need(what not in self.meta, f"{what} of {self.name} twice")
        self.meta[what] = value

    @property
    def type(self):
        return self.meta.get("TYPE")

    def check(self):
        _need(self.type in _SUFFIXES, f"type of {self.name}: {self.type}")
        _need(self.meta.get("HELP"), f"no help for {self.name}")
        unit = self.meta.get("UNIT")
        _need(unit is None or self.name.endswith("_" + unit), f"unit of {self.name}: {unit}")
        seen = set()
        for suffix, labels, value in self.samples:
            key = (suffix, tuple(sorted(labels.items())))
            _need(key not in seen, f"{self.name}{suffix}{labels} twice")
            seen.add(key)
            _need(value >= 0 and math.isfinite(value), f"{self.name}: {value}")
            _need(self.type != "info" or value == 1, f"{self.name}: an info of {value}")
            _need("le" not in labels or suffix == "_bucket", f"{self.name}{suffix} with le")
        if self.type == "histogram":
            self.check_points()

    def check_points(self):
        points, order = {}, []
        for suffix, labels, value in self.samples:
            key = tuple((name, text) for name, text in sorted(labels.items()) if name != "le")
            if not order or order[-1] != key:
                order.append(key)
            points.setdefault(key, []).append((suffix, labels.get("le"), value))
        _need(len(order) == len(points), f"{self.name}: points are interleaved")
        for point in points.values():
            buckets = [(le, value) for suffix, le, value in point if suffix == "_bucket"]
            rest = {suffix: value for suffix, _, value in point if suffix != "_bucket"}
            for le, _ in buckets:
                _need(le and _BOUND.fullmatch(le), f"{self.name}: the bound {le}")
            bounds = [float(le.replace("+Inf", "inf")) for le, _ in buckets]
            counts = [value for _, value in buckets]
            _need(bounds == sorted(set(bounds)) and bounds[-1:] == [math.inf],
                  f"{self.name}: the bounds {bounds}")
            _need(counts == sorted(counts), f"{self.name}: the buckets are not summed up")
            _need(rest.keys() == {"_count", "_sum"} and rest["_count"] == counts[-1],
                  f"{self.name}: {rest}")


class Metrics:
    """What a page says."""

    def __init__(self, text):
        _need(text.endswith("\n# EOF\n") and text.count("# EOF") == 1, "no end, or not there")
        self.families = {}
        self.latest = None
        for line in text[:-len("# EOF\n")].split("\n")[:-1]:
            self.read(line)
        for family in self.families.values():
            family.check()

    def family(self, name):
        if self.latest is None or self.latest.name != name:
            _need(name not in self.families, f"{name} comes again")
            self.latest = self.families[name] = Family(name)
        return self.latest

    def read(self, line):
        meta = _META.fullmatch(line)
        if meta:
            self.family(meta[2]).add_meta(meta[1], meta[3])
            return
        sample = _SAMPLE.fullmatch(line)
        _need(sample, f"the line {line!r}")
        family = self.latest
        _need(family, f"a sample of no family: {line}")
        suffix = sample[1][len(family.name):]
        _need(sample[1].startswith(family.name) and suffix in _SUFFIXES.get(family.type, ()),
              f"{sample[1]} in {family.name}")
        _need(_NUMBER.fullmatch(sample[3]), f"the value {sample[3]}")
        family.samples.append((suffix, _labels(sample[2]), float(sample[3])))

    def value(self, name, suffix="", **labels):
        """The sum of all samples with these labels; 0 for none."""
        return sum(value for its, its_labels, value in self.families[name].samples
                   if its == suffix and labels.items() <= its_labels.items())

    def total(self, name, **labels):
        return self.value(name, "_total", **labels)

    def count(self, name, **labels):
        return self.value(name, "_count", **labels)

    def labels(self, name):
        return [labels for _, labels, _ in self.families[name].samples]

    def shrunk(self, before):
        """Counters that have less than before."""
        problems = []
        for name, family in before.families.items():
            for suffix, labels, value in family.samples:
                if suffix not in ("", "_info") and self.value(name, suffix, **labels) < value:
                    problems.append(f"{name}{suffix}{labels}")
        return problems


GOOD = """# TYPE a counter
# HELP a Of something.
a_total{x="\\"1\\\\",y="\\n"} 1
# TYPE b_seconds histogram
# UNIT b_seconds seconds
# HELP b_seconds Of time.
b_seconds_bucket{le="0.5"} 1
b_seconds_bucket{le="+Inf"} 2
b_seconds_count 2
b_seconds_sum 3.25
# EOF
"""

# What to replace in it, by what: no longer good.
FLAWS = (
    ("# EOF\n", ""), ("# EOF\n", "# EOF"), ("# EOF\n", "# EOF\n\n"), ("a_total", "a"),
    (" 1\n# TYPE b", " -1\n# TYPE b"), (" 1\n# TYPE b", " 1\n\n# TYPE b"),
    (" 1\n# TYPE b", "  1\n# TYPE b"), ("counter", "gauge"), ("counter", "number"),
    ("# HELP a Of something.\n", ""), ("# TYPE a counter\n", ""), ("seconds seconds", "seconds ms"),
    ("le=\"0.5\"", "le=\"0.50\""), ("le=\"0.5\"", "le=\"1\""), ("0.5\"} 1", "0.5\"} 3"),
    ("count 2", "count 3"), ("b_seconds_count 2\n", ""), ("b_seconds_sum 3.25\n", ""),
    ("sum 3.25", "sum NaN"), ("b_seconds_bucket{le=\"+Inf\"} 2\n", ""), ("y=\"", "x=\""),
    (",y=", ",,y="), ("x=\"\\\"1", "x=\"\"1"), ("\\n", "\\t"),
    ("# TYPE b", "a_total{y=\"\\n\",x=\"\\\"1\\\\\"} 2\n# TYPE b"),
    ("# EOF", "# TYPE a counter\n# EOF"), ("b_seconds_sum", "c_seconds_sum"),
)


def check_reader():
    """The reader takes what is good and nothing of what is not."""
    Metrics(GOOD)
    problems = []
    for old, new in FLAWS:
        text = GOOD.replace(old, new, 1)
        if text == GOOD:
            problems.append(f"{old!r} is not there")
            continue
        try:
            Metrics(text)
            problems.append(f"{new!r} in place of {old!r} is taken")
        except Bad:
            pass
    return problems
