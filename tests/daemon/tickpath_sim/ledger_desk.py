"""A venue in this process that random clients trade at, its ledger log, and ways to spoil a ledger so that every checksum is right."""
import json
import random
import zlib

from tickpath_sim.trading.audit_ledger import LedgerAudit
from tickpath_sim.trading.audit_truth import Violations
from tickpath_sim.trading.errors import VenueError
from tickpath_sim.trading.ledger_log import LedgerLog
from tickpath_sim.trading.ledger_records import LedgerReader
from tickpath_sim.trading.orders import OrderRequest
from tickpath_sim.trading.spot import SpotVenue, spot_rates

SPECS = {"AAABBB": ("AAA", "BBB", "0.01", "0.001", {"min_notional": "0.0001"}),
         "CCCBBB": ("CCC", "BBB", "0.0001", "0.1", {"min_notional": "0.0001"})}
MINUTE_NS = 60 * 10**9
START_NS = 1_795_000_000 * 10**9
LIMIT, MARKET, MAKER, STOP_LIMIT = 2, 1, 3, 5
TYPES = {LIMIT: "LIMIT", MARKET: "MARKET", MAKER: "LIMIT_MAKER", STOP_LIMIT: "STOP_LOSS_LIMIT"}
TIFS = {1: "GTC", 3: "IOC", 4: "FOK"}


class Desk:
    """Clients act at random, from a seed, on a venue with a recorded market beside them; the clock is the test's own."""

    def __init__(self, directory, seed, limit_mib=0, rows=None):
        self.random = random.Random(seed)
        self.venue = SpotVenue(SPECS, rows or [
            {"name": "one", "maker_bps": "8", "taker_bps": "10", "balances": {"AAA": "50", "BBB": "100000", "CCC": "9000"}},
            {"name": "two", "maker_bps": "-1", "taker_bps": "5", "balances": {"AAA": "50", "BBB": "100000", "CCC": "9000"}},
            {"name": "three", "fee_asset": "FEE", "balances": {"AAA": "50", "BBB": "500", "CCC": "10", "FEE": "3"}}],
            spot_rates(0, 0, 0, 0), enforced=False)
        self.now_ns = START_NS
        self.venue.now_ns = lambda: self.now_ns
        self.venue.exchange.set_fee_asset_price("FEE", "BBB", "2.5")
        self.ledger = LedgerLog(directory, self.venue, limit_mib)
        self.venue.orders.listeners.append(self.ledger)
        self.accounts = list(self.venue.accounts)
        self.placed = 0

    def act(self):
        draw, venue = self.random, self.venue
        self.now_ns += draw.randrange(1, 10**9)
        account, symbol = draw.choice(self.accounts), draw.choice(venue.by_instrument)
        kind = draw.random()
        try:
            if kind < 0.7:
                self.place(account, symbol)
            elif kind < 0.85 and account.open_orders:
                venue.orders.cancel(account, draw.choice(list(account.open_orders.values())), self.now_ns)
            elif kind < 0.92 and account.open_orders:
                order = draw.choice(list(account.open_orders.values()))
                venue.orders.amend(account, order, max(order.cum_lots + 1, order.qty_lots // 2), self.now_ns)
            elif kind < 0.95:
                venue.deposit(account, draw.choice(venue.by_asset), draw.choice((1, -1)) * draw.randrange(1, 10**9))
        except VenueError:
            pass                            # refused: it leaves no line

    def place(self, account, symbol):
        draw = self.random
        order_type = draw.choice((LIMIT, LIMIT, LIMIT, MARKET, MAKER, STOP_LIMIT))
        tif = draw.choice((1, 1, 3, 4)) if order_type == LIMIT else 1
        price = 0 if order_type == MARKET else 10_000 + draw.randrange(-40, 41)
        stop = 10_000 + draw.randrange(-40, 41) if order_type == STOP_LIMIT else 0
        lots = draw.randrange(1, 4000)
        submit = {"stp": draw.choice((0, 0, 1, 2, 3, 4))}
        if stop:
            submit["stop_ticks"] = stop
        if order_type == LIMIT and draw.random() < 0.2:
            submit["iceberg_lots"] = max(1, lots // 5)
        self.placed += 1
        return self.venue.orders.place(account, OrderRequest(
            symbol, draw.choice((1, 2)), order_type, 3 if order_type == MARKET else tif, price, lots, f"c{self.placed}",
            TYPES[order_type], None if order_type == MARKET else TIFS[tif], submit, stop_ticks=stop), self.now_ns)

    def run(self, actions, flush_every=17):
        for number in range(actions):
            self.act()
            if number % flush_every == 0:
                self.ledger.flush()
        return self

    def close(self):
        self.ledger.close()
        return self


def audited(directory):
    """(LedgerAudit, Violations) of a ledger log."""
    violations = Violations()
    found = LedgerAudit(violations)
    for record in LedgerReader(directory):
        found.feed(record)
    found.finish()
    return found, violations


def lines_of(path):
    return [json.loads(line) for line in path.read_bytes().splitlines()]


def write_lines(path, lines):
    """Lines as the log itself would write them, numbered and with right checksums."""
    crc, out = 0, []
    for number, line in enumerate(lines, 1):
        fields = {key: value for key, value in line.items() if key != "crc"}
        fields["n"] = number
        body = json.dumps(fields, separators=(",", ":")).encode()[:-1]
        crc = zlib.crc32(body, crc)
        out.append(b'%b,"crc":"%08x"}\n' % (body, crc))
    path.write_bytes(b"".join(out))
