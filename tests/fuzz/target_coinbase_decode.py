"""The Coinbase decoder: scanner and tape must agree, a refused frame leaves nothing, nothing past the padding is read and what
stands in the padding never matters (exact_venue.pyx). An input is one byte for the padding, then the frame."""
import os
from itertools import islice
from pathlib import Path

from exact_venue import ExactDecoder

from tickpath.capture import read_capture

ROOT = Path(__file__).resolve().parent.parent.parent
CAPTURES = ("cryptofeed_COINBASE_20260809.jsonl.zst", "cryptofeed_COINBASE_EXCHANGE_20210417.jsonl.zst")
TRACE_PYTHON = False
MAX_BYTES = 16384
INSTRUMENTS = [("BTC-USD", "0.01", "0.00000001"), ("ETH-USD", "0.05", "0.0001"), ("SKL-BTC", "0.00000001", "0.1"),
               ("A-LONG-SYMBOL-OF-24BYTES", "0.000000000001", "0.5")]
DICTIONARY = (
    b'{"channel":"l2_data","timestamp":"', b'"channel":"market_trades"', b'"channel":"ticker"', b'"channel":"ticker_batch"',
    b'"channel":"candles"', b'"channel":"status"', b'"channel":"heartbeats"', b'"sequence_num":', b'"events":[{"type":"', b'"type":"snapshot"',
    b'"type":"update"', b'"product_id":"BTC-USD"', b'"product_id":"ETH-USD"', b'"updates":[', b'"trades":[', b'"tickers":[', b'"candles":[',
    b'"products":[', b'{"side":"bid"', b'{"side":"offer"', b'"event_time":"2026-08-09T21:05:48.264069Z"', b'"price_level":"', b'"new_quantity":"',
    b'"},{"side":"', b'"}]}]}', b'"side":"SELL"', b'"side":"BUY"', b'"trade_id":"', b'"best_bid":"', b'"best_ask_quantity":"',
    b'{"type":"l2update"', b'{"type":"match"', b'{"type":"last_match"', b'{"type":"ticker"', b'{"type":"received"', b'{"type":"open"',
    b'{"type":"done"', b'{"type":"change"', b'{"type":"activate"', b'{"type":"status"', b'{"type":"heartbeat"', b'"changes":[["buy","',
    b'["sell","', b'"],["', b'"]]', b'"bids":[', b'"asks":[', b'"sequence":', b'"order_id":"d50ec984-77a8-460a-b958-66f114b0de9b"',
    b'"maker_order_id":"', b'"remaining_size":"', b'"new_size":"', b'"new_price":"', b'"pricebook":{', b'"status":"online"', b'"cancel_only":true',
    b'"time":"2021-04-17T16:43:37.075687Z"', b"1970-01-01T00:00:00Z", b"0.000000000001", b"9999999999.99999999", b"null", b"true", b"[]", b"{}",
    b"\\u0000", b'\\"', b"\xff", b"\0", b"e5", b"[[[[[[[[", b'{"a":{"a":{"a":',
)


def generated():
    """Messages in the text of the feeds, of every kind that the decoder knows."""
    head = b'"timestamp":"2026-08-09T21:05:48.506659391Z","sequence_num":15,"events":['
    base = b'"side":"sell","product_id":"BTC-USD","sequence":10,"order_id":"d50ec984-77a8-460a-b958-66f114b0de9b","time":"2014-11-07T08:19:27.028459Z"}'
    return [
        b'{"channel":"l2_data",' + head + b'{"type":"update","product_id":"BTC-USD","updates":[' + b",".join(
            b'{"side":"%s","event_time":"2026-08-09T21:05:48.264069Z","price_level":"6510%d.5","new_quantity":"0.1%d"}'
            % ((b"bid", b"offer")[k % 2], k, k) for k in range(5)) + b"]}]}",
        b'{"channel":"market_trades",' + head + b'{"type":"update","trades":[{"product_id":"BTC-USD","trade_id":"1068572091","price":"65083.67",'
        b'"size":"0.01034361","time":"2026-08-09T21:05:48.167634Z","side":"SELL"},{"product_id":"ETH-USD","trade_id":"7","price":"1919.5",'
        b'"size":"2","time":"2026-08-09T21:05:48.1Z","side":"BUY"}]}]}',
        b'{"channel":"ticker",' + head + b'{"type":"update","tickers":[{"type":"ticker","product_id":"BTC-USD","price":"65086.18","volume_24_h":"2867",'
        b'"low_24_h":"64675.22","high_24_h":"65252.99","low_52_w":"57717.55","high_52_w":"126296","price_percent_chg_24_h":"-0.09",'
        b'"best_bid":"65083.66","best_ask":"65083.67","best_bid_quantity":"0.20371215","best_ask_quantity":"0.24290402"}]}]}',
        b'{"channel":"candles",' + head + b'{"type":"update","candles":[{"start":"1786309500","high":"1919.6","low":"1919.25","open":"1919.55",'
        b'"close":"1919.4","volume":"36.3663","product_id":"ETH-USD"}]}]}',
        b'{"channel":"status",' + head + b'{"type":"snapshot","products":[{"id":"BTC-USD","status":"online","cancel_only":true}]}]}',
        b'{"channel":"heartbeats",' + head + b'{"current_time":"2026-08-09 21:05:48 +0000 UTC m=+4.2","heartbeat_counter":41691}]}',
        b'{"type":"l2update","product_id":"SKL-BTC","changes":[["sell","0.00001306","660.5"],["buy","0.0000013","0"]],"time":"2021-04-17T16:43:37.075687Z"}',
        b'{"type":"l2update","product_id":"BTC-USD","time":"2022-08-04T15:25:05.010758Z","changes":[["buy","22356.270000","0.00000000"]]}',
        b'{"type":"match","trade_id":280232,"maker_order_id":"2a0da34e-61f7-4c36-88e5-c9dd15927b16","taker_order_id":"3c82abaa-c01e-4608-be59-6a1e69742891",'
        b'"side":"sell","size":"985","price":"0.00001305","product_id":"SKL-BTC","sequence":177100030,"time":"2021-04-17T16:43:37.089723Z"}',
        b'{"type":"ticker","sequence":37475248783,"product_id":"ETH-USD","price":"1285.22","open_24h":"1310.79","volume_24h":"245532.7",'
        b'"low_24h":"1280.52","high_24h":"1313.8","volume_30d":"9788783.6","best_bid":"1285.05","best_bid_size":"0.4669","best_ask":"1285.25",'
        b'"best_ask_size":"1.5664","side":"buy","time":"2022-10-19T23:28:22.061769Z","trade_id":370843401,"last_size":"11.4396987"}',
        b'{"type":"snapshot","product_id":"BTC-USD","asks":[["14.80","12.77"],["15","1"]],"bids":[["14.75","3.10"]]}',
        b'{"type":"open","price":"200.2","remaining_size":"1.00",' + base, b'{"type":"done","reason":"filled",' + base,
        b'{"type":"received","order_type":"limit","size":"1.34","price":"502.1",' + base,
        b'{"type":"change","new_size":"5.2","old_size":"12.2","price":"400.23",' + base,
        b'{"type":"status","products":[{"id":"BTC-USD","status":"online"}],"currencies":[]}', b'{"type":"subscriptions","channels":[]}',
        b'{"bids":[["295.96","4.39088265",2]],"asks":[["295.97","1",1]],"sequence":3}',
        b'{"bids":[["295.96","0.05","3b0f1225-7f84-490b-a29f-0faef9de823a"]],"asks":[],"sequence":3}',
        b'{"pricebook":{"product_id":"ETH-USD","bids":[{"price":"68923.65","size":"0.1718"}],"asks":[],"time":"2026-04-07T00:28:59.662782Z"}}',
        b'[{"id":"BTC-USD","status":"delisted"}]',
    ]


def seeds():
    """One recorded message of each kind and length class where the recordings are at hand, and generated ones of every kind."""
    frames = {}
    folder = Path(os.environ.get("TICKPATH_DATA") or ROOT.parent / "shared" / "data") / "ws" / "coinbase"
    for path in (folder / name for name in CAPTURES):
        if path.exists():
            for frame in islice(read_capture(path), 3000):
                if len(frame.data) <= 2048:
                    frames.setdefault((frame.data[:24], len(frame.data) // 300), frame.data)
    return [b"\0" + data for data in frames.values()] + [b"0" + data for data in generated()] + [b'"' + generated()[0]]


class Target:
    def __init__(self):
        self._decoder = ExactDecoder(INSTRUMENTS, b"tpabc1234567", MAX_BYTES - 256, "coinbase")

    def run(self, data):
        if data:
            # A REST body does not name its instrument: half of the inputs say which.
            self._decoder.check(data[1:], data[0], 0 if data[0] & 1 == 0 else 0xFFFFFFFF)
