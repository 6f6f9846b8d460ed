"""The fuzz targets by name. Each module offers

    seeds()        -> valid inputs, list of bytes          DICTIONARY     words worth inserting
    Target().run(data)   executes one input; what it raises is a finding
    TRACE_PYTHON   True when the code under test is Python      MAX_BYTES      longest input
"""
import importlib

TARGETS = ("decoder", "binance_usdm_decode", "journal", "segment", "config")
# The other venues' decoders take minutes to compile with sanitizers: soaked, not bounded.
VENUE_TARGETS = ("coinbase_decode", "kraken_decode", "okx_decode", "bybit_decode")
# Seconds that one input may take, on a machine with other work.
TIMEOUTS_S = {"decoder": 5, "binance_usdm_decode": 5, "coinbase_decode": 5, "kraken_decode": 5, "okx_decode": 5,
              "bybit_decode": 5, "journal": 10, "segment": 5, "config": 10, "planted": 5}


def load_target(name):
    return importlib.import_module(f"target_{name}")
