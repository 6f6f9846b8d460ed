"""The same inputs give the same outputs: twice, across processes, and from a journal of the run."""
import json
import os
import subprocess
import sys

import numpy as np
import pytest

from tickpath.capture import read_capture
from tickpath.engine import Engine
from tickpath.session import Session
from tickpath.shm.canonical import OutputHasher
from tickpath.shm.journal import JournalReader
from tickpath.shm.ring import EventReader, EventWriter, records
from tickpath.shm.state_page import StatePage
from tickpath.types import CommandKind, EventType

PAPER = {"order_latency_ns": 5_000_000, "reply_latency_ns": 2_000_000, "maker_fee_e8": 0, "taker_fee_e8": 17_000,
         "reject_probability": 0.02, "seed": 7}


def spec(parameters=None, mode="paper"):
    return {
        "instance": "test", "epoch": 1, "mode": mode, "seed": 1, "stamps": True, "max_frame_bytes": 1 << 20,
        "bar_interval_ns": 10 ** 9, "imbalance_levels": 5, "ema_fast": 12, "ema_slow": 26, "max_data_age_ns": 2 * 10 ** 9,
        "max_orders_per_min": 60000,
        "instruments": [{"venue_symbol": "BTCUSDT", "tick_size": "0.01", "lot_size": "0.000001",
                         "min_notional_ticklots": 5 * 10 ** 8, "book_window_ticks": 65536, "max_order_qty_lots": 10 ** 9,
                         "max_order_notional_ticklots": 10 ** 12, "max_position_notional_ticklots": 10 ** 13,
                         "qty_step_lots": 10, "price_collar_e2_bps": 5000, "max_open_orders": 50}],
        "strategies": [{"name": "maker", "kind": "market_maker", "instrument": 0,
                        "parameters": {"half_spread_ticks": 0, "order_qty_lots": 1000, "max_position_lots": 60000,
                                       "requote_ticks": 1, **(parameters or {})}},
                       {"name": "cross", "kind": "ema_cross", "instrument": 0,
                        "parameters": {"fast": 5, "slow": 20, "order_qty_lots": 2000}}]}


def capture(golden_dir):
    for name in ("hftbacktest_btcusdt_20240808.gz", "hftbacktest_btcusdt_20240809.gz"):
        yield from read_capture(golden_dir / "binance_spot" / name)


def run(golden_dir, parameters=None):
    """(slots of the whole run, totals) of both captures through engine and simulated venue."""
    writer = EventWriter.local(1 << 20)
    engine = Engine(spec(parameters), writer)
    session = Session(engine, PAPER)
    for frame in capture(golden_dir):
        session.on_frame(frame.data, frame.ts_recv_ns, 0)
    session.command(CommandKind.COMMAND_STOP, 0)
    session.settle()
    session.finish()
    reader = EventReader(writer.buffer, 1)
    slots = reader.read(1 << 20)
    assert reader.missed_slots == 0
    return slots, StatePage(engine.state_buffer).totals()


def output_hash(slots):
    hasher = OutputHasher()
    hasher.update(slots)
    return hasher.hexdigest()


@pytest.fixture(scope="module")
def first(golden_dir):
    return run(golden_dir)


def replayed(slots, parameters=None, single=0, step=997):
    """The hash of a replay that is fed `single` slots one by one, then `step` at a time."""
    writer = EventWriter.local(1 << 20)
    session = Session(Engine(spec(parameters, "replay"), writer))
    reader, hasher = EventReader(writer.buffer, 1), OutputHasher()
    for piece in (*(slots[i:i + 1] for i in range(single)), *(slots[i:i + step] for i in range(single, len(slots), step))):
        session.feed(piece)
        while len(out := reader.read(1 << 16)):
            hasher.update(out)
    assert reader.missed_slots == 0
    return hasher.hexdigest()


def test_recorded_inputs_hold_a_thousand_orders_and_fills(first):
    slots, totals = first
    assert totals["orders"] > 1000 and totals["fills"] > 1000 and totals["rejects"] > 0
    assert totals["protocol_errors"] == 0 and totals["open_orders"] == 0
    assert len(records(slots, EventType.EV_FILL)) == totals["fills"]


def test_same_capture_twice_gives_the_same_outputs(first, golden_dir):
    assert output_hash(run(golden_dir)[0]) == output_hash(first[0])


def test_replaying_the_recorded_inputs_gives_the_same_outputs(first):
    slots, _ = first
    assert replayed(slots) == output_hash(slots)
    # Records of several slots, cut at every place that there is, in as many of them as there are kinds.
    single = 40_000
    assert len(set(slots["type"][:single].tolist())) >= len(set(slots["type"].tolist())) - 1
    assert replayed(slots, single=single) == output_hash(slots)


def test_one_changed_parameter_changes_the_outputs(first):
    slots, _ = first
    assert replayed(slots, {"order_qty_lots": 1010}) != output_hash(slots)


def test_one_changed_byte_of_one_output_changes_the_hash(first):
    slots = first[0].copy()
    raw = slots.view(np.uint8).reshape(-1, 64)
    for kind in (EventType.EV_INTENT, EventType.EV_FILL, EventType.EV_POSITION, EventType.EV_ORDER_STATE, EventType.EV_SIGNAL,
                 EventType.EV_CANCEL):
        at = int(np.flatnonzero(slots["type"] == kind)[3])
        # Byte 40 of a cancel is the ring sequence it had seen, which is no decision.
        for byte in (32,) if kind == EventType.EV_CANCEL else (32, 40):
            raw[at, byte] ^= 1
            assert output_hash(slots) != output_hash(first[0]), (kind, byte)
            raw[at, byte] ^= 1
    assert output_hash(slots) == output_hash(first[0])


def test_no_order_leaves_before_the_book_is_good(first):
    slots, _ = first
    health = records(slots, EventType.EV_HEALTH)
    good = health[(health["kind"] == 3) & (health["value"] == 2)]["seq"]
    assert records(slots, EventType.EV_INTENT)["seq"].min() > good.min()


def test_an_intent_is_in_the_ring_before_any_reply_to_it(first):
    slots, _ = first
    intents = {int(r["order_ordinal"]): int(r["seq"]) for r in records(slots, EventType.EV_INTENT)}
    for report in records(slots, EventType.EV_EXEC_REPORT):
        assert intents[int(report["order_ordinal"])] < int(report["seq"])


def test_fills_of_an_order_never_exceed_it_and_positions_add_up(first):
    slots, _ = first
    wanted = {int(r["order_ordinal"]): int(r["qty_lots"]) for r in records(slots, EventType.EV_INTENT)}
    filled, position = {}, 0
    for f in records(slots, EventType.EV_FILL):
        ordinal = int(f["order_ordinal"])
        filled[ordinal] = filled.get(ordinal, 0) + int(f["qty_lots"])
        assert filled[ordinal] <= wanted[ordinal] and filled[ordinal] == f["cum_qty_lots"]
        position += int(f["qty_lots"]) * (1 if f["side"] == 1 else -1)
        assert f["position_lots"] == position


def cli(root, tmp_path, *arguments, seed="0"):
    environment = {**os.environ, "PYTHONHASHSEED": seed}
    return subprocess.run([sys.executable, "-m", "tickpathd.cli", *arguments], cwd=root, env=environment, text=True,
                          capture_output=True, timeout=120)


def test_runs_in_processes_with_different_hash_seeds_agree_and_replay_from_whole_journals(root, tmp_path):
    hashes = set()
    for seed in ("0", "4242"):
        done = cli(root, tmp_path, "run", "--config", "config/paper-demo.toml", "--set", "venues.binance.pace=fast",
                   "--set", f"storage.dir={tmp_path}", "--set", "instance.name=seeds", "--json", seed=seed)
        assert done.returncode == 0, done.stderr
        result = json.loads(done.stdout)
        hashes.add(result["output_hash"])
        again = cli(root, tmp_path, "replay", result["journal"], "--verify", "--json", seed="99" + seed)
        assert again.returncode == 0, again.stderr
        assert json.loads(again.stdout)["output_hash"] == result["output_hash"]
    assert len(hashes) == 1
    # The journal of a run holds every event that the engine counted.
    reader = JournalReader(result["journal"])
    slots = np.concatenate(list(reader.batches()))
    assert reader.final
    assert int((slots["type"] != EventType.EV_CONT).sum()) == result["events"]
    assert (np.diff(slots["seq"].astype(np.int64)) == 1).all() and slots["seq"][0] == 1


def test_journal_on_disk_with_a_thousand_orders_and_fills_replays_to_the_same_hash(root, tmp_path):
    done = cli(root, tmp_path, "run", "--config", "config/paper-demo.toml", "--set", "venues.binance.pace=fast",
               "--set", 'venues.binance.kind="capture:tests/golden/binance_spot/*.gz"', "--set", f"storage.dir={tmp_path}",
               "--set", "instance.name=thousand", "--set", "strategies.0.parameters.half_spread_ticks=0",
               "--set", "strategies.0.parameters.max_position_lots=60000", "--set", "strategies.0.parameters.requote_ticks=1",
               "--json")
    assert done.returncode == 0, done.stderr
    result = json.loads(done.stdout)
    assert result["orders"] > 1000 and result["fills"] > 1000 and result["frames"] == 99574
    again = cli(root, tmp_path, "replay", result["journal"], "--verify", "--json", seed="31")
    assert again.returncode == 0, again.stderr
    assert json.loads(again.stdout)["output_hash"] == result["output_hash"]
    # The same journal under one other parameter decides otherwise.
    other = cli(root, tmp_path, "replay", result["journal"], "--verify", "--json", "--set",
                "strategies.0.parameters.requote_ticks=2")
    assert other.returncode == 3
