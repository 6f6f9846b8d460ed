"""Keeping the path warm while nothing comes: a shadow engine that takes canned frames in idle turns.

The first frame after a pause pays for cache lines and address translations that others have pushed out meanwhile: on a
shared machine about ten times the warm figure. The shadow has the engine's code and nothing of its memory: its own ring,
books, orders and simulated venue, which nobody reads. It decides nothing, so nothing of it is journaled.
"""
from decimal import Decimal

from tickpath.engine import Engine
from tickpath.session import Session
from tickpath.shm.ring import EventWriter
from tickpath.trading.loader import BUILT_IN_STRATEGIES

SHADOW_RING_SLOTS = 1024
NO_LIMIT = 4 * 10 ** 18
ORDER_LOTS, OFFSET_TICKS, MID_TICKS = 1000, 5, 100_000


def attach_shadow(session, spec, paper):
    """Give a Session its shadow; returns how many idle turns warm all of it.

    Parameters: spec : as of `engine_spec`.  paper : as of `paper_spec`.
    """
    instrument = {**spec["instruments"][0], "min_notional_ticklots": 0, "max_order_qty_lots": NO_LIMIT, "qty_step_lots": 1,
                  "max_order_notional_ticklots": NO_LIMIT, "max_position_notional_ticklots": NO_LIMIT,
                  "price_collar_e2_bps": 10 ** 6, "max_open_orders": 1024, "l3_orders": 0}
    # A Python strategy would run user code that nobody asked for; a compiled one is part of the path.
    strategies = [{**s, "instrument": 0} for s in spec["strategies"] if s["kind"] in BUILT_IN_STRATEGIES][:15]
    strategies.append({"name": "warming", "kind": "every_event", "instrument": 0,
                       "parameters": {"order_qty_lots": ORDER_LOTS, "offset_ticks": OFFSET_TICKS}})
    shadow_spec = {**spec, "instruments": [instrument], "strategies": strategies, "max_orders_per_min": 65536,
                   "max_data_age_ns": NO_LIMIT, "consolidated": ()}    # it has one instrument, whoever else quotes it
    shadow = Session(Engine(shadow_spec, EventWriter.local(SHADOW_RING_SLOTS)), paper)
    snapshot, *canned = canned_frames(instrument)
    shadow.on_frame(snapshot, 0, 0)
    session.shadow(shadow, canned)
    return len(canned)


def canned_frames(instrument):
    """A snapshot, and one frame of each kind for this instrument, on its grid (Binance text). The book takes the depth update
    once and drops it as old from then on; the report is of an order that nobody knows."""
    tick, lot = Decimal(instrument["tick_size"]), Decimal(instrument["lot_size"])
    bid, ask, qty = (f"{v:f}" for v in (MID_TICKS * tick, (MID_TICKS + 1) * tick, 10 ** 6 * lot))
    symbol = instrument["venue_symbol"]
    ms = 1_700_000_000_000

    def stream(name, data):
        return f'{{"stream":"{symbol.lower()}@{name}","data":{{{data}}}}}'.encode()
    return [
        f'{{"lastUpdateId":1,"bids":[["{bid}","{qty}"]],"asks":[["{ask}","{qty}"]]}}'.encode(),
        stream("bookTicker", f'"u":1,"s":"{symbol}","b":"{bid}","B":"{qty}","a":"{ask}","A":"{qty}"'),
        stream("trade", f'"e":"trade","E":{ms},"s":"{symbol}","t":1,"p":"{bid}","q":"{qty}","T":{ms},"m":true,"M":true'),
        stream("aggTrade", f'"e":"aggTrade","E":{ms},"s":"{symbol}","a":1,"p":"{bid}","q":"{qty}","f":1,"l":1,"T":{ms},'
                           '"m":true,"M":true'),
        stream("depth@100ms", f'"e":"depthUpdate","E":{ms},"s":"{symbol}","U":2,"u":2,"b":[["{bid}","{qty}"]],'
                              f'"a":[["{ask}","{qty}"]]'),
        f'{{"e":"executionReport","E":{ms},"s":"{symbol}","c":"tp0","S":"BUY","o":"LIMIT","f":"IOC","q":"{qty}","p":"{bid}",'
        f'"P":"0.00000000","F":"0.00000000","g":-1,"C":"","x":"TRADE","X":"FILLED","r":"NONE","i":1,"l":"{qty}","z":"{qty}",'
        f'"L":"{bid}","n":"0.00000000","N":"USDT","T":{ms},"t":1,"I":1,"w":false,"m":true,"M":false,"O":{ms},'
        f'"Z":"{bid}","Y":"{bid}","Q":"0.00000000","W":{ms}}}'.encode()]
