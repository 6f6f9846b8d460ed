"""The reference against the examples of Binance's own documentation, and the core against the same: who reads what into them?

Examples: faqs/stp_faq.md (scenarios A to G), faqs/trailing-stop-faq.md (A to E), faqs/market_orders_faq.md,
faqs/commission_faq.md and faqs/order_amend_keep_priority.md of github.com/binance/binance-spot-api-docs, read 2026-11-22. Each is
played on core and reference at once (sim_actions.Pair compares every answer, event, balance and level); what the page says is asserted
on the reference.
"""
import pytest
from reference import BUY, SELL
from sim_actions import PLAIN, Pair

# The pages' numbers: prices of 1.0 to 1.2 and 35,000 to 46,500, quantities of 0.1 and 0.49975.
PAGE = {**PLAIN, "tick_size": "0.1", "lot_size": "0.1", "accounts": [("0", "0", None, "0")] * 3, "deposits": (10 ** 12, 10 ** 12, 0)}


class Market:
    """Places orders by decimal prices and quantities and remembers what became of each."""

    def __init__(self, world, tick, lot):
        self.pair, self.tick, self.lot, self.statuses, self.fills = Pair(world), tick, lot, {}, {}

    def submit(self, side, qty, price=0.0, kind="LIMIT", account=0, tif="GTC", **options):
        if "stop" in options:
            options["stop_ticks"] = round(options.pop("stop") / self.tick)
        before = len(self.pair.orders)
        self.pair.do(("submit", account, side, kind, tif, round(price / self.tick), round(qty / self.lot), options))
        self.read()
        return self.pair.orders[-1][0] if len(self.pair.orders) > before else None

    def trade(self, price):
        """Two other accounts trade a lot at this price, whatever else the book holds: it is empty there."""
        self.submit(SELL, self.lot, price, account=1)
        self.submit(BUY, self.lot, price, account=2)

    def read(self):
        for e in self.pair.log:
            self.statuses[e.order_id] = e.status
            if e.kind == "TRADE":
                self.fills.setdefault(e.order_id, []).append((e.price_ticks, e.qty_lots))
        self.triggered = {e.order_id for e in self.pair.log if e.kind == "TRIGGERED"}
        self.prevented = {}
        for e in self.pair.log:
            if e.kind == "PREVENTED":
                self.prevented[e.order_id] = self.prevented.get(e.order_id, 0) + e.qty_lots


def three_makers(market):
    return [market.submit(BUY, 1.2, 1.2), market.submit(BUY, 1.3, 1.1), market.submit(BUY, 8.1, 1.0)]


def test_with_no_prevention_two_orders_of_one_account_match():
    market = Market(PAGE, 0.1, 0.1)
    maker, taker = market.submit(BUY, 1, 1.0), market.submit(SELL, 1, 1.0, stp="NONE")
    assert market.statuses[maker] == market.statuses[taker] == "FILLED"


def test_expire_maker_takes_all_own_orders_off_the_book_and_the_taker_rests():
    market = Market(PAGE, 0.1, 0.1)
    makers = three_makers(market)
    taker = market.submit(SELL, 3, 1.0, stp="EXPIRE_MAKER")
    assert [market.statuses[m] for m in makers] == ["EXPIRED_IN_MATCH"] * 3 and market.statuses[taker] == "NEW"
    assert [market.prevented[m] for m in makers] == [12, 13, 81]
    assert market.pair.reference.depth("BTCUSDT", 5) == ([], [(10, 30)])


def test_expire_taker_leaves_the_book_as_it_was():
    market = Market(PAGE, 0.1, 0.1)
    makers = three_makers(market)
    taker = market.submit(SELL, 3, 1.0, stp="EXPIRE_TAKER")
    assert [market.statuses[m] for m in makers] == ["NEW"] * 3
    assert market.statuses[taker] == "EXPIRED_IN_MATCH" and market.prevented == {taker: 30}


def test_expire_both_ends_the_first_pair_that_meets():
    market = Market(PAGE, 0.1, 0.1)
    maker, taker = market.submit(BUY, 1, 1.0), market.submit(SELL, 3, 1.0, stp="EXPIRE_BOTH")
    assert market.statuses[maker] == market.statuses[taker] == "EXPIRED_IN_MATCH" and market.prevented == {maker: 10, taker: 30}


def test_the_takers_mode_counts_and_not_the_makers():
    market = Market(PAGE, 0.1, 0.1)
    maker, taker = market.submit(BUY, 1, 1.0, stp="EXPIRE_MAKER"), market.submit(SELL, 1, 1.0, stp="EXPIRE_TAKER")
    assert market.statuses[maker] == "NEW" and market.statuses[taker] == "EXPIRED_IN_MATCH"


def test_a_market_order_that_expires_its_only_maker_expires_for_want_of_a_book():
    market = Market(PAGE, 0.1, 0.1)
    maker, taker = market.submit(BUY, 1, 1.0), market.submit(SELL, 1, kind="MARKET", stp="EXPIRE_MAKER")
    assert market.statuses[maker] == "EXPIRED_IN_MATCH" and market.statuses[taker] == "EXPIRED"


def test_decrement_takes_the_smaller_order_away_and_its_quantity_from_the_other():
    market = Market(PAGE, 0.1, 0.1)
    maker, taker = market.submit(BUY, 6, 2.0), market.submit(SELL, 2, 2.0, stp="DECREMENT")
    assert market.statuses[maker] == "NEW" and market.statuses[taker] == "EXPIRED_IN_MATCH"
    assert market.prevented == {maker: 20, taker: 20} and market.pair.reference.depth("BTCUSDT", 5) == ([(20, 40)], [])


def test_a_market_order_takes_what_there_is_and_the_rest_expires():
    market = Market(PAGE, 0.1, 0.1)
    market.submit(SELL, 2, 1.0, account=1)
    market.submit(SELL, 2, 1.0, account=1)
    taker = market.submit(BUY, 6, kind="MARKET")
    assert market.statuses[taker] == "EXPIRED" and market.fills[taker] == [(10, 20), (10, 20)]
    assert market.pair.reference.events == [] and market.pair.log[-1].cum_lots == 40


# Prices of the trades, the first before the order; the order fires at the last of them and not before.
TRAILING = [
    (BUY, "STOP_LIMIT", 44_000, 500, 45_000, (40_000, 37_000, 44_000, 45_000, 46_000, 42_000, 44_099, 44_100)),
    (SELL, "STOP_LIMIT", 39_000, 1000, 38_000, (40_000, 41_500, 39_000, 37_000, 41_000, 36_901, 36_900)),
    (BUY, "TAKE_PROFIT_LIMIT", 38_000, 850, 38_500, (40_000, 42_000, 38_000, 37_000, 39_000, 38_000, 40_144, 40_145)),
    (SELL, "TAKE_PROFIT_LIMIT", 42_000, 750, 41_000, (40_000, 41_500, 39_000, 42_000, 45_000, 44_000, 46_500, 43_013, 43_012.5)),
    (SELL, "STOP_LIMIT", None, 700, 39_000, (40_000, 42_000, 39_500, 45_500, 42_316, 42_315)),
]


@pytest.mark.parametrize(("side", "kind", "stop", "bips", "limit", "trades"), TRAILING,
                         ids=["stop_buy", "stop_sell", "profit_buy", "profit_sell", "without_stop_price"])
def test_a_trailing_stop_fires_at_the_price_that_the_page_names_and_at_none_before(side, kind, stop, bips, limit, trades):
    market = Market({**PAGE, "tick_size": "0.5", "deposits": (10 ** 15, 10 ** 15, 0)}, 0.5, 0.1)
    market.trade(trades[0])
    order = market.submit(side, 0.1, limit, kind, trailing_bips=bips, **({"stop": stop} if stop else {}))
    for price in trades[1:-1]:
        market.trade(price)
        assert order not in market.triggered, price
    market.trade(trades[-1])
    assert order in market.triggered


def commission(fee_asset, discount, bnb_units):
    world = {**PLAIN, "tick_size": "0.01", "lot_size": "0.00001", "accounts": [("0", "0.006", fee_asset, discount), ("0", "0", None, "0"),
                                                                          ("0", "0", None, "0")],
             "deposits": (10 ** 9, 10 ** 13, bnb_units), "bnb": {"USDT": "260"}}
    market = Market(world, 0.01, 0.00001)
    market.submit(BUY, 0.49975, 35_000.0, account=1)
    market.submit(SELL, 0.49975, kind="MARKET")
    return next(e for e in market.pair.log if e.kind == "TRADE" and not e.is_maker)


def test_commission_is_the_received_amount_times_the_rate():
    found = commission(None, "0", 0)
    assert (found.cum_quote_units, found.fee_units, found.fee_asset) == (17491_25000000, 1049475, "USDT")


def test_commission_in_a_third_asset_is_converted_and_discounted():
    found = commission("BNB", "0.75", 10 ** 8)
    # 0.01049475 / 260 x (1 - 0.75) = 0.000010091, cut to eight places
    assert (found.fee_units, found.fee_asset) == (1009, "BNB")


def test_commission_falls_back_to_the_received_asset_when_the_third_one_does_not_suffice():
    found = commission("BNB", "0.75", 1008)
    assert (found.fee_units, found.fee_asset) == (1049475, "USDT")


def test_an_amended_order_keeps_its_place_and_a_new_one_stands_behind():
    market = Market(PAGE, 0.1, 0.1)
    first, mine, last = market.submit(BUY, 1, 8.7, account=1), market.submit(BUY, 5.5, 8.7), market.submit(BUY, 4, 8.7, account=2)
    market.pair.do(("amend", 0, 1, 50))
    market.submit(SELL, 6.5, 8.7, account=1, stp="EXPIRE_MAKER")
    assert first != mine and market.fills[mine] == [(87, 50)] and market.fills[last] == [(87, 15)]
