"""Configuration files: load_config must raise ConfigError or give a Config that comes back from its JSON unchanged.

An input is one byte for the format (TOML, YAML, JSON), then the text.
"""
import json
import re
import shutil
import tempfile
import tomllib
from pathlib import Path

import yaml

from tickpathd.config import ConfigError, config_from_json, config_to_json, load_config

DEMO = Path(__file__).resolve().parents[2] / "config" / "paper-demo.toml"
SUFFIXES = (".toml", ".yaml", ".json")
TRACE_PYTHON = True
MAX_BYTES = 8192
SMALL = {
    "venues": {"b": {"kind": "capture:x"}},
    "instruments": [{"venue": "b", "symbol": "A/B", "venue_symbol": "AB", "tick_size": "0.01", "lot_size": "0.001",
                     "order_qty_step": "0.002"}],
    "strategies": [{"name": "s", "kind": "market_maker", "instrument": "b:A/B", "parameters": {"x": 1, "y": 1.5, "z": "t"}}],
}
DICTIONARY = (
    b"[instance]\n", b"[[instruments]]\n", b"[limits.account]\n", b"[[strategies]]\n", b"[strategies.parameters]\n", b"seed = ",
    b"core = -1\n", b'name = "', b'"""', b"'''", b"\\u0000", b"\\uD800", b"\\U0010FFFF", b"1e400", b"-1", b"nan", b"inf", b"-inf",
    b'"NaN"', b'"1e999999"', b'"1e-999999"', b'"-0"', b'"sNaN"', b"0x7fffffffffffffff", b"1979-05-27T07:32:00Z", b"true",
    b"null", b"~", b"{}", b"[]", b"[[", b"{a: &a [*a]}", b"&a ", b"*a", b"<<: ", b"!!python/object ", b"!!binary ", b"? ", b"- ",
    b": ", b"\n  ", b"\0", b"\xff", b"\xc3\xa9", b'"limits":{', b'"instance":{', b'"seed":', b'"strategy_path":["', b"x" * 40,
    b"9" * 40, b"99999999999999999999", b"market_maker", b"capture:", b"\r", b"\t", b"#", b"strategy_path = ['a']\n",
    b"max_open_orders = ", b"order_qty_step = '", b"max_trades_per_day = ", b"book_window_ticks = 4096\n",
)


def seeds():
    # Without its comments, which cost time and show nothing.
    demo = re.sub(rb"(?m) *#.*$", b"", DEMO.read_bytes())
    tree = tomllib.loads(demo.decode())
    result = [b"\0" + demo, b"\1" + yaml.safe_dump(tree).encode(), b"\2" + json.dumps(tree).encode()]
    result += [b"\1" + yaml.safe_dump(SMALL).encode(), b"\2" + json.dumps(SMALL).encode()]
    result.append(b"\0[venues.b]\nkind='capture:x'\n[[instruments]]\nvenue='b'\nsymbol='A/B'\nvenue_symbol='AB'\n"
                  b"tick_size='0.01'\nlot_size='0.001'\n[instance]\nseed=5\nstrategy_path=['a']\n")
    return result


class Target:
    def __init__(self):
        memory = Path("/dev/shm")
        self._directory = Path(tempfile.mkdtemp(dir=memory if memory.is_dir() else None, prefix="tickpath-fuzz-"))

    def close(self):
        shutil.rmtree(self._directory, ignore_errors=True)

    def run(self, data):
        if not data:
            return
        path = self._directory / f"fuzz{SUFFIXES[data[0] % 3]}"
        path.write_bytes(data[1:])
        try:
            config = load_config([path], env={})
        except ConfigError:
            return
        text = config_to_json(config)
        again = config_from_json(text)
        if again != config or config_to_json(again) != text:
            raise AssertionError(f"configuration: expected it back from its JSON, found another: {text[:500]!r}")
