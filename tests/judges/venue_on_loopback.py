"""A simulated venue for clients that others wrote: one process, generated order flow, two accounts, everything logged."""
import json
import os
import signal
import subprocess
import sys
from pathlib import Path

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, PublicFormat

ROOT = Path(__file__).resolve().parents[2]
CLIENTS = ROOT / ".venv-clients"
SECONDS = 60
HMAC_KEY, HMAC_SECRET, ED25519_KEY = "judgeHmacKey", "judgeSecret", "judgeEd25519Key"


def _accounts(keys):
    """The accounts file: one account with an HMAC key and an Ed25519 key."""
    public = keys.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo).decode()
    return f'''
[[account]]
name = "judge"
[[account.key]]
api_key = "{HMAC_KEY}"
secret = "{HMAC_SECRET}"
[[account.key]]
api_key = "{ED25519_KEY}"
public_key = """{public}"""
[account.balances]
BTC = "100"
ETH = "1000"
USDT = "1000000"
'''


class Venue:
    """Ends with the `with` block; its own books must then be in order: `tickpath-sim audit` says so.

    keeps_limits : False where the client is to break the venue's limits: only money and orders must be in order then.
    """

    def __init__(self, kind, folder, *options, keeps_limits=True):
        self.folder, self.keeps_limits = folder, keeps_limits
        self.log_dir = folder / f"log-{kind}"
        keys = Ed25519PrivateKey.from_private_bytes(bytes(range(32)))
        accounts = folder / f"accounts-{kind}.toml"
        accounts.write_text(_accounts(keys))
        command = [sys.executable, "-m", "tickpath_sim.cli", "serve", "--port", "0", "--venue", kind, "--flow", "poisson", "--seed", "7",
                   "--accounts", str(accounts), "--log-dir", str(self.log_dir), "--faults-port", "0", *map(str, options)]
        self.process = subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        line = self.process.stdout.readline()
        if not line:
            raise AssertionError(f"tickpath-sim did not start: {self.process.communicate()[1]}")
        found = json.loads(line)
        self.where = {name: found[name] for name in ("rest_url", "ws_url", "ws_api_url", "faults_url")}
        self.hmac = {"api_key": HMAC_KEY, "api_secret": HMAC_SECRET}
        self.ed25519 = {"api_key": ED25519_KEY,
                        "private_key": keys.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()).decode()}

    def __enter__(self):
        return self

    def __exit__(self, kind, value, traceback):
        os.kill(self.process.pid, signal.SIGTERM)
        _, err = self.process.communicate(timeout=SECONDS)
        if kind is None:
            assert (self.process.returncode, err) == (0, "")
            audit = subprocess.run([sys.executable, "-m", "tickpath_sim.cli", "audit", str(self.log_dir), "--json"], cwd=ROOT,
                                   capture_output=True, text=True, timeout=SECONDS)
            report = json.loads(audit.stdout)
            violations = [v for v in report["violations"] if self.keeps_limits or v["check"] not in ("rate limit", "wait", "ban")]
            assert (report["conserved"], violations) == (True, []), violations[:5]
            assert audit.returncode == 0 or not self.keeps_limits
            assert report["orders"] > 0 and report["fills"] > 0

    def client(self, script, **more):
        """What a client of tests/judges/clients saw, run by the interpreter of the clients' own environment."""
        packages = {"spot": "binance-connector", "usdm": "binance-futures-connector"}.get(more.get("market"))
        environment = {**os.environ, "PYTHONPATH": str(CLIENTS / packages) if packages else ""}
        done = subprocess.run([str(CLIENTS / "bin" / "python"), str(ROOT / "tests" / "judges" / "clients" / f"{script}.py"),
                               json.dumps({**self.where, **more})], capture_output=True, text=True, timeout=120, env=environment)
        assert done.returncode == 0, f"{done.stdout}\n{done.stderr}"
        return json.loads(done.stdout.splitlines()[-1])
