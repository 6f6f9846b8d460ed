"""OKX's instruments of every type. What each field becomes, and what is odd."""
import pytest


def has(one, **fields):
    found = {name: getattr(one, name) for name in fields}
    assert found == fields
    return True


def okx_instrument(**fields):
    return {"instId": "BTC-USDT", "instType": "SPOT", "baseCcy": "BTC", "quoteCcy": "USDT", "settleCcy": "", "uly": "", "ctVal": "",
            "ctMult": "", "ctType": "", "tickSz": "0.1", "lotSz": "0.00000001", "minSz": "0.00001", "maxLmtSz": "9999999999",
            "expTime": "", "stk": "", "optType": "", "state": "live", **fields}


OKX_OPTION = {"instId": "BTC-USD-241217-92000-P", "instType": "OPTION", "baseCcy": "", "quoteCcy": "", "settleCcy": "BTC",
              "uly": "BTC-USD", "ctVal": "1", "ctMult": "0.01", "expTime": "1734422400000", "stk": "92000", "optType": "P",
              "tickSz": "0.0001", "lotSz": "1", "minSz": "1"}


@pytest.mark.parametrize("fields, expected", [
    ({}, {"symbol": "BTC/USDT", "kind": "spot", "lot_size": "0.00000001", "max_qty": "9999999999"}),
    ({"lotSz": "0.01"}, {"lot_size": "0.00000001", "order_qty_step": "0.01"}),
    ({"baseCcy": "", "quoteCcy": ""}, {"symbol": "BTC/USDT"}),
    ({"instId": "BTC-USD-SWAP", "instType": "SWAP", "uly": "BTC-USD", "settleCcy": "BTC", "ctVal": "100", "ctMult": "1", "lotSz": "1"},
     {"symbol": "BTC/USD:BTC", "kind": "swap", "inverse": True, "contract_size": "100", "lot_size": "1"}),
    ({"instId": "BTC-USDT-SWAP", "instType": "SWAP", "uly": "BTC-USDT", "settleCcy": "USDT", "ctVal": "0.01", "ctMult": "1", "lotSz": "0.1"},
     {"symbol": "BTC/USDT:USDT", "linear": True, "contract_size": "0.01", "order_qty_step": "0.1"}),
    (OKX_OPTION, {"symbol": "BTC/USD:BTC-241217-92000-P", "kind": "option", "contract_size": "0.01", "strike": "92000",
                  "option_side": "put", "expiry_ns": 1734422400 * 10 ** 9}),
    ({"state": "suspend"}, {"status": "HALTED"}), ({"state": "preopen"}, {"status": "HALTED"}), ({"state": "post_only"}, {"status": "POST_ONLY"}),
    ({"state": "rebase"}, {"status": "HALTED"}), ({"state": "expired"}, {"status": "DELISTED"}), ({"state": "tomorrow"}, {"status": "UNKNOWN"})])
def test_okx_instruments(fields, expected, only):
    assert has(only("okx", {"code": "0", "data": [okx_instrument(**fields)], "msg": ""}), **expected)


def test_okx_instruments_before_their_opening_are_skipped_not_guessed(parsed):
    empty = {"instId": "ETH-USD_UM-SWAP", "instType": "SWAP", "state": "preopen"}
    table = parsed("okx", {"code": "0", "data": [empty, okx_instrument(), okx_instrument(instId="X", instType="EVENTS")], "msg": ""})
    assert len(table.facts) == 1
    assert [str(odd) for odd in table.skipped] == [
        "ETH-USD_UM-SWAP: settleCcy: expected text, found None",
        "X: instType: expected one of ['SPOT', 'SWAP', 'FUTURES', 'OPTION'], found 'EVENTS'"]
