"""What a venue and a network can do to a feed, done by a venue simulator to a whole daemon with a second venue beside it: the gate
closes in the very event, opens again within two seconds of good data, not one order leaves while it is closed, and the other venue
never notices (`fault_row`). Rows of docs/faults.md in their order, all on one run."""
import time

import numpy as np
import pytest
from feed_harness import LiveRun, Simulator, closed_and_reopened, fault_row, short_capture

from process_harness import until
from tickpath.market.gate import GateCause
from tickpath.shm.ring import records
from tickpath.types import BookState, EventType

SYNCING, GAP = GateCause.GATE_SYNCING, GateCause.GATE_GAP
# Of a run that has taken all faults of this file, several of each: what the pools and buffers of libraries may still grow by.
RSS_GROWTH_MAX_BYTES = 24 << 20


@pytest.fixture(scope="module")
def capture(golden_dir, tmp_path_factory):
    return short_capture(golden_dir / "binance_spot" / "hftbacktest_btcusdt_20240808.gz",
                         tmp_path_factory.mktemp("capture") / "short.gz")


@pytest.fixture(scope="module")
def simulator(capture):
    simulator = Simulator("binance_spot", capture, "--speed", "4")
    yield simulator
    simulator.stop()


@pytest.fixture(scope="module")
def neighbour(capture):
    simulator = Simulator("binance_spot", capture)
    yield simulator
    simulator.stop()


@pytest.fixture(scope="module")
def run(simulator, neighbour, tmp_path_factory):
    run = LiveRun(simulator, "binance_spot", ["BTC/USDT"], tmp_path_factory.mktemp("live"), "feedfaults",
                  others={"o": (neighbour, "binance_spot", ["BTC/USDT"], {"channels": ["book"], "silent_after_ms": 10_000})},
                  storage="ring_slots = 2097152\n")
    try:
        run.until_good()
        until(lambda: run.totals()["orders"] > 0, "orders on a good book")
        before = run.rss_bytes()
        yield run
        assert run.rss_bytes() - before < RSS_GROWTH_MAX_BYTES
        code, result, err = run.end()
        assert code == 0 and result["totals"]["protocol_errors"] == 0, err
    finally:
        run.stop()


def row(run, fault, cause, **options):
    return fault_row(run, "BTCUSDT", fault, cause, **options)


def closes_sent(run):
    """Codes of the close frames that the venue got from us so far."""
    return [close["code"] for close in run.faults.state()["closes"]]


# ---- F01 to F05: the chain of diffs and its snapshots

def test_lost_diff_closes_the_gate_in_the_event_that_shows_it(run):
    mark, gates = row(run, "drop_diff", GAP)
    # The first diff behind the hole, its gap and the closed gate have one receive time: they are one event.
    slots = run.since(mark)
    gap = slots[(slots["type"] == EventType.EV_GAP) & (slots["seq"] < gates[0][0])][-1]
    assert gap["ts_recv_ns"] == gates[0][3] and gates[0][0] - gap["seq"] == 1


def test_five_snapshots_older_than_the_first_diff_are_asked_for_again_and_never_spliced(run):
    run.until_good()
    run.faults.arm("old_snapshot", count=5)
    before = len(run.faults.log("old_snapshot"))
    mark, gates = row(run, "drop_diff", GAP, within_s=6.0)
    assert len(run.faults.log("old_snapshot")) == before + 5
    # None of them opened the gate.
    assert [state for _, state, _, _ in gates].count(BookState.BOOK_GOOD) == 1
    rest = run.faults.state()["rest"]
    assert rest["limited"] == 0 and rest["heaviest_minute"] <= 0.9 * rest["weight_max"]
    asked = [r["ts_ns"] for r in rest["requests"] if r["path"].endswith("/depth")][-6:]
    pauses = [b - a for a, b in zip(asked, asked[1:], strict=False)]
    assert min(pauses) > 100e6 and pauses[-1] > pauses[0]


@pytest.mark.parametrize("fault", ["duplicate_diff", "old_diff", "straddling_diff", "unknown_delete"])
def test_diff_that_comes_again_overlaps_or_deletes_nothing_is_applied_once(run, fault):
    row(run, fault, 5, expect_closed=False, count=5)


def test_reconnect_at_prices_moved_by_two_percent_leaves_no_old_level(run):
    row(run, "reconnect_move", SYNCING, pct=0.02)
    row(run, "reconnect_move", SYNCING, pct=-0.02)
    run.until_good()
    # Not the best price alone: an old level may lie anywhere.
    run.faults.pause()
    try:
        until(lambda: run.tops("BTCUSDT")[0] == run.tops("BTCUSDT")[1], "the venue's top", 2)
        truth, state = run.faults.truth("BTCUSDT"), run.instruments()[0]
        mantissa, scale = run.page.info()["tick"][0]
        for side in ("bid", "ask"):
            ours = [ticks * mantissa / 10 ** scale for ticks in state[f"{side}_price_ticks"]]
            assert ours == [float(level[0]) for level in truth[f"{side}s"]]
    finally:
        run.faults.resume()


# ---- F09 to F11: silence and cuts

def test_silence_with_the_line_alive_closes_the_gate_by_the_age_of_frames(run):
    row(run, "silent", GateCause.GATE_FEED, seconds=1.2)


def test_half_open_peer_is_given_up_and_connected_anew(run):
    # The ping's time is 400 ms and so is the pong's; another second for the new connection and its snapshot.
    row(run, "half_open", GateCause.GATE_FEED | SYNCING, seconds=2.0)


def test_all_sockets_reset_at_once(run):
    row(run, "drop_all", SYNCING)


def test_announced_cut_is_outrun_by_a_new_socket(run):
    run.until_good()
    mark, lost = run.mark_anew(), run.faults.state()["counters"]["connections"]
    run.faults.arm("cut", after_ms=1200)
    until(lambda: run.faults.state()["counters"]["connections"] > lost, "the next socket", 5)
    time.sleep(1.3)                        # the old one is cut meanwhile
    assert run.gates(mark) == [] and run.disturbed(mark) == []
    assert run.chain_gaps(mark) == []
    run.proven("BTCUSDT")


# ---- F13: frames

@pytest.mark.parametrize("fault, code, options", [
    ("bad_utf8", 1007, {}), ("reserved_bits", 1002, {"bits": 1}), ("reserved_bits", 1002, {"bits": 2}),
    ("reserved_bits", 1002, {"bits": 4}), ("oversize", 1009, {}), ("deflate_bomb", 1002, {}),
    ("breach", 1002, {"form": "opcode"}), ("breach", 1002, {"form": "masked"}), ("breach", 1002, {"form": "continuation"}),
    ("breach", 1002, {"form": "interleaved"}), ("breach", 1002, {"form": "long_control"}),
    ("breach", 1002, {"form": "split_control"})])
def test_frame_against_the_protocol_ends_the_connection_with_the_code_of_the_rfc(run, fault, code, options):
    before = len(closes_sent(run))
    row(run, fault, SYNCING, **options)
    assert closes_sent(run)[before:][:1] == [code]


@pytest.mark.parametrize("fault, count", [("fragment", 50), ("trickle", 3), ("swapped_keys", 50)])
def test_unusual_but_lawful_frames_are_taken(run, fault, count):
    row(run, fault, count, expect_closed=False, count=count)


# ---- F14, F15: what no number or no word is

@pytest.mark.parametrize("form", ["1e400", "nan", "negative_zero", "negative_price", "digits25", "duplicate_keys", "deep_nesting",
                                  "cut_json"])
def test_message_with_a_number_that_is_none_is_refused_whole(run, form):
    errors = run.totals()["frame_errors"]
    row(run, "bad_number", GateCause.GATE_REFUSED | SYNCING, form=form)
    assert run.totals()["frame_errors"] == errors + 1


def test_unknown_field_and_event_cost_nothing_but_themselves(run):
    unsupported, errors = run.totals()["frames_unsupported"], run.totals()["frame_errors"]
    row(run, "unknown_word", 10, expect_closed=False, form="field", count=10)
    row(run, "unknown_word", 10, expect_closed=False, form="event", count=10)
    assert run.totals()["frames_unsupported"] == unsupported + 10 and run.totals()["frame_errors"] == errors


# ---- F16: a crossed book

def test_book_crossed_for_one_message_closes_the_gate_for_that_long(run):
    row(run, "crossed", GateCause.GATE_CROSSED, count=1)


def crossed_for(run, seconds):
    run.until_good()
    mark = run.mark_anew()
    run.faults.arm("crossed", seconds=seconds)
    time.sleep(seconds + 0.2)              # each new snapshot is good, until the next change crosses it again
    gates = closed_and_reopened(run, mark)
    assert any(causes & GateCause.GATE_CROSSED for _, _, causes, _ in gates)
    assert any(state == BookState.BOOK_SYNCING for _, state, _, _ in gates), "expected the book to be thrown away"
    assert run.orders_while_closed(mark) == 0
    run.proven("BTCUSDT")


def test_book_that_stays_crossed_is_thrown_away(run):
    crossed_for(run, 1.0)


@pytest.mark.soak
def test_book_that_stays_crossed_for_five_seconds_is_thrown_away(run):
    crossed_for(run, 5.0)


# ---- F17: order

def test_venue_times_that_run_backwards_change_nothing(run):
    mark, _ = row(run, "backward_time", 30, expect_closed=False, count=30, back_ms=60_000)
    slots = run.since(mark)
    deltas = records(slots[(slots["type"] == EventType.EV_BOOK_DELTA) & (slots["instrument"] == 0)], EventType.EV_BOOK_DELTA)
    # The step back may stand right at the mark, the step to the front again is behind it.
    assert abs(np.diff(deltas["ts_venue_ns"])).max() > 50 * 10**9, "expected venue times a minute apart in the ring"
    assert (slots["ts_recv_ns"][1:] >= slots["ts_recv_ns"][:-1]).all()


def test_messages_of_different_streams_in_another_order_change_nothing(run):
    # A late message's levels are older than the quotes before it: ids say so, times do not.
    mark, _ = row(run, "late", 20, expect_closed=False, count=20)
    assert run.chain_gaps(mark) == []


# ---- F18: a flood

def flooded_for(run, seconds):
    run.until_good()
    mark, frames = run.mark_anew(), run.totals()["frames"]
    run.faults.arm("flood", rate=50_000, seconds=seconds)
    # Read meanwhile: the ring holds less than the flood.
    until(lambda: run.read() is not None and run.totals()["frames"] > frames + 40_000 * seconds, "the flood in the engine", 60)
    run.until_good()
    assert run.orders_while_closed(mark) == 0
    # An order names the data that it used: never older than the age that the configuration allows.
    slots = run.since(mark)
    intents = records(slots, EventType.EV_INTENT)
    times = dict(zip(slots["seq"].tolist(), slots["ts_recv_ns"].tolist(), strict=True))
    ages = [int(i["ts_recv_ns"]) - times[int(i["seen_seq"])] for i in intents if int(i["seen_seq"]) in times]
    assert ages and max(ages) <= 2_000_000_000
    run.proven("BTCUSDT")


def test_flood_is_taken_and_no_order_uses_old_data(run):
    flooded_for(run, 0.6)


@pytest.mark.soak
def test_flood_of_ten_seconds_is_taken_and_no_order_uses_old_data(run):
    flooded_for(run, 10.0)


# ---- no leak

def repeated(run, times):
    """The engine's memory after `times` rounds of the faults that make new sockets, snapshots and pending messages."""
    for _ in range(times):
        for fault, cause in (("drop_diff", GAP), ("drop_all", SYNCING), ("bad_utf8", SYNCING)):
            row(run, fault, cause)
    return run.rss_bytes()


@pytest.mark.soak
def test_memory_is_flat_over_twenty_repeats_of_the_faults(run):
    first = repeated(run, 4)
    assert repeated(run, 20) - first < 2 << 20
