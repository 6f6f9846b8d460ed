"""The trading calls of USD-M futures: orders, batches, conditional orders of the algo endpoints, the countdown.

Each function takes a Call and returns bytes of JSON, for REST and the WebSocket API alike (calls.py).
Rules: developers.binance.com/docs/derivatives/usds-margined-futures/trade, seen 2026-11-22.
"""

import msgspec

from tickpath.sim.exchange import SimOrderType, SimStp, SimTif
from tickpath_sim import wire_json
from tickpath_sim.trading.errors import VenueError
from tickpath_sim.trading.orders import BUY, SELL, OrderRequest
from tickpath_sim.trading.usdm_errors import error
from tickpath_sim.trading.usdm_params import CONDITIONAL, match_price, number, parse_order, parse_price, parse_qty
from tickpath_sim.trading.usdm_queries import UsdmQueries, is_hidden
from tickpath_sim.trading.usdm_shapes import ALGO_BASE, algo_answer, amendment, order_answer

__all__ = ["UsdmTrading"]

encode = msgspec.json.encode
NS_PER_MS = 1_000_000
CORE_TYPES = {"LIMIT": SimOrderType.LIMIT, "MARKET": SimOrderType.MARKET, "STOP": SimOrderType.STOP_LIMIT,
              "STOP_MARKET": SimOrderType.STOP_MARKET, "TAKE_PROFIT": SimOrderType.TAKE_PROFIT_LIMIT,
              "TAKE_PROFIT_MARKET": SimOrderType.TAKE_PROFIT_MARKET,
              # The activation price is on the side that a take-profit waits for; which way it then fires is the side's.
              "TRAILING_STOP_MARKET": SimOrderType.TAKE_PROFIT_MARKET}
CORE_TIFS = {"GTC": SimTif.GTC, "GTX": SimTif.GTC, "IOC": SimTif.IOC, "FOK": SimTif.FOK, "GTD": SimTif.GTD}
CORE_STP = {"NONE": SimStp.NONE, "EXPIRE_TAKER": SimStp.EXPIRE_TAKER, "EXPIRE_MAKER": SimStp.EXPIRE_MAKER,
            "EXPIRE_BOTH": SimStp.EXPIRE_BOTH}
POSITION_SIDES = {"BOTH": 0, "LONG": 1, "SHORT": 2}
BATCH_MAX, CANCEL_BATCH_MAX, EDITS_MAX = 5, 10, 10_000
AMENDMENTS_KEPT = 100
DAY_MS = 86_400_000
DONE = {"code": 200, "msg": "The operation of cancel all open order is done."}


class UsdmTrading(UsdmQueries):
    """Parameters: venue : UsdmVenue."""

    def __init__(self, venue):
        super().__init__(venue)
        self.countdowns = {}                # (Account, Contract) -> end, ns of the venue's clock
        self.next_amendment = 1

    # ---- placing

    def intent(self, call, params, algo=False):
        contract = self.venue.contract_of(params)
        account = call.account
        return parse_order(params, contract, hedge=self.venue.statement(account).hedge, now_ms=call.now_ns // NS_PER_MS,
                           best_levels=lambda bids, count: self.venue.price_levels(contract, bids, count), algo=algo)

    def request(self, call, intent):
        """The order service's request of an intent, after the checks that need the market. Errors: VenueError."""
        contract, venue = intent.contract, self.venue
        venue.check_status(contract)
        account = call.account
        if not intent.client_order_id:
            intent.client_order_id = self.orders.client_id()
        elif (contract.index, intent.client_order_id) in account.open_clients:
            raise error(-4116)
        reduces = venue.reduces(account, intent)
        mark_e8 = venue.marks.of(contract).mark_e8
        if intent.type in ("LIMIT", "MARKET"):
            self._within_band(contract, intent.buy, intent.price_ticks, mark_e8)
        if not intent.close_position and not reduces:
            ticks = intent.price_ticks or intent.stop_ticks or mark_e8 // contract.tick_e8
            if ticks and contract.notional_e16(ticks, intent.qty_lots) < contract.min_notional_e16:
                raise error(-4164, contract.terms.min_notional)
        if intent.tif == "FOK" and intent.type == "LIMIT" and venue.fillable_lots(
                contract, intent.buy, intent.price_ticks) < intent.qty_lots:
            # The venue refuses it here and keeps no record of it; the core would take it and let it expire.
            raise error(-5021)
        order_type = CORE_TYPES[intent.type]
        if intent.tif == "GTX" and intent.type == "LIMIT":
            order_type = SimOrderType.LIMIT_MAKER
        submit = {"position_side": POSITION_SIDES[intent.position_side], "reduce_only": intent.reduce_only,
                  "close_position": intent.close_position, "stp": CORE_STP[intent.stp]}
        if intent.stop_ticks:
            submit["stop_ticks"] = intent.stop_ticks
        if intent.type in CONDITIONAL:
            submit["working_mark"] = intent.mark
            submit["post_only"] = intent.tif == "GTX"
        if intent.callback_bips:
            submit |= {"trailing_bips": intent.callback_bips, "activation_ticks": intent.activation_ticks}
        if intent.gtd_ms:
            submit["expire_ns"] = intent.gtd_ms * NS_PER_MS
        tif = SimTif.IOC if order_type == SimOrderType.MARKET or (
            intent.type in CONDITIONAL and intent.type not in ("STOP", "TAKE_PROFIT")) else CORE_TIFS[intent.tif]
        return OrderRequest(contract.symbol, BUY if intent.buy else SELL, int(order_type), int(tif), intent.price_ticks,
                            intent.qty_lots, intent.client_order_id, intent.type, intent.tif, submit,
                            stop_ticks=intent.stop_ticks, trailing_bips=intent.callback_bips, stp=intent.stp, extra=intent)

    def _within_band(self, contract, buy, ticks, mark_e8):
        """Refuse a price too far from the mark; a market order (0 ticks) is measured by the price that it would meet first."""
        if not mark_e8:
            return
        price_e8 = ticks * contract.tick_e8 or self.venue.best_and_last(contract)[1 if buy else 0]
        if buy and price_e8 * 10_000 > mark_e8 * contract.up_e4:
            raise error(-4016 if ticks else -4131)
        if not buy and price_e8 and price_e8 * 10_000 < mark_e8 * contract.down_e4:
            raise error(-4024 if ticks else -4131)

    def place_one(self, call, params, algo=False):
        intent = self.intent(call, params, algo)
        request = self.request(call, intent)
        if algo:
            intent.algo_id, intent.algo_status = ALGO_BASE + self.orders.next_id, "NEW"
        return self.orders.place(call.account, request, call.now_ns)

    def _count(self, call, orders=1):
        """Count new orders and changes against the account's limits. Errors: VenueError -1015 with 429."""
        call.account.order_count.take(orders, call.now_ns)

    def place(self, call):
        """POST /fapi/v1/order, order.place."""
        self._count(call)
        return encode(self._placed(call, call.params))

    def _placed(self, call, params):
        order = self.place_one(call, params)
        answer = order_answer(order)
        if not order.extra.wants_result and params.get("newOrderRespType", "ACK") == "ACK" and order.cum_lots:
            # An acknowledgement is written before the order is matched.
            contract = order.extra.contract
            zero = contract.qty_text(0)
            answer |= {"status": "NEW", "executedQty": zero, "cumQty": zero, "cumQuote": contract.quote_text(0),
                       "avgPrice": contract.average_text(0, 0)}
        return answer

    def test(self, call):
        """POST /fapi/v1/order/test."""
        request = self.request(call, self.intent(call, call.params))
        self.orders.check(call.account, request, call.now_ns)
        return b"{}"

    def place_algo(self, call):
        """POST /fapi/v1/algoOrder, algoOrder.place."""
        if call.params.get("algoType", "CONDITIONAL") != "CONDITIONAL":
            raise error(-1130, "algoType")
        self._count(call)
        return encode(algo_answer(self.place_one(call, call.params, algo=True), placed=True))

    # ---- changing

    def modify(self, call):
        """PUT /fapi/v1/order, order.modify."""
        self._count(call)
        return encode(self._modified(call, call.params))

    def _modified(self, call, params):
        order = self.find(call, params, code=-2013)
        intent = order.extra
        contract = intent.contract
        if "side" not in params:
            raise error(-1102, "side")
        if params["side"] != ("BUY" if intent.buy else "SELL"):
            raise error(-1117)
        if "quantity" not in params:
            raise error(-1102, "quantity")
        matched = params.get("priceMatch", "NONE")
        if matched != "NONE":
            if "price" in params:
                raise error(-1106, "price")
            ticks = match_price(matched, intent.buy, lambda bids, count: self.venue.price_levels(contract, bids, count))
        elif "price" not in params:
            raise error(-1102, "price")
        else:
            ticks = parse_price(contract, params["price"])
        lots = parse_qty(contract, params["quantity"], False)
        if not order.is_open:
            raise error(-2013)
        if intent.type != "LIMIT":
            raise error(-5025)
        if intent.edits >= EDITS_MAX:
            raise error(-5026)
        if (ticks, lots) == (order.price_ticks, order.qty_lots):
            raise error(-5027)
        if self.venue.status_of(contract) != "TRADING":
            raise error(-5024)
        if contract.notional_e16(ticks, lots) < contract.min_notional_e16 and not intent.reduce_only:
            raise error(-5029, contract.terms.min_notional)
        self._within_band(contract, intent.buy, ticks, self.venue.marks.of(contract).mark_e8)
        before = order.price_ticks, order.qty_lots
        if lots <= order.cum_lots or (intent.tif == "GTX" and self.venue.would_take(contract, intent.buy, ticks)):
            # The venue cancels what cannot be amended that far.
            self.orders.cancel(call.account, order, call.now_ns)
        else:
            intent.edits += 1
            intent.price_match, stp, intent.stp = matched, intent.stp, "NONE"
            try:
                self.orders.amend(call.account, order, lots, call.now_ns, price_ticks=ticks)
            except VenueError:
                intent.edits -= 1
                intent.stp = stp
                raise
            self._remember(order, before, call.now_ns)
        return order_answer(order, modified=True)

    def _remember(self, order, before, now_ns):
        rows = order.amendments = order.amendments if order.amendments is not None else []
        if rows and not isinstance(rows[-1], dict):
            # The order service notes its own row of an amendment; here the venue's form of it takes that place.
            rows.pop()
        rows.append(amendment(self.next_amendment, order, before, now_ns // NS_PER_MS))
        self.next_amendment += 1
        del rows[:-AMENDMENTS_KEPT]

    # ---- cancelling

    def cancel(self, call):
        """DELETE /fapi/v1/order, order.cancel."""
        return encode(self._canceled(call, call.params))

    def _canceled(self, call, params):
        order = self.find(call, params, code=-2011)
        if not order.is_open:
            raise error(-2011)
        self.orders.cancel(call.account, order, call.now_ns)
        return order_answer(order)

    def cancel_algo(self, call):
        """DELETE /fapi/v1/algoOrder, algoOrder.cancel."""
        order = self.find_algo(call, call.params, -2011)
        if not order.is_open or order.extra.triggered:
            raise error(-2011)
        order.extra.algo_status = "CANCELED"
        self.orders.cancel(call.account, order, call.now_ns)
        answer = algo_answer(order)
        return encode({**answer, "code": "200", "msg": "success"} if call.session is None else answer)

    def cancel_all(self, call):
        """DELETE /fapi/v1/allOpenOrders."""
        self.sweep(call.account, self.venue.contract_of(call.params), call.now_ns, algo=False)
        return encode(DONE)

    def cancel_all_algo(self, call):
        """DELETE /fapi/v1/algoOpenOrders."""
        self.sweep(call.account, self.venue.contract_of(call.params), call.now_ns, plain=False)
        return encode(DONE)

    def sweep(self, account, contract, now_ns, *, plain=True, algo=True):
        """Cancel the open orders of an account at a contract; returns how many."""
        count = 0
        for order in self.orders.open_orders(account, contract.symbol):
            if (algo if is_hidden(order) else plain) and order.is_open:
                if is_hidden(order):
                    order.extra.algo_status = "CANCELED"
                self.orders.cancel(account, order, now_ns)
                count += 1
        return count

    # ---- batches: each leg is settled on its own

    def _legs(self, call, most):
        try:
            legs = wire_json.of_client(call.text("batchOrders"))
        except ValueError:
            raise error(-1130, "batchOrders") from None
        if not isinstance(legs, list) or not all(isinstance(leg, dict) for leg in legs):
            raise error(-1130, "batchOrders")
        if not 1 <= len(legs) <= most:
            raise error(-4082, len(legs))
        return [{name: _text(value) for name, value in leg.items()} for leg in legs]

    def _each(self, call, legs, one):
        answers = []
        for leg in legs:
            try:
                answers.append(one(call, leg))
            except VenueError as e:
                answers.append({"code": e.code, "msg": e.msg})
        return encode(answers)

    def place_batch(self, call):
        """POST /fapi/v1/batchOrders."""
        legs = self._legs(call, BATCH_MAX)
        self._count(call, len(legs))
        return self._each(call, legs, self._placed)

    def modify_batch(self, call):
        """PUT /fapi/v1/batchOrders."""
        legs = self._legs(call, BATCH_MAX)
        self._count(call, len(legs))
        return self._each(call, legs, self._modified)

    def cancel_batch(self, call):
        """DELETE /fapi/v1/batchOrders."""
        # The venue does not mind the case of these two names, and clients make use of that.
        params = {name.lower() if name.lower().endswith("list") else name: text for name, text in call.params.items()}
        name = "orderidlist" if "orderidlist" in params else "origclientorderidlist"
        if name not in params:
            raise error(-1102, "orderidlist' or 'origclientorderidlist")
        try:
            wanted = wire_json.of_client(params[name])
        except ValueError:
            raise error(-1130, name) from None
        if not isinstance(wanted, list) or not 1 <= len(wanted) <= CANCEL_BATCH_MAX:
            raise error(-1130, name)
        key = "orderId" if name == "orderidlist" else "origClientOrderId"
        legs = [{"symbol": call.text("symbol"), key: _text(value)} for value in wanted]
        self.venue.contract_of(params)
        return self._each(call, legs, self._canceled)

    # ---- countdown

    def countdown(self, call):
        """POST /fapi/v1/countdownCancelAll: all open orders of the symbol go when it is not renewed in time."""
        contract = self.venue.contract_of(call.params)
        span_ms = number(call.params, "countdownTime", 0, 365 * DAY_MS)
        if span_ms:
            self.countdowns[call.account, contract] = call.now_ns + span_ms * NS_PER_MS
        else:
            self.countdowns.pop((call.account, contract), None)
        return encode({"symbol": contract.name, "countdownTime": str(span_ms)})

    def tick(self, now_ns):
        """A timer of the venue: carry out what has run down."""
        for key, end_ns in list(self.countdowns.items()):
            if now_ns >= end_ns:
                del self.countdowns[key]
                self.sweep(*key, now_ns)


def _text(value):
    """A value of a leg, which may be a JSON number or boolean, as a parameter's text."""
    return str(value).lower() if isinstance(value, bool) else value if isinstance(value, str) else str(value)
