"""Coinbase's products, Advanced Trade and Exchange. What each field becomes, and what is odd."""
import pytest


def has(one, **fields):
    found = {name: getattr(one, name) for name in fields}
    assert found == fields
    return True


def coinbase_product(**fields):
    return {"product_id": "BTC-USD", "price_increment": "0.01", "base_increment": "0.00000001", "base_min_size": "0.00000001",
            "base_max_size": "3400", "quote_min_size": "1", "quote_max_size": "150000000", "status": "online", "product_type": "SPOT",
            "trading_disabled": False, "is_disabled": False, "view_only": False, "cancel_only": False, "post_only": False,
            "limit_only": False, "auction_mode": False, "base_currency_id": "BTC", "quote_currency_id": "USD", "alias": "", **fields}


@pytest.mark.parametrize("fields, status", [
    ({}, "TRADING"), ({"limit_only": True}, "LIMIT_ONLY"), ({"post_only": True, "limit_only": True}, "POST_ONLY"),
    ({"auction_mode": True, "post_only": True}, "AUCTION"), ({"cancel_only": True, "auction_mode": True}, "CANCEL_ONLY"),
    ({"trading_disabled": True, "cancel_only": True}, "HALTED"), ({"is_disabled": True}, "HALTED"), ({"view_only": True}, "HALTED"),
    ({"status": "offline"}, "HALTED"), ({"status": "delisted", "trading_disabled": True}, "DELISTED"), ({"status": "tomorrow"}, "UNKNOWN")])
def test_coinbase_flags_the_strictest_counts(fields, status, only):
    assert only("coinbase", {"products": [coinbase_product(**fields)]}).status == status


def test_coinbase_pairs_that_share_a_book_say_whose(only):
    one = only("coinbase", {"products": [coinbase_product(product_id="BTC-USDC", quote_currency_id="USDC", alias="BTC-USD")]})
    assert has(one, symbol="BTC/USDC", venue_symbol="BTC-USDC", alias_of="BTC-USD")


def test_coinbase_futures_and_perpetual_style_futures(parsed):
    details = {"contract_root_unit": "BTC", "contract_size": "0.01", "contract_expiry": "2026-03-27T16:00:00Z",
               "contract_expiry_type": "EXPIRING", "funding_interval": None}
    dated = coinbase_product(product_id="BIT-27MAR26-CDE", product_type="FUTURE", price_increment="5", base_increment="1",
                             future_product_details=details)
    perpetual = coinbase_product(product_id="BIP-20DEC30-CDE", product_type="FUTURE", base_increment="1",
                                 future_product_details={**details, "contract_expiry": "2030-12-20T16:00:00Z", "funding_interval": "3600s"})
    table = parsed("coinbase", {"products": [dated, perpetual]})
    assert has(table.facts[0], symbol="BTC/USD:USD-260327", kind="future", contract_size="0.01", tick_size="5", order_qty_step="1",
               expiry_ns=1774627200 * 10 ** 9, linear=True)
    assert has(table.facts[1], symbol="BTC/USD:USD", kind="swap", expiry_ns=0)


def test_coinbase_exchange_names_an_auctions_book_by_its_own_base(only):
    body = [{"id": "BTCAUCTION-USD", "base_currency": "BTC", "quote_currency": "USD", "base_increment": "0.00000001",
             "quote_increment": "0.01", "min_market_funds": "1", "status": "online", "auction_mode": True}]
    assert has(only("coinbase_exchange", body), symbol="BTCAUCTION/USD", status="AUCTION", min_notional="1", min_qty="")
