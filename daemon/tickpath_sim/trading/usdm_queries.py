"""What USD-M futures tell an account of its orders: by name, open ones, history, fills, conditional orders.

Rules: developers.binance.com/docs/derivatives/usds-margined-futures/trade, seen 2026-11-22.
"""
import msgspec

from tickpath_sim.trading.usdm_errors import error
from tickpath_sim.trading.usdm_params import number
from tickpath_sim.trading.usdm_shapes import ALGO_BASE, algo_answer, fill_answer, order_answer

__all__ = ["UsdmQueries", "is_hidden"]

encode = msgspec.json.encode
NS_PER_MS = 1_000_000
WEEK_MS = 7 * 86_400_000


class UsdmQueries:
    """Parameters: venue : UsdmVenue."""

    def __init__(self, venue):
        self.venue, self.orders = venue, venue.orders

    # ---- finding

    def find(self, call, params, *, code, id_name="orderId", client_name="origClientOrderId"):
        """The order that a request names; its id prevails. Errors: VenueError `code` if there is none."""
        contract = self.venue.contract_of(params)
        order_id, client_order_id = params.get(id_name), params.get(client_name)
        if order_id is None and client_order_id is None:
            raise error(-1102, f"{id_name.lower()}' or '{client_name.lower()}")
        if order_id is not None:
            order = self.orders.find(call.account, contract.symbol, number(params, id_name))
        else:
            order = self.orders.find(call.account, contract.symbol, None, client_order_id)
        if order is None or is_hidden(order):
            raise error(code)
        return order

    def find_algo(self, call, params, code):
        algo_id, client_id = params.get("algoId"), params.get("clientAlgoId")
        if algo_id is None and client_id is None:
            raise error(-1102, "algoid' or 'clientalgoid")
        order = None
        if algo_id is not None:
            order = self.orders.by_id.get(number(params, "algoId") - ALGO_BASE)
        else:
            for contract in self.venue.contracts.values():
                order = call.account.clients.get((contract.index, client_id)) or order
        if order is None or order.account is not call.account or not order.extra.algo_id:
            raise error(code)
        return order

    # ---- queries

    def status(self, call):
        """GET /fapi/v1/order, order.status."""
        return encode(order_answer(self.find(call, call.params, code=-2013), time=True, cum_qty=False))

    def open_order(self, call):
        """GET /fapi/v1/openOrder."""
        order = self.find(call, call.params, code=-2013)
        if not order.is_open:
            raise error(-2013)
        return encode(order_answer(order, time=True, cum_qty=False))

    def open_orders(self, call):
        """GET /fapi/v1/openOrders."""
        contract = self.venue.contract_of(call.params) if "symbol" in call.params else None
        found = self.orders.open_orders(call.account, contract and contract.symbol)
        return encode([order_answer(order, time=True, cum_qty=False) for order in found if not is_hidden(order)])

    def all_orders(self, call):
        """GET /fapi/v1/allOrders."""
        contract = self.venue.contract_of(call.params)
        start_ms, end_ms, limit = self._span(call, 500, 1000)
        first = number(call.params, "orderId", 0, default=0)
        rows = [order for order in self.orders.history(call.account, contract.symbol).values()
                if order.order_id >= first and not is_hidden(order) and start_ms <= order.created_ns // NS_PER_MS <= end_ms]
        rows = rows[:limit] if first or "startTime" in call.params else rows[-limit:]
        return encode([order_answer(order, time=True, cum_qty=False) for order in rows])

    def amendments(self, call):
        """GET /fapi/v1/orderAmendment."""
        order = self.find(call, call.params, code=-2013)
        limit = number(call.params, "limit", 1, 100, 50)
        return encode([row for row in reversed(order.amendments or ()) if isinstance(row, dict)][:limit])

    def force_orders(self, call):
        """GET /fapi/v1/forceOrders: the orders by which the venue closed the account's positions."""
        wanted = call.params.get("symbol")
        start_ms, end_ms, limit = self._span(call, 50, 100)
        rows = [order for order in self.venue.statement(call.account).forced
                if (wanted is None or order.symbol.name == wanted) and start_ms <= order.created_ns // NS_PER_MS <= end_ms]
        return encode([order_answer(order, time=True, cum_qty=False) for order in rows[-limit:]])

    def user_trades(self, call):
        """GET /fapi/v1/userTrades."""
        contract = self.venue.contract_of(call.params)
        start_ms, end_ms, limit = self._span(call, 500, 1000)
        params = call.params
        first, wanted = number(params, "fromId", 0, default=0), number(params, "orderId", 0, default=0)
        if first and ("startTime" in params or "endTime" in params):
            raise error(-1128)
        rows = [fill for fill in self.orders.fills(call.account, contract.symbol)
                if fill.trade_id >= first and wanted in (0, fill.order.order_id)
                and start_ms <= fill.ts_ns // NS_PER_MS <= end_ms]
        rows = rows[:limit] if first or "startTime" in params else rows[-limit:]
        return encode([fill_answer(fill, fill.order) for fill in rows])

    def algo_status(self, call):
        """GET /fapi/v1/algoOrder."""
        return encode(algo_answer(self.find_algo(call, call.params, -2013), query=True))

    def open_algos(self, call):
        """GET /fapi/v1/openAlgoOrders."""
        contract = self.venue.contract_of(call.params) if "symbol" in call.params else None
        found = self.orders.open_orders(call.account, contract and contract.symbol)
        return encode([algo_answer(order, query=True) for order in found if is_hidden(order)])

    def all_algos(self, call):
        """GET /fapi/v1/allAlgoOrders."""
        contract = self.venue.contract_of(call.params)
        start_ms, end_ms, limit = self._span(call, 500, 1000)
        rows = [order for order in self.orders.history(call.account, contract.symbol).values()
                if order.extra.algo_id and start_ms <= order.created_ns // NS_PER_MS <= end_ms]
        return encode([algo_answer(order, query=True) for order in rows[-limit:]])

    def _span(self, call, default, most):
        """(start, end, limit) of a query. Errors: VenueError for a span above the venue's seven days."""
        params = call.params
        start_ms = number(params, "startTime", 0, default=0)
        end_ms = number(params, "endTime", 0, default=1 << 62)
        if start_ms > end_ms:
            raise error(-1023)
        if "startTime" in params and "endTime" in params and end_ms - start_ms > WEEK_MS:
            raise error(-4165)
        return start_ms, end_ms, min(number(params, "limit", 1, default=default), most)


def is_hidden(order):
    """A conditional order of the algo endpoints that has not been triggered: the plain endpoints do not know it."""
    return bool(order.extra.algo_id) and not order.extra.triggered
