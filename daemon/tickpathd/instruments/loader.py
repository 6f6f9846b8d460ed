"""`load_instruments`: the facts a run needs, from the venue or, when it cannot be asked, from what was kept.

    kept table young enough ──────────────────────────────► use it
        │ no
    venue wants silence, or cannot be asked ──────────────► kept table, its age in a warning; none: the error
        │ no
    GET every page ► parse, odd ones skipped ► keep ► diff ► use it

Blocking; for a cold process (gateway, command line), never for the engine's.
"""
import time

import msgspec

from tickpathd.instruments import ccxt_markets
from tickpathd.instruments.cache import CacheError, InstrumentCache
from tickpathd.instruments.facts import FactsChange, InstrumentError, InstrumentFacts, InstrumentTable, diff_facts
from tickpathd.instruments.fetch import FetchError, HttpClient, Throttled
from tickpathd.instruments.symbols import SymbolMap, kinds_named
from tickpathd.instruments.venues import default_rest_url, offered_kinds, parse_bodies, venue_module

__all__ = ["LoadedInstruments", "load_instruments"]

SKIPPED_NAMED_MAX = 5
# A list that shrank by more than this is said, and used: a venue may delist much, but more often it answered in part.
SHRUNK_FRACTION = 0.5
DEFAULT_MAX_AGE_S = 86400.0


class LoadedInstruments(msgspec.Struct, frozen=True, kw_only=True):
    """What load_instruments found.

    Fields: facts : {name as it was asked for: InstrumentFacts}; all unified symbols when nothing was asked for.
            symbols : SymbolMap over the whole table.  source : "venue" or "cache".
            changes : against the kept table, when the venue was asked.  warnings : lines for the operator.
    """
    venue_kind: str
    rest_url: str
    facts: dict[str, InstrumentFacts]
    table: InstrumentTable
    symbols: SymbolMap
    source: str
    fetched_ns: int
    age_s: float
    changes: list[FactsChange]
    warnings: list[str]


def load_instruments(venue_kind, rest_url, symbols, cache_dir, *, max_age_s=DEFAULT_MAX_AGE_S, ca_file="", kinds=None,
                     timeout_s=10.0, deadline_s=60.0, attempts=5, ccxt_options=None):
    """The facts of a venue's instruments.

    Parameters: venue_kind : one of venues.VENUE_KINDS.  rest_url : "" = the venue's public server.
                symbols : names as SymbolMap.find takes them, or None for all instruments.
                cache_dir : directory, made if absent.  max_age_s : a kept table younger than this is used without asking;
                0 = ask.  ca_file : a further trust anchor.  kinds : of facts.KINDS; None = what the symbols need, without
                symbols all but options.  timeout_s, deadline_s, attempts : see HttpClient; deadline_s is per request.
                ccxt_options : entries of ccxt's `options`, where the kind is ccxt:<id>.
    Returns:    LoadedInstruments.
    Errors:     InstrumentError: UnknownSymbol and AmbiguousSymbol for a name; FetchError, BodyError or CacheError when there
                is neither an answer nor a kept table.
    """
    offered = offered_kinds(venue_kind)
    if kinds is not None and not set(kinds) <= set(offered):
        raise InstrumentError(f"kinds: expected some of {list(offered)} for {venue_kind}, found {list(kinds)}")
    if kinds is None:
        kinds = kinds_named(symbols, offered) if symbols else tuple(kind for kind in offered if kind != "option")
    if not kinds:
        raise InstrumentError(f"{venue_kind} symbols: expected {' or '.join(offered)}, found {', '.join(map(repr, symbols))}")
    cache = InstrumentCache(cache_dir, venue_kind, rest_url or default_rest_url(venue_kind))
    with cache.locked():
        found = _found(cache, tuple(kinds), max_age_s, ca_file, timeout_s=timeout_s, deadline_s=deadline_s, attempts=attempts,
                       ccxt_options=ccxt_options)
    cached, source, changes, warnings = found
    by_name = SymbolMap(cached.table, venue_kind)
    facts = dict(by_name.by_symbol) if symbols is None else {name: by_name.find(name) for name in symbols}
    return LoadedInstruments(venue_kind=venue_kind, rest_url=cached.rest_url, facts=facts, table=cached.table, symbols=by_name,
                             source=source, fetched_ns=cached.fetched_ns, age_s=_age_s(cached), changes=changes,
                             warnings=warnings)


def _found(cache, kinds, max_age_s, ca_file, **limits):
    """(CachedTable, source, changes, warnings)."""
    kept, warnings = None, []
    try:
        kept = cache.load()
    except CacheError as e:
        warnings.append(f"{e}; it is fetched again")
    covers = kept is not None and set(kinds) <= set(kept.kinds)
    if covers and 0 <= _age_s(kept) < max_age_s:
        return kept, "cache", [], warnings
    # What was loaded before stays: a table that lost its options would make their symbols unknown.
    wanted = tuple(dict.fromkeys((kept.kinds if kept else ()) + kinds))
    try:
        fresh, notes = _fetched(cache, wanted, ca_file, **limits)
    except InstrumentError as e:
        if isinstance(e, Throttled):
            cache.keep_silent(e.until_ns)
        if not covers:
            raise
        return kept, "cache", [], [*warnings, f"{e}; using the instruments kept {_age_text(_age_s(kept))} ago"]
    warnings += notes + _odd_ones(cache.venue_kind, fresh.table)
    if kept and len(fresh.table.facts) < SHRUNK_FRACTION * len(kept.table.facts):
        warnings.append(f"{cache.venue_kind} instruments: expected about {len(kept.table.facts)}, as before, found "
                        f"{len(fresh.table.facts)}")
    return fresh, "venue", diff_facts(kept.table.facts, fresh.table.facts) if kept else [], warnings


def _asked_by_http(cache, kinds, ca_file, limits):
    """([(url, body)], warnings)."""
    answers, asked = [], []
    with HttpClient(cache.rest_url, ca_file, **limits) as client:
        def get(path, parameters):
            asked.append(client.url(path, parameters))
            return client.get(path, parameters)
        for body in venue_module(cache.venue_kind).collect(cache.venue_kind, get, kinds):
            answers.append((asked[-1], body))
    return answers, [f"{cache.venue_kind} instruments: {client.retries} request(s) had to be repeated"] if client.retries else []


def _fetched(cache, kinds, ca_file, ccxt_options=None, **limits):
    """(CachedTable, warnings) of what the venue says now; kept before it is returned."""
    silent_ns = cache.silent_until_ns() - time.time_ns()
    # A clock that was set must not silence us for longer than a venue can ask for.
    if 0 < silent_ns <= 86_400 * 10 ** 9:
        raise FetchError(f"{cache.venue_kind} instruments: expected to be let in, found that the venue wants silence for another "
                         f"{_age_text(silent_ns / 10 ** 9)}")
    if ccxt_markets.is_ccxt(cache.venue_kind):
        answers = ccxt_markets.ask(cache.venue_kind, cache.rest_url, kinds, ca_file=ca_file, ccxt_options=ccxt_options)
        warnings = []
    else:
        answers, warnings = _asked_by_http(cache, kinds, ca_file, limits)
    table = parse_bodies(cache.venue_kind, [body for _, body in answers])
    cached, raw = cache.made(answers, kinds, table, time.time_ns())
    try:
        cache.store(cached, raw)
    except CacheError as e:
        warnings.append(f"{e}; the next start needs the network")
    return cached, warnings


def _odd_ones(venue_kind, table):
    if not table.skipped:
        return []
    named = "; ".join(str(odd) for odd in table.skipped[:SKIPPED_NAMED_MAX])
    more = len(table.skipped) - SKIPPED_NAMED_MAX
    return [f"{venue_kind} instruments: {len(table.skipped)} of {len(table.skipped) + len(table.facts)} skipped: {named}"
            + (f"; and {more} more" if more > 0 else "")]


def _age_s(cached):
    return (time.time_ns() - cached.fetched_ns) / 10 ** 9


def _age_text(seconds):
    for unit, name in ((86400, "d"), (3600, "h"), (60, "min")):
        if seconds >= 2 * unit:
            return f"{seconds / unit:.0f} {name}"
    return f"{max(seconds, 0):.0f} s"
