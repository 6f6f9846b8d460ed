"""Latencies from the ring: equal to the engine's own histograms, and shown for a running engine."""
import contextlib
import io
import itertools
import json
import os
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import posix_ipc
import pytest
from rich.console import Console

from tickpath.capture import read_capture
from tickpath.engine import Engine
from tickpath.session import Session
from tickpath.shm.histogram import index_of
from tickpath.shm.ring import EventReader, EventWriter, ring_bytes
from tickpath.shm.segment import SegmentError, create_segment, list_segments
from tickpath.shm.state_page import StatePage, state_page_bytes
from tickpath.types import DTYPES, SLOT_DTYPE, EventType
from tickpathd import render, tap_latency
from tickpathd.config import load_config
from tickpathd.engine_spec import engine_spec, paper_spec
from tickpathd.tap_latency import StepLatencies, bucket_indices
from tickpathd.tap_record import RecordStream

ROOT = Path(__file__).resolve().parents[3]
DEMO = ROOT / "config" / "paper-demo.toml"
CAPTURE = ROOT / "tests" / "golden" / "binance_spot" / "hftbacktest_btcusdt_20240808.gz"
DONE, FAILED, USAGE = 0, 1, 2
STEPS = render.STEPS
RING_SLOTS = 1024
_numbers = itertools.count()


def test_buckets_are_those_of_the_engine():
    random = np.random.default_rng(1)
    values = np.unique(np.concatenate([np.arange(300), 2 ** np.arange(45), 2 ** np.arange(1, 45) - 1,
                                       random.integers(0, 2 ** 40, 3000)]))
    assert bucket_indices(values).tolist() == [index_of(int(v)) for v in values]


@pytest.fixture(scope="module")
def session():
    """A paper run of the demo's market maker over the beginning of a capture: (its ring in batches, its state page)."""
    config = load_config([DEMO], ["strategies=[]", "instance.mode=paper"])
    spec = engine_spec(config, epoch=1, started_ns=0)
    spec["strategies"] = [{"name": "m", "kind": "market_maker", "parameters": {}, "instrument": 0}]
    writer = EventWriter.local(1 << 19)
    run = Session(Engine(spec, writer), paper_spec(config))
    for frame in itertools.islice(read_capture(CAPTURE), 8000):
        run.on_frame(frame.data, frame.ts_recv_ns, 0)
    stream = RecordStream(EventReader(writer.buffer, "oldest"))
    batches = []
    while len(batch := stream.read()):
        batches.append(batch)
    assert stream.missed_slots == 0 and len(batches) > 2
    return batches, StatePage(run.engine.state_buffer)


def test_percentiles_of_a_whole_run_are_those_of_the_state_page(session):
    batches, page = session
    latencies = StepLatencies(page.info()["cycles_per_ns"])
    for batch in batches:
        latencies.add(batch)
    found, expected = latencies.summary(), page.latency()
    for step in ("risk", "order", "encode", "send", "frame_to_order", "ack", "fill"):
        assert expected[step]["n"] > 20 and found[step] == expected[step], step
    for step in ("receive", "decode", "book", "signal", "strategy"):
        assert found[step]["n"] == found["frame_to_order"]["n"], step


def test_steps_of_an_order_add_up(session):
    batches, page = session
    latencies = StepLatencies(page.info()["cycles_per_ns"])
    from_frame = 0
    for row in (row for batch in batches for row in latencies.add(batch)):
        order = latencies.order_steps_ns(row)
        if order["frame_to_order_ns"] is None:
            assert order["receive_ns"] is order["strategy_ns"] is None and order["risk_ns"] is not None
            continue
        from_frame += 1
        # The second order of one turn also waits for the first one's steps.
        parts = sum(order[f"{name}_ns"] for name in STEPS[:8])
        assert parts <= order["frame_to_order_ns"] + 1
    assert from_frame == page.latency()["frame_to_order"]["n"]


# ---- a ring of the test's own

@pytest.fixture
def instance():
    name = f"tlt{os.getpid()}-{next(_numbers)}"
    yield name
    for left in list_segments(name):
        posix_ipc.unlink_shared_memory(left)


@contextlib.contextmanager
def engine_stand_in(instance):
    """Ring and state page under a name; the writer of the ring."""
    with create_segment(instance, "ring", ring_bytes(RING_SLOTS), epoch=1, slot_count=RING_SLOTS) as ring, \
            create_segment(instance, "state", state_page_bytes(), epoch=1):
        yield EventWriter(ring.buffer)


def latency_slots(ordinals, cycles):
    rows = np.zeros(len(ordinals), DTYPES[EventType.EV_LATENCY])
    rows["type"], rows["type2"], rows["receive_start_cycles"] = EventType.EV_LATENCY, EventType.EV_CONT, 1
    rows["order_ordinal"] = ordinals
    for name in (*STEPS[:9], "frame_to_order"):
        rows[f"{name}_cycles"] = cycles
    return rows.view(np.uint8).view(SLOT_DTYPE).reshape(-1)


def test_interval_holds_only_what_came_in_it(instance):
    with engine_stand_in(instance) as writer:
        writer.publish(latency_slots(range(1, 11), 7))           # before the tap: not its business
        tap = tap_latency.LatencyTap(instance)
        items = tap_latency.intervals(tap, interval_s=0.05, count=3)
        for n, cycles in ((20, 50), (0, 0), (5, 1000)):
            writer.publish(latency_slots(range(n), cycles))
            item = next(items)
            found = item["latency"]["frame_to_order"]
            assert (found["n"], found["max_ns"]) == (n, cycles if n else None)     # a page without a rate: 1 cycle a ns
            assert item["latency"]["risk"]["n"] == n and 0.05 <= item["interval_s"] < 5
        assert next(items, None) is None


def test_tap_that_was_lapped_says_exactly_how_many_slots_it_missed(instance):
    with engine_stand_in(instance) as writer:
        tap = tap_latency.LatencyTap(instance)
        items = tap_latency.intervals(tap, interval_s=0.03)
        total = 0
        for lapped in (False, True, True, False):
            count = 1900 if lapped else 300
            writer.publish(latency_slots(range(count), 10))
            item = next(items)
            missed = 2 * count - 2 * item["latency"]["risk"]["n"]
            total += missed
            assert (item["missed_slots"], item["missed_slots_total"]) == (missed, total) and bool(missed) == lapped


def test_orders_are_told_one_by_one_with_what_was_missed(instance):
    with engine_stand_in(instance) as writer:
        tap = tap_latency.LatencyTap(instance)
        writer.publish(latency_slots(range(1, 101), 42))
        items = tap_latency.orders(tap)
        first = [next(items) for _ in range(100)]
        assert [item["order_ordinal"] for item in first] == list(range(1, 101))
        assert all(item[f"{name}_ns"] == 42.0 for item in first for name in (*STEPS[:9], "frame_to_order"))
        writer.publish(latency_slots(range(101, 1001), 42))
        missed = next(items)["missed_slots"]
        rest = [next(items)["order_ordinal"] for _ in range(900 - missed // 2)]
        assert missed > 700 and missed % 2 == 0 and rest == list(range(101 + missed // 2, 1001))


def test_memory_of_intents_is_bounded_and_an_unknown_order_counts_nowhere():
    latencies = StepLatencies(1.0)
    intents = np.zeros(1000, DTYPES[EventType.EV_INTENT])
    intents["type"], intents["type2"] = EventType.EV_INTENT, EventType.EV_CONT
    fills = np.zeros(1000, DTYPES[EventType.EV_FILL])
    fills["type"], fills["type2"] = EventType.EV_FILL, EventType.EV_CONT
    for turn in range(100):
        ordinals = np.arange(1 + 1000 * turn, 1001 + 1000 * turn)
        intents["order_ordinal"], intents["ts_recv_ns"] = ordinals, 10 * ordinals
        fills["order_ordinal"], fills["ts_recv_ns"] = ordinals, 10 * ordinals + 77
        latencies.add(intents.view(np.uint8).view(SLOT_DTYPE).reshape(-1))
        latencies.add(fills.view(np.uint8).view(SLOT_DTYPE).reshape(-1))
    found = latencies.summary()["fill"]
    assert (found["n"], found["p50_ns"], found["max_ns"]) == (100_000, 77.0, 77.0)
    fills["order_ordinal"] = np.arange(200_000, 201_000)
    latencies.add(fills.view(np.uint8).view(SLOT_DTYPE).reshape(-1))
    assert latencies.summary()["fill"]["n"] == 100_000 and len(latencies._intent_ts_ns) == 65536


# ---- what it looks like

def test_sparkline_shows_every_value_above_zero():
    assert render.sparkline([0, 1, 50, 100]) == " ▁▅█" and render.sparkline([]) == "" and render.sparkline([0]) == " "


def test_table_shows_the_steps_with_orders_and_what_was_missed():
    latencies = StepLatencies(2.0)
    latencies.add(latency_slots(range(1, 50), 200))
    item = {"instance": "x", "interval_s": 1.0, "missed_slots": 12, "missed_slots_total": 3456, "latency": latencies.summary()}
    console = Console(file=io.StringIO(), width=120)
    console.print(render.latency_view(item, {name: (s.counts, s.scale) for name, s in latencies.steps.items()}))
    text = console.file.getvalue()
    assert "frame_to_order" in text and "100 ns" in text and "█" in text and "ack" not in text
    assert "missed 12 slots in this interval, 3,456 in all" in text
    latencies.reset()
    console.print(render.latency_view({**item, "latency": latencies.summary()}, {}))
    assert "no order in this interval" in console.file.getvalue()


# ---- a running engine

def tickpath(*arguments):
    result = subprocess.run([sys.executable, "-m", "tickpathd.cli", *map(str, arguments)], cwd=ROOT, capture_output=True,
                            text=True, timeout=90)
    assert "Traceback" not in result.stderr
    return result


@pytest.fixture(scope="module")
def running(tmp_path_factory):
    """The name and process of an instance at the recorded pace that has sent an order."""
    name = f"tlr{os.getpid()}"
    settings = (f"storage.dir={tmp_path_factory.mktemp('state')}", f"instance.name={name}", "venues.binance.pace=recorded")
    process = subprocess.Popen([sys.executable, "-m", "tickpathd.cli", "run", "-c", str(DEMO), "--json",
                                *(o for s in settings for o in ("--set", s))], cwd=ROOT, stdout=subprocess.DEVNULL)
    try:
        end = time.monotonic() + 30
        while True:
            with contextlib.suppress(SegmentError):
                if StatePage.attach(name).totals()["orders"] > 0:
                    break
            assert time.monotonic() < end and process.poll() is None
            time.sleep(0.05)
        yield name, process
    finally:
        process.terminate()
        process.wait(60)


def test_latency_prints_one_json_object_an_interval(running):
    result = tickpath("tap", "latency", "--instance", running[0], "--interval", "0.5", "--count", "3", "--json")
    items = [json.loads(line) for line in result.stdout.splitlines()]
    assert result.returncode == DONE and result.stderr == "" and len(items) == 3
    for item in items:
        assert {"instance", "ts_ns", "interval_s", "missed_slots", "missed_slots_total", "latency"} == item.keys()
        assert tuple(item["latency"]) == STEPS
        assert all({"n", "p50_ns", "p90_ns", "p99_ns", "p999_ns", "max_ns"} == s.keys() for s in item["latency"].values())
    assert all(item["missed_slots"] == 0 for item in items)


def test_latency_prints_one_line_an_order(running):
    result = tickpath("tap", "latency", "--instance", running[0], "--orders", "--count", "3", "--json")
    orders = [json.loads(line) for line in result.stdout.splitlines()]
    assert result.returncode == DONE and len(orders) == 3
    ordinals = [o["order_ordinal"] for o in orders]
    assert ordinals == sorted(set(ordinals)) and all(o["risk_ns"] >= 0 and f"{s}_ns" in o for o in orders for s in STEPS[:9])
    plain = tickpath("tap", "latency", "--instance", running[0], "--orders", "-n", "2").stdout.splitlines()
    assert len(plain) == 3 and plain[0].split()[:10] == ["order", *STEPS[:9]] and len(plain[1].split()) == 11


def test_latency_of_an_absent_instance_and_wrong_usage_are_one_line():
    absent = tickpath("tap", "latency", "--instance", "absent")
    assert absent.returncode == FAILED and absent.stdout == "" and "absent" in absent.stderr and len(absent.stderr.splitlines()) == 1
    for wrong in (("--interval", "0"), ("--count", "0")):
        refused = tickpath("tap", "latency", "--instance", "absent", *wrong)
        assert refused.returncode == USAGE and len(refused.stderr.splitlines()) == 1


def test_latency_ends_when_the_engine_ends(running):
    name, process = running
    tap = subprocess.Popen([sys.executable, "-m", "tickpathd.cli", "tap", "latency", "--instance", name, "--interval", "0.2",
                            "--json"], cwd=ROOT, stdout=subprocess.PIPE, text=True)
    assert json.loads(tap.stdout.readline())["instance"] == name
    process.terminate()
    process.wait(60)
    rest = tap.communicate(timeout=30)[0]
    assert tap.returncode == DONE and all(json.loads(line) for line in rest.splitlines())
