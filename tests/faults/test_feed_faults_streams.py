"""The faults of venues whose streams open with a snapshot, each with the proof that venue gives: Kraken's checksum, OKX's and Bybit's
counters, the sequence of Coinbase's connection. A whole daemon on the venue simulator, one run a venue."""
import time

import pytest
from feed_harness import LiveRun, Simulator, closed_and_reopened, closed_s

from process_harness import ROOT, until
from tickpath.market.gate import GateCause

CAPTURES = ROOT.parent / "shared" / "data" / "ws"
# From the fault's end. Coinbase opens a stream with 46,000 levels, which the simulator takes its time to write.
RESYNC_S = {"kraken": 2.0, "okx": 2.0, "bybit": 2.0, "coinbase": 6.0}
VENUES = {
    "kraken": ("kraken/kraken_v2_book10_BTCUSD_20260719T1754.jsonl.gz", "BTC/USD", "BTC/USD", {"depth": 10}),
    "okx": ("okx/cryptofeed_OKX_20220513.jsonl.zst", "BTC/USDT", "BTC-USDT", {}),
    "bybit": ("bybit/cryptofeed_BYBIT_20260809.jsonl.zst", "BTC/USDT", "BTCUSDT", {"ws_path": "/v5/public/spot", "depth": 200}),
    "coinbase": ("coinbase/cryptofeed_COINBASE_20260809.jsonl.zst", "BTC/USD", "BTC-USD", {}),
}
CLOSING = {
    "kraken": [("drop_diff", {}, GateCause.GATE_CHECKSUM), ("checksum_flip", {}, GateCause.GATE_CHECKSUM)],
    "okx": [("drop_diff", {}, GateCause.GATE_GAP), ("checksum_flip", {}, GateCause.GATE_CHECKSUM)],
    "bybit": [("drop_diff", {}, GateCause.GATE_GAP)],
    "coinbase": [("drop_diff", {}, GateCause.GATE_GAP)],
}
EVERYWHERE = [("drop_all", {}, GateCause.GATE_SYNCING), ("silent", {"seconds": 1.5}, GateCause.GATE_FEED),
              ("bad_number", {"form": "cut_json"}, GateCause.GATE_REFUSED | GateCause.GATE_SYNCING),
              ("crossed", {"count": 1}, GateCause.GATE_CROSSED)]
HARMLESS = {
    "kraken": [("swapped_keys", {"count": 10})],
    "okx": [("zero_checksum", {"count": 5}), ("sequence_reset", {}), ("swapped_keys", {"count": 10})],
    "bybit": [("reset_u1", {}), ("duplicate_diff", {"count": 3}), ("swapped_keys", {"count": 10})],
    "coinbase": [("swapped_keys", {"count": 10})],
}


@pytest.mark.parametrize("venue", VENUES)
def test_gate_closes_for_each_fault_and_opens_again_on_good_data(venue, tmp_path):
    capture, symbol, venue_symbol, settings = VENUES[venue]
    if not (CAPTURES / capture).exists():
        pytest.skip(f"recording absent: shared/data/ws/{capture} beside the checkout")
    simulator = Simulator(venue, CAPTURES / capture, "--speed", "4")
    run = None
    try:
        run = LiveRun(simulator, venue, [symbol], tmp_path, f"stream{venue}", **settings)
        run.until_good()
        until(lambda: run.totals()["orders"] > 0, "orders on a good book")
        run.proven(venue_symbol)
        for fault, options, cause in (*CLOSING[venue], *EVERYWHERE):
            run.until_good()
            mark = run.mark()
            run.faults.arm(fault, **options)
            gates = closed_and_reopened(run, mark)
            assert any(causes & cause for _, _, causes, _ in gates), (fault, gates)
            assert run.orders_while_closed(mark) == 0, fault
            assert closed_s(gates) < RESYNC_S[venue] + options.get("seconds", 0), (fault, gates)
            run.proven(venue_symbol)
        for fault, options in HARMLESS[venue]:
            run.until_good()
            mark = run.mark()
            run.faults.arm(fault, **options)
            wanted = options.get("count", 1)
            until(lambda f=fault, n=wanted: len(run.faults.log(f)) >= n, f"{fault} on the wire")
            time.sleep(0.2)
            assert run.gates(mark) == [], fault
            run.proven(venue_symbol)
        code, result, err = run.end()
        assert code == 0, err
        assert result["totals"]["checksums_ok"] > 0 or venue not in ("kraken", "okx")
    finally:
        if run is not None:
            run.stop()
        simulator.stop()
