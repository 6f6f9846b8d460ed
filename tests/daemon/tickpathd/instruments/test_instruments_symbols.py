"""Names: unified, the venue's, and what people type; unknown ones are told the nearest, ambiguous ones are never guessed."""
import pytest

from tickpathd.instruments.facts import InstrumentFacts, InstrumentTable, SkippedInstrument
from tickpathd.instruments.symbols import AmbiguousSymbol, SymbolMap, UnknownSymbol, kinds_named
from tickpathd.instruments.venues import parse_bodies


def instrument(symbol, venue_symbol, kind="spot", ws_symbol="", **fields):
    pair, _, settle = symbol.partition(":")
    base, quote = pair.split("/")
    return InstrumentFacts(venue_kind="bybit", symbol=symbol, venue_symbol=venue_symbol, ws_symbol=ws_symbol or venue_symbol, base=base,
                           quote=quote, settle=settle.split("-")[0], kind=kind, tick_size="0.1", lot_size="0.001",
                           order_qty_step="0.001", price_decimals=1, qty_decimals=3, status="TRADING", **fields)


TABLE = InstrumentTable((
    instrument("BTC/USDT", "BTCUSDT"), instrument("BTC/USDT:USDT", "BTCUSDT", "swap"), instrument("BTC/USD:BTC", "BTCUSD", "swap"),
    instrument("BTC/USDC:USDC", "BTCPERP", "swap"), instrument("BTC/USDT:USDT-260327", "BTCUSDT-27MAR26", "future"),
    instrument("BTC/USDT:USDT-260327-100000-C", "BTC-27MAR26-100000-C-USDT", "option"), instrument("ETH/USDT", "ETHUSDT"),
    instrument("SOL/USDT:USDT", "SOLUSDT", "swap"), instrument("LUNA/USD", "LUNA2USD", ws_symbol="LUNA2/USD", aliases=("LUNA2/X",)),
    instrument("LUNC/USD", "LUNAUSD", ws_symbol="LUNA/USD", ws_symbol_v1="LUNA/USD1"),
), (SkippedInstrument("ODDUSDT", "tickSize: expected a number"),))
NAMES = SymbolMap(TABLE, "bybit")


@pytest.mark.parametrize("name, symbol", [
    ("BTC/USDT", "BTC/USDT"), ("BTC-USDT", "BTC/USDT"), ("BTC_USDT", "BTC/USDT"), ("BTCUSDT", "BTC/USDT"), ("btcusdt", "BTC/USDT"),
    ("BTC/USDT:USDT", "BTC/USDT:USDT"), ("BTCUSDT-PERP", "BTC/USDT:USDT"), ("BTC-USDT-PERP", "BTC/USDT:USDT"), ("btc/usdt:usdt", "BTC/USDT:USDT"),
    ("BTCUSD-PERP", "BTC/USD:BTC"), ("BTCUSD", "BTC/USD:BTC"), ("BTCPERP", "BTC/USDC:USDC"), ("BTCUSDC-PERP", "BTC/USDC:USDC"),
    ("BTCUSDT-27MAR26", "BTC/USDT:USDT-260327"), ("BTC/USDT:USDT-260327-100000-C", "BTC/USDT:USDT-260327-100000-C"),
    ("SOLUSDT", "SOL/USDT:USDT"), ("LUNA2/X", "LUNA/USD"), ("LUNA/USD1", "LUNC/USD"), ("LUNA2/USD", "LUNA/USD")])
def test_a_name_in_any_accepted_form_means_one_instrument(name, symbol):
    assert NAMES.find(name).symbol == NAMES.unified(name) == symbol


def test_the_unified_name_goes_before_the_venues_and_the_border_asks_exactly():
    assert NAMES.find("LUNA/USD").venue_symbol == "LUNA2USD"
    assert NAMES.from_stream("LUNA/USD").symbol == "LUNC/USD"
    assert NAMES.from_venue("LUNAUSD").symbol == "LUNC/USD"
    with pytest.raises(UnknownSymbol):
        NAMES.from_stream("BTC/USDT")
    with pytest.raises(UnknownSymbol):
        NAMES.from_venue("btcusdt")


def test_a_kind_chooses_between_instruments_of_one_name():
    assert NAMES.find("BTCUSDT", "swap").symbol == NAMES.from_stream("BTCUSDT", "swap").symbol == "BTC/USDT:USDT"
    assert NAMES.from_stream("BTCUSDT", "spot").symbol == "BTC/USDT"
    with pytest.raises(UnknownSymbol):
        NAMES.find("ETHUSDT", "swap")


def test_a_name_of_several_contracts_is_ambiguous_and_names_them():
    both = SymbolMap(InstrumentTable((instrument("X/USDT:USDT", "XUSDT", "swap"), instrument("X/USDT:USDC", "XUSDT2", "swap"))), "okx")
    with pytest.raises(AmbiguousSymbol, match="okx symbol: expected the name of one instrument, found 'XUSDT-PERP', which is "
                                              "X/USDT:USDC, X/USDT:USDT"):
        both.find("XUSDT-PERP")


@pytest.mark.parametrize("name, meant", [("BTC/USTD", "BTC/USDT"), ("BTCUSTD", "BTC/USDT"), ("ETH-USDTT", "ETH/USDT"), ("SOL/USDT", "SOL/USDT:USDT")])
def test_an_unknown_name_is_told_the_nearest_five_at_most(name, meant):
    with pytest.raises(UnknownSymbol) as caught:
        NAMES.find(name)
    assert meant in caught.value.nearest and len(caught.value.nearest) <= 5
    assert str(caught.value) == f"bybit symbol: expected one of {', '.join(caught.value.nearest)}, found {name!r}"


@pytest.mark.parametrize("name", ["", "zzzzzzzzzz", "\x1b[31m", "B" * 10_000])
def test_a_name_unlike_any_other_is_refused_in_one_short_printable_line(name):
    with pytest.raises(UnknownSymbol) as caught:
        NAMES.find(name)
    assert caught.value.nearest == () and "expected one of its 10 instruments" in str(caught.value)
    assert str(caught.value).isprintable() and len(str(caught.value)) < 200


def test_a_skipped_instrument_says_why_it_is_not_there():
    with pytest.raises(UnknownSymbol, match="expected an instrument that can be traded, found one that was skipped: tickSize"):
        NAMES.find("ODDUSDT")


@pytest.mark.parametrize("names, kinds", [
    (["BTC/USDT"], ("spot",)), (["BTC/USDT:USDT"], ("swap",)), (["BTC/USD:BTC-260327"], ("future",)),
    (["BTC/USD:BTC-260327-42000-P"], ("option",)), (["BTC-USD-260327-42000-C"], ("option",)),
    (["BTC/USD:BTC-260327-42000-P", "BTC/USDT"], ("spot", "option")), (["BTCUSDT"], ("spot", "swap", "future"))])
def test_only_the_lists_that_names_need_are_loaded(names, kinds):
    assert kinds_named(names, ("spot", "swap", "future", "option")) == kinds
    assert kinds_named(names, ("option",)) == tuple(k for k in kinds if k == "option")


@pytest.mark.parametrize("kind, path, count", [
    ("binance_spot", "ws/binance_spot/cryptofeed_BINANCE_20211012.jsonl.zst", 1695),
    ("binance_usdm", "ws/binance_usdm/cryptofeed_BINANCE_FUTURES_20210722.jsonl.zst", 122),
    ("binance_coinm", "ws/binance_coinm/cryptofeed_BINANCE_DELIVERY_20210722.jsonl.zst", 36),
    ("coinbase", "ws/coinbase/cryptofeed_COINBASE_20260809.jsonl.zst", 920), ("kraken", "ws/kraken/cryptofeed_KRAKEN_20210417.jsonl.zst", 304),
    ("okx", "ws/okx/cryptofeed_OKX_20220513.jsonl.zst", 1479), ("bybit", "ws/bybit/cryptofeed_BYBIT_20260809.jsonl.zst", 1357)])
def test_every_recorded_instrument_is_found_under_each_of_its_names(kind, path, count, recorded_bodies):
    table = parse_bodies(kind, recorded_bodies(path))
    names = SymbolMap(table, kind)
    assert len(names.by_symbol) == len(table.facts) == count
    for one in table.facts:
        assert names.find(one.symbol) is one
        assert names.from_venue(one.venue_symbol, one.kind) is one
        assert names.from_stream(one.ws_symbol, one.kind) is one
        if one.symbol == f"{one.base}/{one.quote}":
            assert names.find(f"{one.base}-{one.quote}", "spot") is one
        if one.kind == "swap":
            assert names.find(f"{one.base}{one.quote}-PERP") is one
