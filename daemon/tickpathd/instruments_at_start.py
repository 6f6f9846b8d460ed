"""Before a run starts: the instruments that its live venues list are asked of the venues, and written into the run's config."""
import msgspec

from tickpathd.ccxt_exchange import CcxtError, check_ccxt_id
from tickpathd.config import Instrument
from tickpathd.feeds.feeds import is_capture
from tickpathd.instruments.ccxt_markets import is_ccxt
from tickpathd.instruments.facts import InstrumentError, engine_lot_size
from tickpathd.instruments.loader import load_instruments
from tickpathd.run_dir import RunError, state_dir


def with_instruments(config, say):
    """The Config with an [[instruments]] entry for every symbol of its live venues.

    Parameters: config : Config.  say : called with each warning, one line.
    Errors:     RunError naming the venue and what was expected: an unknown symbol (with the nearest ones), no answer and no
                kept table.
    """
    for name, venue in config.venues.items():
        for key, kind in (("kind", venue.kind), ("failover", venue.failover)):
            if is_ccxt(kind):
                try:
                    check_ccxt_id(kind.removeprefix("ccxt:"))
                except CcxtError as e:
                    raise RunError(f"venues.{name}.{key}: {e}") from None
    known = {(item.venue, item.symbol) for item in config.instruments}
    added = []
    for name, venue in config.venues.items():
        missing = [symbol for symbol in venue.symbols if (name, symbol) not in known]
        if is_capture(venue) or not missing:
            continue
        cache_dir = state_dir(config) / "instruments"
        try:
            loaded = load_instruments(venue.kind, venue.rest_url, missing, cache_dir, ca_file=venue.ca_file, attempts=3,
                                      timeout_s=5.0, deadline_s=20.0, ccxt_options=venue.ccxt_options)
            for warning in loaded.warnings:
                say(f"{name}: {warning}")
            for symbol in missing:
                facts = loaded.facts[symbol]
                if facts.status not in ("TRADING", "POST_ONLY", "LIMIT_ONLY"):
                    say(f"{name}: {symbol} is {facts.status} at the venue: no order until it trades")
                added.append(Instrument(
                    venue=name, symbol=symbol, venue_symbol=facts.ws_symbol, tick_size=facts.tick_size,
                    lot_size=engine_lot_size(facts), order_qty_step=facts.order_qty_step, min_notional=facts.min_notional or "0",
                    price_decimals=facts.price_decimals, qty_decimals=facts.qty_decimals))
        except InstrumentError as e:
            raise RunError(f"venues.{name}: {e}") from None
    return msgspec.structs.replace(config, instruments=[*config.instruments, *added]) if added else config
