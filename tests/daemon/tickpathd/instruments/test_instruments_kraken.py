"""Kraken's AssetPairs, in classic and newer names. What each field becomes, and what is odd."""
import pytest


def has(one, **fields):
    found = {name: getattr(one, name) for name in fields}
    assert found == fields
    return True


def kraken_pair(**fields):
    return {"altname": "XBTUSD", "wsname": "XBT/USD", "aclass_base": "currency", "base": "XXBT", "aclass_quote": "currency",
            "quote": "ZUSD", "lot": "unit", "pair_decimals": 1, "lot_decimals": 8, "ordermin": "0.00005", "costmin": "0.5",
            "tick_size": "0.1", "status": "online", **fields}


def test_kraken_has_a_name_for_every_protocol(only):
    one = only("kraken", {"error": [], "result": {"XXBTZUSD": kraken_pair()}})
    assert has(one, symbol="BTC/USD", venue_symbol="XXBTZUSD", ws_symbol="BTC/USD", ws_symbol_v1="XBT/USD", aliases=("XBTUSD",),
               price_decimals=1, qty_decimals=8, tick_size="0.1", lot_size="0.00000001", min_qty="0.00005", min_notional="0.5")


def test_kraken_newer_names_make_the_same_facts(only):
    old = only("kraken", {"error": [], "result": {"XXBTZUSD": kraken_pair()}})
    new = only("kraken", {"error": [], "result": {"BTC/USD": kraken_pair(base="BTC", quote="USD", execution_venue="international")}})
    assert new.venue_symbol == "BTC/USD"
    assert [getattr(new, n) for n in new.__struct_fields__ if n != "venue_symbol"] == [
        getattr(old, n) for n in old.__struct_fields__ if n != "venue_symbol"]


@pytest.mark.parametrize("fields, expected", [
    ({"altname": "XDGUSD", "wsname": "XDG/USD", "base": "XXDG"}, {"symbol": "DOGE/USD", "ws_symbol": "DOGE/USD", "ws_symbol_v1": "XDG/USD"}),
    # Streams v2 kept the names of renamed projects: there LUNA/USD is what is LUNC/USD here.
    ({"altname": "LUNAUSD", "wsname": "LUNA/USD", "base": "LUNA"}, {"symbol": "LUNC/USD", "ws_symbol": "LUNA/USD"}),
    ({"altname": "LUNA2USD", "wsname": "LUNA2/USD", "base": "LUNA2"}, {"symbol": "LUNA/USD", "ws_symbol": "LUNA2/USD"}),
    ({"altname": "AAPLxUSD", "wsname": "AAPLx/USD", "base": "AAPLx"}, {"symbol": "AAPLX/USD", "ws_symbol": "AAPLx/USD"}),
    ({"tick_size": None}, {"tick_size": "0.1"}), ({"pair_decimals": 4, "tick_size": "0.0005"}, {"tick_size": "0.0005", "price_decimals": 4}),
    ({"status": "cancel_only"}, {"status": "CANCEL_ONLY"}), ({"status": "reduce_only"}, {"status": "CANCEL_ONLY"}),
    ({"status": "post_only"}, {"status": "POST_ONLY"}), ({"status": "limit_only"}, {"status": "LIMIT_ONLY"}),
    ({"status": None}, {"status": "UNKNOWN"}), ({"status": "tomorrow"}, {"status": "UNKNOWN"})])
def test_kraken_pairs(fields, expected, only):
    assert has(only("kraken", {"error": [], "result": {"KEY": kraken_pair(**fields)}}), **expected)


def test_kraken_dark_pools_and_other_execution_venues_are_not_taken_for_the_pair(parsed):
    pool = kraken_pair(altname="XBTUSD.d")
    del pool["wsname"]
    table = parsed("kraken", {"error": [], "result": {"XXBTZUSD.d": pool, "XXBTZUSD": kraken_pair(), "BTC/USD:BTNL": kraken_pair()}})
    assert [one.symbol for one in table.facts] == ["BTC/USD.d", "BTC/USD", "BTC/USD@BTNL"]
