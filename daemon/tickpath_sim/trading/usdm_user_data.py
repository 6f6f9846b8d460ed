"""User data of USD-M futures: orders, positions and balances as they change, settings, margin calls.

    {"e":"ORDER_TRADE_UPDATE","T":…,"E":…,"o":{"s":"BTCUSDT","c":"…","S":"BUY","x":"TRADE","X":"FILLED",…}}
    {"e":"ACCOUNT_UPDATE","T":…,"E":…,"a":{"m":"ORDER","B":[{"a":"USDT","wb":"…","cw":"…","bc":"0"}],"P":[…]}}

Fields: developers.binance.com/docs/derivatives/usds-margined-futures/user-data-streams, seen 2026-11-22.
"""
import msgspec

from tickpath_sim.trading.errors import VenueError
from tickpath_sim.trading.usdm_account import margin_call
from tickpath_sim.trading.usdm_errors import error
from tickpath_sim.trading.usdm_shapes import price_or_zero, type_now, units_text
from tickpath_sim.trading.user_data import UserStreams

__all__ = ["UsdmUserStreams"]

NS_PER_MS = 1_000_000
SHOWN = {"TRADE_PREVENTION": "EXPIRED", "REPLACED": "AMENDMENT", "TRIGGERED": "NEW"}


def encoded(value):
    return msgspec.json.encode(value).decode()


class UsdmUserStreams(UserStreams):
    """As UserStreams, with the events of futures. One listen key an account, renewed by POST and PUT alike."""

    def __init__(self, venue):
        super().__init__(venue)
        self._told = {}                     # (account, contract) -> what ACCOUNT_UPDATE said last within this batch

    # ---- listen keys

    def start(self, account, now_ns):
        return self.listen_key(account, now_ns)

    def _key(self, account, now_ns):
        for known in self.keys.values():
            if known.account is account and known.expires_ns > now_ns:
                return known.key
        raise error(-1125)

    def keep(self, account, now_ns):
        """Renew the account's key. Errors: VenueError -1125 when it has none."""
        self.keep_alive(self._key(account, now_ns), now_ns)

    def close(self, account):
        try:
            self.close_key(self._key(account, self.venue.now_ns()))
        except VenueError:
            return

    # ---- events

    def batch_begins(self):
        if self._told:
            self._told.clear()

    def _tell(self, account, kind, body, *, time_ns=None, execution=None, order=None, fill=None):
        now_ms = self.venue.now_ns() // NS_PER_MS
        time_ms = now_ms if time_ns is None else time_ns // NS_PER_MS
        text = encoded({"e": kind, "T": time_ms, "E": now_ms, **body})
        self.send(account, kind, lambda _: text, execution=execution, order=order, fill=fill)

    def execution(self, order, execution, fill, event, client_order_id):
        """An order has changed."""
        intent, account = order.extra, order.account
        if intent.algo_id:
            self._algo(order, execution, event)
            if not intent.triggered:
                # The matching engine does not know it yet.
                return
        if execution == "TRIGGERED":
            if not intent.algo_id:
                # A conditional order of the plain call ends, and goes on as what it was for.
                self._order(order, "EXPIRED", None, event, kind=intent.type, status="EXPIRED")
            self._order(order, "NEW", None, event)
            return
        if fill is not None:
            self._trade_lite(order, fill)
            self.account_update(account, "ORDER", intent.contract, once=True)
        self._order(order, SHOWN.get(execution, execution), fill, event)

    def _order(self, order, execution, fill, event, *, kind=None, status=None):
        intent, contract = order.extra, order.extra.contract
        zero = price_or_zero(contract, 0)
        body = {"s": contract.name, "c": order.client_order_id, "S": "BUY" if intent.buy else "SELL",
                "o": kind or type_now(intent), "f": intent.tif, "q": contract.qty_text(order.qty_lots),
                "p": price_or_zero(contract, order.price_ticks),
                "ap": contract.average_text(order.cum_quote_units, order.cum_lots),
                "sp": price_or_zero(contract, order.stop_ticks),
                "x": execution, "X": status or order.status, "i": order.order_id,
                "l": contract.qty_text(fill.qty_lots if fill else 0), "z": contract.qty_text(order.cum_lots),
                "L": contract.price_text(fill.price_ticks) if fill else zero}
        if fill is not None:
            body |= {"n": units_text(fill.fee_units), "N": contract.terms.quote}
        time_ms = (event.ts_ns if event is not None else order.updated_ns) // NS_PER_MS
        bids, asks = self.venue.open_notional(order.account, contract)
        body |= {"T": time_ms, "t": fill.trade_id if fill else 0, "b": bids, "a": asks, "m": bool(fill and fill.is_maker),
                 "R": intent.reduce_only or intent.close_position, "wt": "MARK_PRICE" if intent.mark else "CONTRACT_PRICE",
                 "ot": intent.type, "ps": intent.position_side, "cp": intent.close_position}
        if intent.type == "TRAILING_STOP_MARKET":
            body |= {"AP": price_or_zero(contract, intent.activation_ticks), "cr": intent.callback_text}
        body |= {"rp": units_text(fill.event.pnl_units) if fill else "0", "pP": intent.price_protect, "si": 0, "ss": 0,
                 "V": intent.stp, "pm": intent.price_match, "gtd": intent.gtd_ms, "er": "0"}
        self._tell(order.account, "ORDER_TRADE_UPDATE", {"o": body}, time_ns=event.ts_ns if event is not None else None,
                   execution=execution, order=order, fill=fill)

    def _trade_lite(self, order, fill):
        intent, contract = order.extra, order.extra.contract
        self._tell(order.account, "TRADE_LITE", {
            "s": contract.name, "q": contract.qty_text(order.qty_lots), "p": price_or_zero(contract, order.price_ticks),
            "m": fill.is_maker, "c": order.client_order_id, "S": "BUY" if intent.buy else "SELL",
            "L": contract.price_text(fill.price_ticks), "l": contract.qty_text(fill.qty_lots), "t": fill.trade_id,
            "i": order.order_id}, time_ns=fill.ts_ns, execution="TRADE", order=order, fill=fill)

    def _algo(self, order, execution, event):
        """ALGO_UPDATE of a conditional order: when it is made, triggered, and when it or what came of it is over."""
        intent = order.extra
        if execution == "TRIGGERED":
            self._algo_one(order, "TRIGGERING", event, False)
            self._algo_one(order, "TRIGGERED", event, True)
        elif execution == "NEW" and not intent.triggered:
            self._algo_one(order, "NEW", event, False)
        elif intent.algo_status in ("CANCELED", "EXPIRED", "FINISHED", "REJECTED") and not order.is_open:
            self._algo_one(order, intent.algo_status, event, intent.triggered)

    def _algo_one(self, order, status, event, actual):
        intent, contract = order.extra, order.extra.contract
        body = {"caid": intent.client_order_id, "aid": intent.algo_id, "at": "CONDITIONAL", "o": intent.type, "s": contract.name,
                "S": "BUY" if intent.buy else "SELL", "ps": intent.position_side, "f": intent.tif,
                "q": contract.qty_text(intent.qty_lots), "X": status, "ai": str(order.order_id) if actual else ""}
        if status != "TRIGGERING":
            body |= {"ap": contract.average_text(order.cum_quote_units, order.cum_lots) if order.cum_lots else "0.00000",
                     "aq": contract.qty_text(order.cum_lots) if order.cum_lots else "0.00000",
                     "act": type_now(intent) if actual else "0"}
        body |= {"tp": price_or_zero(contract, intent.stop_ticks), "p": price_or_zero(contract, intent.price_ticks),
                 "V": intent.stp, "wt": "MARK_PRICE" if intent.mark else "CONTRACT_PRICE", "pm": intent.price_match,
                 "cp": intent.close_position,
                 "pP": intent.price_protect, "R": intent.reduce_only or intent.close_position,
                 "tt": 0 if status == "NEW" else intent.trigger_ms, "gtd": intent.gtd_ms}
        if intent.type == "TRAILING_STOP_MARKET":
            body |= {"AP": price_or_zero(contract, intent.activation_ticks), "cr": intent.callback_text}
        if intent.algo_reason:
            body["rm"] = intent.algo_reason
        self._tell(order.account, "ALGO_UPDATE", {"o": body}, time_ns=event.ts_ns if event is not None else None, order=order)

    # ---- balances and positions

    def account_changed(self, account, assets, updated_ns):
        """Orders alone change no wallet here; what a fill changes has been told with the fill."""

    def deposited(self, account, asset, units):
        self.account_update(account, "DEPOSIT" if units > 0 else "WITHDRAW", None, change_units=units)

    def account_update(self, account, reason, contract, *, change_units=0, legs=None, balances=True, once=False):
        """ACCOUNT_UPDATE with the wallet and the positions of a contract (None: none).

        Parameters: change_units : of the wallet, apart from fees and realised profit.  once : say nothing that this batch of the
                    exchange has said already.
        """
        if not account.subscriptions:
            return
        statement = self.venue.statement(account)
        body = {"m": reason, "B": statement.balance_events(change_units) if balances else [],
                "P": statement.position_events(contract, legs) if contract is not None else []}
        if once:
            if self._told.get((account.number, contract.index)) == body:
                return
            self._told[account.number, contract.index] = body
        self._tell(account, "ACCOUNT_UPDATE", {"a": body})

    def config_changed(self, account, body):
        if account.subscriptions:
            self._tell(account, "ACCOUNT_CONFIG_UPDATE", body)

    def margin_call(self, account, positions):
        if account.subscriptions:
            self._tell(account, "MARGIN_CALL", margin_call(self.venue.statement(account), positions))
