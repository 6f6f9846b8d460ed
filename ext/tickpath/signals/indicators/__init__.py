"""Indicators, each in a streaming and a batch form from one compiled kernel."""
from tickpath.signals.indicators.ema import EMA, ema
from tickpath.signals.indicators.imbalance import imbalance

__all__ = ["EMA", "ema", "imbalance"]
