"""The faults of venues whose streams open with a snapshot, each with the proof that venue gives: Kraken's checksum, OKX's and Bybit's
counters, the sequence of Coinbase's connection. One run a venue, with Binance beside it, which must not notice. OKX is there twice:
as it was, and as it is since it sends no snapshot."""
import pytest
from feed_harness import RESYNC_S, LiveRun, Simulator, fault_row, short_capture

from process_harness import ROOT, until
from tickpath.market.gate import GateCause
from tickpath.types import VenueStatus

CAPTURES = ROOT.parent / "shared" / "data" / "ws"
OKX = "okx/cryptofeed_OKX_20220513.jsonl.zst"
# Name: kind, capture, symbol, the venue's spelling, settings, options of the simulator.
VENUES = {
    "kraken": ("kraken", "kraken/kraken_v2_book10_BTCUSD_20260719T1754.jsonl.gz", "BTC/USD", "BTC/USD",
               {"depth": 10, "channels": ["book"]}, ()),
    "okx": ("okx", OKX, "BTC/USDT", "BTC-USDT", {}, ()),
    "okxrest": ("okx", OKX, "BTC/USDT", "BTC-USDT", {}, ("--books-by-rest",)),
    "bybit": ("bybit", "bybit/cryptofeed_BYBIT_20260809.jsonl.zst", "BTC/USDT", "BTCUSDT",
              {"ws_path": "/v5/public/spot", "depth": 200}, ()),
    # A book of 46,000 levels: asked for again only when there was time to write and to read it; no pong comes meanwhile.
    "coinbase": ("coinbase", "coinbase/cryptofeed_COINBASE_20260809.jsonl.zst", "BTC/USD", "BTC-USD",
                 {"resync_after_ms": 1000, "ping_after_ms": 2000},
                 ("--speed", "1")),
}
GAP, SYNCING, REFUSED = GateCause.GATE_GAP, GateCause.GATE_SYNCING, GateCause.GATE_REFUSED
CHECKSUM, CROSSED, FEED, VENUE = GateCause.GATE_CHECKSUM, GateCause.GATE_CROSSED, GateCause.GATE_FEED, GateCause.GATE_VENUE
FORMS = ("1e400", "nan", "negative_zero", "negative_price", "digits25", "duplicate_keys", "deep_nesting", "cut_json")
CLOSING = {
    # One change may be made good by the next, which sets the same level again: then no checksum tells, and nothing is wrong.
    "kraken": [("drop_diff", {"count": 4}, CHECKSUM), ("checksum_flip", {}, CHECKSUM)],
    "okx": [("drop_diff", {}, GAP), ("checksum_flip", {}, CHECKSUM)],
    "okxrest": [("drop_diff", {}, GAP)],
    "bybit": [("drop_diff", {}, GAP)],
    "coinbase": [("drop_diff", {}, GAP)],
}
EVERYWHERE = [("drop_all", {}, SYNCING), ("silent", {"seconds": 2.2}, FEED), ("crossed", {"count": 1}, CROSSED),
              ("reconnect_move", {"pct": 0.02}, SYNCING), ("bad_utf8", {}, SYNCING)]
# The simulator moves 46,000 levels and sends them anew before there is good data again.
WITHIN_S = {("coinbase", "reconnect_move"): 6.0}
# One or two forms a venue here; all of them on Binance's feed and in the decoders' own tests.
BAD_NUMBERS = {"kraken": ("1e400", "cut_json"), "okx": ("negative_zero", "deep_nesting"), "okxrest": ("cut_json",),
               "bybit": ("nan", "digits25"), "coinbase": ("negative_price", "cut_json")}
HARMLESS = {
    "kraken": [("unknown_delete", {"count": 3})],
    "okx": [("zero_checksum", {"count": 5}), ("sequence_reset", {}), ("old_diff", {"count": 3}), ("unknown_delete", {"count": 3})],
    "okxrest": [("sequence_reset", {})],
    "bybit": [("reset_u1", {}), ("duplicate_diff", {"count": 3}), ("old_diff", {"count": 3}), ("unknown_delete", {"count": 3})],
    "coinbase": [("unknown_delete", {"count": 3})],
}
HARMLESS_EVERYWHERE = [("swapped_keys", {"count": 10}), ("fragment", {"count": 10}), ("backward_time", {"count": 10}),
                       ("unknown_word", {"form": "field", "count": 5}), ("unknown_word", {"form": "event", "count": 5})]
# A word that nobody knows: in a message of its own, and in one element of a list whose others count.
UNKNOWN_WORDS = {"okx": ("word", "element"), "okxrest": (), "bybit": ("word", "element"), "kraken": (), "coinbase": ()}
# What each venue calls an instrument that does not trade, and one that only takes cancels.
HALTS = {"kraken": ("cancel_only", VenueStatus.VENUE_STATUS_CANCEL_ONLY), "okx": ("suspend", VenueStatus.VENUE_STATUS_HALTED),
         "okxrest": ("a word of tomorrow", VenueStatus.VENUE_STATUS_UNKNOWN),
         "bybit": ("Closed", VenueStatus.VENUE_STATUS_DELISTED), "coinbase": ("delisted", VenueStatus.VENUE_STATUS_DELISTED)}


@pytest.fixture(scope="module")
def neighbour(golden_dir, tmp_path_factory):
    capture = short_capture(golden_dir / "binance_spot" / "hftbacktest_btcusdt_20240808.gz",
                            tmp_path_factory.mktemp("capture") / "short.gz")
    simulator = Simulator("binance_spot", capture)
    yield simulator
    simulator.stop()


@pytest.fixture(scope="module", params=VENUES)
def run(request, neighbour, tmp_path_factory):
    """A daemon on one of the venues, with Binance beside it."""
    kind, capture, symbol, venue_symbol, settings, options = VENUES[request.param]
    if not (CAPTURES / capture).exists():
        pytest.skip(f"recording absent: shared/data/ws/{capture} beside the checkout")
    simulator, run = Simulator(kind, CAPTURES / capture, "--speed", "4", *options), None
    try:
        run = LiveRun(simulator, kind, [symbol], tmp_path_factory.mktemp("stream"), f"stream{request.param}",
                      others={"o": (neighbour, "binance_spot", ["BTC/USDT"], {"channels": ["book"], "silent_after_ms": 10_000})},
                      **{"silent_after_ms": 1200, "status_check_s": 0.5, **settings})
        run.of, run.symbol = request.param, venue_symbol
        run.until_good()
        until(lambda: run.totals()["orders"] > 0, "orders on a good book")
        yield run
        checksums = run.totals()["checksums_ok"]
        code, _, err = run.end()
        assert code == 0, err
        assert checksums > 0 or run.of not in ("kraken", "okx")
    finally:
        if run is not None:
            run.stop()
        simulator.stop()


def test_gate_closes_for_each_fault_and_opens_again_on_good_data(run):
    for fault, options, cause in (*CLOSING[run.of], *EVERYWHERE):
        fault_row(run, run.symbol, fault, cause, within_s=WITHIN_S.get((run.of, fault), RESYNC_S), **options)
    for form in BAD_NUMBERS[run.of]:
        fault_row(run, run.symbol, "bad_number", REFUSED | SYNCING, form=form)


def test_lawful_oddities_leave_the_gate_open(run):
    for fault, options in (*HARMLESS[run.of], *HARMLESS_EVERYWHERE):
        fault_row(run, run.symbol, fault, options.get("count", 1), expect_closed=False, **options)
    for form in UNKNOWN_WORDS[run.of]:
        fault_row(run, run.symbol, "unknown_word", 1, expect_closed=False, form=form)


def test_halt_of_the_venue_closes_the_gate_and_its_end_opens_it(run):
    run.until_good()
    word, status = HALTS[run.of]
    mark = run.mark_anew()
    run.faults.arm("halt", status=word)
    until(lambda: any(causes & VENUE for _, _, causes, _ in run.gates(mark)), "the halt at the gate", 8)
    run.closes_in_its_event(mark)
    until(lambda: run.instruments()[0]["venue_status"] == status, f"{status.name} in the state page", 5)
    run.faults.disarm("halt")
    until(run.good, "the gate to open again", 8)
    assert run.orders_while_closed(mark) == 0 and run.disturbed(mark) == []


def test_book_comes_back_in_the_way_of_its_venue(run):
    run.until_good()
    before = len(run.faults.state()["rest"]["requests"])
    fault_row(run, run.symbol, "drop_all", SYNCING)
    asked = [r for r in run.faults.state()["rest"]["requests"][before:] if "/market/books" in r["path"]]
    state = run.instruments()[0]
    if run.of == "okxrest":
        assert 1 <= len(asked) <= 3 and asked[-1]["query"]["instId"] == run.symbol
    else:
        assert asked == [], "expected the stream's own snapshot to do"
    if run.of == "kraken":
        assert state["bid_levels"] <= 10 and state["ask_levels"] <= 10, "expected a book that is cut to its depth"
