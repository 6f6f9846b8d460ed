"""Strategies, risk, orders, positions."""
from tickpath.trading.strategy import CompiledStrategy, Strategy

__all__ = ["CompiledStrategy", "Strategy"]
