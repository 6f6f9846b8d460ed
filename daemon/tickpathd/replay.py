"""Replay: the engine over a journal's inputs, its outputs against the recorded ones."""
import sys
import time

import numpy as np

from tickpath.engine import Engine
from tickpath.session import Session
from tickpath.shm.canonical import OutputHasher
from tickpath.shm.journal import JournalReader
from tickpath.shm.ring import EventReader, EventWriter
from tickpath.types import EVENT_NAMES
from tickpathd.config import apply_overrides
from tickpathd.engine_spec import engine_spec
from tickpathd.run_dir import config_of

REPLAY_RING_SLOTS = 1 << 18
CHUNK_SLOTS = 512             # whatever a chunk makes the engine write fits the ring many times


class Comparison:
    """Recorded and replayed canonical rows, side by side; keeps only what the other side has not matched yet."""

    def __init__(self):
        self.recorded, self.replayed = [], []
        self.compared = 0
        self.difference = None

    def add(self, recorded, replayed):
        if self.difference is not None:
            return
        self.recorded.append(recorded)
        self.replayed.append(replayed)
        a, b = np.concatenate(self.recorded), np.concatenate(self.replayed)
        n = min(len(a), len(b))
        different = np.flatnonzero(a[:n] != b[:n])
        if len(different):
            k = int(different[0])
            self.difference = {"output": self.compared + k, "recorded": describe(a[k]), "replayed": describe(b[k])}
        self.compared += n
        self.recorded, self.replayed = [a[n:]], [b[n:]]

    def close(self):
        if self.difference is not None or not self.recorded:
            return
        a, b = self.recorded[0], self.replayed[0]
        if len(a) or len(b):
            self.difference = {"output": self.compared, "recorded": describe(a[0]) if len(a) else None,
                               "replayed": describe(b[0]) if len(b) else None}


def describe(row):
    return {"type": EVENT_NAMES.get(int(row["type"]), int(row["type"])),
            **{name: int(row[name]) for name in row.dtype.names if name not in ("type", "pad")}}


def replay(path, *, overrides=(), progress=None):
    """Run the engine over a journal.

    Parameters: path : journal (see JournalReader).  overrides : "a.b=c" texts, to ask what would have been.
                progress : called with the number of slots handled so far.
    Returns: dict with events, output_hash, recorded_hash, match, events_per_s, difference, torn_tail, …; a journal that
             was lapped has `unverifiable` true, `missed_slots`, and no match, whatever its outputs are.
    Errors: JournalError (damage, missing, other layout), ConfigError, ValueError.
    """
    reader = JournalReader(path)
    config = config_of(reader.config)
    if overrides:
        config = apply_overrides(config, overrides)
    sys.path[:0] = [p for p in config.instance.strategy_path if p not in sys.path]
    writer = EventWriter.local(REPLAY_RING_SLOTS)
    outputs = EventReader(writer.buffer, 1)
    engine = Engine(engine_spec(config, epoch=reader.config["epoch"], mode="replay"), writer)
    session = Session(engine)
    recorded, replayed, comparison = OutputHasher(), OutputHasher(), Comparison()
    slots = 0
    engine_s = 0.0
    for batch in reader.batches():
        rows = [replayed_rows for replayed_rows in ()]
        recorded_rows = recorded.update(batch)
        for i in range(0, len(batch), CHUNK_SLOTS):
            chunk = batch[i:i + CHUNK_SLOTS]
            begin = time.perf_counter()
            session.feed(chunk)
            engine_s += time.perf_counter() - begin
            while len(out := outputs.read(65536)):
                rows.append(replayed.update(out))
        comparison.add(recorded_rows, np.concatenate(rows) if rows else recorded_rows[:0])
        slots += len(batch)
        if progress is not None:
            progress(slots)
    comparison.close()
    if outputs.missed_slots:
        raise RuntimeError(f"replay ring: expected every output, missed {outputs.missed_slots} slots")
    events = sum(recorded.counts_by_type.values())
    unverifiable = reader.missed_slots > 0
    match = not unverifiable and comparison.difference is None and recorded.hexdigest() == replayed.hexdigest()
    return {
        "events": events, "inputs": recorded.inputs, "outputs": recorded.outputs,
        "output_hash": replayed.hexdigest(), "recorded_hash": recorded.hexdigest(), "match": match,
        "events_per_s": round(events / engine_s) if engine_s else 0, "difference": comparison.difference,
        "torn_tail": reader.torn_tail, "orderly": bool(reader.final), "foreign_records": session.foreign_records,
        "unverifiable": unverifiable, "missed_slots": reader.missed_slots,
        "journal": str(path), "mode": config.instance.mode,
    }
