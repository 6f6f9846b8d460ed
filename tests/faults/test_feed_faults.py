"""What a venue and a network can do to a feed, done by a venue simulator to a whole daemon: the gate closes in the very event,
opens again within two seconds of good data, and not one order leaves while it is closed."""
import time

import pytest
from feed_harness import LiveRun, Simulator, closed_and_reopened, closed_s

from process_harness import until
from tickpath.market.gate import GateCause
from tickpath.types import BookState

RESYNC_S = 2.0


@pytest.fixture(scope="module")
def simulator(golden_dir):
    simulator = Simulator("binance_spot", golden_dir / "binance_spot" / "hftbacktest_btcusdt_20240808.gz", "--speed", "4")
    yield simulator
    simulator.stop()


@pytest.fixture(scope="module")
def run(simulator, tmp_path_factory):
    run = LiveRun(simulator, "binance_spot", ["BTC/USDT"], tmp_path_factory.mktemp("live"), "feedfaults")
    try:
        yield run.until_good()
        code, result, err = run.end()
        assert code == 0 and result["totals"]["protocol_errors"] == 0, err
    finally:
        run.stop()


@pytest.fixture
def quiet(run):
    """The run with every book good and orders going out, and the ring's place at which the test begins."""
    run.until_good()
    orders = run.totals()["orders"]
    until(lambda: run.totals()["orders"] > orders, "orders on a good book")
    return run


def closes(run, mark, cause, seconds=8.0):
    """The gate has closed for `cause`, no order left meanwhile, it is open again; returns for how long it was closed."""
    gates = closed_and_reopened(run, mark, seconds=seconds)
    assert any(causes & cause for _, _, causes, _ in gates), gates
    assert run.orders_while_closed(mark) == 0
    run.proven("BTCUSDT")
    return closed_s(gates)


def stays_open(run, mark, seconds=0.5):
    time.sleep(seconds)
    assert run.gates(mark) == []
    run.proven("BTCUSDT")


def test_lost_diff_closes_the_gate_in_the_event_that_shows_it(quiet):
    mark = quiet.mark()
    quiet.faults.arm("drop_diff")
    assert closes(quiet, mark, GateCause.GATE_GAP) < RESYNC_S
    # The first diff behind the hole, its gap and the closed gate have one receive time: they are one event.
    slots = quiet.since(mark)
    first = quiet.gates(mark)[0]
    gap = slots[(slots["type"] == 19) & (slots["seq"] < first[0])][-1]
    assert gap["ts_recv_ns"] == first[3] and first[0] - gap["seq"] == 1


@pytest.mark.parametrize("fault", ["duplicate_diff", "old_diff", "straddling_diff"])
def test_diff_that_comes_again_or_overlaps_is_applied_once(quiet, fault):
    mark = quiet.mark()
    quiet.faults.arm(fault, count=5)
    until(lambda: len(quiet.faults.log(fault)) >= 5, "five of them on the wire")
    stays_open(quiet, mark)


def test_snapshots_older_than_the_first_diff_are_asked_for_again(quiet):
    mark = quiet.mark()
    quiet.faults.arm("old_snapshot", count=3)
    quiet.faults.arm("drop_diff")
    closes(quiet, mark, GateCause.GATE_SYNCING)
    assert len(quiet.faults.log("old_snapshot")) >= 3


def test_reconnect_at_moved_prices_leaves_no_old_level(quiet):
    mark = quiet.mark()
    quiet.faults.arm("reconnect_move", pct=0.02)
    assert closes(quiet, mark, GateCause.GATE_SYNCING) < RESYNC_S
    until(lambda: quiet.good(), "good books")
    quiet.proven("BTCUSDT")


def test_silence_with_the_line_alive_closes_the_gate_by_the_age_of_frames(quiet):
    mark = quiet.mark()
    quiet.faults.arm("silent", seconds=2.0)
    closes(quiet, mark, GateCause.GATE_FEED)


def test_half_open_peer_is_given_up_and_connected_anew(quiet):
    mark = quiet.mark()
    quiet.faults.arm("half_open", seconds=3.0)
    closes(quiet, mark, GateCause.GATE_FEED | GateCause.GATE_SYNCING)


def test_all_sockets_reset_at_once(quiet):
    mark = quiet.mark()
    quiet.faults.arm("drop_all")
    assert closes(quiet, mark, GateCause.GATE_SYNCING) < RESYNC_S


def test_announced_cut_is_outrun_by_a_new_socket(quiet):
    mark, replaced = quiet.mark(), quiet.totals()["duplicates"]
    quiet.faults.arm("cut", after_ms=1500)
    until(lambda: quiet.faults.log("cut"), "the venue's announcement")
    stays_open(quiet, mark, 2.5)
    assert quiet.totals()["duplicates"] >= replaced


def test_book_crossed_for_one_message_closes_the_gate_for_that_long(quiet):
    mark = quiet.mark()
    quiet.faults.arm("crossed", count=1)
    closes(quiet, mark, GateCause.GATE_CROSSED)


def test_book_that_stays_crossed_is_thrown_away(quiet):
    mark = quiet.mark()
    quiet.faults.arm("crossed", seconds=1.2)
    time.sleep(1.4)                        # each new snapshot is good, until the next change crosses it again
    closes(quiet, mark, GateCause.GATE_CROSSED)
    assert any(state == BookState.BOOK_SYNCING for _, state, _, _ in quiet.gates(mark))


@pytest.mark.parametrize("form", ["1e400", "nan", "negative_price", "digits25", "duplicate_keys", "deep_nesting", "cut_json"])
def test_message_with_a_number_that_is_none_is_refused_whole(quiet, form):
    mark, errors = quiet.mark(), quiet.totals()["frame_errors"]
    quiet.faults.arm("bad_number", form=form)
    closes(quiet, mark, GateCause.GATE_REFUSED | GateCause.GATE_SYNCING)
    assert quiet.totals()["frame_errors"] == errors + 1


@pytest.mark.parametrize("fault", ["bad_utf8", "reserved_bits", "oversize", "deflate_bomb"])
def test_frame_against_the_protocol_ends_the_connection(quiet, fault):
    mark = quiet.mark()
    quiet.faults.arm(fault)
    assert closes(quiet, mark, GateCause.GATE_SYNCING) < RESYNC_S


@pytest.mark.parametrize("fault, options", [("fragment", {"count": 50}), ("trickle", {"count": 3}),
                                            ("swapped_keys", {"count": 50})])
def test_unusual_but_lawful_frames_are_taken(quiet, fault, options):
    mark = quiet.mark()
    quiet.faults.arm(fault, **options)
    until(lambda: len(quiet.faults.log(fault)) >= options["count"], "all of them on the wire")
    stays_open(quiet, mark)


def test_flood_is_taken_and_nothing_is_lost(quiet):
    frames = quiet.totals()["frames"]
    quiet.faults.arm("flood", rate=50_000, seconds=1.0)
    until(lambda: quiet.totals()["frames"] > frames + 40_000, "the flood in the engine")
    quiet.until_good()
    quiet.proven("BTCUSDT")
