"""Writes the README's benchmark block from the stored results of `make bench`; no number is typed by hand.

Usage: readme_bench.py [DIRECTORY, default var/bench]
"""
import json
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
BEGIN, END = "<!-- bench:begin -->", "<!-- bench:end -->"


def load(directory, name):
    return json.loads((directory / f"{name}.json").read_text())


def block(directory):
    path, replay = load(directory, "bench_frame_to_order"), load(directory, "bench_replay")
    m = path["machine"]
    lines = [f"{m['cpu']}, Linux {m['kernel']}, {m['compiler']}, Python {m['python']}, Cython {m['cython']},",
             f"-march={m['march']}, commit {m['commit']}. One pinned core, shared machine; `make bench` prints the same from "
             "your own.", "",
             "`frame_to_order`: first byte of the frame in memory to encoded order, every step stamped, both recorded captures",
             "from first to last frame. The floor is plain C on the same frames in the same run.", "",
             "| case | n | p50 ns | p99 ns | p99.9 ns | floor p50 ns |", "|---|---|---|---|---|---|"]
    for c in path["cases"]:
        floor = f"{c['floor']['p50']:.0f}" if c.get("floor") else "-"
        lines.append(f"| {c['case']} | {c['n']:,} | {c['p50']:.0f} | {c['p99']:.0f} | {c['p999']:.0f} | {floor} |")
    lines += ["", "`depth_capture_excess` is what a recorded depth message takes beyond 30 ns for each of its levels.",
              "`_cold_2m`, `_cold_48m`: after 2 and 48 MiB of other memory between two frames; `_warmed`: with the idle turns",
              "that the daemon takes between frames (`latency.warming`).", "",
              "| step | n | p50 ns | p99 ns |", "|---|---|---|---|"]
    for step, s in path["steps"].items():
        lines.append(f"| {step} | {s['n']:,} | {s['p50_ns']:.0f} | {s['p99_ns']:.0f} |")
    lines += ["", "Steps are those of the order-on-every-event run over all messages, depth included; the cycle counter of this",
              "machine moves in steps of 10 ns.", "", "Replay on one core, simulated venue and ring on:", "",
              "| case | M events/s | hftbacktest M events/s |", "|---|---|---|"]
    for c in replay["cases"]:
        peer = c["peers"].get("hftbacktest")
        other = f"{peer['per_s'] / 1e6:.1f} ({peer['version']})" if peer else "-"
        lines.append(f"| {c['case']} | {c['per_s'] / 1e6:.1f} | {other} |")
    lines += ["", "Parts, each against plain C (the floor) and its peers in the same run:", "",
              "| case | unit | p50 | floor | ratio to floor | peers p50 |", "|---|---|---|---|---|---|"]
    for name in ("decode", "book", "risk", "ring", "journal"):
        for c in load(directory, f"bench_{name}")["cases"]:
            floor, ratio = c.get("floor"), c.get("ratio_to_floor")
            floor = f"{floor['p50']:.1f}" if isinstance(floor, dict) and "p50" in floor else "-"
            peers = ", ".join(f"{peer} {p['p50']:,.0f}" for peer, p in c.get("peers", {}).items()) or "-"
            lines.append(f"| {name} {c['case']} | {c['unit']} | {c['p50']:.1f} | {floor} | {ratio or '-'} | {peers} |")
    readers = load(directory, "bench_readers")
    none, eight = readers["cases"][:2]
    counted = "equal" if readers["instructions_equal"] else "not counted"
    lines += ["", f"Eight readers of ring and state page, one stopped and one killed half-way: p50 {eight['p50']:.1f} ns against",
              f"{none['p50']:.1f} ns without any (median of {readers['runs']} alternated runs, ratio {readers['ratio']:.3f}); "
              f"instructions a frame {counted}."]
    return "\n".join(lines + feed_lines(directory) + sim_lines(directory))


def feed_lines(directory):
    """What bench_feed and bench_connections found, where they have run."""
    if not (directory / "bench_feed.json").exists() or not (directory / "bench_connections.json").exists():
        return []
    lines = ["", "From a venue's socket on loopback to the event ring, recorded messages, against picows alone and plain C",
             "(neither decodes), and Python clients that keep a book:", "",
             "| case | unit | p50 | p99 | plain C | others |", "|---|---|---|---|---|---|"]
    for c in load(directory, "bench_feed")["cases"]:
        rate = c["case"] == "sustained"
        peers = ", ".join(f"{peer} {p['per_s' if rate else 'p50']:,.0f}" for peer, p in c["peers"].items()) or "-"
        floor = c["floor"]["per_s" if rate else "p50"]
        if rate:
            lines.append(f"| {c['case']} | messages/s | {c['per_s']:,.0f} | - | {floor:,.0f} | {peers} |")
        else:
            lines.append(f"| {c['case']} | {c['unit']} | {c['p50']:,.1f} | {c['p99']:,.1f} | {floor:,.1f} | {peers} |")
    held = {c["case"]: c for c in load(directory, "bench_connections")["cases"]}
    lines += ["", "The `plain C` of `one_way_tls` is ours without TLS. "
              f"{held['rss_per_connection']['n']:,} connections: {held['rss_per_connection']['p50']:.1f} KiB each, one message a "
              f"second each adds {held['one_way_among_all']['added_p50_us']:.1f} us to one feed's p50; an instrument takes "
              f"{held['rss_per_instrument']['p50'] / 1024:.1f} MiB."]
    return lines


def sim_lines(directory):
    """What bench_sim found, where it has run."""
    if not (directory / "bench_sim.json").exists():
        return []
    cases = {c["case"]: c for c in load(directory, "bench_sim")["cases"]}
    lines = ["", "The simulated venue: its matching core in process (balances, fees and events included; the floor has none),",
             "then tickpath-sim over loopback:", "", "| case | unit | p50 | p99 | a second | plain C | others |",
             "|---|---|---|---|---|---|---|"]
    for c in cases.values():
        floor = f"{c['floor']['p50']:.1f}" if c.get("floor") else "-"
        peers = ", ".join(f"{peer} {p['p50']:,.0f} ({p['times_ours']:,.0f}x)" for peer, p in c["peers"].items()) or "-"
        rate = f"{c['per_s']:,}" if c.get("per_s") else "-"
        lines.append(f"| {c['case']} | {c['unit']} | {c['p50']:,.1f} | {c['p99']:,.1f} | {rate} | {floor} | {peers} |")
    if "idle_connections" in cases:
        c = cases["idle_connections"]
        lines += ["", f"{c['n']:,} idle connections: the server has {c['rss_mib']:.0f} MiB, {c['rss_mib_before']:.0f} before."]
    return lines


def main():
    directory = Path(sys.argv[1]) if len(sys.argv) > 1 else ROOT / "var" / "bench"
    readme = ROOT / "README.md"
    head, rest = readme.read_text().split(BEGIN)
    readme.write_text(f"{head}{BEGIN}\n{block(directory)}\n{END}{rest.split(END)[1]}")


if __name__ == "__main__":
    main()
