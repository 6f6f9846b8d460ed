"""Random actions for core and reference side by side: worlds, the generator, the comparison after each action, and shrinking.

An action is a tuple that can be typed by hand; `target` counts the open orders from the oldest one, modulo their number (a multiple
of 7: all orders ever accepted).
    ("submit", account, side, kind, tif, price_ticks, qty_lots, {options})   ("cancel", account, target)   ("cancel_all", account)
    ("amend", account, target, qty_lots[, price_ticks])   ("advance", by_ns)
`account` is 0, 1, 2 …: the world's accounts in order; OWNER is the account of the target.
"""
import random

from reference import BUY, SELL, Event, Reference

from tickpath.sim import exchange as face

ASSETS = ("BTC", "USDT", "BNB")
SYMBOL = "BTCUSDT"
KINDS = {"MARKET": 1, "LIMIT": 2, "LIMIT_MAKER": 3, "STOP": 4, "STOP_LIMIT": 5, "TAKE_PROFIT": 6, "TAKE_PROFIT_LIMIT": 7}
TIFS = {"GTC": 1, "IOC": 3, "FOK": 4, "GTD": 6}
STPS = {"NONE": 0, "EXPIRE_TAKER": 1, "EXPIRE_MAKER": 2, "EXPIRE_BOTH": 3, "DECREMENT": 4}
SIDES = {BUY: 1, SELL: 2}
HOUSE, FEES, INSURANCE = 0, 1, 2
# Prices of a world's orders lie around this, in ticks.
MIDDLE = 100
OWNER = -1
PUBLIC = (face.SimEventKind.LEVEL, face.SimEventKind.PUBLIC_TRADE)

PLAIN = {"decimals": (8, 8, 8), "tick_size": "0.01", "lot_size": "0.001", "accounts": [("10", "10", None, "0")] * 3,
         "deposits": (3_000_000_000, 3_000_000_000, 0), "filters": {}}
WORLDS = {
    # Enough of everything, no filters: the matching alone.
    "plain": PLAIN,
    # Prices far apart, next to each other, and on either side of the book's inner boundaries (64, 4,096, 262,144).
    "wide": {**PLAIN, "tick_size": "0.00001", "scale": 2_621},
    # Little money, a lot that is less than a unit of the quote asset, fees that are felt, one account that pays in a third asset.
    "poor": {"decimals": (3, 2, 4), "tick_size": "0.1", "lot_size": "0.001",
             "accounts": [("100", "375", None, "0"), ("0", "150", "BNB", "0.25"), ("50", "75.5", "BNB", "0.1")],
             "deposits": (60, 700, 900), "filters": {}, "bnb": {"USDT": "7.7"}},
    # The fee asset is the base asset; every filter is within reach.
    "strict": {**PLAIN, "accounts": [("10", "20", "BTC", "0.25"), ("5", "10", None, "0"), ("10", "10", "USDT", "0.5")],
               "filters": {"min_price": "0.94", "max_price": "1.06", "min_qty": "0.002", "max_qty": "0.03", "market_max_qty": "0.02",
                           "min_notional": "0.003", "max_notional": "0.025", "bid_up": "1.05", "bid_down": "0.96", "ask_up": "1.04",
                           "ask_down": "0.95", "max_orders": 5, "max_algo_orders": 1, "max_iceberg_parts": 4, "max_position": "30.03"}},
}


def reference_filters(world):
    """The filters in ticks, lots and units, as the reference has them."""
    f, found = world["filters"], {}
    tick, lot, quote = float(world["tick_size"]), float(world["lot_size"]), 10 ** world["decimals"][1]
    for name, key, step in (("min_ticks", "min_price", tick), ("max_ticks", "max_price", tick), ("min_lots", "min_qty", lot),
                            ("max_lots", "max_qty", lot), ("market_max_lots", "market_max_qty", lot),
                            ("min_notional_units", "min_notional", 1 / quote), ("max_notional_units", "max_notional", 1 / quote),
                            ("max_position_units", "max_position", 10.0 ** -world["decimals"][0])):
        if key in f:
            found[name] = round(float(f[key]) / step)
    return {**found, **{k: v for k, v in f.items() if k.startswith(("bid_", "ask_", "max_orders", "max_algo", "max_iceberg"))}}


class Mismatch(AssertionError):
    pass


class Pair:
    """Core and reference in the same world; do() acts on both and compares what they say."""

    def __init__(self, world, *, compare_every=1, publish=False):
        self.world, self.compare_every, self.count, self.now_ns = world, compare_every, 0, 1_000
        self.core, self.reference = face.Exchange(seed=0, publish=publish), Reference()
        self.assets, self.accounts = {}, []
        self.orders, self.ids, self.trade_ids = [], {}, {}
        self.public = []                               # LEVEL and PUBLIC_TRADE since somebody emptied it
        self.log, self.raw = [], []                      # all events: in the reference's words, and as the core gave them
        for asset, decimals in zip(ASSETS, world["decimals"], strict=True):
            self.assets[asset] = self.core.add_asset(asset, decimals=decimals)
            self.reference.add_asset(asset, decimals)
        facts = {"base": "BTC", "quote": "USDT", "tick_size": world["tick_size"], "lot_size": world["lot_size"]}
        self.instrument = self.core.add_instrument(SYMBOL, kind="spot", **facts, **world["filters"])
        self.reference.add_instrument(SYMBOL, **facts, **reference_filters(world))
        for quote, price in world.get("bnb", {}).items():
            self.core.set_fee_asset_price("BNB", quote, price)
            self.reference.set_fee_asset_price("BNB", quote, price)
        for maker, taker, fee_asset, discount in world["accounts"]:
            account = self.core.add_account(maker_bps=maker, taker_bps=taker, fee_asset=fee_asset, fee_discount=discount)
            self.reference.add_account(account, maker, taker, fee_asset, discount)
            self.accounts.append(account)
            for asset, units in zip(ASSETS, world["deposits"], strict=True):
                self.core.deposit(account, asset, units)
                self.reference.deposit(account, asset, units)
        self.deposited = {asset: units * len(self.accounts) for asset, units in zip(ASSETS, world["deposits"], strict=True)}
        self.core.drain()

    # ---- actions
    def do(self, action):
        kind, *rest = action
        self.count += 1
        self.now_ns += 10
        core, reference = getattr(self, f"_{kind}")(*rest)
        self.same("answer", reference, core)
        self.events()
        if self.count % self.compare_every == 0:
            self.state()

    def _submit(self, account, side, kind, tif, price_ticks, qty_lots, options):
        options = dict(options)
        if "expire_in" in options:
            options["expire_ns"] = self.now_ns + options.pop("expire_in")
        number = self.accounts[account]
        order_id, wanted = self.reference.submit(number, SYMBOL, side, kind, tif, price_ticks, qty_lots, now_ns=self.now_ns, **options)
        ref = order_id or 0
        found_id, found = self.core.submit(number, self.instrument, SIDES[side], KINDS[kind], TIFS[tif], price_ticks, qty_lots,
                                           ref=ref, now_ns=self.now_ns, **{**options, "stp": STPS[options.get("stp", "NONE")]})
        found = face.SimReason(found).name
        if found == wanted == "OK":
            self.orders.append((order_id, found_id, number))
            self.ids[found_id] = order_id
        return found, wanted

    def _target(self, account, target):
        """(account, the reference's id, the core's id)"""
        alive = sorted(self.reference.orders)
        if alive and target % 7:
            found = self.orders[alive[target % len(alive)] - 1]
        else:
            found = self.orders[target % len(self.orders)] if self.orders else (10 ** 6, 1 << 40, self.accounts[0])
        return found[2] if account == OWNER else self.accounts[account], *found[:2]

    def _cancel(self, account, target):
        number, ours, theirs = self._target(account, target)
        return (face.SimReason(self.core.cancel(number, theirs, now_ns=self.now_ns)).name,
                self.reference.cancel(number, ours, self.now_ns))

    def _cancel_all(self, account):
        number = self.accounts[account]
        return (self.core.cancel_all(number, self.instrument, now_ns=self.now_ns),
                self.reference.cancel_all(number, SYMBOL, self.now_ns))

    def _amend(self, account, target, qty_lots, price_ticks=None):
        number, ours, theirs = self._target(account, target)
        return (face.SimReason(self.core.amend(number, theirs, qty_lots, now_ns=self.now_ns, price_ticks=price_ticks)).name,
                self.reference.amend(number, ours, qty_lots, self.now_ns, price_ticks))

    def _advance(self, by_ns):
        self.now_ns += by_ns
        self.core.advance(self.now_ns)
        self.reference.advance(self.now_ns)
        return None, None

    # ---- what must be the same
    def same(self, what, wanted, found):
        if wanted != found:
            raise Mismatch(f"{what} of action {self.count}: reference {wanted}, core {found}")

    def events(self):
        raw = self.core.drain()
        self.public += [e for e in raw if e.kind in PUBLIC]
        raw = [e for e in raw if e.kind not in PUBLIC]
        found, wanted = [self.event(e) for e in raw], self.reference.drain()
        self.raw += raw
        for n in range(max(len(found), len(wanted))):
            self.same(f"event {n}", wanted[n] if n < len(wanted) else None, found[n] if n < len(found) else None)
        self.log += found

    def event(self, e):
        """An event of the core in the reference's words."""
        kind, traded = face.SimEventKind(e.kind).name, face.SimEventKind(e.kind).name in ("TRADE", "PREVENTED")
        if e.trade_id:
            self.trade_ids.setdefault(e.trade_id, len(self.trade_ids) + 1)
        asset = e.fee_asset if isinstance(e.fee_asset, str) or e.fee_asset is None else ASSETS[e.fee_asset]
        return Event(e.ts_ns, kind, e.account, e.ref, face.SimStatus(e.status).name, e.price_ticks if traded else None,
                     e.qty_lots if traded else 0, e.cum_lots, e.cum_quote_units, e.fee_units, asset if kind == "TRADE" else None,
                     self.trade_ids.get(e.trade_id, 0), bool(e.is_maker), self.ids.get(e.counter_order_id, e.ref) if traded else 0)

    def state(self):
        for account in self.accounts:
            for asset in ASSETS:
                found = self.core.balance(account, asset)
                self.same(f"balance of {asset} of account {account}", self.reference.balance(account, asset), tuple(found))
        bids, asks = (list(map(tuple, side)) for side in self.core.depth(self.instrument, 1000))
        self.same("depth", self.reference.depth(SYMBOL, 1000), (bids, asks))
        if bids and asks and bids[0][0] >= asks[0][0]:
            raise Mismatch(f"crossed book after action {self.count}: bid {bids[0]}, ask {asks[0]}")
        for asset, deposited in self.deposited.items():
            held = [self.core.balance(a, asset) for a in (HOUSE, FEES, INSURANCE, *self.accounts)]
            self.same(f"sum of {asset}", deposited, sum(free + locked for free, locked in held))
            if min(min(pair) for pair in held) < 0:
                raise Mismatch(f"negative balance of {asset} after action {self.count}: {held}")


# ---- random actions
def random_action(rng):
    """One action, most of them around the middle so that they meet."""
    draw, account = rng.random(), rng.randrange(3)
    if draw < 0.16:
        return ("cancel", account if rng.random() < 0.2 else OWNER, rng.randrange(10 ** 6))
    if draw < 0.20:
        price = (MIDDLE + round(rng.gauss(0, 3)),) if rng.random() < 0.3 else ()
        return ("amend", OWNER, rng.randrange(10 ** 6), rng.randint(1, 30), *price)
    if draw < 0.23:
        return ("advance", rng.choice((1, 50, 400)))
    if draw < 0.235:
        return ("cancel_all", account)
    side, price, qty = rng.choice((BUY, SELL)), MIDDLE + round(rng.gauss(0, 3)), 1 + int(rng.expovariate(0.12))
    # Away from the middle more often than through it: books that are empty test little.
    price += (-2 if side == BUY else 2) if rng.random() < 0.6 else 0
    options = {"stp": rng.choice(list(STPS))} if rng.random() < 0.4 else {}
    kind = rng.choices(("LIMIT", "IOC", "FOK", "GTD", "LIMIT_MAKER", "MARKET", "QUOTE", "ICEBERG", "STOP", "STOP_LIMIT", "TAKE_PROFIT",
                        "TAKE_PROFIT_LIMIT"), (30, 8, 8, 7, 7, 8, 5, 10, 4, 5, 4, 4))[0]
    if kind in ("LIMIT", "IOC", "FOK", "GTD"):
        tif = "GTC" if kind == "LIMIT" else kind
        if kind == "GTD":
            options["expire_in"] = rng.choice((5, 100, 1000))
        return ("submit", account, side, "LIMIT", tif, price, qty, options)
    if kind == "ICEBERG":
        options["iceberg_lots"] = rng.randint(1, qty)
        return ("submit", account, side, "LIMIT", "GTC", price, qty, options)
    if kind == "LIMIT_MAKER":
        return ("submit", account, side, kind, "GTC", price, qty, options)
    if kind == "MARKET":
        return ("submit", account, side, kind, "GTC", 0, qty, options)
    if kind == "QUOTE":
        return ("submit", account, side, "MARKET", "GTC", 0, 0, {**options, "quote_units": rng.randint(1, 30) })
    rises = (side == BUY) == kind.startswith("STOP")
    trailing = rng.random()
    if trailing < 0.4:
        options["trailing_bips"] = rng.choice((10, 100, 250, 700))
    if trailing > 0.2:
        options["stop_ticks"] = MIDDLE + (1 if rises else -1) * rng.randint(-2, 6)
    if kind.endswith("LIMIT"):
        return ("submit", account, side, kind, rng.choices(("GTC", "IOC", "FOK"), (6, 1, 1))[0], price, qty, options)
    return ("submit", account, side, kind, "GTC", 0, qty, options)


def random_actions(seed, count, world):
    rng = random.Random(seed)
    lot_quote = max(1, round(MIDDLE * world.get("scale", 1) * float(world["tick_size"]) * float(world["lot_size"]) * 10 ** world["decimals"][1]))
    actions = []
    for _ in range(count):
        action = random_action(rng)
        if action[0] == "submit" and "quote_units" in action[-1]:
            action[-1]["quote_units"] = action[-1]["quote_units"] * lot_quote + rng.randrange(lot_quote)
        actions.append(scaled(action, world["scale"], rng) if "scale" in world else action)
    return actions


def scaled(action, scale, rng):
    """The action with its prices, if it has any, so many times as far apart."""
    def at(price):
        return price * scale + rng.choice((0, 0, 0, 1, -1, 64, 4_096)) if price else 0
    if action[0] == "submit":
        options = action[-1] | ({"stop_ticks": at(action[-1]["stop_ticks"])} if "stop_ticks" in action[-1] else {})
        return (*action[:5], at(action[5]), action[6], options)
    return (*action[:4], at(action[4])) if action[0] == "amend" and len(action) == 5 else action


def run(world, actions, *, compare_every=1):
    """The pair after all actions; raises Mismatch with what differs."""
    pair = Pair(world, compare_every=compare_every)
    for action in actions:
        pair.do(action)
    pair.state()
    return pair


# ---- shrinking
def fails(world, actions):
    try:
        run(world, actions)
    except Mismatch as mismatch:
        return str(mismatch)
    return None


def shrink(world, actions):
    """A subsequence that still fails and has no single action to spare."""
    size = max(1, len(actions) // 2)
    while True:
        n = 0
        while n < len(actions):
            fewer = actions[:n] + actions[n + size:]
            if fewer and fails(world, fewer):
                actions = fewer
            else:
                n += size
        if size == 1:
            return actions
        size //= 2


def readable(name, actions, why):
    lines = "\n".join(f"    {action!r}," for action in actions)
    return f"{why}\nworld {name!r}, shortest sequence found:\nACTIONS = [\n{lines}\n]\nrun(WORLDS[{name!r}], ACTIONS)"


def check(name, actions, *, compare_every=1):
    """Runs the actions in a world; on a mismatch the AssertionError holds the shortest sequence that shows it."""
    world = WORLDS[name]
    try:
        return run(world, actions, compare_every=compare_every)
    except Mismatch as mismatch:
        at = int(str(mismatch).split("action ")[1].split(":")[0]) if "action " in str(mismatch) else len(actions)
        shortest = shrink(world, actions[:at + compare_every])
        raise AssertionError(readable(name, shortest, fails(world, shortest))) from None
