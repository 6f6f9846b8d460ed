"""Where a run keeps its files: `<state dir>/<instance>/{lock, epoch, runs/<epoch>/…}`.

`config.json` in a run's directory is written before anything else starts; the journal stands beside it.
"""
import fcntl
import json
import os
import time
from pathlib import Path

from tickpath.trading.orders import next_epoch
from tickpathd import __version__
from tickpathd.config import config_from_json, config_to_json
from tickpathd.durable import write_whole


class RunError(Exception):
    """The run cannot start or go on; the text is the one line the operator sees."""


def state_dir(config):
    if config.storage.dir:
        return Path(config.storage.dir).resolve()
    if os.environ.get("STATE_DIRECTORY"):
        return Path(os.environ["STATE_DIRECTORY"].split(":")[0])
    base = os.environ.get("XDG_STATE_HOME") or Path.home() / ".local" / "state"
    return Path(base) / "tickpath"


class InstanceLock:
    """Held while an instance runs; a second one under the same name is refused."""

    def __init__(self, config):
        self.path = state_dir(config) / config.instance.name / "lock"
        try:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            self.file = open(self.path, "a+")
        except OSError as e:
            raise RunError(f"{self.path}: expected a writable state directory, found {e.strerror}") from None
        try:
            fcntl.flock(self.file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            self.file.seek(0)
            holder = self.file.read().strip() or "unknown"
            raise RunError(f"instance {config.instance.name!r}: expected none running, found one (pid {holder}) "
                           f"that holds {self.path}") from None
        self.file.truncate(0)
        self.file.write(str(os.getpid()))
        self.file.flush()

    def release(self):
        self.file.truncate(0)
        self.file.close()


def new_run(config):
    """Take the next epoch and make the run's directory; returns (run_dir, epoch)."""
    base = state_dir(config) / config.instance.name
    epoch_file = base / "epoch"
    try:
        stored = int(epoch_file.read_text()) if epoch_file.exists() else 0
    except ValueError:
        raise RunError(f"{epoch_file}: expected a number, found {epoch_file.read_text()[:40]!r}") from None
    # Runs that outlived a lost epoch file count as well: an id must never come twice.
    seen = [int(p.name) for p in (base / "runs").glob("*") if p.name.isdigit()]
    epoch = next_epoch(max([stored, *seen]), time.time())
    try:
        write_whole(epoch_file, f"{epoch}\n".encode())
        run_dir = base / "runs" / str(epoch)
        run_dir.mkdir(parents=True)
        header = {"config": json.loads(config_to_json(config)), "epoch": epoch, "started_ns": time.time_ns(),
                  "version": __version__}
        write_whole(run_dir / "config.json", json.dumps(header, sort_keys=True, indent=1).encode())
    except OSError as e:
        raise RunError(f"{base}: expected a writable state directory, found {e.strerror}") from None
    return run_dir, epoch


def read_run(run_dir):
    """(Config, header dict) of a run's config.json."""
    path = Path(run_dir) / "config.json"
    try:
        header = json.loads(path.read_bytes())
    except (OSError, ValueError) as e:
        raise RunError(f"{path}: expected the run's configuration, found {e}") from None
    return config_of(header), header


def config_of(header):
    """The Config inside a config.json's dict."""
    return config_from_json(json.dumps(header["config"]).encode())
