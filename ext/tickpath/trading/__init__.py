"""Strategies, risk, orders, positions."""
from tickpath.trading.strategy import CompiledStrategy, Strategy, read_parameters

__all__ = ["CompiledStrategy", "Strategy", "read_parameters"]
