"""Instruments of any exchange through ccxt: its markets, asked of a worker process, so that ccxt is never imported here.

    [{"id": "BTCUSDT", "symbol": "BTC/USDT", "base": "BTC", "quote": "USDT", "type": "spot", "active": true, "precisionMode": 4,
      "precision": {"price": "0.01", "amount": "0.00001", "base": "1e-8"}, "limits": {"amount": {"min": …}, "cost": {…}}}, …]

Fields and precision modes: github.com/ccxt/ccxt, wiki Manual, "Market structure" and "Precision mode" (ccxt 4.5.90, seen
2026-11-21). ccxt says `active` true, false or nothing: a listed market of which it says nothing is taken for trading.
"""
import json
import subprocess
import sys

from tickpathd.instruments import facts as f

KINDS = ("spot", "swap", "future", "option")
DECIMAL_PLACES, SIGNIFICANT_DIGITS, TICK_SIZE = 2, 3, 4
ANSWER_S = 90.0
SYMBOL_BYTES_MAX = 24             # market/instruments.pxd


def is_ccxt(venue_kind):
    return venue_kind.startswith("ccxt:")


def rest_url(venue_kind):
    """What stands for the server of an exchange that ccxt knows: where its table is kept under."""
    return venue_kind


def ask(venue_kind, server, kinds, *, ca_file="", ccxt_options=None):
    """[(where, body)] of a worker that loads the markets. server: another REST server than the exchange's own, or rest_url's.

    Errors: InstrumentError with the worker's own line.
    """
    asked = {"id": venue_kind.removeprefix("ccxt:"), "rest_url": "" if is_ccxt(server) else server, "ca_file": ca_file,
             "options": ccxt_options or {}, "kinds": list(kinds)}
    try:
        done = subprocess.run([sys.executable, "-m", "tickpathd.ccxt_markets", json.dumps(asked)], stdin=subprocess.DEVNULL,
                              capture_output=True, timeout=ANSWER_S)
    except subprocess.TimeoutExpired:
        raise f.InstrumentError(f"{venue_kind} instruments: expected the markets within {ANSWER_S:.0f} s, found none") from None
    if done.returncode:
        said = done.stderr.decode(errors="backslashreplace").strip().splitlines()
        raise f.InstrumentError(f"{venue_kind} instruments: {said[-1][:500] if said else f'exit code {done.returncode}'}")
    return [(server, done.stdout)]


def parse(venue_kind, body):
    """InstrumentTable of what `ask` returned. Raises BodyError."""
    data = f.decode_body(body, venue_kind)
    if not isinstance(data, list):
        raise f.BodyError(f"{venue_kind} instruments: expected a list of markets, found {type(data).__name__}")
    return f.parse_each(data, lambda item: item.get("symbol"), lambda item: _one(venue_kind, item))


def _one(venue_kind, item):
    symbol, kind = f.text_of(item, "symbol"), f.text_of(item, "type")
    if kind not in KINDS:
        raise f.OddInstrument(f"type: expected one of {list(KINDS)}, found {kind!r}")
    if len(symbol.encode()) > SYMBOL_BYTES_MAX:
        raise f.OddInstrument(f"symbol: expected at most {SYMBOL_BYTES_MAX} bytes, found {symbol!r}")
    precision, limits = item["precision"], item["limits"]
    mode = item["precisionMode"]
    step = _increment(precision.get("amount"), mode, "amount precision")
    # The book may show quantities of an older, finer step than orders must keep today.
    written = _increment(precision["base"], mode, "base precision") if precision.get("base") else step
    tick, lot = _increment(precision.get("price"), mode, "price precision"), f.finer(step, written)
    active = item.get("active")
    return f.InstrumentFacts(
        venue_kind=venue_kind, symbol=symbol, venue_symbol=f.text_of(item, "id"), ws_symbol=symbol, base=f.text_of(item, "base"),
        quote=f.text_of(item, "quote"), settle=item.get("settle") or "", kind=kind, linear=bool(item.get("linear")),
        inverse=bool(item.get("inverse")), contract_size=f.increment(item.get("contractSize") or 1, "contractSize"),
        tick_size=tick, lot_size=lot, order_qty_step=step,
        min_qty=f.limit(limits["amount"]["min"], "least amount"), max_qty=f.limit(limits["amount"]["max"], "greatest amount"),
        min_notional=f.limit(limits["cost"]["min"], "least cost"), max_notional=f.limit(limits["cost"]["max"], "greatest cost"),
        price_decimals=f.decimals_of(tick), qty_decimals=f.decimals_of(lot),
        status="HALTED" if active is False else "TRADING", venue_status="" if active is None else str(active).lower(),
        expiry_ns=f.milliseconds(item.get("expiry"), "expiry"), strike=item.get("strike") or "",
        option_side=item.get("optionType") or "")


def _increment(text, mode, what):
    if text is None:
        raise f.OddInstrument(f"{what}: expected one, found none: give the instrument an [[instruments]] entry")
    if mode == TICK_SIZE:
        return f.increment(text, what)
    if mode == DECIMAL_PLACES:
        return f.power_of_ten(int(f.Decimal(text)), what)
    raise f.OddInstrument(f"{what}: expected an increment or decimals, found significant digits: give the instrument an "
                          "[[instruments]] entry")
