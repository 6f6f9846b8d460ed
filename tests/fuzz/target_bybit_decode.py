"""The Bybit decoder: scanner and tape must agree, a refused frame leaves nothing, nothing past the padding is read and what
stands in the padding never matters (exact_venue.pyx). An input is one byte for the padding, then the frame. The seeds are written
here in the text of the recorded capture, which stands under another licence, and of the documentation."""
from exact_venue import ExactDecoder

PREFIX = b"tpabc1234567"
TRACE_PYTHON = False
MAX_BYTES = 16384
INSTRUMENTS = [("BTCUSDT", "0.10", "0.000001"), ("ETHUSDT", "0.01", "0.00001"), ("DOGEUSDT", "0.00001", "1"),
               ("1000000BABYDOGEUSDT", "0.0000001", "100")]
DICTIONARY = (
    b'{"topic":"orderbook.', b'{"topic":"publicTrade.', b'{"topic":"tickers.', b'{"topic":"kline.1.', b'{"topic":"allLiquidation.',
    b'{"topic":"liquidation.', b'200.BTCUSDT","type":"delta","ts":', b'50.ETHUSDT","ts":', b',"type":"delta","data":{"s":"',
    b',"type":"snapshot","data":{"s":"', b'","type":"snapshot","ts":', b'"data":{"s":"BTCUSDT","b":', b',"a":', b',"u":1,"seq":',
    b',"u":', b',"seq":7', b'},"cts":1786310818129}', b"}}", b"1786310818130", b'[["65095.30","0.005"]]', b'["', b'","0"],["', b'"]]', b"[]",
    b',"data":[{"T":', b',"s":"BTCUSDT","S":"Sell","v":"', b'"S":"Buy"', b'","p":"', b'","L":"MinusTick","i":"',
    b"a9188a0a-82bc-50de-be60-03eedbe3cdd7", b'","BT":false,"RPI":false,"seq":', b',"BT":true', b',"RPI":true', b'}]}', b'},{"T":',
    b'{"i":"2280000001739247417","T":', b'},{"i":"', b'BTCUSDT","type":"delta","data":{"symbol":"BTCUSDT"', b'},"cs":1,"ts":',
    b',"bid1Price":"', b',"bid1Size":"', b',"ask1Price":"', b',"ask1Size":"', b',"markPrice":"', b',"indexPrice":"', b',"openInterest":"',
    b',"fundingRate":"-', b',"nextFundingTime":"', b',"lastPrice":"', b',"bidPrice":"', b'"x":""', b'"start":', b'"end":', b'"confirm":true',
    b'"updatedTime":', b'"side":"Buy"', b'{"success":true', b'"op":"pong"', b'"retCode":0', b"null", b"{}", b"1e-05", b"-1", b"00", b"0.000000454",
    b"9999999999999999999", b"18446744073709551616", b"\\u0030", b'\\"', b"\xff", b"\0", b"[[[[[[[[",
)
ROWS = b",".join(b'["650%02d.%d0","%d.00%d"]' % (k, k % 10, k, k % 7) for k in range(1, 40))
LINEAR_BOOK = (b'{"topic":"orderbook.200.BTCUSDT","type":"%s","ts":1786310818130,"data":{"s":"BTCUSDT","b":[%s],"a":[%s],"u":%d,'
               b'"seq":753843913870},"cts":1786310818129}')
SPOT_BOOK = (b'{"topic":"orderbook.50.ETHUSDT","ts":1786310816553,"type":"%s","data":{"s":"ETHUSDT","b":[%s],"a":[%s],"u":%d,'
             b'"seq":178477360627},"cts":1786310816504}')
TRADE = (b'{"T":1786310819680,"s":"BTCUSDT","S":"Sell","v":"0.004","p":"65114.20","L":"MinusTick",'
         b'"i":"a9188a0a-82bc-50de-be60-03eedbe3cdd7","BT":false,"RPI":false,"seq":753843954913}')
SPOT_TRADE = (b'{"i":"2280000001739247417","T":1786310821917,"p":"1923.28","v":"0.04537","S":"Sell","seq":178477362706,"s":"ETHUSDT",'
              b'"BT":false,"RPI":false}')
TICKER = (b'{"topic":"tickers.DOGEUSDT","type":"snapshot","data":{"symbol":"DOGEUSDT","price24hPcnt":"-0.006899","lastPrice":"0.07053",'
          b'"markPrice":"0.07055","indexPrice":"0.07056","openInterest":"1391590942","nextFundingTime":"1786320000000",'
          b'"fundingRate":"-0.00005","bid1Price":"0.07053","bid1Size":"307807","ask1Price":"0.07054","ask1Size":"16396",'
          b'"preOpenPrice":""},"cs":340051121752,"ts":1786310818834}')


def seeds():
    linear = b'{"topic":"publicTrade.BTCUSDT","type":"snapshot","ts":1786310819681,"data":[%s]}'
    spot = b'{"topic":"publicTrade.ETHUSDT","ts":1786310821917,"type":"snapshot","data":[%s]}'
    frames = [
        LINEAR_BOOK % (b"delta", b'["65095.30","0.005"],["65094.60","0"]', b'["65116.60","0.076"]', 15076953),
        LINEAR_BOOK % (b"snapshot", ROWS, ROWS, 1), SPOT_BOOK % (b"delta", b"", b'["1928.4","0.03411"]', 56726493),
        SPOT_BOOK % (b"snapshot", b'["1923.2","7.448"]', b"", 56726492),
        b'{"topic":"orderbook.1.1000000BABYDOGEUSDT","type":"delta","ts":1680673821137,"data":{"s":"1000000BABYDOGEUSDT",'
        b'"b":[["0.0012345","1200"]],"a":[],"u":7003306,"seq":50193543147}}',
        linear % TRADE, linear % (TRADE + b"," + TRADE.replace(b"Sell", b"Buy").replace(b',"RPI":false', b"")),
        spot % SPOT_TRADE, spot % (SPOT_TRADE + b',{"i":"17","T":1786310821918,"p":"1923.3","v":"1","S":"Buy","s":"ETHUSDT","BT":true}'),
        TICKER, TICKER.replace(b'"bid1Size":"307807",', b""),
        b'{"topic":"tickers.BTCUSDT","type":"delta","data":{"symbol":"BTCUSDT","bid1Price":"65114.20","bid1Size":"6.054",'
        b'"ask1Price":"65114.30","ask1Size":"10.488"},"cs":753843915209,"ts":1786310818183}',
        b'{"topic":"tickers.BTCUSDT","ts":1786310819126,"type":"snapshot","cs":112488546160,"data":{"symbol":"BTCUSDT",'
        b'"lastPrice":"65140.5","usdIndexPrice":"65091.459221"}}',
        b'{"topic":"kline.1.BTCUSDT","data":[{"start":1786310760000,"end":1786310819999,"interval":"1","open":"65119.9",'
        b'"close":"65114.3","high":"65119.9","low":"65114.2","volume":"1.576","confirm":true}],"ts":1786310818440,"type":"snapshot"}',
        b'{"topic":"allLiquidation.BTCUSDT","type":"snapshot","ts":1739502303204,"data":[{"T":1739502302929,"s":"BTCUSDT","S":"Sell",'
        b'"v":"20","p":"65000.123"}]}',
        b'{"topic":"liquidation.BTCUSDT","type":"snapshot","ts":1703485237953,"data":{"updatedTime":1703485237953,"symbol":"BTCUSDT",'
        b'"side":"Buy","size":"0.003","price":"43511.70"}}',
        b'{"success":true,"ret_msg":"pong","conn_id":"c","req_id":"","op":"ping"}', b'{"retCode":0,"result":{"list":[]}}',
    ]
    return [b"\0" + data for data in frames] + [b"}" + frames[0], b"0" + frames[5]]


class Target:
    def __init__(self):
        self._decoder = ExactDecoder(INSTRUMENTS, PREFIX, MAX_BYTES - 256, kind="bybit")

    def run(self, data):
        if data:
            self._decoder.check(data[1:], data[0], 0xFFFFFFFF)
