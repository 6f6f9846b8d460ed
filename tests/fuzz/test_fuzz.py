"""Proof within the test run that the fuzzer finds bugs; what wants the core built with ASan and UBSan, which takes minutes, is a
soak: a bounded, coverage-guided run of every target, and the long one: TICKPATH_FUZZ_SECONDS for all targets together (default
3600), going on with the corpus of the runs before."""
import os
import secrets

import pytest
from fuzz_build import compiler, instrumented_build
from fuzz_driver import Fuzzer
from fuzz_targets import TARGETS, VENUE_TARGETS

BOUNDED_S = 4.0
SLOW_TARGETS_S = {"config": 8.0}      # traced Python, a few inputs a second beside other work
PLANTED_S = 60.0
LEAK_EXECUTIONS = 100_000
# The allocators of Python and ASan keep some pages, whatever runs: 8 KiB are less than a byte for every ten executions.
LEAK_BYTES_MAX = 8192
PLANTED_INPUT = b"TP\xb7\xff!k"

# A build from nothing belongs to the first test's time.
pytestmark = pytest.mark.timeout(900)


@pytest.fixture(autouse=True, scope="module")
def c_compiler(require_tool):
    require_tool(compiler().split()[0], "build-essential")


def run_and_show(fuzzer, seconds, seed, capsys, **options):
    result = fuzzer.run(seconds, seed, **options)
    with capsys.disabled():
        print(f"\n{result.line()}, seed {seed}")
    return result


@pytest.mark.soak
@pytest.mark.parametrize("target", TARGETS)
def test_bounded_fuzzing_finds_nothing(target, capsys):
    result = run_and_show(Fuzzer(target), SLOW_TARGETS_S.get(target, BOUNDED_S), 1, capsys)
    assert not result.findings, "\n\n".join(f.text for f in result.findings)
    assert result.executions > 50 and result.edges > 100 and result.corpus > 5


def test_a_planted_read_past_the_end_is_found_through_its_magic_bytes(tmp_path, capsys):
    fuzzer = Fuzzer("planted", tmp_path)
    result = run_and_show(fuzzer, PLANTED_S, 1, capsys, until_killed=True)
    (finding,) = result.findings
    assert "heap-buffer-overflow" in finding.what and "planted.c" in finding.what
    # Attributed to the input that did it, which does it again.
    assert finding.path.read_bytes()[:3] == PLANTED_INPUT[:3]
    assert "heap-buffer-overflow" in fuzzer.reproduce(finding.path)


def test_an_input_without_the_last_magic_byte_is_reported_clean(tmp_path):
    path = tmp_path / "input"
    path.write_bytes(PLANTED_INPUT[:-1] + b"x")
    assert Fuzzer("planted", tmp_path).reproduce(path) is None


@pytest.mark.soak
def test_a_second_run_goes_on_with_the_corpus_of_the_first(tmp_path):
    fuzzer = Fuzzer("segment", tmp_path)
    first = fuzzer.run(2.0, 1)
    kept = {p.name for p in fuzzer.corpus_dir.iterdir()}
    second = fuzzer.run(2.0, 2)
    assert first.executions and kept and kept <= {p.name for p in fuzzer.corpus_dir.iterdir()}
    assert second.corpus > 0 and second.edges >= 0.9 * first.edges


@pytest.mark.soak
def test_an_unchanged_source_is_not_compiled_again():
    build = instrumented_build()
    built = {p: p.stat().st_mtime_ns for p in build.rglob("*.so")}
    assert instrumented_build() == build
    assert len(built) > 10 and {p: p.stat().st_mtime_ns for p in build.rglob("*.so")} == built


@pytest.mark.soak
def test_a_hundred_thousand_decoded_frames_leak_nothing(tmp_path):
    assert Fuzzer("decoder", tmp_path).leaked_bytes(LEAK_EXECUTIONS) < LEAK_BYTES_MAX


@pytest.mark.soak
@pytest.mark.timeout(0)
@pytest.mark.parametrize("target", TARGETS + VENUE_TARGETS)
def test_long_fuzzing_finds_nothing(target, capsys):
    seconds = float(os.environ.get("TICKPATH_FUZZ_SECONDS", "3600")) / len(TARGETS + VENUE_TARGETS)
    result = run_and_show(Fuzzer(target), seconds, secrets.randbits(32), capsys)
    assert not result.findings, "\n\n".join(f.text for f in result.findings)
