"""A small HTTP/1.1 server on asyncio: enough for a venue's REST side and for the faults' control, and no more.

Keep-alive, Content-Length bodies, bounded heads and bodies; chunked requests are refused. A handler is called as
`handler(Request) -> Response` on the loop and must not wait.
"""
import asyncio
import json
from http import HTTPStatus
from typing import NamedTuple
from urllib.parse import parse_qsl, unquote, urlsplit

__all__ = ["HttpServer", "Request", "Response"]

HEAD_BYTES_MAX = 16 << 10
BODY_BYTES_MAX = 1 << 20
IDLE_TIMEOUT_S = 75
METHODS = {"GET", "POST", "DELETE", "PUT"}


class Request(NamedTuple):
    method: str
    path: str
    query: dict
    headers: dict
    body: bytes


class Response(NamedTuple):
    body: bytes
    status: int = 200
    headers: tuple = ()

    @classmethod
    def of(cls, value, status=200, headers=()):
        return cls(json.dumps(value, separators=(",", ":")).encode(), status, headers)


class _Refused(Exception):
    def __init__(self, status, text):
        super().__init__(text)
        self.status = status


class HttpServer:
    """Parameters: handler : Request -> Response."""

    def __init__(self, handler):
        self.handler = handler
        self.requests = self.refused = 0
        self._server = None
        self._tasks = set()

    async def listen(self, host, port, ssl_context=None):
        """Start; returns the port."""
        self._server = await asyncio.start_server(self._serve, host, port, ssl=ssl_context, limit=HEAD_BYTES_MAX)
        return self._server.sockets[0].getsockname()[1]

    async def close(self):
        self._server.close()
        for task in list(self._tasks):
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    async def _serve(self, reader, writer):
        task = asyncio.current_task()
        self._tasks.add(task)
        try:
            while await self._one(reader, writer):
                pass
        except (ConnectionError, TimeoutError, asyncio.IncompleteReadError, asyncio.CancelledError):
            pass
        finally:
            self._tasks.discard(task)
            writer.close()

    async def _one(self, reader, writer):
        """Answer one request; false when the connection is to be closed."""
        try:
            async with asyncio.timeout(IDLE_TIMEOUT_S):
                request, keep = await self._read(reader)
        except _Refused as e:
            self.refused += 1
            self._write(writer, Response.of({"error": str(e)}, e.status), False)
            await writer.drain()
            return False
        if request is None:
            return False
        self.requests += 1
        self._write(writer, self.handler(request), keep)
        await writer.drain()
        return keep

    async def _read(self, reader):
        try:
            head = await reader.readuntil(b"\r\n\r\n")
        except asyncio.IncompleteReadError as e:
            if not e.partial:
                return None, False
            raise
        except asyncio.LimitOverrunError:
            raise _Refused(431, f"expected a request head of at most {HEAD_BYTES_MAX} bytes") from None
        try:
            first, *lines = head.decode("latin-1").rstrip("\r\n").split("\r\n")
            method, target, version = first.split(" ")
            headers = {name.strip().lower(): value.strip() for name, value in (line.split(":", 1) for line in lines)}
            length = int(headers.get("content-length", "0"))
        except ValueError:
            raise _Refused(400, "expected an HTTP/1.1 request") from None
        if version not in ("HTTP/1.1", "HTTP/1.0") or method not in METHODS:
            raise _Refused(501, f"expected one of {sorted(METHODS)} over HTTP/1.1, found {first[:60]!r}")
        if "transfer-encoding" in headers:
            raise _Refused(411, "expected a Content-Length, found Transfer-Encoding")
        if not 0 <= length <= BODY_BYTES_MAX:
            raise _Refused(413, f"expected a body of at most {BODY_BYTES_MAX} bytes, found {length}")
        body = await reader.readexactly(length) if length else b""
        parts = urlsplit(target)
        keep = headers.get("connection", "").lower() != "close" and version == "HTTP/1.1"
        return Request(method, unquote(parts.path), dict(parse_qsl(parts.query, keep_blank_values=True)), headers, body), keep

    @staticmethod
    def _write(writer, response, keep):
        phrase = HTTPStatus(response.status).phrase if response.status in HTTPStatus._value2member_map_ else "Status"
        head = [f"HTTP/1.1 {response.status} {phrase}", "Content-Type: application/json;charset=UTF-8",
                f"Content-Length: {len(response.body)}", f"Connection: {'keep-alive' if keep else 'close'}",
                *(f"{name}: {value}" for name, value in response.headers)]
        writer.write("\r\n".join(head).encode("latin-1") + b"\r\n\r\n" + response.body)
