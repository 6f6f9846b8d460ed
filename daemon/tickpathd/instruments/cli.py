"""`tickpath instruments list|show|refresh`: what the venues list, and what changed."""
from pathlib import Path
from typing import Annotated

import typer

instruments_app = typer.Typer(no_args_is_help=True, help="Instruments as the venues list them: grids, limits, status.")

VenueOption = Annotated[str, typer.Option("--venue", help="binance_spot, binance_usdm, binance_coinm, coinbase, "
                                                          "coinbase_exchange, kraken, okx or bybit")]
UrlOption = Annotated[str, typer.Option("--rest-url", help="Another server than the venue's public one.")]
CaOption = Annotated[str, typer.Option("--ca-file", help="A further trust anchor, PEM.")]
DirOption = Annotated[Path | None, typer.Option("--cache-dir", help="Where instruments are kept; default: the state directory.")]
AgeOption = Annotated[float, typer.Option("--max-age-s", help="Kept instruments younger than this are used without asking.")]
KindOption = Annotated[list[str] | None, typer.Option("--kind", help="Only spot, swap, future or option; may be repeated.")]
JsonOption = Annotated[bool, typer.Option("--json", help="Print one JSON object.")]


def _loaded(venue, symbols, *, rest_url, ca_file, cache_dir, max_age_s, kinds=None):
    """LoadedInstruments; warnings go to standard error, a failure ends the command with exit code 1 or 2."""
    import sys

    from tickpathd.cli import FAILED, USAGE, fail
    from tickpathd.instruments.cache import default_cache_dir
    from tickpathd.instruments.facts import InstrumentError
    from tickpathd.instruments.loader import load_instruments
    from tickpathd.instruments.symbols import AmbiguousSymbol, UnknownSymbol
    from tickpathd.instruments.venues import offered_kinds
    try:
        offered = offered_kinds(venue)
    except InstrumentError as e:
        fail(USAGE, f"--venue: {e}")
    if not set(kinds or ()) <= set(offered):
        fail(USAGE, f"--kind: expected some of {list(offered)} for {venue}, found {kinds}")
    if not max_age_s >= 0:
        fail(USAGE, f"--max-age-s: expected at least 0, found {max_age_s}")
    try:
        result = load_instruments(venue, rest_url, symbols, cache_dir or default_cache_dir(), max_age_s=max_age_s,
                                  ca_file=ca_file, kinds=tuple(kinds) if kinds else None)
    except (UnknownSymbol, AmbiguousSymbol) as e:
        fail(USAGE, f"--symbol: {e}")
    except InstrumentError as e:
        fail(FAILED, e)
    for line in result.warnings:
        print(f"tickpath: warning: {line}", file=sys.stderr)
    return result


def _header(result):
    return {"venue": result.venue_kind, "rest_url": result.rest_url, "source": result.source, "fetched_ns": result.fetched_ns,
            "age_s": round(result.age_s, 3), "skipped": [str(odd) for odd in result.table.skipped]}


@instruments_app.command("list")
def list_instruments(venue: VenueOption, kind: KindOption = None,
                     status: Annotated[str, typer.Option("--status", help="Only this status, such as TRADING.")] = "",
                     rest_url: UrlOption = "", ca_file: CaOption = "", cache_dir: DirOption = None,
                     max_age_s: AgeOption = 86400.0, as_json: JsonOption = False):
    """All instruments of a venue."""
    import msgspec
    from rich.text import Text

    from tickpathd import render
    from tickpathd.cli import USAGE, emit, fail, screen
    from tickpathd.instruments.facts import STATUSES
    if status and status.upper() not in STATUSES:
        fail(USAGE, f"--status: expected one of {list(STATUSES)}, found {status!r}")
    result = _loaded(venue, None, rest_url=rest_url, ca_file=ca_file, cache_dir=cache_dir, max_age_s=max_age_s, kinds=kind)
    chosen = [one for one in result.table.facts if (not kind or one.kind in kind) and status.upper() in ("", one.status)]
    if as_json:
        emit({**_header(result), "instruments": msgspec.to_builtins(chosen)})
        return
    t = render.table(f"{venue}: {len(chosen)} instruments", "<symbol", "<venue symbol", "<kind", "tick size", "qty step",
                     "min qty", "min notional", "<status")
    for one in chosen:
        t.add_row(*map(Text, (one.symbol, one.venue_symbol, one.kind, one.tick_size, one.order_qty_step, one.min_qty or "-",
                              one.min_notional or "-", one.status)))
    screen().print(t)


@instruments_app.command("show")
def show(venue: VenueOption,
         symbol: Annotated[list[str], typer.Option("--symbol", help="BTC/USDT, or the venue's name; may be repeated.")],
         rest_url: UrlOption = "", ca_file: CaOption = "", cache_dir: DirOption = None, max_age_s: AgeOption = 86400.0,
         as_json: JsonOption = False):
    """Everything that is known of one instrument or several."""
    import msgspec
    from rich.text import Text

    from tickpathd import render
    from tickpathd.cli import emit, screen
    result = _loaded(venue, symbol, rest_url=rest_url, ca_file=ca_file, cache_dir=cache_dir, max_age_s=max_age_s)
    if as_json:
        emit({**_header(result), "instruments": msgspec.to_builtins(list(result.facts.values()))})
        return
    for one in result.facts.values():
        t = render.table(Text(f"{venue} {one.symbol}"), "<what", "<value")
        for field in msgspec.structs.fields(one):
            value = getattr(one, field.name)
            t.add_row(field.name, Text((" ".join(value) if isinstance(value, tuple) else str(value)) or "-"))
        screen().print(t)


@instruments_app.command("refresh")
def refresh(venue: VenueOption, kind: KindOption = None, rest_url: UrlOption = "", ca_file: CaOption = "",
            cache_dir: DirOption = None, as_json: JsonOption = False):
    """Ask the venue now and say what changed. Exit code 1 when it cannot be asked."""
    import msgspec

    from tickpathd.cli import FAILED, emit, fail
    result = _loaded(venue, None, rest_url=rest_url, ca_file=ca_file, cache_dir=cache_dir, max_age_s=0.0, kinds=kind)
    if as_json:
        emit({**_header(result), "instruments": len(result.table.facts), "changes": msgspec.to_builtins(result.changes)})
    elif result.source == "venue":
        for change in result.changes:
            print(change)
        print(f"{len(result.table.facts)} instruments of {venue}, {len(result.changes)} changes")
    if result.source != "venue":
        fail(FAILED, f"{venue} instruments: expected an answer of the venue, found none; what was kept is unchanged")
