"""GET over HTTPS for REST metadata: certificates always verified, bounded in time and size, polite when told to wait.

Blocking, on the standard library alone: for the loader's cold process, never for the engine's. Plain HTTP is taken from this
machine only (a simulated venue). Redirects are not followed: whoever may answer is in the configuration.
"""
import http.client
import ipaddress
import json
import random
import socket
import ssl
import time
import zlib
from email.utils import parsedate_to_datetime
from urllib.parse import urlencode, urlsplit

from tickpathd import __version__
from tickpathd.instruments.facts import InstrumentError

__all__ = ["FetchError", "HttpClient", "Throttled"]

BODY_BYTES_MAX = 32 << 20
PIECE_BYTES = 1 << 16
BACKOFF_FIRST_S = 0.5
BACKOFF_MAX_S = 15.0
# What is worth asking again: the server's own trouble. 418 is Binance's ban, and every request in it makes it longer.
RETRIED_STATUSES = {408, 425, 429, 500, 502, 503, 504, 520, 521, 522, 523, 524, 530}


class FetchError(InstrumentError):
    """The venue could not be asked, or answered with something else than 200."""


class Throttled(FetchError):
    """The venue wants silence until `until_ns` (wall clock); asking earlier makes it longer."""

    def __init__(self, text, until_ns):
        super().__init__(text)
        self.until_ns = until_ns


class _Passing(Exception):
    """A failure that may be gone the next time. wait_s: what the server asked for, or None."""

    def __init__(self, text, wait_s=None):
        super().__init__(text)
        self.wait_s = wait_s


class HttpClient:
    """GETs from one REST server, one connection kept between them.

    Parameters: rest_url : "https://host[:port][/prefix]".  ca_file : a further trust anchor, or "".
                timeout_s : of one wait on the socket.  deadline_s : of one get() with all its attempts.
    Errors:     FetchError for a URL that may not be asked or a ca_file that cannot be read.
    """

    def __init__(self, rest_url, ca_file="", *, timeout_s=10.0, deadline_s=60.0, attempts=5, sleep=time.sleep):
        self.rest_url, self.timeout_s, self.deadline_s = rest_url, timeout_s, deadline_s
        self.attempts, self.sleep, self.retries = attempts, sleep, 0
        self.connection = None
        try:
            parts = urlsplit(rest_url)
            self.host, self.port, self.prefix = parts.hostname, parts.port, parts.path.rstrip("/")
        except ValueError as e:
            raise FetchError(f"rest_url: expected https://host[:port], found {rest_url!r} ({e})") from None
        self.context = None
        if not self.host or parts.username or parts.query or parts.fragment:
            raise FetchError(f"rest_url: expected https://host[:port][/path], found {parts.scheme}://{self.host or ''}…")
        if parts.scheme == "https":
            self.context = ssl.create_default_context()
            self.context.minimum_version = ssl.TLSVersion.TLSv1_2
            if ca_file:
                try:
                    self.context.load_verify_locations(ca_file)
                except (OSError, ssl.SSLError) as e:
                    raise FetchError(f"ca_file: expected certificates in PEM, found {ca_file} ({e})") from None
        elif parts.scheme != "http" or not _is_loopback(self.host):
            raise FetchError(f"rest_url: expected https (http on this machine only), found {parts.scheme}://{self.host}")

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

    def close(self):
        if self.connection is not None:
            self.connection.close()
            self.connection = None

    def url(self, path, parameters):
        return self.prefix + path + (f"?{urlencode(parameters)}" if parameters else "")

    def get(self, path, parameters=()):
        """The body of a 200 answer. Errors: Throttled, FetchError."""
        target, due = self.url(path, dict(parameters)), time.monotonic() + self.deadline_s
        for attempt in range(1, self.attempts + 1):
            try:
                return self._ask(target, due)
            except _Passing as e:
                self.close()
                problem, asked_s = str(e), e.wait_s
            # Full jitter: a fleet that lost the venue together does not come back together.
            wait_s = random.uniform(0, min(BACKOFF_MAX_S, BACKOFF_FIRST_S * 2 ** (attempt - 1)))
            if asked_s is not None:
                wait_s += asked_s
            if asked_s is not None and time.monotonic() + wait_s > due:
                raise Throttled(f"{self._where(target)}: {problem}", time.time_ns() + int(asked_s * 10 ** 9)) from None
            if attempt == self.attempts or time.monotonic() + wait_s > due:
                raise FetchError(f"{self._where(target)}: {problem}, {attempt} times") from None
            self.retries += 1
            self.sleep(wait_s)
        raise AssertionError("the loop above returns or raises")

    def _where(self, target):
        return f"{self.host}{target.partition('?')[0]}"

    def _ask(self, target, due):
        try:
            if self.connection is None:
                self.connection = self._connect()
            headers = {"User-Agent": f"tickpath/{__version__}", "Accept": "application/json", "Accept-Encoding": "gzip"}
            self.connection.request("GET", target, headers=headers)
            response = self.connection.getresponse()
            body = self._read(response, target, due)
        except ssl.SSLCertVerificationError as e:
            raise FetchError(f"{self._where(target)}: expected a certificate that can be trusted for {self.host}, found one that "
                             f"cannot ({e.verify_message}); venues.*.ca_file adds a trust anchor") from None
        except TimeoutError:
            raise _Passing(f"expected an answer within {self.timeout_s:g} s, found silence") from None
        except (OSError, http.client.HTTPException) as e:
            raise _Passing(f"expected an answer, found {_network_problem(e)}") from None
        if response.will_close:
            self.close()
        if response.status == 200:
            return body
        wait_s = _retry_after_s(response.headers.get("Retry-After"))
        problem = f"expected status 200, found {response.status} {_message(body)}"
        if response.status == 418:
            # A ban says for how long; without a word, five minutes.
            raise Throttled(f"{self._where(target)}: {problem}", time.time_ns() + int((wait_s or 300) * 10 ** 9))
        if response.status in RETRIED_STATUSES:
            raise _Passing(problem, wait_s)
        if 300 <= response.status < 400:
            problem += f", a redirect to {str(response.headers.get('Location'))[:100]!r}, which is not followed"
        raise FetchError(f"{self._where(target)}: {problem}")

    def _connect(self):
        if self.context is None:
            return http.client.HTTPConnection(self.host, self.port, timeout=self.timeout_s)
        return http.client.HTTPSConnection(self.host, self.port, timeout=self.timeout_s, context=self.context)

    def _read(self, response, target, due):
        """The whole body, unpacked. Refuses more than BODY_BYTES_MAX of it, packed or not, and a trickle past the deadline."""
        packed = response.headers.get("Content-Encoding", "").strip().lower()
        if packed not in ("", "identity", "gzip"):
            raise FetchError(f"{self._where(target)}: expected a body in gzip or plain, found {packed[:40]!r}")
        unpack = zlib.decompressobj(wbits=31) if packed == "gzip" else None
        parts, size = [], 0
        # read1 gives what has come instead of waiting for the whole piece, so that a trickle meets the deadline.
        while piece := response.read1(PIECE_BYTES):
            if time.monotonic() > due:
                raise _Passing(f"expected a body within {self.deadline_s:g} s, found {size} bytes of one")
            while piece:
                try:
                    part = unpack.decompress(piece, BODY_BYTES_MAX + 1 - size) if unpack else piece
                except zlib.error as e:
                    raise _Passing(f"expected a sound gzip body, found damage ({e})") from None
                piece = unpack.unconsumed_tail if unpack else b""
                parts.append(part)
                size += len(part)
                if size > BODY_BYTES_MAX:
                    self.close()
                    raise FetchError(f"{self._where(target)}: expected at most {BODY_BYTES_MAX} bytes, found more")
        if unpack and not unpack.eof:
            raise _Passing("expected the rest of a gzip body, found its end")
        if response.length:
            raise _Passing(f"expected {response.length} more bytes, found the end of the connection")
        # Only a closed response lets its connection take the next request; read1 does not close it at the announced length.
        response.close()
        return b"".join(parts)


def _is_loopback(host):
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def _network_problem(error):
    if isinstance(error, socket.gaierror):
        return "no address for this name (is the network up?)"
    if isinstance(error, ssl.SSLError):
        return f"a TLS failure ({error.reason or error})"
    return (error.strerror or str(error) or type(error).__name__) if isinstance(error, OSError) else repr(error)[:100]


def _retry_after_s(text):
    """Retry-After in seconds or as a date, to seconds from now; None for none that can be read. At most a day."""
    if text is None:
        return None
    try:
        seconds = float(text) if text.strip().isdigit() else parsedate_to_datetime(text).timestamp() - time.time()
    except (TypeError, ValueError, OverflowError):
        return None
    return min(max(seconds, 0.0), 86400.0)


def _message(body):
    """What a JSON error body says, shortened; venues put it under various names."""
    try:
        data = json.loads(body)
    except (ValueError, RecursionError):
        data = None
    if isinstance(data, dict):
        for key in ("msg", "message", "retMsg", "error"):
            if data.get(key):
                return repr(str(data[key])[:200])
    return repr(body[:80].decode("utf-8", "backslashreplace"))
