"""The OKX decoder: scanner and tape must agree, a refused frame leaves nothing, nothing past the padding is read and what stands
in the padding never matters (exact_venue.pyx). An input is one byte for the padding, then the frame. The seeds are written here
in the text of the recorded captures, which stand under another licence, and of the documentation."""
from exact_venue import ExactDecoder

PREFIX = b"tpabc1234567"
TRACE_PYTHON = False
MAX_BYTES = 16384
INSTRUMENTS = [("BTC-USDT", "0.1", "0.00000001"), ("UNI-USD-SWAP", "0.001", "1"), ("FUN-BTC", "0.000000001", "0.01"),
               ("BTC-USD-210924-66000-C", "0.0005", "1")]
DICTIONARY = (
    b'{"arg":{"channel":"', b'books","instId":"', b'books-l2-tbt","instId":"', b'books50-l2-tbt","instId":"', b'books5","instId":"',
    b'bbo-tbt","instId":"', b'trades","instId":"', b'trades-all","instId":"', b'tickers","instId":"', b'candle1m","instId":"',
    b'candle4Hutc', b'mark-price', b'index-tickers', b'funding-rate', b'open-interest', b'liquidation-orders', b'"channel":"status"',
    b'"channel":"instruments"', b'BTC-USDT"},"action":"update","data":[{"asks":', b'BTC-USDT"},"action":"snapshot","data":[{"asks":',
    b'BTC-USDT"},"data":[{"asks":', b'UNI-USD-SWAP"},"data":[{', b',"bids":', b'[["30243.5","1.2112","0","4"]]', b'["', b'","0","1"],["',
    b'"]]', b"[]", b',"ts":"1652459225453"', b',"checksum":-652563973', b',"checksum":0', b',"seqId":9690930615',
    b',"prevSeqId":9690930615', b',"prevSeqId":-1', b'}]}', b'},{"instId":"', b'","tradeId":"', b'","px":"', b'","sz":"',
    b'","side":"buy","ts":"', b'","side":"sell","ts":"', b',"count":"3"', b',"source":"0"', b'"askPx":""', b'","bidPx":"',
    b'"details":[{', b'"bkPx":"', b'"fundingTime":"1744590349506"', b'"state":"live"', b'"state":"ongoing"', b'"serviceType":"5"',
    b'{"event":"subscribe"', b'"code":"0"', b"pong", b"null", b"true", b"{}", b"1e-05", b"-1", b"-0", b"00", b"0.000000454",
    b"9999999999999999", b"10000000000000000", b"18446744073709551616", b"\\u0030", b'\\"', b"\xff", b"\0", b"[[[[[[[[",
)
ROWS = b",".join(b'["302%02d.%d","%d.0%d","0","%d"]' % (k, k % 10, k, 7 * k + 1, k) for k in range(1, 30))
BOOK = b'{"arg":{"channel":"%s","instId":"BTC-USDT"},%s"data":[{"asks":[%s],"bids":[%s],"ts":"1652459225453"%s}]}'
UPDATE, SNAPSHOT = b'"action":"update",', b'"action":"snapshot",'
TICKER = (b'{"arg":{"channel":"tickers","instId":"UNI-USD-SWAP"},"data":[{"instType":"SWAP","instId":"UNI-USD-SWAP","last":"5.123",'
          b'"lastSz":"100","askPx":"%s","askSz":"%s","bidPx":"5.134","bidSz":"96","open24h":"4.799","high24h":"5.458","low24h":"4.537",'
          b'"sodUtc0":"4.654","sodUtc8":"5.204","volCcy24h":"577730.7823","vol24h":"289425","ts":"1652459223143"}]}')


def element(channel, fields, inst=b"BTC-USDT"):
    return b'{"arg":{"channel":"%s","instId":"%s"},"data":[{"instId":"%s",%s}]}' % (channel, inst, inst, fields)


def seeds():
    trade = b'"tradeId":"130639474","px":"42219.9","sz":"0.12060306","side":"buy","ts":"1630048897897"'
    frames = [
        BOOK % (b"books", UPDATE, b'["30243.5","1.2112","0","4"],["30247.5","0","0","0"]', b'["30175.3","0.06523858","0","12"]',
                b',"checksum":-652563973'),
        BOOK % (b"books", UPDATE, b"", b"", b',"checksum":0,"seqId":9690930615,"prevSeqId":9690930615'),
        BOOK % (b"books-l2-tbt", SNAPSHOT, ROWS, ROWS, b',"checksum":1431042442'),
        BOOK % (b"books50-l2-tbt", SNAPSHOT, ROWS, b"", b',"checksum":0,"prevSeqId":-1,"seqId":9690930615'),
        BOOK % (b"bbo-tbt", b"", b'["8476.9","415","0","13"]', b'["8476.8","256","0","12"]', b',"seqId":123456'),
        BOOK % (b"books5", b"", b'["8476.9","415","0","13"]', b"", b""),
        element(b"trades", trade), element(b"trades-all", trade + b',"count":"3","source":"0","seqId":77'),
        element(b"trades", trade)[:-2] + b',{"instId":"BTC-USDT",' + trade.replace(b"buy", b"sell") + b',"count":"1"}]}',
        element(b"trades", b'"tradeId":"3435655","px":"0.000000454","sz":"11.83","side":"sell","ts":"1626995753055"', b"FUN-BTC"),
        TICKER % (b"5.142", b"25"), TICKER % (b"", b""),
        b'{"arg":{"channel":"candle1m","instId":"BTC-USDT"},"data":[["1597026360000","8533.1","8553.7","8527.2","8548.3","45.2","5",'
        b'"6","1"]]}',
        element(b"mark-price", b'"markPx":"42310.6","ts":"1630049139746"'), element(b"index-tickers", b'"idxPx":"1e-3","ts":"1630049139746"'),
        element(b"funding-rate", b'"fundingRate":"-0.0001","fundingTime":"1744590349506","ts":"1744590349506"'),
        element(b"open-interest", b'"oi":"2216113.01000000309","oiCcy":"1","ts":"1744590349506"'),
        b'{"arg":{"channel":"liquidation-orders","instType":"SWAP"},"data":[{"details":[{"bkPx":"5.1234","side":"buy","sz":"13",'
        b'"ts":"1692266434010"},{"bkPx":"5.123","side":"sell","sz":"1","ts":"1692266434010"}],"instId":"UNI-USD-SWAP"}]}',
        b'{"arg":{"channel":"instruments","instType":"SWAP"},"data":[{"instId":"UNI-USD-SWAP","state":"suspend"},{"instId":"X"}]}',
        b'{"arg":{"channel":"status"},"data":[{"state":"ongoing","serviceType":"5","env":"1","ts":"1597026383085"}]}',
        b'{"event":"subscribe","arg":{"channel":"books","instId":"BTC-USDT"}}', b'{"code":"0","data":[],"msg":""}', b"pong",
    ]
    return [b"\0" + data for data in frames] + [b'"' + frames[0], b"0" + frames[6]]


class Target:
    def __init__(self):
        self._decoder = ExactDecoder(INSTRUMENTS, PREFIX, MAX_BYTES - 256, kind="okx")

    def run(self, data):
        if data:
            self._decoder.check(data[1:], data[0], 0xFFFFFFFF)
