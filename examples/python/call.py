#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Calls the platform with a session's headers: call.py CONTROL_SOCKET SESSION /PATH"""
import http.client
import json
import socket
import sys
import urllib.parse


def keeper(method, path, body=None):
    connection = http.client.HTTPConnection("localhost")
    connection.sock = socket.socket(socket.AF_UNIX)
    connection.sock.settimeout(30)
    connection.sock.connect(control)
    connection.request(method, path, body and json.dumps(body))
    answer = connection.getresponse()
    document = json.loads(answer.read() or "null")
    if answer.status >= 400:
        sys.exit(f"freshetd: {document['detail']}")
    return document


control, session, path = sys.argv[1:]
session = "/v1/sessions/" + urllib.parse.quote(session, safe="")
try:
    platform = urllib.parse.urlsplit(keeper("GET", "/v1/platform")["url"])
    fresh = keeper("GET", session + "/headers")
    kind = http.client.HTTPSConnection if platform.scheme == "https" else http.client.HTTPConnection
    api = kind(platform.netloc, timeout=30)  # follows no redirect: the headers belong to the platform
    api.request("GET", platform.path.rstrip("/") + path, headers=dict(fresh["headers"]))
    answer = api.getresponse()
    if answer.status == 401:  # told, and never tried again
        keeper("POST", session + "/unauthorized", {"generation": fresh["generation"]})
    print(answer.read().decode())
    sys.exit(0 if answer.status < 300 else f"the platform: {answer.status} {answer.reason}")
except OSError as error:
    sys.exit(f"call.py: {error}")
