"""A real HTTP server before a real registry: passes requests on, remembers them, and misbehaves
where a test's rule says so."""

import base64
import http.client
import http.server
import json
import ssl
import threading
import urllib.parse


class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def log_message(self, *_):
        pass

    def answer(self, status, body=b"", **headers):
        """A whole response; header names as keywords, with _ for -."""
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name.replace("_", "-"), value)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)

    def upstream(self):
        """The registry's answer: status, headers, body."""
        connection = http.client.HTTPConnection(self.server.front.upstream)
        headers = {name: value for name, value in self.headers.items()
                   if name.lower() in ("accept", "range")}
        connection.request(self.command, self.path.split("?")[0], headers=headers)
        response = connection.getresponse()
        body = response.read()
        connection.close()
        return response.status, dict(response.getheaders()), body

    def pass_on(self, cut_at=None):
        """With cut_at, the connection breaks after so many bytes of the body."""
        status, headers, body = self.upstream()
        self.send_response(status)
        for name, value in headers.items():
            if name.lower() not in ("date", "connection", "transfer-encoding"):
                self.send_header(name, value)
        self.end_headers()
        if self.command == "HEAD":
            return
        if cut_at is not None and cut_at < len(body):
            self.wfile.write(body[:cut_at])
            self.break_off()
        else:
            self.wfile.write(body)

    def break_off(self):
        self.wfile.flush()
        self.connection.close()
        self.close_connection = True

    @property
    def is_blob(self):
        return "/blobs/" in self.path

    def _serve(self):
        front = self.server.front
        length = int(self.headers.get("Content-Length", 0))
        self.form = dict(urllib.parse.parse_qsl(self.rfile.read(length).decode()))
        with front.lock:
            front.requests.append((self.command, self.path, dict(self.headers)))
        if front.rule is None or not front.rule(self):
            self.pass_on()

    do_GET = do_HEAD = do_POST = _serve


class Server(http.server.ThreadingHTTPServer):
    daemon_threads = True

    def handle_error(self, *_):
        pass  # broken connections are what it is for


class Front:
    """`rule(handler)` answers itself and returns True, or leaves the request to the registry."""

    def __init__(self, upstream=None, rule=None, certificate=None):
        self.upstream, self.rule = upstream, rule
        self.requests = []
        self.lock = threading.Lock()
        self._server = Server(("127.0.0.1", 0), Handler)
        self._server.front = self
        if certificate:
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            context.load_cert_chain(*certificate)
            self._server.socket = context.wrap_socket(self._server.socket, server_side=True)
        self.address = f"127.0.0.1:{self._server.server_address[1]}"
        threading.Thread(target=self._server.serve_forever, daemon=True).start()

    def blob_requests(self):
        return [headers for method, path, headers in self.requests
                if method == "GET" and "/blobs/" in path]

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self._server.shutdown()
        self._server.server_close()


def basic(user, password):
    return "Basic " + base64.b64encode(f"{user}:{password}".encode()).decode()


class TokenServer(Front):
    """Hands out tokens as the distribution specification says; `accepts(handler)` decides."""

    def __init__(self, accepts):
        self.accepts, self.tokens = accepts, []
        super().__init__(rule=self._token)

    def _token(self, handler):
        if not self.accepts(handler):
            handler.answer(401, b"{}")
        else:
            self.tokens.append(f"token-{len(self.tokens)}")
            handler.answer(200, json.dumps({"token": self.tokens[-1], "expires_in": 60}).encode())
        return True

    def guard(self, rule=None):
        """A rule for the registry: only with a token of ours."""

        def guarded(handler):
            token = handler.headers.get("Authorization", "").removeprefix("Bearer ")
            if token in self.tokens:
                return rule is not None and rule(handler)
            challenge = f'Bearer realm="http://{self.address}/token",service="test, registry"'
            handler.answer(401, b"{}", WWW_Authenticate=challenge)
            return True

        return guarded
