"""What Coinbase's two market data feeds share: who does not subscribe in time is closed, and the instrument's entry."""
from tickpath_sim.protocols.base import Protocol

__all__ = ["Coinbase"]


class Coinbase(Protocol):
    venue = "coinbase"
    subscribe_within_s = 5
    heartbeat_s = 1
    normal_status = "online"

    def __init__(self):
        super().__init__()
        self.captured = {}                  # product -> its entry of the recorded list

    def observed(self):
        for item in self.instruments.values():
            entry = self.captured.get(item.symbol)
            if entry is not None:
                item.tick_size, item.lot_size = entry.get("quote_increment"), entry.get("base_increment")
        super().observed()

    def entry(self, item, name):
        tick, lot = item.listed_grid()
        base, _, quote = item.symbol.partition("-")
        return {name: item.symbol, "base_currency": base, "quote_currency": quote, **self.captured.get(item.symbol, {}),
                "base_increment": lot, "quote_increment": tick, "status": item.status or "online"}

    def session(self, connection, path, query):
        return self.session_class(self, connection) if path in ("", "/") else None
