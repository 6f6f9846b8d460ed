"""`tickpath book` on captures of single orders: made up, since no recording of such a channel exists."""
import json

import pytest

from l3_venues import CoinbaseFull, KrakenLevel3
from tickpathd.capture_tools import decode_counts, rebuild_books


def written(path, records):
    """A capture of records (kind, data bytes, more)."""
    lines = [json.dumps({"t": "header", "ts": 0.0})]
    for n, (kind, data, more) in enumerate(records):
        lines.append(json.dumps({"t": kind, "conn": "c.ws.1", "ts": 1700000000 + n / 1000, "data": data.decode(), **more}))
    path.write_text("\n".join(lines) + "\n")
    return path


@pytest.fixture
def kraken(tmp_path):
    venue = KrakenLevel3()
    ack = b'{"method":"subscribe","result":{"channel":"level3","depth":10,"snapshot":true,"symbol":"BTC/USD"},"success":true}'
    frames = [ack, venue.snapshot(), *(venue.update() for _ in range(500))]
    return venue, [("recv", frame, {}) for frame in frames], tmp_path / "kraken.jsonl"


def test_kraken_book_is_rebuilt_from_orders_and_every_checksum_holds(kraken):
    venue, records, path = kraken
    found = rebuild_books("kraken", written(path, records))["BTC/USD"]
    assert (found["checksums_ok"], found["checksums_bad"], found["state"], found["orders_unknown"]) == (501, 0, "GOOD", 0)
    assert found["orders"] == len(venue.orders.where) and found["updates"] == 501
    (bid, bid_lots, _), (ask, ask_lots, _) = (venue.orders.best(side) for side in range(2))
    assert (found["best_bid"], found["best_ask"]) == (f"{bid / 10:.1f}", f"{ask / 10:.1f}")
    assert (found["best_bid_qty"], found["best_ask_qty"]) == (f"{bid_lots / 1e8:.8f}", f"{ask_lots / 1e8:.8f}")
    assert decode_counts("kraken", path)["errors"] == 0


def test_lost_message_shows_in_the_checksum_and_the_book_stays_lost(kraken):
    _, records, path = kraken
    del records[100]
    found = rebuild_books("kraken", written(path, records))["BTC/USD"]
    assert found["checksums_bad"] == 1 and found["state"] == "SYNCING"


def test_coinbase_book_is_rebuilt_from_a_request_and_the_full_channel(tmp_path):
    venue = CoinbaseFull()
    before = [("recv", venue.update(), {}) for _ in range(20)]
    url = "https://api.exchange.coinbase.com/products/BTC-USD/book?level=3"
    snapshot = ("http", venue.snapshot(), {"url": url})
    records = [*before, snapshot, *(("recv", venue.update(), {}) for _ in range(500))]
    found = rebuild_books("coinbase", written(tmp_path / "coinbase.jsonl", records))["BTC-USD"]
    assert (found["state"], found["gaps"], found["last_update_id"]) == ("GOOD", 0, venue.sequence)
    assert found["orders"] == len(venue.orders.where)
    assert found["best_bid"] == f"{venue.orders.best(0)[0] / 100:.2f}"
    del records[300]
    assert rebuild_books("coinbase", written(tmp_path / "gap.jsonl", records))["BTC-USD"]["gaps"] == 1
