"""Recorded REST bodies, and a venue's REST server on loopback: real sockets, real HTTP, real TLS where a test wants it."""
import gzip
import json
import ssl
import subprocess
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from tickpath.capture import read_capture
from tickpathd.instruments.venues import parse_bodies

# Which parts of an instruments body tell it from a capture's other REST bodies.
MARKS = (b'"symbols":[', b'"products":[', b'"pair_decimals"', b'"base_currency"', b'"instId"', b'"priceFilter"')


class Answer:
    """What the server does with one request: a status, headers and a body, or worse.

    drop : close the connection without an answer.  trickle_s : wait so long before each byte of the body.
    cut : announce the whole body and send only half.  chunked : in chunks of 1,000 bytes instead of with a length.
    """

    def __init__(self, body=b"", status=200, headers=(), *, drop=False, trickle_s=0.0, cut=False, chunked=False):
        self.body, self.status, self.headers = body, status, dict(headers)
        self.drop, self.trickle_s, self.cut, self.chunked = drop, trickle_s, cut, chunked


class RestServer:
    """A server that answers from a script.

    paths : {path: [Answer, …] or a function of the query}; the last answer of a list is repeated. requests: what came.
    """
    Answer = Answer

    def __init__(self, certificate=None):
        self.paths, self.requests, self.headers_seen = {}, [], []
        server = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"
            disable_nagle_algorithm = True

            def do_GET(self):
                server.requests.append(self.path)
                server.headers_seen.append(dict(self.headers))
                server.answer(self)

            def log_message(self, *_):
                pass
        self.http = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.http.daemon_threads = True
        self.scheme = "http"
        if certificate:
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            context.load_cert_chain(*certificate)
            self.http.socket = context.wrap_socket(self.http.socket, server_side=True)
            self.scheme = "https"
        self.url = f"{self.scheme}://127.0.0.1:{self.http.server_port}"
        self.thread = threading.Thread(target=self.http.serve_forever, kwargs={"poll_interval": 0.02})

    def __enter__(self):
        self.thread.start()
        return self

    def __exit__(self, *_):
        self.stop()

    def stop(self):
        if self.thread.is_alive():
            self.http.shutdown()
            self.thread.join()
            self.http.server_close()

    def answer(self, handler):
        path, _, query = handler.path.partition("?")
        answers = self.paths.get(path, [Answer(b'{"msg":"no such path"}', 404)])
        if callable(answers):
            answer = answers(query)
        else:
            answer = answers.pop(0) if len(answers) > 1 else answers[0]
        if answer.drop:
            handler.close_connection = True
            handler.connection.close()
            return
        handler.send_response(answer.status)
        for name, value in answer.headers.items():
            handler.send_header(name, value)
        if answer.chunked:
            handler.send_header("Transfer-Encoding", "chunked")
            handler.end_headers()
            for start in range(0, len(answer.body), 1000):
                piece = answer.body[start:start + 1000]
                handler.wfile.write(b"%x\r\n%s\r\n" % (len(piece), piece))
            handler.wfile.write(b"0\r\n\r\n")
            return
        handler.send_header("Content-Length", str(len(answer.body)))
        handler.end_headers()
        body = answer.body[:len(answer.body) // 2] if answer.cut else answer.body
        try:
            if answer.trickle_s:
                for n in range(len(body)):
                    time.sleep(answer.trickle_s)
                    handler.wfile.write(body[n:n + 1])
            else:
                handler.wfile.write(body)
        except OSError:
            pass
        if answer.cut:
            handler.close_connection = True


@pytest.fixture(scope="session")
def recorded_bodies(shared_data):
    """recorded_bodies("ws/kraken/….zst"): the instrument bodies of a capture, each once, in order; or of a file of samples,
    those whose name holds `named`."""
    known = {}

    def of(relative, named=""):
        key = relative, named
        if key not in known:
            path = shared_data(relative)
            if relative.startswith("rest/"):
                with gzip.open(path, "rt") as file:
                    samples = [json.loads(line) for line in file]
                found = [one["text"].encode() for one in samples if named in one["file"]]
            else:
                found = [frame.data for frame in read_capture(path) if frame.source == "rest"]
                found = [body for body in found if any(mark in body for mark in MARKS)]
            known[key] = list(dict.fromkeys(found))
        return known[key]
    return of


@pytest.fixture
def rest_server():
    """A RestServer over plain HTTP on loopback; ends with the test."""
    with RestServer() as server:
        yield server


@pytest.fixture(scope="session")
def make_certificate(tmp_path_factory, require_tool):
    """make_certificate("127.0.0.1"): (certificate, key) files, self-signed for an address, by the openssl command."""
    openssl = require_tool("openssl", "openssl")

    def make(address):
        folder = tmp_path_factory.mktemp("certificate")
        subprocess.run([openssl, "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-days", "2",
                        "-subj", "/CN=tickpath test", "-addext", f"subjectAltName=IP:{address}", "-keyout", folder / "key.pem",
                        "-out", folder / "cert.pem"], check=True, capture_output=True, timeout=60)
        return folder / "cert.pem", folder / "key.pem"
    return make


@pytest.fixture(scope="session")
def rest_server_class():
    """RestServer, for tests that need a certificate or several servers."""
    return RestServer


@pytest.fixture(scope="session")
def parsed():
    """parsed("okx", body, …): the InstrumentTable of bodies given as Python values."""
    return lambda kind, *bodies: parse_bodies(kind, [json.dumps(body).encode() for body in bodies])


@pytest.fixture(scope="session")
def only(parsed):
    """only("okx", body): the facts of a body's one instrument; fails when there are more, or odd ones."""
    def one(kind, body):
        table = parsed(kind, body)
        assert table.skipped == () and len(table.facts) == 1
        return table.facts[0]
    return one
