"""Which order flow is generated: presets by name, or a TOML file of one's own.

    model = "hawkes"                # a preset: poisson, hawkes or quiet
    seed = 7

    [instruments.BTCUSDT]           # without any: BTCUSDT and ETHUSDT
    start_price = "60000"
    market_hz = 4.0                 # any field of InstrumentFlow

docs/order-flow.md explains each number.
"""
import tomllib
from pathlib import Path
from typing import NamedTuple

import msgspec

__all__ = ["PRESETS", "FlowError", "FlowSpec", "InstrumentFlow", "load_flow"]


class FlowError(Exception):
    """A flow that cannot be generated: what was expected, what was found and where."""


class InstrumentFlow(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """The flow of one instrument. Rates are per second and side; distances and prices in basis points of the start price.

    Orders
        limit_hz, distance_power, distance_bps : limit orders arrive at limit_hz; a buy stands d * distance_bps below the best
            ask, d = 1, 2, … with probability ~ d^-distance_power, at most distance_max.  cancel_hz, cancel_power : an order at d
            is cancelled at the rate cancel_hz * d^-cancel_power.
        market_hz : market orders; of Hawkes flow the rate of their own accord, to which self_excitation, cross_excitation and
            decay_hz add (flow_times.py).
        qty : the median quantity, decimal text; sizes are log-normal with qty_sigma.
    Market makers
        makers : how many accounts.  levels, half_spread_bps, step_bps : what each shows a side.  maker_qty : at each level.
            requote_hz : how often each thinks again.  skew_bps : how far it leans away for each maker_qty that it has bought.
    Fair price
        volatility_bps : of one second.  reversion_hz : how fast it returns to the start price.  impact_bps : by how much a
            market order of median size moves it for good.
    """
    start_price: str = "100"
    hawkes: bool = False
    limit_hz: float = 6.0
    distance_power: float = 0.52
    distance_bps: float = 0.4
    distance_max: int = 60
    cancel_hz: float = 0.2
    cancel_power: float = 0.25
    market_hz: float = 1.0
    self_excitation: float = 0.6
    cross_excitation: float = 0.15
    decay_hz: float = 4.0
    qty: str = "0"
    qty_sigma: float = 1.0
    makers: int = 2
    levels: int = 5
    half_spread_bps: float = 0.8
    step_bps: float = 0.6
    maker_qty: str = "0"
    requote_hz: float = 2.0
    skew_bps: float = 0.05
    volatility_bps: float = 0.5
    reversion_hz: float = 0.0005
    impact_bps: float = 0.02

    def __post_init__(self):
        for name in ("limit_hz", "cancel_hz", "market_hz", "requote_hz", "decay_hz"):
            if not 0 < getattr(self, name) <= 10_000:
                raise ValueError(f"{name}: expected a rate above 0, at most 10000, found {getattr(self, name)!r}")
        for name in ("self_excitation", "cross_excitation", "qty_sigma", "half_spread_bps", "step_bps", "skew_bps",
                     "volatility_bps", "reversion_hz", "impact_bps", "distance_power", "cancel_power", "distance_bps"):
            if not 0 <= getattr(self, name) <= 1000:
                raise ValueError(f"{name}: expected a number from 0 to 1000, found {getattr(self, name)!r}")
        if self.self_excitation + self.cross_excitation >= 1:
            raise ValueError("self_excitation + cross_excitation: expected a sum below 1, found "
                             f"{self.self_excitation + self.cross_excitation:g}")
        for name, least, most in (("makers", 1, 20), ("levels", 1, 50), ("distance_max", 1, 1000)):
            if not least <= getattr(self, name) <= most:
                raise ValueError(f"{name}: expected a whole number from {least} to {most}, found {getattr(self, name)!r}")


class FlowSpec(NamedTuple):
    """name : of the preset or file.  seed : of everything.  instruments : {symbol: InstrumentFlow}."""
    name: str
    seed: int
    instruments: dict


# Start price, median order and market maker's quantity of well-known symbols.
KNOWN = {"BTCUSDT": ("60000", "0.01", "0.5"), "ETHUSDT": ("3000", "0.2", "10"), "BNBUSDT": ("600", "1", "40"),
         "SOLUSDT": ("150", "4", "200"), "XRPUSDT": ("0.6", "1000", "40000"), "ETHBTC": ("0.05", "0.2", "10"),
         "BNBBTC": ("0.01", "1", "40")}
# Limit orders fall off by d^-0.52 and cancellations are proportional to what stands, as Cont, Stoikov and Talreja found (2010,
# "A stochastic model for order book dynamics", Operations Research 58); rates are of a lively and of a sleepy market.
PRESETS = {
    "poisson": {},
    "hawkes": {"hawkes": True, "market_hz": 0.5},
    "quiet": {"limit_hz": 0.4, "cancel_hz": 0.05, "market_hz": 0.05, "makers": 1, "requote_hz": 0.25, "volatility_bps": 0.1,
              "levels": 10},
}
DEFAULT_SYMBOLS = ("BTCUSDT", "ETHUSDT")


class _File(msgspec.Struct, forbid_unknown_fields=True):
    model: str = "poisson"
    seed: int = 0
    instruments: dict[str, dict] = {}


def load_flow(name, seed=None, symbols=None):
    """A FlowSpec by the name of a preset or the path of a TOML file.

    Parameters: seed : instead of the file's (presets: 0).  symbols : instruments of a preset, None for the default ones.
    Errors: FlowError.
    """
    if name in PRESETS:
        found = _File(name, 0, {symbol: {} for symbol in symbols or DEFAULT_SYMBOLS})
        where = f"flow {name}"
    else:
        where = f"flow file {name}"
        try:
            found = msgspec.convert(tomllib.loads(Path(name).read_text()), _File)
        except OSError as e:
            raise FlowError(f"--flow: expected {', '.join(PRESETS)} or a TOML file, found {name!r} ({e.strerror})") from None
        except (tomllib.TOMLDecodeError, UnicodeDecodeError, msgspec.ValidationError) as e:
            raise FlowError(f"{where}: {e}") from None
        if found.model not in PRESETS:
            raise FlowError(f"{where}: model: expected one of {', '.join(PRESETS)}, found {found.model!r}")
        if not found.instruments:
            found.instruments = {symbol: {} for symbol in symbols or DEFAULT_SYMBOLS}
    instruments = {}
    for symbol, fields in found.instruments.items():
        price, qty, maker_qty = KNOWN.get(symbol, ("100", "1", "50"))
        known = {"start_price": price, "qty": qty, "maker_qty": maker_qty}
        try:
            instruments[symbol] = msgspec.convert({**known, **PRESETS[found.model], **fields}, InstrumentFlow)
        except (msgspec.ValidationError, ValueError) as e:
            raise FlowError(f"{where}: {symbol}: {e}") from None
    return FlowSpec(name, found.seed if seed is None else seed, instruments)
