"""Who signed what: HMAC-SHA256, Ed25519 and RSA signatures over a request's text, and the time window of a request.

The text that is signed is the query and then the body for REST, without the signature itself; for the WebSocket API all
parameters in alphabetical order. Rules: github.com/binance/binance-spot-api-docs rest-api.md "SIGNED Endpoint security",
web-socket-api.md "Request security", seen 2026-11-22.
"""
import base64
import binascii
import hmac
import re

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ed25519, padding, rsa

from tickpath_sim.trading.errors import VenueError, illegal_chars, invalid

__all__ = ["ApiKey", "check_time", "load_public_key"]

KEY_FORMAT = re.compile(r"[A-Za-z0-9_-]{8,128}")
RECV_WINDOW_MS, RECV_WINDOW_MAX_MS = 5000, 60_000
AHEAD_MAX_MS = 1000
MICROSECONDS_FROM = 10**15                  # a timestamp of so many digits is in microseconds


class ApiKey:
    """An API key and what it takes to verify a signature.

    Parameters: key : as in X-MBX-APIKEY.  account : Account.  secret : HMAC secret text, or None.  public_key : Ed25519 or RSA
                public key of `cryptography`, or None.  permissions : frozenset of "READ", "TRADE", "USER_STREAM".
    """
    __slots__ = ("key", "account", "secret", "public_key", "permissions", "json_key", "_digest")

    def __init__(self, key, account, secret=None, public_key=None, permissions=frozenset({"READ", "TRADE", "USER_STREAM"})):
        self.key, self.account, self.secret, self.public_key, self.permissions = key, account, secret, public_key, permissions
        self._digest = None if secret is None else hmac.new(secret.encode(), digestmod="sha256")

    def verify(self, payload, signature):
        """Whether `signature` (text) is this key's over `payload` (bytes)."""
        if self._digest is not None:
            digest = self._digest.copy()
            digest.update(payload)
            return hmac.compare_digest(digest.hexdigest().encode(), signature.lower().encode("utf-8", "replace"))
        try:
            raw = base64.b64decode(signature, validate=True)
            if isinstance(self.public_key, ed25519.Ed25519PublicKey):
                self.public_key.verify(raw, payload)
            else:
                self.public_key.verify(raw, payload, padding.PKCS1v15(), hashes.SHA256())
        except (binascii.Error, InvalidSignature, ValueError):
            return False
        return True


def load_public_key(text):
    """A PEM public key, or the base64 of a raw Ed25519 one. Errors: ValueError."""
    if "BEGIN" in text:
        key = serialization.load_pem_public_key(text.encode())
    else:
        key = ed25519.Ed25519PublicKey.from_public_bytes(base64.b64decode(text, validate=True))
    if not isinstance(key, (ed25519.Ed25519PublicKey, rsa.RSAPublicKey)):
        raise ValueError(f"expected an Ed25519 or RSA public key, found {type(key).__name__}")
    return key


def check_format(key):
    """Errors: VenueError -2014."""
    if not key or KEY_FORMAT.fullmatch(key) is None:
        raise VenueError(-2014, "API-key format invalid.", 401)


TIMESTAMP_RANGE = "^[0-9]{1,20}$"
WINDOW_RANGE = "^([0-9]{1,5})(\\.[0-9]{1,3})?$"
WINDOW = re.compile(r"[0-9]{1,8}(\.[0-9]{1,3})?")


WINDOWS_NS = {None: RECV_WINDOW_MS * 1_000_000}       # recvWindow texts that have been seen, bounded
WINDOWS_MAX = 1000


def window_of(text):
    """A recvWindow in ns. Errors: VenueError -1100, -1130, -1131."""
    if WINDOW.fullmatch(text) is None:
        raise illegal_chars("recvWindow", WINDOW_RANGE)
    window_ns = int(float(text) * 1_000_000)
    if window_ns > RECV_WINDOW_MAX_MS * 1_000_000:
        raise VenueError(-1131, "recvWindow must be less than 60000.")
    if window_ns <= 0:
        raise invalid("recvWindow")
    if len(WINDOWS_NS) < WINDOWS_MAX:
        WINDOWS_NS[text] = window_ns
    return window_ns


def check_time(timestamp, recv_window, now_ns):
    """Whether a request comes within its time window.

    Parameters: timestamp, recv_window : texts, the latter may be None.  now_ns : the venue's clock.
    Errors: VenueError -1021, -1100, -1131.
    """
    if not timestamp.isdecimal() or len(timestamp) > 20 or not timestamp.isascii():
        raise illegal_chars("timestamp", TIMESTAMP_RANGE)
    sent = int(timestamp)
    sent_ns = sent * (1000 if sent >= MICROSECONDS_FROM else 1_000_000)
    window_ns = WINDOWS_NS.get(recv_window)
    if window_ns is None:
        window_ns = window_of(recv_window)
    if sent_ns >= now_ns + AHEAD_MAX_MS * 1_000_000:
        raise VenueError(-1021, "Timestamp for this request was 1000ms ahead of the server's time.")
    if now_ns - sent_ns > window_ns:
        raise VenueError(-1021, "Timestamp for this request is outside of the recvWindow.")
