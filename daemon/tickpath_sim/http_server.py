"""HTTP/1.1 for a venue's REST side and for the faults' control: aiohttp's server, without its router.

A handler is called as `handler(Request) -> Response`, or gives an awaitable of one, or None to cut the connection. It runs on
the loop and must not block.
"""
import asyncio
import inspect
import json
import logging
from urllib.parse import parse_qsl, unquote, urlsplit

from aiohttp import web
from aiohttp.http_exceptions import ContentEncodingError

__all__ = ["HttpServer", "Request", "Response"]

BODY_BYTES_MAX = 1 << 20
LINE_BYTES_MAX = 16 << 10
KEEPALIVE_TIMEOUT_S = 75
# How long a client may take to send its first request's head, and a body.
HEAD_TIMEOUT_S = BODY_TIMEOUT_S = 20
METHODS = {"GET", "POST", "DELETE", "PUT"}
log = logging.getLogger("tickpath_sim")
# What clients send that is no HTTP is their affair: it is answered, and not ours to complain of.
SILENT = logging.getLogger("tickpath_sim.http")
SILENT.addHandler(logging.NullHandler())
SILENT.propagate = False
CONTENT_TYPE = "application/json;charset=UTF-8"


class Request:
    """One request. raw_query : as sent, because it is what was signed.  headers : case does not matter."""
    __slots__ = ("method", "path", "raw_query", "headers", "body", "transport", "_query")

    def __init__(self, method, target, headers, body, transport):
        parts = urlsplit(target)
        self.method, self.headers, self.body, self.transport = method, headers, body, transport
        self.path = unquote(parts.path)
        self.raw_query = parts.query
        self._query = None

    @property
    def query(self):
        if self._query is None:
            self._query = dict(parse_qsl(self.raw_query, keep_blank_values=True))
        return self._query


class Response:
    __slots__ = ("body", "status", "headers")

    def __init__(self, body, status=200, headers=()):
        self.body, self.status, self.headers = body, status, headers

    @classmethod
    def of(cls, value, status=200, headers=()):
        return cls(json.dumps(value, separators=(",", ":")).encode(), status, headers)


class _Protocol(web.RequestHandler):
    """aiohttp's connection, but what is no HTTP is answered in JSON too, and a first request does not take for ever."""
    __slots__ = ()

    def handle_error(self, request, status=500, exc=None, message=None):
        reply = super().handle_error(request, status, exc, message)
        return _refusal(status, (reply.text or "").partition("\n")[0])

    def end_if_mute(self):
        if self.transport is not None and self._request_count == 0:
            self.transport.abort()


def _refusal(status, text):
    reply = web.Response(body=json.dumps({"error": text}).encode(), status=status, content_type="application/json")
    reply.force_close()
    return reply


class HttpServer:
    """Parameters: handler : Request -> Response.  tapped : wraps the protocol factory, for who looks at the bytes, or None."""

    def __init__(self, handler, tapped=None):
        self.handler, self.tapped = handler, tapped
        self.requests = self.refused = 0
        self._web = self._server = None

    async def listen(self, host, port, ssl_context=None):
        """Start; returns the port."""
        # A handler whose client is gone is cancelled: one may wait for an answer that a fault has taken away.
        self._web = web.Server(self._serve, handler_cancellation=True)
        factory = self._connection if self.tapped is None else self.tapped(self._connection)
        self._server = await asyncio.get_running_loop().create_server(factory, host, port, ssl=ssl_context, backlog=1024)
        return self._server.sockets[0].getsockname()[1]

    async def close(self):
        if self._server is not None:
            self._server.close()
            await self._web.shutdown(0.1)

    def _connection(self):
        loop = asyncio.get_running_loop()
        protocol = _Protocol(
            self._web, loop=loop, logger=SILENT, access_log=None, keepalive_timeout=KEEPALIVE_TIMEOUT_S, lingering_time=0,
            max_line_size=LINE_BYTES_MAX, max_field_size=LINE_BYTES_MAX, tcp_keepalive=False)
        loop.call_later(HEAD_TIMEOUT_S, protocol.end_if_mute)
        return protocol

    async def _serve(self, request):
        if request.method not in METHODS:
            return self._refuse(501, f"expected one of {sorted(METHODS)}, found {request.method[:60]!r}")
        length = request.content_length
        if length is not None and length > BODY_BYTES_MAX:
            return self._refuse(413, f"expected a body of at most {BODY_BYTES_MAX} bytes, found {length}")
        body = b""
        if request.body_exists:
            try:
                async with asyncio.timeout(BODY_TIMEOUT_S):
                    body = await request.read()
            except web.HTTPRequestEntityTooLarge:
                return self._refuse(413, f"expected a body of at most {BODY_BYTES_MAX} bytes")
            except TimeoutError:
                return self._refuse(408, f"expected the whole body within {BODY_TIMEOUT_S} s")
            except (web.RequestPayloadError, ContentEncodingError):
                return self._refuse(400, "expected a body as its headers announce it")
        self.requests += 1
        try:
            asked = Request(request.method, request.raw_path, request.headers, body, request.transport)
        except ValueError:
            return self._refuse(400, f"expected a path, found {request.raw_path[:60]!r}")
        try:
            answer = self.handler(asked)
            if inspect.isawaitable(answer):
                answer = await answer
        except Exception:
            log.exception("tickpath-sim: %s %s failed", request.method, request.path[:200])
            return self._refuse(500, "the request failed here")
        if answer is None:
            if request.transport is not None:
                request.transport.abort()
            raise asyncio.CancelledError
        reply = web.Response(body=answer.body, status=answer.status)
        reply.headers["Content-Type"] = CONTENT_TYPE
        for name, value in answer.headers:
            reply.headers[name] = value
        return reply

    def _refuse(self, status, text):
        self.refused += 1
        return _refusal(status, text)
