"""The daemon in live mode against the simulated venue: real sockets, a signed session, user data; then the venue's own audit.

    python scripts/run_live.py [--seconds 20] [--flow hawkes] [--seed 1] [--keep DIR] [--json]

Starts `tickpath-sim serve`, makes an Ed25519 key that only the daemon's signer and the venue's accounts file hold, runs
`tickpath run --live --verify` (the journal is replayed at the end), stops the venue, and lets `tickpath-sim audit` compare its
ledger and wire log with the daemon's journal. Exit code 0: the run ended well, the replay is identical, and the audit is clean.
"""
import argparse
import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
from pathlib import Path

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, PublicFormat

ROOT = Path(__file__).resolve().parents[1]
BIN = Path(sys.executable).parent
API_KEY = "tickpathLiveDaemonKey"


def write_keys(folder):
    """(accounts file, credential file): the same key, its halves where they belong."""
    key = Ed25519PrivateKey.generate()
    public = key.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo).decode()
    accounts, credentials = folder / "accounts.toml", folder / "credentials.json"
    accounts.write_text(f'[[account]]\nname = "daemon"\napi_key = "{API_KEY}"\npublic_key = """{public}"""\n'
                        '[account.balances]\nUSDT = "1000000"\nBTC = "10"\n')
    credentials.touch(mode=0o600)
    private = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()).decode()
    credentials.write_text(json.dumps({"api_key": API_KEY, "private_key": private}))
    return accounts, credentials


def start_venue(folder, accounts, arguments):
    command = [BIN / "tickpath-sim", "serve", "--port", "0", "--venue", "binance_spot", "--flow", arguments.flow, "--seed",
               arguments.seed, "--accounts", accounts, "--log-dir", folder / "venue", *arguments.venue_options]
    venue = subprocess.Popen([str(word) for word in command], stdout=subprocess.PIPE, text=True)
    line = venue.stdout.readline()
    if not line:
        raise SystemExit(f"run_live: the simulated venue did not start (exit code {venue.wait()}); see the line above")
    (folder / "addresses.json").write_text(line)
    return venue, json.loads(line)


def run_daemon(folder, where, credentials, arguments):
    settings = {"venues.binance.ws_url": where["ws_url"], "venues.binance.ws_api_url": where["ws_api_url"],
                "venues.binance.rest_url": where["rest_url"], "venues.binance.credentials": f"file:{credentials}",
                "instance.name": arguments.name, "storage.dir": folder / "run"}
    command = [BIN / "tickpath", "run", "--config", ROOT / "config" / "live-simulator.toml", "--live", "--verify", "--duration",
               arguments.seconds, *(["--json"] if arguments.json else [])]
    for name, value in settings.items():
        command += ["--set", f"{name}={value}"]
    return subprocess.run([str(word) for word in command], stdout=subprocess.PIPE if arguments.json else None, text=True)


def stop_venue(venue):
    os.kill(venue.pid, signal.SIGTERM)
    return venue.wait(60)


def audit(folder, arguments):
    journals = sorted(p for p in (folder / "run").rglob("*") if (p / "config.json").is_file())
    command = [BIN / "tickpath-sim", "audit", folder / "venue", *(["--journal", journals[-1]] if journals else []),
               *(["--json"] if arguments.json else [])]
    return subprocess.run([str(word) for word in command], stdout=subprocess.PIPE if arguments.json else None, text=True)


def main(argv=None):
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seconds", type=float, default=20.0)
    parser.add_argument("--flow", default="hawkes")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--name", default="live", help="of the instance")
    parser.add_argument("--keep", type=Path, metavar="DIR", help="leave journal, ledger and wire log there")
    parser.add_argument("--json", action="store_true", help="one object: run, audit")
    parser.add_argument("venue_options", nargs="*", metavar="OPTION", help="more options of tickpath-sim serve, behind --")
    arguments = parser.parse_args(argv)
    folder = arguments.keep or Path(tempfile.mkdtemp(prefix="tickpath-live-"))
    folder.mkdir(parents=True, exist_ok=True)
    venue = None
    try:
        accounts, credentials = write_keys(folder)
        venue, where = start_venue(folder, accounts, arguments)
        if not arguments.json:
            print(f"simulated venue: {where['rest_url']}  {where['ws_api_url']}", flush=True)
        run = run_daemon(folder, where, credentials, arguments)
        venue_code = stop_venue(venue)
        found = audit(folder, arguments)
        if arguments.json:
            print(json.dumps({"run": json.loads(run.stdout or "null"), "audit": json.loads(found.stdout or "null")}))
        if run.returncode or venue_code:
            return run.returncode or 1
        return found.returncode
    finally:
        if venue is not None and venue.poll() is None:
            venue.kill()
            venue.wait()
        if arguments.keep is None:
            shutil.rmtree(folder, ignore_errors=True)


if __name__ == "__main__":
    sys.exit(main())
