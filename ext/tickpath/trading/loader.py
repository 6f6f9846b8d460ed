"""From a strategy's configured kind to an object the engine can call. Cold."""
import importlib

from tickpath.trading.python_host import PythonHost
from tickpath.trading.strategy import CompiledStrategy, Strategy

BUILT_IN_STRATEGIES = {
    "market_maker": "tickpath.trading.strategies.market_maker:MarketMaker",
    "ema_cross": "tickpath.trading.strategies.ema_cross:EmaCross",
    "every_event": "tickpath.trading.strategies.every_event:EveryEvent",
}


def load_strategy(name, kind, parameters, seed=1):
    """A strategy object for the engine: a CompiledStrategy, or a Python Strategy in its host.

    Parameters: kind : a built-in name or "module:Class".
    Errors: ValueError naming the strategy when there is no such kind or its parameters are refused.
    """
    path = BUILT_IN_STRATEGIES.get(kind, kind)
    module_name, separator, class_name = path.partition(":")
    if not separator:
        raise ValueError(f"strategy {name!r}: kind: expected one of {sorted(BUILT_IN_STRATEGIES)} or module:Class, "
                         f"found {kind!r}")
    try:
        cls = getattr(importlib.import_module(module_name), class_name)
    except Exception as e:                # whatever a user's module raises while it is imported
        raise ValueError(f"strategy {name!r}: kind: expected an importable module:Class, found {kind!r} ({e})") from e
    try:
        if isinstance(cls, type) and issubclass(cls, CompiledStrategy):
            return cls(name, parameters)
        if isinstance(cls, type) and issubclass(cls, Strategy):
            return PythonHost(name, parameters, cls(dict(parameters)), seed)
    except Exception as e:                # and whatever its constructor raises
        raise ValueError(f"strategy {name!r}: {e}") from e
    raise ValueError(f"strategy {name!r}: kind: expected a subclass of Strategy or CompiledStrategy, found {cls!r}")
