"""scripts/instructions.py: what it compares, what it refuses to compare, and that its messages are what it says."""
import importlib
import os
import subprocess
import sys

import pytest


@pytest.fixture(scope="module")
def instructions(root):
    sys.path.insert(0, str(root / "scripts"))
    try:
        yield importlib.import_module("instructions")
    finally:
        sys.path.remove(str(root / "scripts"))


def scaled(cases, factor):
    return {case: {**figures, "instructions": figures["instructions"] * factor} for case, figures in cases.items()}


@pytest.mark.parametrize(("factor", "held", "word"), [
    (1.0, True, None), (1.029, True, None), (0.971, True, None), (1.031, False, "more than stored"), (0.969, False, "better: store"),
])
def test_a_figure_is_held_within_three_percent_either_way(instructions, factor, held, word):
    kept = instructions.stored()["cases"]
    lines, found_held = instructions.compare(kept, scaled(kept, factor))
    assert found_held is held
    assert sum("more than stored" in line or "better: store" in line for line in lines) == (0 if held else len(kept))
    assert word is None or all(word in line for line in lines[1:])


def test_a_case_that_only_one_side_has_is_not_held(instructions):
    kept = instructions.stored()["cases"]
    fewer = {case: figures for case, figures in kept.items() if case != "trade"}
    assert instructions.compare(kept, fewer)[1] is False
    assert instructions.compare(fewer, kept)[1] is False


def test_every_kind_of_frame_has_a_stored_figure(instructions):
    cases = instructions.stored()["cases"]
    assert set(cases) == set(instructions.KINDS)
    assert all(0 < c["decode"] < c["instructions"] < c["turn"] for c in cases.values())


@pytest.mark.parametrize(("change", "comparable"), [
    ({}, True), ({"compiler": "gcc (Debian 12.9.0-1) 12.9.0"}, True), ({"valgrind": "valgrind-3.99.0"}, True),
    ({"compiler": "gcc (Debian 13.2.0-14) 13.2.0"}, False), ({"march": "x86-64-v2"}, False),
])
def test_another_compiler_major_or_march_is_not_compared(instructions, monkeypatch, change, comparable):
    monkeypatch.delenv("TICKPATH_DEBUG", raising=False)
    monkeypatch.delenv("TICKPATH_SANITIZE", raising=False)
    kept = {"compiler": "gcc (Debian 12.2.0-14) 12.2.0", "march": "x86-64-v3", "valgrind": "valgrind-3.19.0"}
    why = instructions.not_comparable(kept, {**kept, **change})
    assert (why is None) is comparable
    assert comparable or str(next(iter(change.values()))) in why


def test_a_functions_total_is_its_own_cost_and_that_of_its_calls(instructions, tmp_path):
    path = tmp_path / "callgrind.1"
    path.write_text("events: Ir\n\nfn=__pyx_f_8tickpath_6engine_engine_on_frame\n10 100\n11 20\ncfn=other\ncalls=2 5\n12 300\n\n"
                    "fn=other\n5 300\nfn=__pyx_f_8tickpath_6engine_engine_on_frame_later\n7 1000\n")
    assert instructions.inclusive(path)["instructions"] == 420


def test_a_counted_function_that_is_gone_is_an_error_and_not_a_zero(instructions, tmp_path):
    path = tmp_path / "callgrind.1"
    path.write_text("events: Ir\n\nfn=other\n5 300\n")
    with pytest.raises(RuntimeError, match="inlined or renamed"):
        instructions.per_frame(path, path)


@pytest.mark.parametrize("kind", ["bookTicker", "trade", "aggTrade", "depth20", "executionReport"])
def test_every_generated_frame_gives_an_order(instructions, kind):
    from tickpath.shm.ring import EventReader, EventWriter
    from tickpath.types import EventType
    writer = EventWriter.local(1 << 13)
    instructions.drain_counted(kind, instructions.frames(kind, 100), writer)
    kinds = EventReader(writer.buffer, 1).read(1 << 13)["type"]
    assert (kinds == EventType.EV_INTENT).sum() == 101
    assert (kinds == EventType.EV_FRAME).sum() == 101


@pytest.mark.parametrize(("required", "status"), [("1", 1), ("", 0)])
def test_missing_valgrind_fails_only_where_tools_are_required(root, required, status):
    environment = {**os.environ, "PATH": "", "TICKPATH_REQUIRE_TOOLS": required}
    done = subprocess.run([sys.executable, str(root / "scripts" / "instructions.py"), "--check"], env=environment,
                          capture_output=True, text=True)
    assert done.returncode == status
    assert "valgrind not found" in done.stderr
