"""Taps: look at a running engine through shared memory, read-only, without it noticing."""
import json
import time

from rich.console import Console
from rich.live import Live

from tickpath.shm.ring import EventReader, records
from tickpath.shm.state_page import StatePage
from tickpath.types import DTYPES, EVENT_NAMES, PRICE_NONE, SLOT_COUNTS, TIME_NONE
from tickpathd import render
from tickpathd.clock_page import attach_clocks, read_clocks
from tickpathd.feed_report import feed_rows
from tickpathd.grid_history import GridHistory

HEADER_FIELDS = ("seq", "ts_recv_ns", "ts_venue_ns", "instrument", "type", "venue", "flags")
CONTINUATION = 255


def event_dicts(slots):
    """The records of an array of slots as dicts, in order; header fields first, null values as None."""
    order = [(int(i), int(kind)) for i, kind in enumerate(slots["type"]) if kind != CONTINUATION]
    decoded = {}
    for kind in {k for _, k in order}:
        if kind in DTYPES:
            decoded[kind] = iter(records(slots, kind))
    for _, kind in order:
        if kind not in decoded:
            continue
        row = next(decoded[kind], None)
        if row is None:
            return
        yield event_dict(row, kind)


def event_dict(row, kind):
    event = {"seq": int(row["seq"]), "type": EVENT_NAMES[kind]}
    for name in row.dtype.names:
        if name in ("seq", "type", "venue") or name.startswith("reserved") or name.endswith("2") and name[:-1] in HEADER_FIELDS \
                or name in ("seq2", "ts_recv2_ns", "ts_venue2_ns", "instrument2", "type2", "venue2", "flags2"):
            continue
        value = row[name]
        if value.dtype.kind == "S":
            event[name] = value.tobytes().decode("ascii", "replace")
            continue
        value = value.item() if value.ndim == 0 else value.tolist()
        if name == "ts_venue_ns" and value == TIME_NONE or name.endswith("_ticks") and value == PRICE_NONE:
            value = None
        event[name] = value
    return event


def tail(instance, *, count=None, kinds=(), as_json=True, start="latest", out=print, stop=lambda: False):
    """Print events as they come, one a line, until `count` were printed or the engine has ended. Plain lines show prices and
    quantities as well, on the grid of their time."""
    page = StatePage.attach(instance)
    grids = GridHistory(*page.view())      # before the ring: what it does not know yet comes as a record
    reader = EventReader.attach(instance, start)
    printed, told = 0, 0
    held = None
    while not stop():
        slots = reader.read()
        if reader.missed_slots > told:
            out(json.dumps({"type": "missed", "slots": int(reader.missed_slots - told)}))
            told = reader.missed_slots
        if not len(slots):
            if not reader.segment.owner_alive():
                return printed
            time.sleep(0.005)
            continue
        if held is not None:
            import numpy as np
            slots = np.concatenate([held, slots])
            held = None
        # A record whose second slot is not there yet waits for the next batch.
        last = slots[-1]
        if SLOT_COUNTS.get(int(last["type"]), 1) == 2:
            held, slots = slots[-1:].copy(), slots[:-1]
        for event in event_dicts(slots):
            texts = grids.texts(event)
            if kinds and event["type"] not in kinds:
                continue
            out(json.dumps(event) if as_json else line_of({**event, **texts}))
            printed += 1
            if count is not None and printed >= count:
                return printed
    return printed


def line_of(event):
    rest = " ".join(f"{k}={v}" for k, v in event.items() if k not in ("seq", "type", "ts_recv_ns") and v is not None)
    return f"{event['seq']:>10} {event['ts_recv_ns']} {event['type']:<12} {rest}"


def snapshot(instance):
    """What `tap top --json` prints: the state page as one dict."""
    page, clocks = StatePage.attach(instance), attach_clocks(instance)
    (info, instruments), totals = page.view(), page.totals()
    return {"clocks": [row.as_dict() for row in read_clocks(clocks.buffer)] if clocks else [],
            "info": info, "totals": totals, "instruments": instruments, "feeds": feed_rows(info, totals, instruments),
            "strategies": page.strategies(), "orders": page.orders(), "latency": page.latency()}


def top(instance, *, refresh_s=0.5, duration_s=None):
    """The live screen, until the engine ends, Ctrl-C or duration_s."""
    page, clocks = StatePage.attach(instance), attach_clocks(instance)
    console = Console()
    end = time.monotonic() + duration_s if duration_s is not None else None
    with Live(render.top_view(page, instance, 0, clocks), console=console, refresh_per_second=4,
              screen=console.is_terminal) as live:
        while page.segment.owner_alive() and (end is None or time.monotonic() < end):
            time.sleep(refresh_s)
            live.update(render.top_view(page, instance, 0, clocks))
