"""The Binance decoder: scanner and simdjson must agree, a refused frame leaves nothing, nothing past the padding is read
and what stands in the padding never matters (exact_frame.pyx). An input is one byte for the padding, then the frame."""
from itertools import islice
from pathlib import Path

from exact_frame import ExactDecoder

from tickpath.capture import read_capture

CAPTURE = Path(__file__).resolve().parent.parent / "golden" / "binance_spot" / "hftbacktest_btcusdt_20240808.gz"
PREFIX = b"tpabc1234567"
TRACE_PYTHON = False
MAX_BYTES = 16384
DICTIONARY = (
    b'"stream":"', b'"data":{', b'{"e":"', b'"e":"trade"', b'"e":"aggTrade"', b'"e":"depthUpdate"', b'"e":"executionReport"',
    b'"e":"kline"', b'"s":"BTCUSDT"', b'"s":"ETHUSDT"', b'"u":', b'"U":', b'"b":[', b'"a":[', b'"b":"', b'"B":"', b'"A":"',
    b'"lastUpdateId":', b'"bids":[', b'"asks":[', b'["1.00","2.0"]', b'["', b'","', b'"],[', b'"]]', b'{}', b"[]", b"null",
    b"true", b"false", b'"m":true,"M":true}', b"}}", b"\\u0000", b'\\"', b"\\", b"\xef\xbb\xbf", b"\xff", b"\0", b"e5",
    b'"result":null', b'"id":1', b'"error":{"code":-1}', b'"event":{', b'"subscriptionId":1,', b'"x":"TRADE"', b'"c":"',
    b'"E":1723161255342', b'"T":1723161255342', b'"t":1', b"1723161255342000", b"[[[[[[[[", b'{"a":{"a":{"a":',
)


def seeds():
    """One recorded message of each kind and length class, generated messages of the kinds that no capture holds."""
    frames = {}
    for frame in islice(read_capture(CAPTURE), 4000):
        data = frame.data
        kind = data[:24]
        if len(data) <= 2048:
            frames.setdefault((kind, len(data) // 300), data)
    generated = [
        b'{"e":"aggTrade","E":1723161255342,"s":"BTCUSDT","a":3512000000,"p":"61000.01000000","q":"0.13500000",'
        b'"f":5123000000,"l":5123000002,"T":1723161255341,"m":true,"M":true}',
        b'{"stream":"btcusdt@aggTrade","data":{"e":"aggTrade","E":1723161255342,"s":"BTCUSDT","a":3512000000,'
        b'"p":"61000.01000000","q":"0.13500000","f":5123000000,"l":5123000000,"T":1723161255341,"m":false,"M":true}}',
        b'{"stream":"btcusdt@depth@100ms","data":{"e":"depthUpdate","E":1723161255342,"s":"BTCUSDT","U":1001,"u":1031,"b":['
        + b",".join(b'["%d.%02d000000","0.1%04d000"]' % (61000, k, k) for k in range(10)) + b'],"a":['
        + b",".join(b'["%d.%02d000000","0.2%04d000"]' % (61001, k, k) for k in range(10)) + b"]}}",
        b'{"e":"executionReport","E":1723161255342,"s":"BTCUSDT","c":"' + PREFIX + b'00001v","S":"BUY","o":"LIMIT","f":"IOC",'
        b'"q":"0.00100000","p":"60999.95000000","P":"0.00000000","F":"0.00000000","g":-1,"C":"","x":"TRADE","X":"FILLED",'
        b'"r":"NONE","i":34293153000,"l":"0.00100000","z":"0.00100000","L":"60999.95000000","n":"0.06100000","N":"USDT",'
        b'"T":1723161255341,"t":4512345678,"I":78641984000,"w":false,"m":true,"M":false,"O":1723161254442,"Z":"61.00000000",'
        b'"Y":"61.00000000","Q":"0.00000000","W":1723161254442}',
        b'{"e":"executionReport","E":1723161255342,"s":"ETHUSDT","c":"x","S":"SELL","C":"' + PREFIX + b'000002",'
        b'"x":"CANCELED","X":"CANCELED","i":7,"l":"0.0","z":"0.0","L":"0.0","n":"0","N":null,"T":1723161255341,"t":-1}',
        b'{"e":"trade","E":1723161255343,"s":"ETHUSDT","t":3735683259,"p":"2683.12","q":"0.02","T":1723161255342000,"m":false,'
        b'"M":true}',
        b'{"lastUpdateId":50093239218,"bids":[["61837.63000000","3.78826000"]],"asks":[]}',
        b'{"u":50093239212,"s":"BTCUSDT","b":"61837.63000000","B":"3.78826000","a":"61837.64000000","A":"1.54698000"}',
        b'{"subscriptionId":0,"event":{"e":"executionReport","E":1}}', b'{"result":null,"id":1}',
        b'{"e":"kline","E":1,"s":"BTCUSDT","k":{"t":1,"o":"1"}}', b'{"id":"x","status":200,"result":{}}',
    ]
    return [b"\0" + data for data in frames.values()] + [b"0" + data for data in generated] + [b'"' + generated[0]]


class Target:
    def __init__(self):
        instruments = [("BTCUSDT", "0.01", "0.000001"), ("ETHUSDT", "0.01", "0.0001")]
        self._decoder = ExactDecoder(instruments, PREFIX, MAX_BYTES - 256)

    def run(self, data):
        if data:
            # A REST snapshot does not name its instrument: half of the inputs say which.
            self._decoder.check(data[1:], data[0], 0 if data[0] & 1 == 0 else 0xFFFFFFFF)
