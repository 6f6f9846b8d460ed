"""The signer: the only process that ever holds a venue's signing key.

Started by the engine's process, which asks one line of JSON and gets one; the key comes from where the venue's `credentials`
point to, is read once, and leaves this process in no form. What it signs is the logon of an order entry session, so signing is
never on an order's path.

    {"venue": "binance", "timestamp": 1763769600000}
    {"apiKey": "…", "timestamp": 1763769600000, "signature": "…"}       or {"error": "one line"}

Binance: the parameters in alphabetical order as name=value joined by &, signed by Ed25519, in base64
(github.com/binance/binance-spot-api-docs, web-socket-api.md, "session.logon" and "Request security", seen 2026-11-22).
"""
import argparse
import base64
import ctypes
import json
import resource
import signal
import sys

from tickpathd.feeds.credentials import CredentialError, read_credentials
from tickpathd.run_dir import RunError, read_run
from tickpathd.supervised import die_with

PR_SET_DUMPABLE = 4           # <sys/prctl.h>
RECV_WINDOW_MS = 5000


def undumpable():
    """No core dump, no debugger of the same user: the key is in this memory."""
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    ctypes.CDLL(None, use_errno=True).prctl(PR_SET_DUMPABLE, 0, 0, 0, 0)


def load_key(reference):
    """(api key, Ed25519 private key). Errors: CredentialError."""
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
    from cryptography.hazmat.primitives.serialization import load_pem_private_key
    found = read_credentials(reference, ("api_key", "private_key"))
    try:
        key = load_pem_private_key(found["private_key"].encode(), password=None)
    except (ValueError, TypeError) as e:
        raise CredentialError(f"credentials: expected private_key in {reference} to be a PEM without password, found "
                              f"{type(e).__name__}") from None
    if not isinstance(key, Ed25519PrivateKey):
        raise CredentialError(f"credentials: expected an Ed25519 key in {reference}, found another kind: session.logon takes no "
                              "other")
    return found["api_key"], key


def logon_parameters(api_key, key, timestamp_ms):
    """The signed parameters of a session.logon."""
    values = {"apiKey": api_key, "recvWindow": RECV_WINDOW_MS, "timestamp": timestamp_ms}
    text = "&".join(f"{name}={values[name]}" for name in sorted(values))
    return {**values, "signature": base64.b64encode(key.sign(text.encode())).decode()}


def answer(keys, line):
    try:
        asked = json.loads(line)
        api_key, key = keys[asked["venue"]]
        return logon_parameters(api_key, key, int(asked["timestamp"]))
    except (ValueError, KeyError, TypeError):
        return {"error": "signer: expected {\"venue\": a live venue, \"timestamp\": ms}, found something else"}


def main(argv=None):
    parser = argparse.ArgumentParser(prog="tickpathd.signer", description="Signs logons; see tickpathd/signer.py.")
    parser.add_argument("--run-dir", required=True)
    parser.add_argument("--parent-pid", type=int, required=True)
    arguments = parser.parse_args(argv)
    undumpable()
    signal.signal(signal.SIGINT, signal.SIG_IGN)         # a terminal's Ctrl-C goes to all: cancels still need the session
    die_with(arguments.parent_pid)
    try:
        config, _ = read_run(arguments.run_dir)
        keys = {name: load_key(venue.credentials) for name, venue in config.venues.items() if venue.ws_api_url}
    except (RunError, CredentialError) as e:
        print(f"tickpathd: {e}", file=sys.stderr)
        return 1
    for line in sys.stdin:
        print(json.dumps(answer(keys, line)), flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
