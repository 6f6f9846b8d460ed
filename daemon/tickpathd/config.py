"""The configuration: frozen structs, validated once at load.

Layers, later wins: defaults < files in order < environment TICKPATH__SECTION__KEY < --set a.b=c. Unknown keys are errors.
Errors: ConfigError, text "FILE: $.path: expected …, found …".
"""
import difflib
import json
import math
import os
import re
import tomllib
from decimal import Decimal, InvalidOperation
from fractions import Fraction
from pathlib import Path
from typing import Annotated, Any
from urllib.parse import urlsplit

import msgspec
import yaml
from msgspec import Meta, Struct, field


class ConfigError(Exception):
    """A configuration that cannot be used; the text says where, what was expected and what was found."""


def _m(meaning, unit=""):
    return Meta(description=meaning, extra_json_schema={"unit": unit} if unit else None)


class _Section(Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    pass


class Instance(_Section):
    name: Annotated[str, _m("name of the instance: segments, journal and order ids carry it")] = "demo"
    mode: Annotated[str, _m("backtest, paper or live; live needs --live as well")] = "paper"
    seed: Annotated[int, _m("seed of the strategies' random numbers")] = 1
    strategy_path: Annotated[list[str], _m("directories of user strategies, relative to the configuration file")] = []
    sigterm_policy: Annotated[str, _m("what SIGTERM does with open orders: leave, cancel or flatten")] = "cancel"
    durability: Annotated[str, _m("when an intent counts as recorded: process or disk")] = "process"
    core: Annotated[int, _m("processor the engine is pinned to; -1 = not pinned")] = -1
    poll: Annotated[str, _m("sleep, or busy: the engine's loop never sleeps")] = "sleep"


class Venue(_Section):
    kind: Annotated[str, _m("binance_spot, …, ccxt:<exchange id>, or capture:<path or glob>")]
    ws_url: Annotated[str, _m("market streams")] = ""
    ws_api_url: Annotated[str, _m("order entry")] = ""
    rest_url: Annotated[str, _m("snapshots and instruments")] = ""
    ca_file: Annotated[str, _m("extra trust anchor")] = ""
    credentials: Annotated[str, _m("a reference, never the key itself")] = ""
    symbols: Annotated[list[str], _m("what to subscribe, as BASE/QUOTE; instruments not listed come from the venue")] = []
    channels: Annotated[list[str], _m("of book, trades, quotes, l3 (in place of book: kraken, coinbase), candles (ccxt)")] = \
        field(default_factory=lambda: ["book", "trades", "quotes"])
    l3_orders: Annotated[int, _m("orders that an order-by-order book holds, power of two; one more: SYNCING", "orders")] = 65536
    depth: Annotated[int, _m("levels a side to subscribe, where the venue lets choose; the next it offers", "levels")] = 100
    redundancy: Annotated[int, _m("sockets for the same streams: 1 or 2; the first copy of everything wins")] = 1
    streams_per_connection: Annotated[int, _m("streams on one socket; 0 = the venue's own limit")] = 0
    silent_after_ms: Annotated[int, _m("no message for so long: stale, and a new socket; 0 = the venue's own", "ms")] = 0
    ping_after_ms: Annotated[int, _m("idle time before a WebSocket ping, and how long to wait for its pong", "ms")] = 10000
    replace_after_s: Annotated[float, _m("age at which a socket is replaced by a new one; 0 = the venue's own", "s")] = 0.0
    reconnect_min_ms: Annotated[int, _m("first pause before connecting again; jittered", "ms")] = 250
    reconnect_max_ms: Annotated[int, _m("longest pause", "ms")] = 30000
    resync_after_ms: Annotated[int, _m("a streamed book without its snapshot for so long is asked for again", "ms")] = 1000
    instruments_refresh_s: Annotated[float, _m("how often the venue's ticks and lots are asked again; 0 = never", "s")] = 300.0
    weight_per_min: Annotated[int, _m("request weight that REST snapshots may use; 0 = the venue's own cap")] = 0
    clock_check_s: Annotated[float, _m("between two questions for the venue's time; 0 = never", "s")] = 15.0
    max_clock_offset_ms: Annotated[int, _m("a venue clock further from ours is warned of", "ms")] = 1000
    status_check_s: Annotated[float, _m("between two looks at the venue's list, whether its instruments trade; 0 = never",
                                        "s")] = 30.0
    transport: Annotated[str, _m("of ccxt: ws, rest (polled), or auto: ws where ccxt has it")] = "auto"
    poll_interval_ms: Annotated[int, _m("ccxt and failover: between the beginnings of two polls of an instrument", "ms")] = 1000
    candle_interval: Annotated[str, _m("ccxt: length of the venue's candles, in ccxt's words")] = "1m"
    ccxt_options: Annotated[dict[str, Any], _m("ccxt: entries of its `options`, as its manual names them")] = {}
    failover: Annotated[str, _m("what feeds an instrument while its stream is bad: none, rest (the venue's own depth, polled), "
                                "or ccxt:<exchange id>")] = "none"
    failover_after_ms: Annotated[int, _m("how long the stream is bad before that", "ms")] = 3000
    failover_trading: Annotated[bool, _m("whether orders may go out on polled data; else they are only shown")] = False
    capture_protocol: Annotated[str, _m("whose messages a capture holds")] = "binance_spot"
    pace: Annotated[str, _m("of a capture: recorded, or fast")] = "recorded"


class Instrument(_Section):
    venue: Annotated[str, _m("name of its venue section")]
    symbol: Annotated[str, _m("BASE/QUOTE")]
    venue_symbol: Annotated[str, _m("the venue's own spelling")]
    tick_size: Annotated[str, _m("price increment, decimal text")]
    lot_size: Annotated[str, _m("unit of quantities, decimal text; as fine as the book shows them")]
    order_qty_step: Annotated[str, _m("order quantities are multiples of it; empty = lot_size")] = ""
    min_notional: Annotated[str, _m("least price x quantity of an order", "quote asset")] = "0"
    book_window_ticks: Annotated[int, _m("fast part of the book, power of two", "ticks")] = 65536
    price_decimals: Annotated[int, _m("of the venue's own text, for its checksum; -1 = those of tick_size")] = -1
    qty_decimals: Annotated[int, _m("of the venue's own text, for its checksum; -1 = those of lot_size")] = -1


class AccountLimits(_Section):
    max_position_usd: Annotated[float, _m("position of an instrument, worst case", "USD")] = 100000.0
    max_portfolio_concentration: Annotated[float, _m("share of one instrument", "fraction")] = 0.25
    max_leverage: Annotated[float, _m("gross exposure over equity")] = 3.0
    max_order_size_usd: Annotated[float, _m("notional of one order", "USD")] = 10000.0
    max_order_rate_per_min: Annotated[int, _m("orders in any 60 s", "orders/min")] = 60
    max_drawdown_pct: Annotated[float, _m("from the equity's peak", "fraction")] = 0.10
    monthly_drawdown_pct: Annotated[float, _m("within a month", "fraction")] = 0.15
    max_total_position_pct: Annotated[float, _m("of net assets", "fraction")] = 0.95
    daily_loss_pct: Annotated[float, _m("within a day", "fraction")] = 0.05
    var_limit_1d_95: Annotated[float, _m("1-day value at risk, 95 %", "USD")] = 5000.0
    var_limit_1d_99: Annotated[float, _m("1-day value at risk, 99 %", "USD")] = 7500.0
    var_max_age_s: Annotated[float, _m("oldest VaR figure that counts", "s")] = 300.0
    margin_buffer: Annotated[float, _m("of margin kept free", "fraction")] = 0.20
    margin_call_threshold: Annotated[float, _m("free margin that raises an alarm", "fraction")] = 0.05


class StrategyLimits(_Section):
    max_position_pct: Annotated[float, _m("of net assets", "fraction")] = 0.02
    max_leverage: Annotated[float, _m("gross exposure over the strategy's equity")] = 2.0
    max_consecutive_losses: Annotated[int, _m("losing trades in a row")] = 5
    min_rolling_sharpe: Annotated[float, _m("floor of the rolling Sharpe ratio")] = 1.0
    max_trades_per_day: Annotated[int, _m("fills in a day")] = 200


class InstrumentLimits(_Section):
    max_position_pct: Annotated[float, _m("of net assets", "fraction")] = 0.05
    max_pct_of_daily_volume: Annotated[float, _m("of the instrument's daily volume", "fraction")] = 0.10
    max_daily_volatility_pct: Annotated[float, _m("above it no order", "fraction")] = 0.50
    stop_loss_pct: Annotated[float, _m("loss at which a position is closed", "fraction")] = 0.02
    take_profit_pct: Annotated[float, _m("gain at which a position is closed", "fraction")] = 0.06
    max_order_qty: Annotated[str, _m("quantity of one order, decimal text", "base asset")] = "1000000"
    max_open_orders: Annotated[int, _m("open orders of an instrument")] = 50
    price_collar_bps: Annotated[float, _m("distance of an order's price from the mid", "bps")] = 100.0
    max_spread_bps: Annotated[float, _m("a wider spread closes the gate", "bps")] = 500.0
    max_jump_bps: Annotated[float, _m("a mid that moves further in one message is doubted", "bps")] = 500.0
    jump_hold_ms: Annotated[int, _m("and believed after so much more data", "ms")] = 500
    max_crossed_ms: Annotated[int, _m("a book crossed for longer is thrown away", "ms")] = 1000


class Limits(_Section):
    account: AccountLimits = field(default_factory=AccountLimits)
    strategy: StrategyLimits = field(default_factory=StrategyLimits)
    instrument: InstrumentLimits = field(default_factory=InstrumentLimits)
    max_data_age_ms: Annotated[int, _m("older market data gives no order", "ms")] = 2000


class StrategyModel(_Section):
    path: Annotated[str, _m("ONNX file")] = ""
    features: Annotated[list[str], _m("feature names")] = []


class StrategyExecution(_Section):
    order_type: Annotated[str, _m("limit or market")] = "limit"
    limit_offset_bps: Annotated[float, _m("distance of a limit price", "bps")] = 5.0
    timeout_s: Annotated[float, _m("after which an open order is cancelled", "s")] = 30.0


class Strategy(_Section):
    name: Annotated[str, _m("shown everywhere")]
    kind: Annotated[str, _m("a built-in name, or module:Class")]
    instrument: Annotated[str, _m("venue:BASE/QUOTE")]
    parameters: Annotated[dict[str, float | int | str | bool], _m("the strategy's own")] = {}
    model: StrategyModel = field(default_factory=StrategyModel)
    execution: StrategyExecution = field(default_factory=StrategyExecution)
    host: Annotated[str, _m("inline or process; empty = inline on a capture")] = ""


class Signals(_Section):
    bar_interval_s: Annotated[float, _m("length of the engine's bars, where `bars` is empty", "s")] = 1.0
    bars: Annotated[list[str], _m("several bars of every instrument: 1s, 5m, 1d@8h, tick:100, volume:12.5, dollar:1000000")] = []
    bar_grace_ms: Annotated[float, _m("how long after its end time closes a bar for which no later trade has come", "ms")] = 250.0
    bar_late_rule: Annotated[str, _m("a trade whose bar is closed: add it to the next one, or drop it")] = "add"
    empty_bars: Annotated[bool, _m("an interval without a trade gives a bar too")] = False
    ema_fast: Annotated[int, _m("fast average of closes of the first of the bars", "bars")] = 12
    ema_slow: Annotated[int, _m("slow average of closes of the first of the bars", "bars")] = 26
    imbalance_levels: Annotated[int, _m("book levels in the imbalance")] = 5


class Paper(_Section):
    order_latency_us: Annotated[float, _m("from our send to the venue", "us")] = 5000.0
    reply_latency_us: Annotated[float, _m("from the venue to us", "us")] = 2000.0
    maker_fee_bps: Annotated[float, _m("fee of a resting fill", "bps")] = 10.0
    taker_fee_bps: Annotated[float, _m("fee of a taking fill", "bps")] = 10.0
    reject_probability: Annotated[float, _m("of an order, drawn from the seed", "fraction")] = 0.0
    seed: Annotated[int, _m("of the simulated venue")] = 1
    queue_model: Annotated[str, _m("how a shrinking display shortens the queue ahead of a resting order: pessimistic, "
                                   "proportional, power, log, l3 or optimistic")] = "pessimistic"
    queue_power: Annotated[float, _m("n of the queue model power")] = 3.0
    latency_model: Annotated[str, _m("constant, or from latency_file: interpolated by time, or drawn from the seed")] = "constant"
    latency_file: Annotated[str, _m("samples in ns: CSV, JSON or NumPy, see docs/simulation.md")] = ""
    latency_jitter_us: Annotated[float, _m("up to so much more for each message, drawn from the seed", "us")] = 0.0
    market_slippage_bps: Annotated[float, _m("a market order meets every level so much further away", "bps")] = 0.0
    impact_bps: Annotated[float, _m("for every whole level that we take the market stands so much further away", "bps")] = 0.0
    impact_half_life_ms: Annotated[float, _m("half of the impact is gone after it", "ms")] = 1000.0


class Storage(_Section):
    dir: Annotated[str, _m("state directory; empty = $STATE_DIRECTORY or the user's state home")] = ""
    ring_slots: Annotated[int, _m("event ring, power of two", "64-byte slots")] = 262144
    feed_bytes: Annotated[int, _m("feed lane, power of two", "bytes")] = 8388608
    fsync_interval_ms: Annotated[float, _m("group fsync of the journal; durability = disk syncs back to back", "ms")] = 50.0
    segment_mb: Annotated[int, _m("size of a journal segment, reserved when it is begun", "MiB")] = 256
    journal_timeout_ms: Annotated[int, _m("a journal silent for so long is dead: CANCEL_ONLY", "ms")] = 2000
    max_hold_ms: Annotated[int, _m("durability = disk: an order not on the disk by then is never sent", "ms")] = 1000


class Lane(_Section):
    role: Annotated[str, _m("viewer, agent, trader, risk or admin: what its client may ask for")]
    group: Annotated[str, _m("group that may open it; empty = the engine's own")] = ""
    slots: Annotated[int, _m("commands that may wait, power of two", "64-byte slots")] = 256


class Latency(_Section):
    stamps: Annotated[bool, _m("measure every step")] = True
    warming: Annotated[bool, _m("keep the path in the cache while nothing comes (idle turns)")] = True


class Config(_Section):
    instance: Instance = field(default_factory=Instance)
    venues: dict[str, Venue] = {}
    instruments: list[Instrument] = []
    limits: Limits = field(default_factory=Limits)
    strategies: list[Strategy] = []
    signals: Signals = field(default_factory=Signals)
    paper: Paper = field(default_factory=Paper)
    storage: Storage = field(default_factory=Storage)
    lanes: dict[str, Lane] = field(default_factory=lambda: {"admin": Lane(role="admin"), "research": Lane(role="agent")})
    latency: Latency = field(default_factory=Latency)


DEPTH_MAX = 32
ALIASED_NODES_MAX = 10_000
ENFORCED_LIMITS = {
    "account.max_position_usd", "account.max_order_size_usd", "account.max_order_rate_per_min",
    "instrument.max_order_qty", "instrument.max_open_orders", "instrument.price_collar_bps", "max_data_age_ms",
    "instrument.max_spread_bps", "instrument.max_jump_bps", "instrument.jump_hold_ms", "instrument.max_crossed_ms"}
VENUE_KINDS = ("binance_spot", "binance_usdm", "coinbase", "kraken", "okx", "bybit")
CCXT_ID = re.compile(r"ccxt:[a-z0-9]{1,40}")


# ---- loading

def load_config(paths, overrides=(), env=None, live=False):
    """The validated Config of files, environment and overrides ("a.b=c"). live: the command line's second switch."""
    tree, origins = {}, {(): "configuration"}
    for path in paths:
        path = Path(path)
        origins[()] = str(path)
        _merge(tree, _resolve_paths(_read_file(path), path.parent), origins, str(path))
    for key, value in sorted((os.environ if env is None else env).items()):
        if key.startswith("TICKPATH__"):
            _set(tree, key[len("TICKPATH__"):].lower().split("__"), _value(value), origins, f"environment {key}")
    return _finish(tree, overrides, origins, live)


def apply_overrides(config, overrides):
    """A Config with "a.b=c" settings changed."""
    return _finish(json.loads(config_to_json(config)), overrides, {(): "configuration"}, live=True)


def _finish(tree, overrides, origins, live):
    for text in overrides:
        name, separator, value = text.partition("=")
        if not separator:
            raise ConfigError(f"--set: expected a.b=c, found {text!r}")
        _set(tree, name.strip().split("."), _value(value.strip()), origins, "--set")
    try:
        config = msgspec.convert(tree, Config, strict=True)
    except msgspec.ValidationError as e:
        text = _explain(e)
        raise ConfigError(f"{_origin(origins, text.partition(': ')[0])}: {text}") from None
    validate(config, origins, live)
    return config


def _read_file(path):
    try:
        data = path.read_bytes()
    except OSError as e:
        raise ConfigError(f"{path}: expected a configuration file, found {e.strerror}") from None
    try:
        if path.suffix in (".yaml", ".yml"):
            tree = yaml.load(data, _YamlLoader)
        elif path.suffix == ".json":
            tree = json.loads(data, object_pairs_hook=_object_without_duplicates)
        else:
            tree = tomllib.loads(data.decode())
    # PyYAML fails with AttributeError, KeyError and others on a tag whose text does not fit.
    except (ValueError, LookupError, AttributeError, TypeError, RecursionError, yaml.YAMLError) as e:
        what = (str(e) or type(e).__name__).splitlines()[0]
        raise ConfigError(f"{path}: expected {path.suffix.lstrip('.') or 'TOML'}, found {what}") from None
    if not isinstance(tree, dict):
        raise ConfigError(f"{path}: $: expected sections, found {type(tree).__name__}")
    _check_tree(tree, path)
    return tree


def _check_tree(tree, where):
    """What every format lets through and nobody means: endless nesting, and text that is no Unicode."""
    level = [tree]
    for _ in range(DEPTH_MAX):
        below = []
        for node in level:
            for value in (*node, *node.values()) if isinstance(node, dict) else node:
                if isinstance(value, dict | list):
                    below.append(value)
                elif isinstance(value, str) and ("\0" in value or not value.isprintable() and _is_no_unicode(value)):
                    raise ConfigError(f"{where}: expected Unicode text without NUL, found {value!r}")
        level = below
    if level:
        raise ConfigError(f"{where}: expected at most {DEPTH_MAX} levels of nesting, found more")


def _is_no_unicode(text):
    try:
        text.encode()
    except UnicodeEncodeError:
        return True
    return False


def _object_without_duplicates(pairs):
    """A JSON object; of two limits of one name neither may win silently."""
    result = dict(pairs)
    if len(result) != len(pairs):
        keys = [key for key, _ in pairs]
        raise ValueError(f"the key {next(k for k in keys if keys.count(k) > 1)!r} twice")
    return result


class _YamlLoader(yaml.SafeLoader):
    """Safe YAML that refuses a key given twice, as TOML does, and aliases that grow without end: a few lines of them can
    stand for millions of nodes."""

    def __init__(self, stream):
        super().__init__(stream)
        self._sizes, self._open, self._aliased_nodes = {}, set(), 0

    def compose_node(self, parent, index):
        event = self.peek_event()
        line = event.start_mark.line + 1
        if isinstance(event, yaml.AliasEvent):
            if event.anchor in self._open:
                raise ValueError(f"an alias of itself, line {line}")
            node = super().compose_node(parent, index)
            self._aliased_nodes += self._size(node)
            if self._aliased_nodes > ALIASED_NODES_MAX:
                raise ValueError(f"aliases for more than {ALIASED_NODES_MAX} values, line {line}")
            return node
        self._open.add(event.anchor)
        node = super().compose_node(parent, index)
        self._open.discard(event.anchor)
        return node

    def _size(self, node):
        """Values that a node stands for, its aliases followed; every node is looked at once."""
        if node not in self._sizes:
            children = node.value if isinstance(node, yaml.CollectionNode) else ()
            pairs = [n for pair in children for n in pair] if isinstance(node, yaml.MappingNode) else children
            self._sizes[node] = 1 + sum(self._size(n) for n in pairs)
        return self._sizes[node]

    def compose_mapping_node(self, anchor):
        node = super().compose_mapping_node(anchor)
        _object_without_duplicates([(key.value, None) for key, _ in node.value if isinstance(key, yaml.ScalarNode)])
        return node


def _resolve_paths(tree, base):
    instance = tree.get("instance")
    if isinstance(instance, dict) and isinstance(instance.get("strategy_path"), list):
        instance["strategy_path"] = [str((base / p).resolve()) if isinstance(p, str) else p
                                     for p in instance["strategy_path"]]
    return tree


def _merge(into, tree, origins, where, path=()):
    for key, value in tree.items():
        if isinstance(value, dict):
            if not isinstance(into.get(key), dict):
                into[key] = {}
            _merge(into[key], value, origins, where, (*path, str(key)))
        else:
            into[key] = value
            origins[(*path, str(key))] = where


def _origin(origins, path):
    """Which file, variable or option set the value at "$.a.b[0].c": the entry nearest above it, else one below it."""
    keys = tuple(path.replace("[", ".").replace("]", "").removeprefix("$").strip(".").split("."))
    for n in range(len(keys), 0, -1):
        if keys[:n] in origins:
            return origins[keys[:n]]
    below = [where for key, where in origins.items() if key[:len(keys)] == keys]
    return below[-1] if below else origins[()]


def _value(text):
    try:
        return tomllib.loads(f"v = {text}")["v"]
    except tomllib.TOMLDecodeError:
        return text


def _set(tree, keys, value, origins, where):
    origins[tuple(keys)] = where
    node = tree
    for n, key in enumerate(keys):
        last = n == len(keys) - 1
        if isinstance(node, list):
            if not key.isdigit() or int(key) >= len(node):
                raise ConfigError(f"{where}: $.{'.'.join(keys)}: expected an index below {len(node)}, found {key!r}")
            key = int(key)
        elif not isinstance(node, dict):
            raise ConfigError(f"{where}: $.{'.'.join(keys)}: expected a section at {key!r}, found a value")
        if last:
            node[key] = value
        else:
            node = node.setdefault(key, {}) if isinstance(node, dict) else node[key]


def _explain(error):
    text = str(error)
    m = re.match(r"Object contains unknown field `(.+?)`(?: - at `(.*?)`)?$", text)
    if m:
        name, path = m[1], m[2] or "$"
        known = _known_keys(path)
        near = difflib.get_close_matches(name, known, 1, 0.5)
        return (f"{path}.{name}: expected a known key{f' (did you mean {near[0]!r}?)' if near else ''}, "
                f"one of {sorted(known)}, found {name!r}")
    m = re.match(r"Object missing required field `(.+?)`(?: - at `(.*?)`)?$", text)
    if m:
        return f"{m[2] or '$'}.{m[1]}: expected a value, found none"
    m = re.match(r"Expected `(.+?)`, got `(.+?)`(?: - at `(.*?)`)?$", text)
    if m:
        return f"{m[3] or '$'}: expected {m[1]}, found {m[2]}"
    return text


def _known_keys(path):
    struct = Config
    for part in re.findall(r"\.(\w+)|\[(.*?)\]", path):
        name = part[0]
        fields = {f.encode_name: f.type for f in msgspec.structs.fields(struct)} if name else {}
        kind = fields.get(name, struct)
        for candidate in (kind, *getattr(kind, "__args__", ())):
            if isinstance(candidate, type) and issubclass(candidate, Struct):
                struct = candidate
    return [f.encode_name for f in msgspec.structs.fields(struct)]


# ---- validation

def _validate_order_entry(config, bad):
    """Orders leave by sockets. What is not there yet (asking the venue what became of an order) decides where they may go."""
    for name, venue in config.venues.items():
        path = f"venues.{name}"
        if venue.kind != "binance_spot":
            bad(f"{path}.kind", "binance_spot (this version has no other order entry)", venue.kind)
        if not venue.credentials:
            bad(f"{path}.credentials", "env:NAME, file:PATH or credential:NAME, since orders are signed", venue.credentials)
        for key in ("ws_url", "ws_api_url", "rest_url"):
            url = getattr(venue, key)
            try:
                host = urlsplit(url).hostname
            except ValueError:
                host = None
            if host not in ("127.0.0.1", "::1", "localhost"):
                bad(f"{path}.{key}", "a venue on this machine (this version cannot yet settle what a lost "
                    "connection leaves open)", url)


def validate(config, origins, live=False):
    """Raise ConfigError for whatever types alone cannot say. origins: where each value came from, see _origin."""
    def bad(path, expected, found):
        raise ConfigError(f"{_origin(origins, path)}: $.{path}: expected {expected}, found {found!r}")

    def positive(path, value, *, zero=False):
        if (isinstance(value, float) and not math.isfinite(value)) or value < 0 or (value == 0 and not zero):
            bad(path, "a number of at least 0" if zero else "a positive number", value)

    def one_of(path, value, choices):
        if value not in choices:
            bad(path, f"one of {list(choices)}", value)

    def power_of_two(path, value, low, high):
        if value < low or value > high or value & (value - 1):
            bad(path, f"a power of two from {low} to {high}", value)

    def decimal_text(path, text, *, zero=False):
        try:
            value = Decimal(text)
        except InvalidOperation:
            bad(path, "a decimal number as text", text)
        if not value.is_finite() or value < 0 or (value == 0 and not zero):
            bad(path, "a positive decimal number as text", text)
        if not -40 < value.adjusted() < 40 or len(value.as_tuple().digits) > 40:
            bad(path, "a decimal number of at most 40 digits", text)
        return value

    i = config.instance
    if not re.fullmatch(r"[a-z0-9][a-z0-9_-]{0,31}", i.name):
        bad("instance.name", "1 to 32 characters of [a-z0-9_-]", i.name)
    one_of("instance.mode", i.mode, ("backtest", "paper", "live"))
    one_of("instance.sigterm_policy", i.sigterm_policy, ("leave", "cancel", "flatten"))
    one_of("instance.durability", i.durability, ("process", "disk"))
    one_of("instance.poll", i.poll, ("sleep", "busy"))
    if i.mode == "live":
        if not live:
            bad("instance.mode", "--live on the command line as well", "live")
        _validate_order_entry(config, bad)
    if i.mode == "backtest":
        bad("instance.mode", "paper (a capture at pace = \"fast\" is this version's backtest)", "backtest")
    if i.sigterm_policy == "flatten":
        bad("instance.sigterm_policy", "leave or cancel (this version cannot flatten)", i.sigterm_policy)
    if not -1 <= i.core < 4096:
        bad("instance.core", "-1 or a processor number", i.core)
    if not 0 <= i.seed < 2 ** 32:
        bad("instance.seed", "0 to 2^32 - 1", i.seed)
    _validate_venues(config, bad, one_of)
    _validate_instruments(config, bad, decimal_text, power_of_two)
    for section, limits in (("account", config.limits.account), ("strategy", config.limits.strategy),
                            ("instrument", config.limits.instrument)):
        for f in msgspec.structs.fields(limits):
            value = getattr(limits, f.name)
            path = f"limits.{section}.{f.name}"
            if isinstance(value, str):
                decimal_text(path, value)
                continue
            positive(path, value, zero=f.name == "min_rolling_sharpe")
            if (f.name.endswith("_pct") or f.name.endswith("_concentration") or f.name.startswith("margin_")) and value > 1:
                bad(path, "a fraction of one (0.05 is 5 %)", value)
    if config.limits.account.max_order_rate_per_min > 65536:
        bad("limits.account.max_order_rate_per_min", "at most 65536", config.limits.account.max_order_rate_per_min)
    if config.limits.instrument.max_open_orders > 1024:
        bad("limits.instrument.max_open_orders", "at most 1024", config.limits.instrument.max_open_orders)
    positive("limits.max_data_age_ms", config.limits.max_data_age_ms)
    positive("signals.bar_interval_s", config.signals.bar_interval_s)
    if config.signals.bar_interval_s < 1e-3:
        bad("signals.bar_interval_s", "at least 0.001", config.signals.bar_interval_s)
    _validate_bars(config.signals, bad, one_of)
    for key in ("ema_fast", "ema_slow", "imbalance_levels"):
        positive(f"signals.{key}", getattr(config.signals, key))
    for key in ("order_latency_us", "reply_latency_us"):
        positive(f"paper.{key}", getattr(config.paper, key))
    for key in ("maker_fee_bps", "taker_fee_bps"):
        positive(f"paper.{key}", getattr(config.paper, key), zero=True)
    if not 0 <= config.paper.reject_probability <= 1:
        bad("paper.reject_probability", "a number from 0 to 1", config.paper.reject_probability)
    if not 0 <= config.paper.seed < 2 ** 63:
        bad("paper.seed", "0 to 2^63 - 1", config.paper.seed)
    _validate_paper(config.paper, bad, one_of)
    power_of_two("storage.ring_slots", config.storage.ring_slots, 65536, 1 << 26)
    power_of_two("storage.feed_bytes", config.storage.feed_bytes, 65536, 1 << 30)
    positive("storage.fsync_interval_ms", config.storage.fsync_interval_ms)
    for key, low, high in (("segment_mb", 1, 65536), ("journal_timeout_ms", 200, 600_000), ("max_hold_ms", 10, 600_000)):
        if not low <= getattr(config.storage, key) <= high:
            bad(f"storage.{key}", f"{low} to {high}", getattr(config.storage, key))
    _validate_lanes(config, bad, one_of, power_of_two)
    _validate_strategies(config, bad)


def _validate_paper(paper, bad, one_of):
    one_of("paper.queue_model", paper.queue_model, ("pessimistic", "proportional", "power", "log", "l3", "optimistic"))
    if not 0 < paper.queue_power <= 100:
        bad("paper.queue_power", "a number above 0, at most 100", paper.queue_power)
    one_of("paper.latency_model", paper.latency_model, ("constant", "interpolated", "drawn"))
    if paper.latency_model != "constant" and not paper.latency_file:
        bad("paper.latency_file", f"a file of samples (latency_model = {paper.latency_model})", paper.latency_file)
    if paper.latency_model == "constant" and paper.latency_file:
        bad("paper.latency_model", "interpolated or drawn (latency_file is given)", paper.latency_model)
    for key, most in (("latency_jitter_us", 60e6), ("market_slippage_bps", 1000), ("impact_bps", 1000)):
        if not 0 <= getattr(paper, key) <= most:
            bad(f"paper.{key}", f"a number from 0 to {most:g}", getattr(paper, key))
    if not 0.001 <= paper.impact_half_life_ms <= 86400e3:
        bad("paper.impact_half_life_ms", "a number from 0.001 to 86400000", paper.impact_half_life_ms)


def _validate_venues(config, bad, one_of):
    if not 1 <= len(config.venues) <= 16:
        bad("venues", "1 to 16 venues", sorted(config.venues))
    # A fallback has a place of its own among the venues of a frame.
    if len(config.venues) + sum(v.failover != "none" for v in config.venues.values()) > 16:
        bad("venues", "at most 16 venues, those with a failover counted twice", sorted(config.venues))
    captures = [name for name, venue in config.venues.items() if venue.kind.startswith("capture:")]
    if len(captures) > 1:
        bad("venues", "at most one capture", captures)
    for name, venue in config.venues.items():
        base = f"venues.{name}"
        if not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9_-]{0,31}", name):
            bad("venues", "names of 1 to 32 characters of [A-Za-z0-9_-]", name)
        if venue.kind.startswith("ccxt:"):
            if not CCXT_ID.fullmatch(venue.kind):
                bad(f"{base}.kind", "an exchange as ccxt names it behind ccxt:, such as ccxt:bitstamp", venue.kind)
        elif not venue.kind.startswith("capture:") and venue.kind not in VENUE_KINDS:
            near = difflib.get_close_matches(venue.kind, VENUE_KINDS, 2, 0.6)
            guess = f" (did you mean {near}?)" if near else ""
            bad(f"{base}.kind", f"one of {[*VENUE_KINDS, 'ccxt:<exchange id>', 'capture:<path>']}{guess}", venue.kind)
        if venue.kind == "capture:":
            bad(f"{base}.kind", "a path behind capture:", venue.kind)
        one_of(f"{base}.capture_protocol", venue.capture_protocol, VENUE_KINDS)
        one_of(f"{base}.pace", venue.pace, ("recorded", "fast"))
        of_ccxt = ("candles",) if venue.kind.startswith("ccxt:") else ()
        for channel in venue.channels:
            one_of(f"{base}.channels", channel, ("book", "trades", "quotes", "l3", *of_ccxt))
        one_of(f"{base}.transport", venue.transport, ("auto", "ws", "rest"))
        _validate_failover(venue, base, bad)
        if "l3" in venue.channels:
            _validate_l3(base, venue, bad)
        for key, schemes in (("ws_url", ("ws", "wss")), ("rest_url", ("http", "https"))):
            value = getattr(venue, key)
            if not value:
                continue
            try:
                parts = urlsplit(value)
                good = parts.scheme in schemes and parts.hostname
            except ValueError:
                good = False
            if not good:
                bad(f"{base}.{key}", f"a URL that begins with {schemes[1]}:// (or {schemes[0]}:// on loopback)", value)
            if parts.scheme == schemes[0] and parts.hostname not in ("127.0.0.1", "localhost", "::1"):
                bad(f"{base}.{key}", f"{schemes[1]}:// (plain {schemes[0]}:// is for loopback only)", value)
        for key, low, high in (("depth", 1, 10000), ("redundancy", 1, 2), ("streams_per_connection", 0, 1024),
                               ("silent_after_ms", 0, 600_000), ("ping_after_ms", 50, 600_000),
                               ("replace_after_s", 0, 90_000), ("reconnect_min_ms", 1, 60_000),
                               ("reconnect_max_ms", 1, 600_000), ("resync_after_ms", 10, 60_000),
                               ("weight_per_min", 0, 1_000_000), ("poll_interval_ms", 20, 600_000),
                               ("failover_after_ms", 100, 600_000), ("instruments_refresh_s", 0, 86_400),
                               ("clock_check_s", 0, 86_400), ("max_clock_offset_ms", 1, 86_400_000),
                               ("status_check_s", 0, 86_400)):
            if not low <= getattr(venue, key) <= high:
                bad(f"{base}.{key}", f"{low} to {high}", getattr(venue, key))


def _validate_failover(venue, base, bad):
    if venue.failover == "none":
        return
    if venue.kind not in VENUE_KINDS:
        bad(f"{base}.failover", "none (only a venue with a stream of its own can go over to another source)", venue.failover)
    if venue.failover != "rest" and not CCXT_ID.fullmatch(venue.failover):
        bad(f"{base}.failover", "none, rest or ccxt:<exchange id>", venue.failover)
    if "l3" in venue.channels:
        bad(f"{base}.failover", "none where books are made from single orders (l3)", venue.failover)


def _validate_l3(base, venue, bad):
    protocol = venue.capture_protocol if venue.kind.startswith("capture:") else venue.kind
    if protocol not in ("kraken", "coinbase"):
        bad(f"{base}.channels", "l3 for kraken and coinbase only, which send single orders", venue.channels)
    if "book" in venue.channels:
        bad(f"{base}.channels", "book or l3, which makes the same book from single orders, not both", venue.channels)
    if not 1024 <= venue.l3_orders <= 1 << 24 or venue.l3_orders & (venue.l3_orders - 1):
        bad(f"{base}.l3_orders", "a power of two from 1024 to 16777216", venue.l3_orders)
    if not venue.kind.startswith("capture:") and not re.fullmatch(r"(env|file):.+", venue.credentials):
        # It may be the secret itself that somebody put there.
        bad(f"{base}.credentials", "env:NAME or file:PATH: the venue sends l3 to signed subscriptions only",
            "another text" if venue.credentials else "nothing")


def _validate_instruments(config, bad, decimal_text, power_of_two):
    seen = set()
    wanted = sum(len(v.symbols) for v in config.venues.values() if not v.kind.startswith("capture:"))
    if not 1 <= max(len(config.instruments), wanted) <= 64:
        bad("instruments", "1 to 64 instruments", max(len(config.instruments), wanted))
    for n, item in enumerate(config.instruments):
        base = f"instruments[{n}]"
        if item.venue not in config.venues:
            bad(f"{base}.venue", f"one of {sorted(config.venues)}", item.venue)
        if not 1 <= len(item.venue_symbol.encode()) <= 24:
            bad(f"{base}.venue_symbol", "1 to 24 bytes", item.venue_symbol)
        for key in (f"{item.venue} {item.venue_symbol}", f"{item.venue}:{item.symbol}"):
            if key in seen:
                bad(base, "an instrument of its own", key)
            seen.add(key)
        tick, lot = decimal_text(f"{base}.tick_size", item.tick_size), decimal_text(f"{base}.lot_size", item.lot_size)
        for key, value in (("tick_size", tick), ("lot_size", lot)):
            if -value.normalize().as_tuple().exponent > 18:
                bad(f"{base}.{key}", "at most 18 decimals", getattr(item, key))
        decimal_text(f"{base}.min_notional", item.min_notional, zero=True)
        if item.order_qty_step:
            step = decimal_text(f"{base}.order_qty_step", item.order_qty_step)
            if Fraction(step) % Fraction(lot):
                bad(f"{base}.order_qty_step", f"a multiple of lot_size {item.lot_size}", item.order_qty_step)
        power_of_two(f"{base}.book_window_ticks", item.book_window_ticks, 4096, 1 << 20)
    known = {f"{i.venue}:{i.symbol}" for i in config.instruments}
    for name, venue in config.venues.items():
        for symbol in venue.symbols:
            # What a live venue lists is asked of the venue when the run starts (instruments_at_start.py).
            if f"{name}:{symbol}" not in known and venue.kind.startswith("capture:"):
                near = difflib.get_close_matches(f"{name}:{symbol}", known, 3, 0.3)
                bad(f"venues.{name}.symbols", f"a symbol with an [[instruments]] entry, such as {near or sorted(known)}", symbol)


def _validate_lanes(config, bad, one_of, power_of_two):
    if len(config.lanes) > 16:
        bad("lanes", "at most 16 lanes", len(config.lanes))
    for name, lane in config.lanes.items():
        if not re.fullmatch(r"[a-z0-9][a-z0-9_-]{0,31}", name):
            bad("lanes", "names of 1 to 32 characters of [a-z0-9_-]", name)
        one_of(f"lanes.{name}.role", lane.role, ("viewer", "agent", "trader", "risk", "admin"))
        power_of_two(f"lanes.{name}.slots", lane.slots, 16, 65536)


def _validate_bars(signals, bad, one_of):
    from tickpath.market.bar_spec import parse_bar_spec
    one_of("signals.bar_late_rule", signals.bar_late_rule, ("add", "drop"))
    if not 0 <= signals.bar_grace_ms <= 60_000:
        bad("signals.bar_grace_ms", "0 to 60000", signals.bar_grace_ms)
    if len(signals.bars) > 16:
        bad("signals.bars", "at most 16 specifications", len(signals.bars))
    seen = {}
    for n, text in enumerate(signals.bars):
        if len(text) > 31:
            bad(f"signals.bars[{n}]", "at most 31 characters", text)
        try:
            spec = parse_bar_spec(text)
        except ValueError as e:
            bad(f"signals.bars[{n}]", str(e).partition("expected ")[2].rpartition(", found ")[0], text)
        if 0 < spec.interval_ns < 1_000_000:
            bad(f"signals.bars[{n}]", "an interval of at least 1ms", text)
        if (first := seen.setdefault((spec.kind, spec.interval_ns, spec.offset_ns, spec.size), text)) is not text:
            bad(f"signals.bars[{n}]", f"bars unlike {first!r}", text)


def _validate_strategies(config, bad):
    known = {f"{i.venue}:{i.symbol}" for i in config.instruments}
    known |= {f"{name}:{symbol}" for name, venue in config.venues.items() for symbol in venue.symbols}
    names = set()
    if len(config.strategies) > 16:
        bad("strategies", "at most 16 strategies", len(config.strategies))
    for n, s in enumerate(config.strategies):
        base = f"strategies[{n}]"
        if not 1 <= len(s.name) <= 31 or s.name in names or not s.name.isprintable():
            bad(f"{base}.name", "a name of its own, 1 to 31 printable characters", s.name)
        names.add(s.name)
        if s.instrument not in known:
            near = difflib.get_close_matches(s.instrument, known, 3, 0.3)
            bad(f"{base}.instrument", f"one of {near or sorted(known)}", s.instrument)
        if s.host not in ("", "inline"):
            bad(f"{base}.host", "inline (this version hosts strategies in line only)", s.host)
        for key, value in s.parameters.items():
            if isinstance(value, float) and not math.isfinite(value):
                bad(f"{base}.parameters.{key}", "a finite number", value)


def not_enforced(config):
    """Limits and strategy sections that were set to something else than their default and that this version ignores."""
    result = []
    for section, defaults in (("account", AccountLimits()), ("strategy", StrategyLimits()), ("instrument", InstrumentLimits())):
        for f in msgspec.structs.fields(defaults):
            key = f"{section}.{f.name}"
            if key not in ENFORCED_LIMITS and getattr(getattr(config.limits, section), f.name) != getattr(defaults, f.name):
                result.append(f"limits.{key}")
    for n, s in enumerate(config.strategies):
        if s.model != StrategyModel():
            result.append(f"strategies[{n}].model")
        if s.execution != StrategyExecution():
            result.append(f"strategies[{n}].execution")
    return result


# ---- to and from JSON, schema

def config_to_json(config):
    """Canonical JSON: sorted keys."""
    return msgspec.json.encode(config, order="sorted")


def config_from_json(data):
    """A Config from config_to_json's bytes; validated again."""
    try:
        config = msgspec.json.decode(data, type=Config)
    except (msgspec.ValidationError, msgspec.DecodeError) as e:
        raise ConfigError(f"configuration: {_explain(e)}") from None
    validate(config, {(): "configuration"}, live=True)
    return config


def schema_rows():
    """(key, type, unit, default, meaning) of every key."""
    rows = []
    _rows(Config, "", rows)
    return rows


def _rows(struct, prefix, rows):
    for f, info in zip(msgspec.structs.fields(struct), msgspec.inspect.type_info(struct).fields, strict=True):
        kind, meaning, unit = info.type, "", ""
        if isinstance(kind, msgspec.inspect.Metadata):
            meaning = (kind.extra_json_schema or {}).get("description", "")
            unit = (kind.extra_json_schema or {}).get("unit", "")
            kind = kind.type
        key = prefix + f.encode_name
        nested = [(kind, "")]
        if isinstance(kind, msgspec.inspect.DictType):
            nested.append((kind.value_type, ".<name>"))
        if isinstance(kind, msgspec.inspect.ListType):
            nested.append((kind.item_type, "[]"))
        inner = [(n, s) for n, s in nested if isinstance(n, msgspec.inspect.StructType)]
        if inner:
            _rows(inner[0][0].cls, key + inner[0][1] + ".", rows)
            continue
        default: Any = f.default
        if default is msgspec.NODEFAULT:
            default = f.default_factory() if f.default_factory is not msgspec.NODEFAULT else "required"
        rows.append((key, type(kind).__name__.removesuffix("Type").lower(), unit, default, meaning))
