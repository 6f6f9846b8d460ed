"""Which grid the engine is to follow, and when a venue is asked."""
import http.server
import json
import threading
import time
from decimal import Decimal

import msgspec
import pytest

from tickpath.market.gate import GateCause
from tickpathd import config as c
from tickpathd.grids import GridWanted, GridWatch, wanted_grid
from tickpathd.instruments.facts import InstrumentError, InstrumentFacts

FACTS = InstrumentFacts(venue_kind="binance_spot", symbol="BTC/USDT", venue_symbol="BTCUSDT", ws_symbol="BTCUSDT", base="BTC",
                        quote="USDT", kind="spot", tick_size="0.01", lot_size="0.00000001", order_qty_step="0.00001",
                        min_notional="5", price_decimals=8, qty_decimals=8, status="TRADING")


@pytest.mark.parametrize("lot_now, changes, expected", [
    # As it is: nothing to change.
    ("0.00000001", {}, ((1, 2), (1, 8), 1000, 5 * 10 ** 10)),
    # A finer tick, on which sums no longer fit so fine a lot; a coarser step on the lot that is there.
    ("0.00000001", {"tick_size": "0.001"}, ((1, 3), (1, 7), 100, 5 * 10 ** 10)),
    ("0.0000001", {"tick_size": "0.001", "lot_size": "0.0000001"}, ((1, 3), (1, 7), 100, 5 * 10 ** 10)),
    ("0.00000001", {"order_qty_step": "0.001"}, ((1, 2), (1, 8), 100000, 5 * 10 ** 10)),
    # The venue's lot is coarser than ours, and finer, and neither divides the other.
    ("0.001", {"lot_size": "0.01", "order_qty_step": "0.01"}, ((1, 2), (1, 3), 10, 5 * 10 ** 5)),
    ("0.001", {"lot_size": "0.0001", "order_qty_step": "0.0001"}, ((1, 2), (1, 4), 1, 5 * 10 ** 6)),
    ("0.05", {"lot_size": "0.02", "order_qty_step": "0.02"}, ((1, 2), (1, 2), 2, 5 * 10 ** 4)),
    # A minimum that is no whole number of ticklots is the next one; none is that of the configuration.
    ("1", {"tick_size": "3", "lot_size": "1", "order_qty_step": "1", "min_notional": "5"}, ((3, 0), (1, 0), 1, 2)),
    ("0.001", {"lot_size": "0.001", "order_qty_step": "0.001", "min_notional": ""}, ((1, 2), (1, 3), 1, 7 * 10 ** 5)),
    # Sums would not fit on so fine a lot: it is as at a start.
    ("0.00000001", {"tick_size": "0.000000001", "lot_size": "1", "order_qty_step": "1"}, ((1, 9), (1, 0), 1, 5 * 10 ** 9)),
])
def test_lot_stays_as_fine_as_it_is_and_the_venue_says_the_rest(lot_now, changes, expected):
    found = wanted_grid(msgspec.structs.replace(FACTS, **changes), Decimal(lot_now), "7")
    assert found == GridWanted(*expected, 8, 8)


def test_krakens_lot_is_the_venues_since_its_checksum_is_over_those_digits():
    facts = msgspec.structs.replace(FACTS, venue_kind="kraken", lot_size="0.000001", order_qty_step="0.000001", qty_decimals=6)
    assert wanted_grid(facts, Decimal("0.00000001")).lot == (1, 6)


def test_grid_that_no_lot_makes_right_is_an_error():
    with pytest.raises(InstrumentError, match="expected a tick x lot"):
        wanted_grid(msgspec.structs.replace(FACTS, tick_size="0.000000000000000001"), Decimal("0.00000001"))


class Lists:
    """A venue's REST server with one instrument in its list."""

    def __init__(self):
        self.tick, self.step, self.asked, self.status = "0.01000000", "0.00001000", 0, 200
        lists = self

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_GET(self):
                lists.asked += 1
                body = json.dumps({"symbols": [{
                    "symbol": "BTCUSDT", "status": "TRADING", "baseAsset": "BTC", "baseAssetPrecision": 8, "quoteAsset": "USDT",
                    "quotePrecision": 8, "quoteAssetPrecision": 8, "filters": [
                        {"filterType": "PRICE_FILTER", "tickSize": lists.tick},
                        {"filterType": "LOT_SIZE", "minQty": lists.step, "maxQty": "9000", "stepSize": lists.step},
                        {"filterType": "NOTIONAL", "minNotional": "5.0"}]}]}).encode()
                self.send_response(lists.status)
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *_):
                pass
        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.thread = threading.Thread(target=self.server.serve_forever, daemon=True)
        self.thread.start()
        self.url = f"http://127.0.0.1:{self.server.server_address[1]}"

    def close(self):
        self.server.shutdown()
        self.server.server_close()


@pytest.fixture
def lists():
    lists = Lists()
    yield lists
    lists.close()


ROW = {"tick_mantissa": 1, "tick_scale": 2, "lot_mantissa": 1, "lot_scale": 8, "qty_step_lots": 1000,
       "min_notional_ticklots": 5 * 10 ** 10, "gate_causes": 0}


def watch(lists, tmp_path, refresh_s=300.0):
    said = []
    settings = c.Venue(kind="binance_spot", rest_url=lists.url, symbols=["BTC/USDT"], instruments_refresh_s=refresh_s)
    item = c.Instrument(venue="v", symbol="BTC/USDT", venue_symbol="BTCUSDT", tick_size="0.01", lot_size="0.00000001",
                        price_decimals=8, qty_decimals=8)
    return GridWatch("v", 0, settings, [(0, item)], tmp_path, said.append), said


def looked(w, now_s, rows, off_grid=0, seconds=5.0):
    """What look() gives at `now_s`, once a request that it has begun has been answered."""
    found = w.look(now_s, rows, off_grid)
    end = time.monotonic() + seconds
    while w.busy and not found and time.monotonic() < end:
        time.sleep(0.005)
        found = w.look(now_s, rows, off_grid)
    assert not w.busy
    return found


def test_list_is_asked_at_intervals_and_only_what_differs_is_sent(lists, tmp_path):
    w, said = watch(lists, tmp_path)
    now_s = time.monotonic()
    assert w.look(now_s, [ROW], 0) == [] and lists.asked == 0
    assert looked(w, now_s + 301, [ROW]) == [] and lists.asked == 1
    assert looked(w, now_s + 302, [ROW]) == [] and lists.asked == 1
    lists.tick = "0.00100000"
    (found,) = looked(w, now_s + 650, [ROW])
    assert found == (0, GridWanted((1, 3), (1, 7), 100, 5 * 10 ** 10, 8, 8)) and lists.asked == 2
    assert said == ["v: BTC/USDT: tick 0.01 -> 0.001, lot 0.00000001 -> 0.0000001, order step 0.00001 -> 0.00001"]


def test_number_off_the_grid_asks_at_once_and_again_while_the_list_lags(lists, tmp_path):
    w, _ = watch(lists, tmp_path)
    now_s = time.monotonic()
    assert looked(w, now_s, [ROW], 3) == [] and lists.asked == 0          # what was refused before we came
    assert looked(w, now_s, [ROW], 4) == [] and lists.asked == 1
    assert looked(w, now_s + 0.1, [ROW], 5) == [] and lists.asked == 1     # not sooner than the pause
    assert looked(w, now_s + 0.6, [ROW], 5) == [] and lists.asked == 2
    lists.tick = "0.00100000"
    assert looked(w, now_s + 1.0, [ROW], 5) == [] and lists.asked == 2
    assert len(looked(w, now_s + 1.7, [ROW], 5)) == 1 and lists.asked == 3


def test_numbers_off_the_grid_for_good_are_asked_about_less_and_less(lists, tmp_path):
    w, _ = watch(lists, tmp_path, refresh_s=60.0)
    start_s = time.monotonic()
    looked(w, start_s, [ROW], 0)
    for tenth in range(1, 1200):
        looked(w, start_s + tenth / 10, [ROW], tenth)
    assert 8 <= lists.asked <= 13                  # of 1,200 frames in two minutes


def test_shut_gate_asks_too(lists, tmp_path):
    w, _ = watch(lists, tmp_path)
    assert looked(w, time.monotonic(), [{**ROW, "gate_causes": int(GateCause.GATE_GRID)}]) == [] and lists.asked == 1


def test_failure_is_said_once_and_kept_tables_move_nothing(lists, tmp_path):
    w, said = watch(lists, tmp_path)
    now_s = time.monotonic()
    lists.tick = "0.00100000"
    assert len(looked(w, now_s + 301, [ROW])) == 1
    # The kept table says 0.001; the engine has been told otherwise since: without an answer nothing is sent.
    lists.status = 404
    for n in range(3):
        assert looked(w, now_s + 650 + 400 * n, [ROW]) == []
    assert sum("trying on" in line for line in said) == 1 and w.counters["failures"] == 3
    lists.status = 200
    assert len(looked(w, now_s + 2000, [ROW])) == 1 and said[-2].endswith("instruments come again")


def test_zero_interval_asks_nothing(lists, tmp_path):
    w, _ = watch(lists, tmp_path, refresh_s=0.0)
    assert w.look(time.monotonic() + 10 ** 6, [ROW], 5) == [] and lists.asked == 0
