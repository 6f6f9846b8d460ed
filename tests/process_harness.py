"""Real runs of `tickpath run` whose processes a test can stop, kill and look into."""
import contextlib
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

from tickpath.shm.segment import SegmentError, list_segments
from tickpath.shm.state_page import StatePage

ROOT = Path(__file__).resolve().parents[1]
DEMO = ROOT / "config" / "paper-demo.toml"


def tickpath(*arguments):
    return subprocess.run(
        [sys.executable, "-m", "tickpathd.cli", *map(str, arguments)],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=90,
    )


def alive(pid):
    try:
        return Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0] not in ("Z", "X")
    except OSError:
        return False


def children(pid):
    """{module name: pid} of a process's children."""
    found = {}
    for task in Path(f"/proc/{pid}/task").iterdir():
        for child in (task / "children").read_text().split():
            with contextlib.suppress(OSError):
                words = Path(f"/proc/{child}/cmdline").read_bytes().decode().split("\0")
                if "-m" in words:
                    found[words[words.index("-m") + 1].split(".")[-1]] = int(child)
    return found


def until(condition, what, seconds=30):
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        with contextlib.suppress(SegmentError, OSError):
            if value := condition():
                return value
        time.sleep(0.02)
    raise AssertionError(f"expected {what} within {seconds} s")


class Started:
    """A run at the recorded pace whose processes are known; ends with the test."""

    def __init__(self, storage, name, *more):
        self.name = name
        settings = (f"storage.dir={storage}", f"instance.name={name}", *more)
        self.process = subprocess.Popen(
            [
                sys.executable,
                "-m",
                "tickpathd.cli",
                "run",
                "-c",
                str(DEMO),
                "--json",
                *(o for s in settings for o in (("--set", s) if not s.startswith("--") else s.split(" "))),
            ],
            cwd=ROOT,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        self.pids = {}

    def trading(self, frames=200):
        """Wait until it trades: all processes there, frames handled, an order sent."""
        # A child that has not begun its own program yet still bears its parent's name.
        roles = {"engine_process", "journal_process", "feeder"}
        self.pids = until(lambda: set(c := children(self.process.pid)) == roles and c, f"the processes {sorted(roles)}")
        until(lambda: self.totals()["frames"] >= frames and self.totals()["orders"] > 0, "frames and an order")
        return self

    def page(self):
        return StatePage.attach(self.name)

    def totals(self):
        return self.page().totals()

    def end(self, seconds=60):
        """(exit code, JSON or None, stderr) once it has ended, with nothing left behind."""
        out, err = self.process.communicate(timeout=seconds)
        assert list_segments(self.name) == []
        assert [role for role, pid in self.pids.items() if alive(pid)] == []
        assert "Traceback" not in err
        return self.process.returncode, json.loads(out) if out else None, err

    def stop(self):
        pids = {**self.pids, **(children(self.process.pid) if self.process.poll() is None else {})}
        for pid in (self.process.pid, *pids.values()):
            if alive(pid):
                os.kill(pid, signal.SIGKILL)
        self.process.communicate()
