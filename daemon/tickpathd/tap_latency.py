"""`tickpath tap latency`: how long each step took, over the interval just past, from the records of a running engine.

Steps receive to frame_to_order come from the `latency` record that the engine writes for every order it sends; receive to
strategy and frame_to_order only where a frame caused the order (a timer or a reply may). ack and fill are the time from
the intent to the venue's acknowledgement and to each fill, in engine time. An order whose intent this tap did not see has
neither. Percentiles are those of the state page: buckets at most 1.6 % wide, and the exact maximum.
"""
import contextlib
import json
import time

import numpy as np
from rich.console import Console
from rich.live import Live

from tickpath.shm.histogram import summarise
from tickpath.shm.ring import EventReader, records
from tickpath.shm.state_page import StatePage
from tickpath.types import EventType, ExecType
from tickpathd import render
from tickpathd.tap_record import IDLE_SLEEP_S, OwnerWatch, RecordStream

STEPS = render.STEPS
NINE_STEPS = STEPS[:9]
FRAME_STEPS = ("receive", "decode", "book", "signal", "strategy", "frame_to_order")
ORDER_STEPS = ("risk", "order", "encode", "send")
BUCKET_COUNT = 2048
# Intents whose ack or fill may still come: the newest 65,536, by ordinal.
INTENT_SLOTS = 1 << 16


def bucket_indices(values):
    """The histogram bucket of each value, as the engine chooses it (tickpath.shm.histogram.index_of): int64 array."""
    values = np.asarray(values, np.int64)
    bits = np.frexp(values.astype(np.float64))[1]
    shift = np.maximum(bits - 7, 0)
    index = np.where(values < 64, values, ((shift + 1) << 6) + ((values >> shift) & 63))
    return np.minimum(index, BUCKET_COUNT - 1)


class StepHistogram:
    """Counts of one step; `scale` converts the recorded unit to ns."""

    def __init__(self, scale):
        self.scale = scale
        self.counts = np.zeros(BUCKET_COUNT, np.int64)
        self.max_value = 0

    def add(self, values):
        if len(values):
            self.counts += np.bincount(bucket_indices(values), minlength=BUCKET_COUNT)
            self.max_value = max(self.max_value, int(values.max()))

    def summary(self):
        return summarise(self.counts, self.max_value, self.scale)

    def reset(self):
        self.counts[:] = 0
        self.max_value = 0


class StepLatencies:
    """Histograms of all steps, filled from whole records. Memory is constant, however long it runs."""

    def __init__(self, cycles_per_ns):
        self.ns_per_cycle = 1.0 / cycles_per_ns if cycles_per_ns else 1.0
        self.steps = {name: StepHistogram(1.0 if name in ("ack", "fill") else self.ns_per_cycle) for name in STEPS}
        self._intent_ordinals = np.zeros(INTENT_SLOTS, np.uint64)
        self._intent_ts_ns = np.zeros(INTENT_SLOTS, np.int64)

    def add(self, slots):
        """Take in slots that are whole records; returns the latency records among them."""
        latency = records(slots, EventType.EV_LATENCY)
        from_frame = latency[latency["receive_start_cycles"] > 0]
        for names, rows in ((ORDER_STEPS, latency), (FRAME_STEPS, from_frame)):
            for name in names:
                self.steps[name].add(rows[f"{name}_cycles"])
        intents = records(slots, EventType.EV_INTENT)
        at = intents["order_ordinal"] % INTENT_SLOTS
        self._intent_ordinals[at] = intents["order_ordinal"]
        self._intent_ts_ns[at] = intents["ts_recv_ns"]
        reports = records(slots, EventType.EV_EXEC_REPORT)
        self._add_since_intent("ack", reports[reports["exec_type"] == ExecType.EXEC_NEW])
        self._add_since_intent("fill", records(slots, EventType.EV_FILL))
        return latency

    def _add_since_intent(self, step, rows):
        at = rows["order_ordinal"] % INTENT_SLOTS
        known = (self._intent_ordinals[at] == rows["order_ordinal"]) & (rows["order_ordinal"] > 0)
        self.steps[step].add((rows["ts_recv_ns"] - self._intent_ts_ns[at])[known])

    def order_steps_ns(self, row):
        """{order_ordinal, ts_recv_ns, the nine steps, frame_to_order}: ns, None where no frame caused the order."""
        from_frame = row["receive_start_cycles"] > 0
        result = {"order_ordinal": int(row["order_ordinal"]), "ts_recv_ns": int(row["ts_recv_ns"])}
        for name in (*NINE_STEPS, "frame_to_order"):
            known = from_frame or name in ORDER_STEPS
            result[f"{name}_ns"] = round(float(row[f"{name}_cycles"]) * self.ns_per_cycle, 1) if known else None
        return result

    def summary(self):
        return {name: step.summary() for name, step in self.steps.items()}

    def reset(self):
        for step in self.steps.values():
            step.reset()


class LatencyTap:
    """A running engine's latencies, read-only."""

    def __init__(self, instance):
        self.instance = instance
        self.latencies = StepLatencies(StatePage.attach(instance).info()["cycles_per_ns"])
        reader = EventReader.attach(instance, "latest")
        self.stream = RecordStream(reader)
        self.watch = OwnerWatch(reader.segment)
        self.ended = False
        self._told_missed_slots = 0
        self._begin_mono_s = time.monotonic()

    def turn(self):
        """Take in what is new; returns its latency records. `ended` is set once the engine has ended and all is read."""
        owner_ended = self.watch.ended()
        slots = self.stream.read()
        if len(slots):
            return self.latencies.add(slots)
        self.ended = owner_ended
        if not owner_ended:
            time.sleep(IDLE_SLEEP_S)
        return ()

    def take(self):
        """The interval since the last call, as a dict; the next one begins."""
        now = time.monotonic()
        missed = self.stream.missed_slots
        result = {"instance": self.instance, "ts_ns": time.time_ns(), "interval_s": round(now - self._begin_mono_s, 3),
                  "missed_slots": missed - self._told_missed_slots, "missed_slots_total": missed,
                  "latency": self.latencies.summary()}
        self._told_missed_slots = missed
        self._begin_mono_s = now
        return result


def intervals(tap, *, interval_s=1.0, count=None):
    """Yields one dict an interval until the engine ends (its last, shorter interval is the last) or `count` were given."""
    given = 0
    while not tap.ended and (count is None or given < count):
        end_mono_s = time.monotonic() + interval_s
        while not tap.ended and time.monotonic() < end_mono_s:
            tap.turn()
        yield tap.take()
        given += 1
        tap.latencies.reset()


def orders(tap, *, count=None):
    """Yields a dict for every order, and {"missed_slots": n} where the ring lapped this tap."""
    given, told = 0, 0
    while not tap.ended and (count is None or given < count):
        rows = tap.turn()
        if tap.stream.missed_slots > told:
            yield {"missed_slots": tap.stream.missed_slots - told}
            told = tap.stream.missed_slots
        for row in rows:
            if count is not None and given >= count:
                return
            yield tap.latencies.order_steps_ns(row)
            given += 1


def show_orders(instance, *, count=None, as_json=False, out=print):
    """One line per order, until the engine ends or `count` orders were shown."""
    tap = LatencyTap(instance)
    if not as_json:
        out(render.order_steps_heading(NINE_STEPS))
    for item in orders(tap, count=count):
        if as_json:
            out(json.dumps(item))
        elif "missed_slots" in item:
            out(f"missed {item['missed_slots']:,} slots: the engine lapped this tap")
        else:
            out(render.order_steps_line(item, NINE_STEPS))


def show_intervals(instance, *, interval_s=1.0, count=None, as_json=False, out=print, console=None):
    """A table that is renewed each interval on a terminal, one table after the other in a file, or JSON lines."""
    tap = LatencyTap(instance)
    items = intervals(tap, interval_s=interval_s, count=count)
    if as_json:
        for item in items:
            out(json.dumps(item))
        return
    console = console or Console()
    with contextlib.ExitStack() as stack:
        live = None
        if console.is_terminal:
            live = stack.enter_context(Live(console=console, auto_refresh=False))
        # The generator resets the histograms only when it goes on, so the sparklines see this interval's counts.
        for item in items:
            view = render.latency_view(item, {name: (s.counts, s.scale) for name, s in tap.latencies.steps.items()})
            if live is not None:
                live.update(view, refresh=True)
            else:
                console.print(view)
