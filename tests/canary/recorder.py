# SPDX-License-Identifier: Apache-2.0
"""Stands between the programs and the platform, and remembers every secret that passes."""
import http.client
import http.server
import json
import threading

# Fields of the platform's messages, and what kind of secret they hold.
FIELDS = {
    "password": "password", "new_password": "password",
    "refresh_token": "refresh token", "RefreshToken": "refresh token",
    "device_key": "device key", "DeviceKey": "device key",
    "device_group_key": "device key", "DeviceGroupKey": "device key",
    "session": "challenge session", "Session": "challenge session",
    "AccessToken": "access token", "IdToken": "ID token",
}
DROPPED = {"connection", "transfer-encoding", "content-length", "keep-alive", "date", "server"}


class Recorder:
    def __init__(self, upstream):
        self.upstream = upstream  # host:port
        self.secrets = {}  # text -> kind
        self.lock = threading.Lock()
        recorder = self

        class Handler(http.server.BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def handle_any(self):
                recorder.pass_on(self)

            do_GET = do_POST = do_PUT = do_DELETE = handle_any

            def log_message(self, *_):
                pass

        class Server(http.server.ThreadingHTTPServer):
            request_queue_size = 512  # many sessions may come at once

            def handle_error(self, *_):
                """Programs that end do not wait for their answers."""

        self.server = Server(("127.0.0.1", 0), Handler)
        self.server.daemon_threads = True
        self.url = "http://127.0.0.1:%d" % self.server.server_address[1]
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def close(self):
        self.server.shutdown()
        self.server.server_close()

    def learn(self, body):
        try:
            message = json.loads(body)
        except ValueError:
            return
        with self.lock:
            for field, value in message.items() if isinstance(message, dict) else ():
                if field in FIELDS and isinstance(value, str) and value:
                    self.secrets[value] = FIELDS[field]

    def pass_on(self, handler):
        body = handler.rfile.read(int(handler.headers.get("Content-Length") or 0))
        self.learn(body)
        connection = http.client.HTTPConnection(self.upstream, timeout=30)
        try:
            headers = {name: value for name, value in handler.headers.items()
                       if name.lower() not in DROPPED | {"host"}}
            connection.request(handler.command, handler.path, body, headers)
            answer = connection.getresponse()
            text = answer.read()
        except (OSError, http.client.HTTPException):
            handler.close_connection = True  # as the platform did
            return
        finally:
            connection.close()
        self.learn(text)
        handler.send_response(answer.status)
        for name, value in answer.headers.items():
            if name.lower() not in DROPPED:
                handler.send_header(name, value)
        handler.send_header("Content-Length", str(len(text)))
        handler.end_headers()
        handler.wfile.write(text)

    def of_kind(self, kind):
        with self.lock:
            return [text for text, its in self.secrets.items() if its == kind]
