"""The daemon in live mode against the simulated venue: real sockets, a signed session, the venue's own ledger and wire log as judge."""
import json
import os
import re
import signal
import subprocess
import sys
import time

import pytest

from process_harness import ROOT, until
from tickpath_sim.control import FaultClient

SCRIPT = ROOT / "scripts" / "run_live.py"
SECONDS = 90


def run_live(folder, *options, seconds=6):
    """(exit code, {"run", "audit"}, stderr)."""
    done = subprocess.run([sys.executable, SCRIPT, "--seconds", str(seconds), "--json", "--keep", folder, "--name", f"lv{os.getpid()}",
                           *options], cwd=ROOT, capture_output=True, text=True, timeout=SECONDS)
    return done.returncode, json.loads(done.stdout.splitlines()[-1]), done.stderr


def test_live_run_ends_with_a_clean_audit_and_an_identical_replay(tmp_path):
    code, found, err = run_live(tmp_path)
    run, audit = found["run"], found["audit"]
    assert (code, run["mode"], run["problems"], audit["violations"]) == (0, "live", [], []), err
    assert run["verified"]["match"] and audit["conserved"]
    journal = audit["journal"]
    # The venue was asked to place exactly what the journal intended, and every order has ended there.
    assert run["orders"] == journal["orders"] >= 3 and journal["unresolved"] == 0
    assert journal["matched"] + journal["refused"] == journal["orders"] and journal["fills"] == run["fills"]
    assert run["latency"]["ack"]["n"] > 0 and run["latency"]["frame_to_order"]["n"] == run["orders"]
    # The key is in the credential file alone.
    assert not re.search("BEGIN PRIVATE|PRIVATE KEY", err)
    secret = json.loads((tmp_path / "credentials.json").read_text())["private_key"].splitlines()[1]
    for path in (p for p in tmp_path.rglob("*") if p.is_file() and p.name != "credentials.json"):
        assert secret.encode() not in path.read_bytes(), path


class Playing:
    """run_live.py in the background, its venue's control and its daemon's process."""

    def __init__(self, folder, *venue_options):
        self.folder = folder
        self.err = (folder / "err").open("w+")
        self.process = subprocess.Popen([sys.executable, SCRIPT, "--seconds", "60", "--json", "--keep", folder, "--name", f"lo{os.getpid()}", "--",
                                         "--faults-port", "0", *venue_options], cwd=ROOT, stdout=subprocess.PIPE, stderr=self.err, text=True)
        self.faults = FaultClient(until(self._addresses, "the venue's addresses")["faults_url"])

    def _addresses(self):
        return json.loads((self.folder / "addresses.json").read_text())

    def said(self):
        return (self.folder / "err").read_text()

    def stop(self):
        """What the run and the audit found, after an orderly end."""
        for pid in self._daemons():
            os.kill(pid, signal.SIGTERM)
        out, _ = self.process.communicate(timeout=SECONDS)
        return self.process.returncode, json.loads(out.splitlines()[-1])

    def _daemons(self):
        children = subprocess.run(["ps", "-o", "pid=,args=", "--ppid", str(self.process.pid)], capture_output=True, text=True).stdout
        return [int(line.split()[0]) for line in children.splitlines() if "tickpath run" in line or "bin/tickpath " in line]


@pytest.fixture
def playing(tmp_path):
    started = Playing(tmp_path)
    yield started
    if started.process.poll() is None:
        started.process.terminate()
        started.process.wait(30)
    started.err.close()


def test_order_entry_lost_with_orders_open_stops_new_orders_for_good(playing):
    """All sockets are reset while quotes rest at the venue: what became of them is unknown, so nothing new is sent, and at the end the
    venue still shows every order that was asked for, once."""
    resting = until(lambda: any(c["path"].startswith("/ws-api") for c in playing.faults.state()["clients"]), "an order entry session")
    assert resting
    end = time.monotonic() + 20
    while "orders open: no new order" not in playing.said() and time.monotonic() < end:
        playing.faults.arm("drop_all")
        time.sleep(0.5)
    assert re.search(r"order entry was lost with \d+ orders open: no new order until a restart", playing.said()), playing.said()
    time.sleep(2)
    code, found = playing.stop()
    text = playing.said()
    assert "connecting again" in text
    run, audit = found["run"], found["audit"]
    assert audit["conserved"]
    assert run["totals"]["trading_state"] >= 3 and run["refusals"] > 0
    # Nothing was sent twice: as many orders at the venue as intents, but for those that never left.
    assert audit["journal"]["matched"] <= run["orders"]
