"""Prints a benchmark's JSON as a table. Usage: show_bench.py FILE"""
import json
import sys

from rich import box
from rich.console import Console
from rich.table import Table


def show(result):
    m = result["machine"]
    console = Console() if sys.stdout.isatty() else Console(width=150)
    t = Table(title=f"{result['name']}   {m['cpu']}, {m['kernel']}, {m['compiler'].split(') ')[-1]}, commit {m['commit']}",
              box=box.SIMPLE_HEAD, title_justify="left")
    for name in ("case", "unit", "n", "p50", "p99", "p99.9", "max", "per s", "floor p50", "ratio", "peers"):
        t.add_column(name, justify="left" if name in ("case", "unit", "peers") else "right")
    for c in result["cases"]:
        floor = c.get("floor") or {}
        peers = ", ".join(f"{k} {v.get('per_s') or v.get('p50')}" + (f" ({v['times_ours']}x)" if v.get("times_ours") else "")
                          for k, v in c.get("peers", {}).items())
        t.add_row(c["case"], c["unit"], f"{c['n']:,}", *(str(c.get(k, "-")) for k in ("p50", "p99", "p999", "max")),
                  f"{c['per_s']:,.0f}" if c.get("per_s") else "-", str(floor.get("p50", "-")),
                  str(c.get("ratio_to_floor", "-")), peers)
    console.print(t)
    for missing in result.get("missing", []):
        print(f"not installed: {missing}")


if __name__ == "__main__":
    with open(sys.argv[1]) as f:
        show(json.load(f))
