"""A small venue for the tests of the matching core: BTCUSDT with a tick of 1 and a lot of 0.001, three rich accounts without fees."""
from tickpath.sim.exchange import Exchange, SimEventKind, SimOrderType, SimReason, SimStatus, SimTif
from tickpath.types import Side

BUY, SELL = Side.SIDE_BUY, Side.SIDE_SELL
GTC, IOC, FOK, GTD = SimTif.GTC, SimTif.IOC, SimTif.FOK, SimTif.GTD
UNITS = 10**8


class Desk:
    def __init__(self, *, accounts=3, maker_bps="0", taker_bps="0", publish=False, money=1_000_000, **filters):
        self.x = Exchange(publish=publish)
        for asset in ("USDT", "BTC", "BNB"):
            self.x.add_asset(asset)
        self.btcusdt = self.x.add_instrument("BTCUSDT", base="BTC", quote="USDT", tick_size="1", lot_size="0.001", **filters)
        self.accounts = [self.x.add_account(maker_bps, taker_bps) for _ in range(accounts)]
        for account in self.accounts:
            self.x.deposit(account, "USDT", money * UNITS)
            self.x.deposit(account, "BTC", money * UNITS)
        self.now_ns = 0
        self.events = []
        self.x.drain()

    def ask(self, side, qty, price=0, *, account=0, kind=None, tif=GTC, **options):
        """(order id, reason)"""
        self.now_ns += 1
        if kind is None:
            kind = SimOrderType.LIMIT if price else SimOrderType.MARKET
        answer = self.x.submit(self.accounts[account], self.btcusdt, side, kind, tif, price, qty, now_ns=self.now_ns, **options)
        self.events += self.x.drain()
        return answer[0], SimReason(answer[1])

    def order(self, *args, **options):
        """The id of an order that is accepted."""
        order_id, reason = self.ask(*args, **options)
        assert reason == SimReason.OK, reason
        return order_id

    def refused(self, *args, **options):
        order_id, reason = self.ask(*args, **options)
        assert order_id == 0
        return reason

    def cancel(self, order_id, account=0):
        self.now_ns += 1
        reason = SimReason(self.x.cancel(self.accounts[account], order_id, self.now_ns))
        self.events += self.x.drain()
        return reason

    def amend(self, order_id, qty, price=None, account=0):
        self.now_ns += 1
        reason = SimReason(self.x.amend(self.accounts[account], order_id, qty, self.now_ns, price))
        self.events += self.x.drain()
        return reason

    def trade(self, price, qty=1):
        """Accounts 1 and 2 trade at this price, in a book that is empty there."""
        self.order(SELL, qty, price, account=1)
        taker = self.order(BUY, qty, price, account=2, tif=IOC)
        assert self.fills(taker) == [(price, qty)]

    def of(self, order_id, kind=None):
        return [e for e in self.events if e.order_id == order_id and (kind is None or e.kind == kind)]

    def status(self, order_id):
        return SimStatus(self.of(order_id)[-1].status)

    def fills(self, order_id):
        return [(e.price_ticks, e.qty_lots) for e in self.of(order_id, SimEventKind.TRADE)]

    def why(self, order_id):
        return SimReason(self.of(order_id)[-1].reason)

    def depth(self):
        return self.x.depth(self.btcusdt, 100)

    def money(self, account, asset):
        return self.x.balance(self.accounts[account], asset)

    def is_conserved(self):
        for asset in self.x.assets:
            total = sum(sum(self.x.balance(account, asset)) for account in range(self.x.account_count))
            if total != self.x.supply(asset):
                return False
        return True
