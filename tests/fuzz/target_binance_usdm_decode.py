"""The decoder of Binance futures and the binary frames of its spot market: scanner and general way must agree, a refused frame
leaves nothing, nothing past the padding is read and what stands in the padding never matters (exact_frame.pyx).

An input is one byte for the padding, whose second bit says which market, then the frame.
"""
import os
import struct
from itertools import islice
from pathlib import Path

from exact_frame import ExactDecoder

from tickpath.capture import read_capture

ROOT = Path(__file__).resolve().parent.parent.parent
CAPTURES = ("binance_usdm/cryptofeed_BINANCE_FUTURES_20210722.jsonl.zst", "binance_coinm/cryptofeed_BINANCE_DELIVERY_20210722.jsonl.zst")
PREFIX = b"tpabc1234567"
TRACE_PYTHON = False
MAX_BYTES = 16384
FUTURES = [("BTCUSDT", "0.1", "0.001"), ("SUSHIUSDT", "0.001", "1"), ("CTKUSDT", "0.00001", "1"), ("BCHUSD_PERP", "0.01", "1"),
           ("XUSDT", "0.0000000001", "1"), ("ODDUSDT", "0.25", "5")]
SPOT = [("BTCUSDT", "0.01", "0.000001"), ("ODDUSDT", "0.25", "5"), ("XUSDT", "0.000000000001", "1000000000000")]
DICTIONARY = (
    b'{"stream":"', b'"data":{', b'{"e":"bookTicker","u":', b'"e":"trade"', b'"e":"aggTrade"', b'"e":"depthUpdate"', b'"e":"kline"',
    b'"e":"markPriceUpdate"', b'"e":"forceOrder"', b'"e":"contractInfo"', b'"openInterest":"', b'"s":"BTCUSDT"', b'"ps":"BCHUSD",', b'"pu":',
    b'"X":"MARKET"', b'"X":"NA"', b'"nq":"', b'"k":{', b'"o":{', b'"cs":"TRADING"', b'"r":"', b'btcusdt@depth5', b'btcusdt@rpiDepth@500ms',
    b'"lastUpdateId":', b'"bids":[', b'"asks":[', b'["1.0","2.0"]', b'["', b'","', b'"],["', b'"]]', b'"time":1', b"}}", b'"T":1723161255342',
    b'"E":1723161255342', b"[{", b"},{", b"}]", b'"0.00"', b'"0"', b"\x12\0\x10\x27\1\0\0\0", b"\x32\0\x11\x27\1\0\0\0", b"\x12\0\x12\x27\1\0\0\0",
    b"\x1a\0\x13\x27\1\0\0\0", b"\xf8\xf8", b"\x07BTCUSDT", b"\x10\0\2\0", b"\x19\0\1\0\0\0",
)


def binary_frames():
    us, price, qty, symbol = 1723161255343123, 6183763000000, 378826000, b"\x07BTCUSDT"
    level = struct.pack("<qq", price, qty)
    side = struct.pack("<HH", 16, 2) + level + level
    return [
        struct.pack("<4H", 18, 10000, 1, 0) + struct.pack("<qqbb", us, us, -8, -8) + struct.pack("<HI", 25, 2)
        + (struct.pack("<q", 7) + level + b"\1") * 2 + symbol,
        struct.pack("<4H", 50, 10001, 1, 0) + struct.pack("<qqbb", us, 9, -8, -8) + level + level + symbol,
        struct.pack("<4H", 18, 10002, 1, 0) + struct.pack("<qqbb", us, 9, -8, -8) + side + side + symbol,
        struct.pack("<4H", 30, 10003, 1, 1) + struct.pack("<qqqbb", us, 8, 9, -8, -8) + b"more" + side + side + symbol + b"behind",
    ]


def seeds():
    """One recorded message of each kind and length class, where the recordings are at hand, and generated ones of every kind."""
    frames = {}
    for name in CAPTURES:
        path = Path(os.environ.get("TICKPATH_DATA") or ROOT.parent / "shared" / "data") / "ws" / name
        for frame in islice(read_capture(path), 1500) if path.exists() else ():
            if len(frame.data) <= 2048:
                frames.setdefault((frame.data[:20], len(frame.data) // 300), frame.data)
    generated = [
        b'{"stream":"btcusdt@bookTicker","data":{"e":"bookTicker","u":5123107839020,"s":"BTCUSDT","b":"61800.20","B":"2.507","a":"61800.30",'
        b'"A":"2.510","T":1723161256313,"E":1723161256313}}',
        b'{"u":167006084895,"e":"bookTicker","s":"BCHUSD_PERP","ps":"BCHUSD","b":"427.84","B":"24","a":"427.90","A":"669","T":1626916403864,"E":1626916403871}',
        b'{"e":"trade","E":1723161256322,"T":1723161256322,"s":"BTCUSDT","t":5266583935,"p":"61800.30","q":"0.006","X":"MARKET","m":false}',
        b'{"e":"trade","E":1723161256322,"T":1723161256322,"s":"BTCUSDT","t":5266583935,"p":"0","q":"0","X":"NA","m":false}',
        b'{"e":"aggTrade","E":1626992741575,"a":16599292,"s":"CTKUSDT","p":"1.01100","q":"10","nq":"9","f":23961322,"l":23961322,"T":1626992741421,"m":false}',
        b'{"stream":"btcusdt@depth@0ms","data":{"e":"depthUpdate","E":1723161256299,"T":1723161256298,"s":"BTCUSDT","U":5123107832006,"u":5123107837557,'
        b'"pu":5123107831937,"b":[["58710.20","0.014"],["61496.50","0.010"]],"a":[["61510.90","0.000"]]}}',
        b'{"stream":"btcusdt@depth5","data":{"e":"depthUpdate","E":1571889248277,"T":1571889248276,"s":"BTCUSDT","U":5,"u":9,"pu":4,"b":[["7403.8","1"]],"a":[]}}',
        b'{"e":"kline","E":1638747660000,"s":"BTCUSDT","k":{"t":1638747660000,"T":1638747719999,"s":"BTCUSDT","i":"1m","f":100,"L":200,"o":"61800.1",'
        b'"c":"61800.2","h":"61800.5","l":"61800.0","v":"1000","n":100,"x":true,"q":"1.0","V":"500","Q":"0.5","B":"0"}}',
        b'{"stream":"!markPrice@arr","data":[{"e":"markPriceUpdate","E":1562305380000,"s":"BTCUSDT","p":"11794.15","i":"11784.62","P":"11784.25","r":"-0.00038167",'
        b'"T":1562306400000},{"e":"markPriceUpdate","E":1562305380000,"s":"NONE","p":"1","i":"","P":"","r":"","T":0}]}',
        b'{"e":"forceOrder","E":1568014460893,"o":{"s":"BTCUSDT","S":"SELL","o":"LIMIT","q":"0.014","p":"9910","T":1568014460893}}',
        b'{"e":"contractInfo","E":1669356423908,"s":"BTCUSDT","ps":"BTCUSDT","ct":"PERPETUAL","cs":"TRADING","bks":[{"bs":1,"mmr":0.01}]}',
        b'{"openInterest":"10659.509","symbol":"BTCUSDT","time":1589437530011}', b'{"result":null,"id":1}',
        b'{"lastUpdateId":5123107852948,"E":1723161256501,"T":1723161256493,"bids":[["61800.20","2.909"]],"asks":[["61800.30","5"]]}',
    ]
    spot = [b'{"stream":"btcusdt@depth5","data":{"lastUpdateId":160,"bids":[["61837.63000000","3.78826000"]],"asks":[["61837.64000000","1.54698000"]]}}']
    return ([b"\0" + data for data in frames.values()] + [b"0" + data for data in generated]
            + [b"2" + data for data in binary_frames() + spot])


class Target:
    def __init__(self):
        self._futures = ExactDecoder(FUTURES, PREFIX, MAX_BYTES - 256, "binance_usdm")
        self._spot = ExactDecoder(SPOT, PREFIX, MAX_BYTES - 256, "binance_spot")

    def run(self, data):
        if data:
            # A REST snapshot does not name its instrument: half of the inputs say which.
            decoder = self._spot if data[0] & 2 else self._futures
            decoder.check(data[1:], data[0], 0 if data[0] & 1 == 0 else 0xFFFFFFFF)
