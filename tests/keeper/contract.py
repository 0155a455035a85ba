# SPDX-License-Identifier: Apache-2.0
"""spec/keeper-api.yaml, and whether an answer is as it says."""
import json
import os
import re

import jsonschema
import yaml

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
METHODS = ("get", "put", "post", "delete")
ROUTE = re.compile(r'FSH_DOOR_(CONTROL|BROWSER),\s*"([A-Z]+)",\s*"(/[^"]*)"')
STATUS = re.compile(r"^FRESHET_STATUS\((\w+), -?\d+, (\w+), \d+, (\d+),", re.MULTILINE)
# Those that time may mend; and a session, or the keeper, that is just being opened anew.
TIMELY = ("RETRY", "UNKNOWN")


def _read(*path):
    with open(os.path.join(ROOT, *path), encoding="utf-8") as file:
        return file.read()


class Contract:
    def __init__(self):
        self.document = yaml.safe_load(_read("spec", "keeper-api.yaml"))
        self.resolver = jsonschema.RefResolver("", self.document)
        self.any = {int(status) for status in self.document["components"]["x-any"]}
        statuses = STATUS.findall(_read("spec", "status.def"))
        self.http = {"FRESHET_" + name: int(http) for name, _, http in statuses}
        self.timely = {"FRESHET_" + name for name, kind, _ in statuses if kind in TIMELY}
        self.timely.add("FRESHET_ECLOSED")
        self.seen = set()  # (METHOD, template, status)

    def resolve(self, node):
        while isinstance(node, dict) and "$ref" in node:
            node = self.resolver.resolve(node["$ref"])[1]
        return node

    def validate(self, schema, value, what):
        """What is wrong with a value."""
        validator = jsonschema.Draft202012Validator(schema, resolver=self.resolver)
        return [f"{what}{''.join(f'[{part!r}]' for part in error.absolute_path)}: {error.message}"
                for error in validator.iter_errors(value)]

    # ---- its operations

    def operations(self):
        """(METHOD, template, operation) of each."""
        for template, item in self.document["paths"].items():
            for method in METHODS:
                if method in item:
                    yield method.upper(), template, item[method]

    def door(self, operation):
        return "BROWSER" if operation["tags"][0] in ("browser", "authz") else "CONTROL"

    def find(self, method, path):
        """The operation of a request, or None."""
        path = path.partition("?")[0]
        for known, template, operation in self.operations():
            pattern = "".join("[^/]+" if part.startswith("{") else re.escape(part)
                              for part in re.split(r"(\{\w+\})", template))
            if known == method and re.fullmatch(pattern, path):
                return template, operation
        return None

    def body_schema(self, operation):
        body = self.resolve(operation.get("requestBody"))
        return body and self.resolve(body["content"]["application/json"]["schema"])

    # ---- answers

    def judge(self, method, path, answer):
        """What of an answer is not as the document says, as sentences."""
        what = f"{method} {path} -> {answer.status}"
        twice = {name for name in answer.headers.keys() if len(answer.headers.get_all(name)) > 1}
        if twice:
            return [f"{what}: more than once: {sorted(twice)}"]
        found = self.find(method, path)
        if found is None:
            return self._judge_any(answer, what)
        template, operation = found
        self.seen.add((method, template, answer.status))
        response = self.resolve(operation["responses"].get(str(answer.status)))
        if response is None:
            return self._judge_any(answer, what)
        return (self._judge_headers(response, answer, what) +
                self._judge_content(response.get("content"), answer, what))

    def _judge_any(self, answer, what):
        if answer.status not in self.any:
            return [f"{what}: no such status"]
        problem = self.document["components"]["responses"]["Problem"]["content"]
        problems = self._judge_content(problem, answer, what)
        if answer.status == 405 and not answer.headers["Allow"]:
            problems.append(f"{what}: no Allow")
        return problems

    def _judge_headers(self, response, answer, what):
        problems = []
        for name, header in response.get("headers", {}).items():
            header = self.resolve(header)
            value = answer.headers[name]
            if value is not None:
                problems += self.validate(header["schema"], value, f"{what}: {name}")
            elif header.get("required"):
                problems.append(f"{what}: no {name}")
        return problems

    def _judge_content(self, content, answer, what):
        kind = (answer.headers["Content-Type"] or "").partition(";")[0]
        if content is None:
            return [f"{what}: a body, {answer.body[:80]!r}"] if answer.body else []
        if kind not in content:
            return [f"{what}: content type {kind!r}"]
        if not kind.endswith("json"):
            return []
        try:
            document = json.loads(answer.body)
        except ValueError as error:
            return [f"{what}: {error}"]
        problems = self.validate(content[kind]["schema"], document, what)
        if kind == "application/problem+json" and not problems:
            problems += self._judge_problem(document, answer, what)
        return problems

    def _judge_problem(self, document, answer, what):
        problems = []
        if document["status"] != answer.status:
            problems.append(f"{what}: the document says {document['status']}")
        code = document.get("code")
        if code is not None and self.http.get(code) != answer.status:
            problems.append(f"{what}: {code}, whose status is {self.http.get(code)}")
        retry = document.get("retry_after_ms")
        if retry is not None and code is not None and code not in self.timely:
            problems.append(f"{what}: {code} has retry_after_ms {retry}, which mends nothing")
        expected = None if retry is None else str(max(1, -(-retry // 1000)))
        if expected is not None and answer.headers["Retry-After"] != expected:
            problems.append(f"{what}: Retry-After {answer.headers['Retry-After']}, not {expected}")
        return problems

    # ---- the whole

    def unserved(self):
        """Operations that have not been answered as wished yet."""
        served = {(method, template) for method, template, status in self.seen if status < 300}
        return [f"{method} {template}: not exercised" for method, template, _ in self.operations()
                if (method, template) not in served]

    def against_routes(self):
        """Where the document and the route tables of src/keeper differ."""
        routes = set()
        folder = os.path.join(ROOT, "src", "keeper")
        for name in sorted(os.listdir(folder)):
            if name.endswith(".c"):
                routes.update(ROUTE.findall(_read("src", "keeper", name)))
        routes = {(door, method, re.sub(r":(\w+)", r"{\1}", pattern))
                  for door, method, pattern in routes}
        paths = {(self.door(operation), method, template)
                 for method, template, operation in self.operations()}
        return ([f"only in the document: {route}" for route in sorted(paths - routes)] +
                [f"only in a route table: {route}" for route in sorted(routes - paths)])
