"""GET from a venue's REST server over one kept connection, for the gateway and the doctor. Blocking, standard library alone."""
import http.client
import ssl
import time
from email.utils import parsedate_to_datetime
from urllib.parse import urlsplit

__all__ = ["Rest", "retry_after_s"]

TIMEOUT_S = 5.0
BODY_BYTES_MAX = 16 << 20


class Rest:
    """Parameters: rest_url : scheme://host[:port][/prefix].  ca_file : a further trust anchor, or ""."""

    def __init__(self, rest_url, ca_file="", timeout_s=TIMEOUT_S):
        parts = urlsplit(rest_url)
        self.host, self.port, self.secure, self.prefix = parts.hostname, parts.port, parts.scheme == "https", parts.path
        self.timeout_s = timeout_s
        self.context = None
        if self.secure:
            self.context = ssl.create_default_context()
            if ca_file:
                self.context.load_verify_locations(ca_file)
        self.connection = None

    def get(self, path):
        """(status, headers, body bytes). Errors: OSError, http.client.HTTPException."""
        for fresh in (False, True):
            reused = self.connection is not None
            if not reused:
                kind = http.client.HTTPSConnection if self.secure else http.client.HTTPConnection
                options = {"context": self.context} if self.secure else {}
                self.connection = kind(self.host, self.port, timeout=self.timeout_s, **options)
            try:
                self.connection.request("GET", self.prefix + path, headers={"User-Agent": "tickpath"})
                response = self.connection.getresponse()
                body = response.read(BODY_BYTES_MAX + 1)
                if len(body) > BODY_BYTES_MAX:
                    raise http.client.HTTPException(f"a body of more than {BODY_BYTES_MAX} bytes")
                return response.status, response.headers, body
            except (OSError, http.client.HTTPException):
                self.close()
                if fresh or not reused:
                    raise
        raise AssertionError("unreachable")

    def close(self):
        if self.connection is not None:
            self.connection.close()
            self.connection = None


def retry_after_s(headers):
    """Retry-After in seconds, as a number or a date; 60 when it says nothing of use."""
    text = headers.get("Retry-After", "")
    if text.isdigit():
        return min(float(text), 3 * 86400.0)
    try:
        return max(1.0, parsedate_to_datetime(text).timestamp() - time.time())
    except (ValueError, TypeError, IndexError):
        return 60.0
