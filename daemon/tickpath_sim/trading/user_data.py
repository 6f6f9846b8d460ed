"""User data: who listens to an account, by listen key or over the WebSocket API, and what is sent to them.

A stream of a listen key sends the event itself, or wrapped as {"stream":…,"data":…}; a subscription over the WebSocket API as
{"subscriptionId":…,"event":…}. An event is written only when somebody listens, once for each unit of time.
Source: github.com/binance/binance-spot-api-docs user-data-stream.md, seen 2026-11-22.
"""
from typing import NamedTuple

from tickpath_sim.trading import shapes

__all__ = ["Subscription", "UserEvent", "UserStreams"]

KEY_LIFE_NS = 60 * 60 * 10**9
KEY_FACTOR = 0xD1B54A32D192ED03
MASK_64 = (1 << 64) - 1
LETTERS = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789"
KEY_LENGTH = 60


class UserEvent(NamedTuple):
    """One event on its way to one subscriber; `data`: the whole message."""
    kind: str
    exec: str | None
    symbol: str | None
    order_id: int | None
    client_order_id: str | None
    trade_id: int | None
    data: bytes


class Subscription:
    """Parameters: session : with a `connection`.  name : the listen key, None over the WebSocket API.  number : there."""
    __slots__ = ("session", "account", "name", "number", "unit_ns")

    def __init__(self, session, account, name, number, unit_ns):
        self.session, self.account, self.name, self.number, self.unit_ns = session, account, name, number, unit_ns

    def wrapped(self, text):
        if self.name is None:
            return f'{{"subscriptionId":{self.number},"event":{text}}}'
        if self.session.combined:
            return f'{{"stream":"{self.name}","data":{text}}}'
        return text


class ListenKey:
    __slots__ = ("key", "account", "expires_ns")

    def __init__(self, key, account, expires_ns):
        self.key, self.account, self.expires_ns = key, account, expires_ns


class UserStreams:
    """Parameters: venue : TradingVenue. `faults` is set by the server, None for none."""
    key_life_ns = KEY_LIFE_NS

    def __init__(self, venue):
        self.venue = venue
        self.keys = {}                      # listen key -> ListenKey
        self.faults = None
        self.events = 0
        self._made = 0

    # ---- listen keys

    def listen_key(self, account, now_ns):
        """The account's listen key, valid for another hour."""
        for known in self.keys.values():
            if known.account is account and known.expires_ns > now_ns:
                known.expires_ns = now_ns + self.key_life_ns
                return known.key
        self._made += 1
        value, letters = ((self._made * KEY_FACTOR) & MASK_64) << 128 | (now_ns * KEY_FACTOR & MASK_64) << 64 | account.uid, []
        for _ in range(KEY_LENGTH):
            # Base 62 with a carry, so that all letters vary.
            value, digit = divmod(value, len(LETTERS))
            value ^= digit << 120
            letters.append(LETTERS[digit])
        key = "".join(letters)
        self.keys[key] = ListenKey(key, account, now_ns + self.key_life_ns)
        return key

    def is_key_of(self, key, account, now_ns):
        known = self.keys.get(key)
        return known is not None and known.account is account and known.expires_ns > now_ns

    def keep_alive(self, key, now_ns):
        self.keys[key].expires_ns = now_ns + self.key_life_ns

    def close_key(self, key):
        """Forget a key; its streams stay open and fall silent, as at the venue."""
        known = self.keys.pop(key, None)
        if known is not None:
            known.account.subscriptions = [s for s in known.account.subscriptions if s.name != key]

    def expire(self, now_ns):
        """End the keys whose hour is over."""
        for known in [known for known in self.keys.values() if known.expires_ns <= now_ns]:
            self.send(known.account, "listenKeyExpired",
                      lambda unit_ns, key=known.key: f'{{"e":"listenKeyExpired","E":{now_ns // unit_ns},"listenKey":"{key}"}}',
                      only=known.key)
            self.close_key(known.key)

    # ---- subscriptions

    def attach(self, session, name, unit_ns=1_000_000):
        """Subscribe a market session to the user data of a listen key; false when there is no such key."""
        known = self.keys.get(name)
        if known is None:
            return False
        if not any(s.session is session and s.name == name for s in known.account.subscriptions):
            known.account.subscriptions.append(Subscription(session, known.account, name, 0, unit_ns))
        return True

    def subscribe(self, session, account, number, unit_ns):
        account.subscriptions.append(Subscription(session, account, None, number, unit_ns))

    def detach(self, session, name=None, number=None):
        """End a session's subscriptions: all, those of a listen key, or one by number."""
        for account in self.venue.accounts:
            if account.subscriptions:
                account.subscriptions = [s for s in account.subscriptions if s.session is not session
                                         or (name is not None and s.name != name) or (number is not None and s.number != number)]

    # ---- events

    def execution(self, order, execution, fill, event, client_order_id):
        """An order has changed: an executionReport to those who listen to its account."""
        now_ns = self.venue.now_ns()
        # A stop order that has been triggered is reported as new once more, now working.
        shown = "NEW" if execution == "TRIGGERED" else execution
        self.send(order.account, "executionReport",
                  lambda unit_ns: shapes.execution_report(order, shown, fill, event, client_order_id, now_ns, unit_ns),
                  execution=shown, order=order, fill=fill)

    def account_changed(self, account, assets, updated_ns):
        balance = self.venue.exchange.balance
        rows = [(asset, *balance(account.number, asset.index)) for asset in sorted(assets, key=lambda a: a.index)]
        now_ns = self.venue.now_ns()
        self.send(account, "outboundAccountPosition",
                  lambda unit_ns: shapes.account_position(rows, updated_ns, now_ns, unit_ns))

    def deposited(self, account, asset, units):
        now_ns = self.venue.now_ns()
        self.send(account, "balanceUpdate", lambda unit_ns: shapes.balance_update(asset, units, now_ns, unit_ns))
        self.account_changed(account, {asset}, now_ns)

    def send(self, account, kind, write, *, execution=None, order=None, fill=None, only=None):
        """Send an event to whoever listens to an account. `write(unit_ns)` makes its text. `only`: a listen key."""
        texts = {}
        for subscription in account.subscriptions:
            if only is not None and subscription.name != only:
                continue
            text = texts.get(subscription.unit_ns)
            if text is None:
                text = texts[subscription.unit_ns] = write(subscription.unit_ns)
            data = subscription.wrapped(text).encode()
            self.events += 1
            connection, faults = subscription.session.connection, self.faults
            if faults is not None and faults.active:
                event = UserEvent(kind, execution, order and order.symbol.name, order and order.order_id,
                                  order and order.client_order_id, fill and fill.trade_id, data)
                if faults.user_event(connection, account, event, lambda c=connection, d=data: c.send_control(d)):
                    continue
            connection.send_control(data)
