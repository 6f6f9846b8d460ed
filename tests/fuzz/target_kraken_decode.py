"""The Kraken decoder, both protocol versions: scanner and tape must agree, a refused frame leaves nothing, nothing past the
padding is read and what stands in the padding never matters (exact_venue.pyx). An input is one byte for the padding, then the
frame. Seeds are written here in the text of the recorded captures, which stand under another licence."""
from exact_venue import ExactDecoder

PREFIX = b"tpabc1234567"
TRACE_PYTHON = False
MAX_BYTES = 16384
INSTRUMENTS = [("BTC/USD", "0.1", "0.00000001"), ("XMR/USD", "0.01", "0.00000001"), ("ADA/XBT", "0.00000001", "0.00000001"),
               ("SHIB/USD", "0.0000000001", "0.00001")]
DICTIONARY = (
    b'{"channel":"book","type":"update","data":[{"symbol":"', b'{"channel":"book","type":"snapshot","data":[{"symbol":"',
    b'{"channel":"trade","type":"update","data":[{"symbol":"', b'{"channel":"ticker","type":"update","data":[{"symbol":"',
    b'"channel":"ohlc"', b'"channel":"level3"', b'"channel":"status"', b'"channel":"instrument"', b'"channel":"heartbeat"',
    b'BTC/USD","bids":[', b'],"asks":[', b'{"price":', b',"qty":', b'},{"price":', b'],"checksum":', b',"timestamp":"',
    b'2026-07-19T17:54:39.768901Z', b'"}]}', b'"},{"symbol":"', b'","side":"buy","price":', b'"sell"', b',"ord_type":"limit"',
    b',"trade_id":1', b'"bid":', b',"bid_qty":', b',"last":', b',"change_pct":-0.51', b',"trades":1', b'"event":"add"', b'"delete"',
    b'"order_id":"OICVDM-VV6DH-2PCM5H"', b'"limit_price":', b'"order_qty":', b'"interval_begin":"', b'"interval":5', b'"pairs":[',
    b'{"a":[["', b'{"b":[["', b'{"as":[["', b'],"bs":[["', b'","1618678133.365913"', b'"],["', b'"]]', b',"c":"', b'"},"book-1000","',
    b'XMR/USD"]', b']},{"b":[["', b',"r"]', b',"s","l",""]', b'"trade","', b'"spread","', b'"ticker","', b'"ohlc-5","', b'"event":"',
    b'"systemStatus"', b"null", b"true", b"{}", b"[]", b"1e-05", b"0.00000000", b"000", b"9999999999", b"\\/", b"\\u002f", b"\xff",
    b"\0", b"[[[[[[[[",
)
V2_BOOK = (b'{"channel":"book","type":"%s","data":[{"symbol":"BTC/USD","bids":[%s],"asks":[%s],"checksum":3906264065,'
           b'"timestamp":"2026-07-19T17:54:39.799885Z"}]}')
LEVELS = b",".join(b'{"price":645%02d.1,"qty":0.%08d}' % (k, k * 7919) for k in range(10))
ROWS = b",".join(b'["0.0000229%02d","%d.87450757","1618678123.48157%d"]' % (k, k, k) for k in range(10))
ORDER = b'{"event":"%s","order_id":"OICVDM-VV6DH-2PCM5H","limit_price":354.1,"order_qty":1e-05,"timestamp":"2023-10-06T18:20:56.506266Z"}'


def seeds():
    frames = [
        V2_BOOK % (b"update", b"", b'{"price":64525.3,"qty":0.00309336}'), V2_BOOK % (b"snapshot", LEVELS, LEVELS),
        V2_BOOK % (b"update", b'{"price":64524.0,"qty":0.00000000},{"price":64521.2,"qty":0.00200000}', b""),
        b'{"channel":"trade","type":"update","data":[{"symbol":"BTC/USD","side":"buy","price":118832.9,"qty":0.00409283,'
        b'"ord_type":"market","trade_id":9622656,"timestamp":"2025-07-23T04:41:46.919844Z"},{"symbol":"XMR/USD","side":"sell",'
        b'"price":354.70,"qty":40.0,"ord_type":"limit","trade_id":9622657,"timestamp":"2025-07-23T04:41:46.919844Z"}]}',
        b'{"channel":"ticker","type":"update","data":[{"symbol":"BTC/USD","bid":83744.2,"bid_qty":0.56251979,"ask":83744.3,'
        b'"ask_qty":0.00044780,"last":83744.3,"volume":3156.84782110,"vwap":84174.6,"low":83163.6,"high":85247.4,"change":-429.3,'
        b'"change_pct":-0.51,"trades":135262,"timestamp":"2026-09-25T17:48:26.844359Z"}]}',
        b'{"channel":"ohlc","type":"update","timestamp":"2023-10-04T16:26:30.524394914Z","data":[{"symbol":"XMR/USD","open":354.1,'
        b'"high":354.2,"low":354.0,"close":354.1,"trades":12,"volume":30927.68066226,"vwap":354.123,'
        b'"interval_begin":"2023-10-04T16:25:00.000000000Z","interval":5,"timestamp":"2023-10-04T16:30:00.000000Z"}]}',
        b'{"channel":"instrument","type":"snapshot","data":{"assets":[{"id":"XMR"}],"pairs":[{"symbol":"EUR/USD","status":"online"},'
        b'{"symbol":"XMR/USD","status":"cancel_only","tick_size":0.01}]}}',
        b'{"channel":"status","type":"update","data":[{"version":"2.0.10","system":"online","api_version":"v2","connection_id":1}]}',
        b'{"channel":"level3","type":"update","data":[{"checksum":2143854316,"symbol":"XMR/USD","bids":[' + ORDER % b"delete"
        + b'],"asks":[' + ORDER % b"add" + b"]}]}",
        b'{"channel":"level3","type":"snapshot","data":[{"symbol":"XMR/USD","checksum":1,"bids":[' + ORDER % b"add" + b'],"asks":[]}]}',
        b'{"channel":"heartbeat"}', b'{"method":"subscribe","result":{"channel":"book","depth":10},"success":true}',
        b'[992,{"b":[["354.15000000","5.00000000","1618678133.365913"]],"c":"2583817756"},"book-1000","XMR/USD"]',
        b'[1360,{"a":[["0.000022900","13355.87450757","1618678123.481570","r"]],"c":"0"},"book-1000","ADA/XBT"]',
        b'[1360,{"as":[' + ROWS + b'],"bs":[' + ROWS + b']},"book-1000","ADA/XBT"]',
        b'[992,{"a":[["354.15000000","5.00000000","1618678145.920470"]]},{"b":[["354.10000000","0.00000000",'
        b'"1618678145.920708"]],"c":"4105471083"},"book-10","XMR/USD"]',
        b'[7,{"b":[["0.0000123457","500000.00001","1618678133.365913"]]},null,"book-25","SHIB/USD"]',
        b'[993,[["354.11000000","0.89594024","1618678142.557535","s","l",""],["354.12000000","1.0","1618678142.557536","b","m",'
        b'"x"]],"trade","XMR/USD"]',
        b'[996,{"a":["355.24000000",27,"27.19106411"],"b":["354.32000000",6,"6.87748868"],"c":["355.23000000","1.20454360"],'
        b'"v":["17858.85261084","33470.74135600"],"p":["355.33503706","349.16721624"],"t":[6481,10283],"l":["340.88000000",'
        b'"333.87000000"],"h":["368.00000000","368.00000000"],"o":["340.88000000","335.21000000"]},"ticker","XMR/USD"]',
        b'[325,["354.32000000","355.24000000","1633053779.916349","0.00917717","0.31670440"],"spread","XMR/USD"]',
        b'[42,["1542057314.748456","1542057360.000000","3586.7","3586.8","3586.6","3586.6","3586.68894","0.03373000",2],"ohlc-5",'
        b'"XMR/USD"]',
        b'{"connectionID":18239578009413566319,"event":"systemStatus","status":"online","version":"1.8.3"}', b'{"event":"heartbeat"}',
    ]
    return [b"\0" + data for data in frames] + [b'"' + frames[0], b"]" + frames[12]]


class Target:
    def __init__(self):
        self._decoder = ExactDecoder(INSTRUMENTS, PREFIX, MAX_BYTES - 256, "kraken")

    def run(self, data):
        if data:
            self._decoder.check(data[1:], data[0], 0xFFFFFFFF)
