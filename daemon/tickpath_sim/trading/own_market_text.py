"""The venue's market messages as bytes, made from the exchange's own book and trades; key order and decimals are the venue's.

    spot    {"e":"depthUpdate","E":1723161255208,"s":"BTCUSDT","U":157,"u":160,"b":[["61837.63000000","3.78826000"]],"a":[]}
    USD-M   {"e":"depthUpdate","E":1723161256299,"T":1723161256298,"s":"BTCUSDT","U":157,"u":160,"pu":156,"b":[…],"a":[…]}

Source of the shapes: recorded messages of both venues, and developers.binance.com "WebSocket Streams", seen 2026-11-22.
"""
from tickpath_sim.trading.candles import next_open_ms
from tickpath_sim.trading.public_answers import change_texts

__all__ = ["SpotText", "UsdmText"]

FLAGS = {True: "true", False: "false"}


def rows_text(rows):
    return ",".join([f'["{price}","{qty}"]' for price, qty in rows])


class SpotText:
    """Parameters: view : MarketView, which knows how many decimals each symbol has."""

    def __init__(self, view):
        self.view = view

    def diff(self, name, now_ms, trade_ms, first, last, before, bids, asks):
        return (f'{{"e":"depthUpdate","E":{now_ms},"s":"{name}","U":{first},"u":{last},"b":[{rows_text(bids)}],'
                f'"a":[{rows_text(asks)}]}}').encode()

    def book_ticker(self, name, now_ms, trade_ms, update_id, bid, ask):
        return (f'{{"u":{update_id},"s":"{name}","b":"{bid[0]}","B":"{bid[1]}","a":"{ask[0]}","A":"{ask[1]}"}}').encode()

    def trade(self, name, now_ms, t):
        view = self.view
        return (f'{{"e":"trade","E":{now_ms},"s":"{name}","t":{t.id},"p":"{view.price_text(name, t.price_e8)}",'
                f'"q":"{view.qty_text(name, t.qty_e8)}","T":{t.time_ms},"m":{FLAGS[t.is_buyer_maker]},"M":true}}').encode()

    def agg_trade(self, name, now_ms, a):
        view = self.view
        return (f'{{"e":"aggTrade","E":{now_ms},"s":"{name}","a":{a.id},"p":"{view.price_text(name, a.price_e8)}",'
                f'"q":"{view.qty_text(name, a.qty_e8)}","f":{a.first_id},"l":{a.last_id},"T":{a.time_ms},'
                f'"m":{FLAGS[a.is_buyer_maker]},"M":true}}').encode()

    def kline(self, name, now_ms, interval, candle, is_closed, offset_ms):
        view, c = self.view, candle
        price, qty, quote = view.price_text, view.qty_text, view.quote_text
        return (f'{{"e":"kline","E":{now_ms},"s":"{name}","k":{{"t":{c.open_ms},'
                f'"T":{next_open_ms(interval, c.open_ms, offset_ms) - 1},"s":"{name}","i":"{interval}","f":{c.first_id},'
                f'"L":{c.last_id},"o":"{price(name, c.open_e8)}","c":"{price(name, c.close_e8)}","h":"{price(name, c.high_e8)}",'
                f'"l":"{price(name, c.low_e8)}","v":"{qty(name, c.volume_e8)}","n":{c.count},"x":{FLAGS[is_closed]},'
                f'"q":"{quote(name, c.quote_e16)}","V":"{qty(name, c.taker_volume_e8)}",'
                f'"Q":"{quote(name, c.taker_quote_e16)}","B":"0"}}}}').encode()

    def mini_ticker(self, name, now_ms, s):
        view = self.view
        price = view.price_text
        return (f'{{"e":"24hrMiniTicker","E":{now_ms},"s":"{name}","c":"{price(name, s.close_e8)}",'
                f'"o":"{price(name, s.open_e8)}","h":"{price(name, s.high_e8)}","l":"{price(name, s.low_e8)}",'
                f'"v":"{view.qty_text(name, s.volume_e8)}","q":"{view.turnover_text(name, s.quote_e16)}"}}').encode()

    def ticker(self, name, now_ms, s, last_qty_e8, bid, ask):
        view = self.view
        price, qty = view.price_text, view.qty_text
        change, percent = change_texts(view, name, s)
        return (f'{{"e":"24hrTicker","E":{now_ms},"s":"{name}","p":"{change}","P":"{percent}",'
                f'"w":"{price(name, s.average_e8)}","x":"{price(name, s.before_e8 or s.open_e8)}",'
                f'"c":"{price(name, s.close_e8)}","Q":"{qty(name, last_qty_e8)}","b":"{bid[0]}","B":"{bid[1]}",'
                f'"a":"{ask[0]}","A":"{ask[1]}",{self._window(name, s)}}}').encode()

    def window_ticker(self, name, now_ms, size, s):
        view = self.view
        price = view.price_text
        change, percent = change_texts(view, name, s)
        return (f'{{"e":"{size}Ticker","E":{now_ms},"s":"{name}","p":"{change}","P":"{percent}","o":"{price(name, s.open_e8)}",'
                f'"h":"{price(name, s.high_e8)}","l":"{price(name, s.low_e8)}","c":"{price(name, s.close_e8)}",'
                f'"w":"{price(name, s.average_e8)}","v":"{view.qty_text(name, s.volume_e8)}",'
                f'"q":"{view.turnover_text(name, s.quote_e16)}","O":{s.open_ms},"C":{s.close_ms},"F":{s.first_id},'
                f'"L":{s.last_id},"n":{s.count}}}').encode()

    def _window(self, name, s):
        view = self.view
        price = view.price_text
        return (f'"o":"{price(name, s.open_e8)}","h":"{price(name, s.high_e8)}","l":"{price(name, s.low_e8)}",'
                f'"v":"{view.qty_text(name, s.volume_e8)}","q":"{view.turnover_text(name, s.quote_e16)}","O":{s.open_ms},'
                f'"C":{s.close_ms},"F":{s.first_id},"L":{s.last_id},"n":{s.count}')

    def avg_price(self, name, now_ms, price_e8, trade_ms):
        return (f'{{"e":"avgPrice","E":{now_ms},"s":"{name}","i":"5m","w":"{self.view.price_text(name, price_e8)}",'
                f'"T":{trade_ms}}}').encode()


class UsdmText(SpotText):
    """As spot, where USD-M writes the same."""

    def diff(self, name, now_ms, trade_ms, first, last, before, bids, asks):
        return (f'{{"e":"depthUpdate","E":{now_ms},"T":{trade_ms},"s":"{name}","U":{first},"u":{last},"pu":{before},'
                f'"b":[{rows_text(bids)}],"a":[{rows_text(asks)}]}}').encode()

    def book_ticker(self, name, now_ms, trade_ms, update_id, bid, ask):
        return (f'{{"e":"bookTicker","u":{update_id},"s":"{name}","b":"{bid[0]}","B":"{bid[1]}","a":"{ask[0]}","A":"{ask[1]}",'
                f'"T":{trade_ms},"E":{now_ms}}}').encode()

    def trade(self, name, now_ms, t):
        view = self.view
        return (f'{{"e":"trade","E":{now_ms},"T":{t.time_ms},"s":"{name}","t":{t.id},"p":"{view.price_text(name, t.price_e8)}",'
                f'"q":"{view.qty_text(name, t.qty_e8)}","X":"MARKET","m":{FLAGS[t.is_buyer_maker]}}}').encode()

    def agg_trade(self, name, now_ms, a):
        view = self.view
        return (f'{{"e":"aggTrade","E":{now_ms},"a":{a.id},"s":"{name}","p":"{view.price_text(name, a.price_e8)}",'
                f'"q":"{view.qty_text(name, a.qty_e8)}","f":{a.first_id},"l":{a.last_id},"T":{a.time_ms},'
                f'"m":{FLAGS[a.is_buyer_maker]}}}').encode()

    def ticker(self, name, now_ms, s, last_qty_e8, bid, ask):
        view = self.view
        price = view.price_text
        change, percent = change_texts(view, name, s)
        return (f'{{"e":"24hrTicker","E":{now_ms},"s":"{name}","p":"{change}","P":"{percent}",'
                f'"w":"{price(name, s.average_e8)}","c":"{price(name, s.close_e8)}","Q":"{view.qty_text(name, last_qty_e8)}",'
                f'{self._window(name, s)}}}').encode()

    def mark_price(self, name, now_ms, mark_e8, index_e8, estimated_e8, rate_e8, next_funding_ms):
        """`rate_e8`: the funding rate, a fraction of 1e-8."""
        sign, rate = ("-", -rate_e8) if rate_e8 < 0 else ("", rate_e8)
        mark, index, estimated = (f"{value // 10**8}.{value % 10**8:08d}" for value in (mark_e8, index_e8, estimated_e8))
        return (f'{{"e":"markPriceUpdate","E":{now_ms},"s":"{name}","p":"{mark}","P":"{estimated}","i":"{index}",'
                f'"r":"{sign}{rate // 10**8}.{rate % 10**8:08d}","T":{next_funding_ms}}}').encode()
