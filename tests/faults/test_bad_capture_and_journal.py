"""Captures and journals that are missing, cut, changed or damaged: named, never traded or replayed regardless."""

import gzip
import json
import os
import shutil
from pathlib import Path

import numpy as np
import pytest
from forked_cli import tickpath

from tickpath.shm.journal import JournalReader, JournalWriter
from tickpath.types import EventType

ROOT = Path(__file__).resolve().parents[2]
DEMO = ROOT / "config" / "paper-demo.toml"
CAPTURE = ROOT / "tests" / "golden" / "binance_spot" / "hftbacktest_btcusdt_20240808.gz"
DONE, FAILED, USAGE, UNVERIFIED = 0, 1, 2, 3
LINES = 8000


def run(storage, capture, name):
    """A run to its end; one that does not end within 25 s is killed and raises."""
    settings = (
        f"storage.dir={storage}",
        f"instance.name={name}",
        "venues.binance.pace=fast",
        f"venues.binance.kind=capture:{capture}",
    )
    return tickpath("run", "-c", DEMO, "--json", *(o for s in settings for o in ("--set", s)), timeout=25)


def lines_of_capture():
    with gzip.open(CAPTURE, "rb") as f:
        return [line for _, line in zip(range(LINES), f, strict=False)]


@pytest.fixture(scope="module")
def recorded(tmp_path_factory):
    """The run directory of a short run that ended in order, with orders and fills in it."""
    base = tmp_path_factory.mktemp("recorded")
    capture = base / "short.gz"
    capture.write_bytes(gzip.compress(b"".join(lines_of_capture()), 1))
    result = run(base / "state", capture, f"rec{os.getpid()}")
    summary = json.loads(result.stdout)
    assert summary["frames"] == LINES and summary["orders"] > 0 and summary["fills"] > 0
    run_dir = Path(summary["journal"])
    assert tickpath("replay", run_dir, "--verify").returncode == DONE
    return run_dir


@pytest.fixture
def journal(recorded, tmp_path):
    return Path(shutil.copytree(recorded, tmp_path / "run"))


def segment(run_dir):
    return run_dir / "segment-000001.tpj"


def verified(path, *more):
    result = tickpath("replay", path, "--verify", "--json", *more)
    assert "Traceback" not in result.stderr
    return result


def one_line(result, *parts):
    assert len(result.stderr.strip().splitlines()) == 1, result.stderr
    for part in parts:
        assert str(part) in result.stderr, result.stderr


def rewritten(run_dir, into, change):
    """The journal written anew, all checksums fitting, with its slots changed by `change(slots)`: pieces to append."""
    reader = JournalReader(run_dir)
    slots = np.concatenate(list(reader.batches())).copy()
    into.mkdir()
    shutil.copy(run_dir / "config.json", into)
    writer = JournalWriter(into, instance=reader.instance, epoch=reader.epoch, config_bytes=reader.config_bytes)
    for piece in change(slots):
        writer.append(piece)
    writer.close(final=True)
    return into


def output_positions(slots, kind):
    found = np.flatnonzero(slots["type"] == kind)
    assert len(found) > 4
    return found


# ---- captures


@pytest.mark.parametrize("where", ["absent.gz", "no/such/dir/*.gz", ""])
def test_missing_capture_is_named_and_the_run_fails(tmp_path, where):
    capture = tmp_path / where
    for command in ("decode", "book"):
        result = tickpath(command, capture, "--venue", "binance_spot")
        assert result.returncode == FAILED
        one_line(result, str(capture).rstrip("/"))
    result = run(tmp_path / "state", capture, f"abs{os.getpid()}")
    assert "Traceback" not in result.stderr and str(capture).rstrip("/") in result.stderr
    assert result.returncode == FAILED


@pytest.mark.parametrize("content", [b"", gzip.compress(b"", mtime=0)], ids=["plain", "gzip"])
def test_empty_capture_is_an_error_or_an_orderly_run_without_frames(tmp_path, content):
    capture = tmp_path / "empty"
    capture.write_bytes(content)
    result = run(tmp_path / "state", capture, f"emp{os.getpid()}")
    assert result.returncode in (DONE, FAILED) and "Traceback" not in result.stderr
    assert str(capture) in result.stderr if result.returncode == FAILED else json.loads(result.stdout)["frames"] == 0
    runs = list((tmp_path / "state").glob("*/runs/*"))
    assert len(runs) == 1 and verified(runs[0]).returncode == DONE


def test_gzip_cut_in_the_middle_is_traded_as_far_as_it_goes_and_reported(tmp_path):
    capture = tmp_path / "cut.gz"
    whole = gzip.compress(b"".join(lines_of_capture()), 1)
    capture.write_bytes(whole[: len(whole) // 2])
    result = run(tmp_path / "state", capture, f"cut{os.getpid()}")
    assert result.returncode == FAILED
    summary = json.loads(result.stdout)
    assert LINES // 4 < summary["frames"] < LINES and summary["totals"]["stopped"] == 1
    naming = [line for line in result.stderr.splitlines() if str(capture) in line]
    assert len(naming) == 1 and "gzip" in naming[0] and "Traceback" not in result.stderr
    replayed = verified(summary["journal"])
    assert replayed.returncode == DONE and json.loads(replayed.stdout)["orderly"]


@pytest.mark.parametrize(
    "line", [b"what is this\n", b"17231612 \n", b"99999999999999999999 {}\n", b"\xff\xfe\n", b"\n"]
)
def test_line_that_fits_no_format_ends_the_feed_and_names_its_number(tmp_path, line):
    capture = tmp_path / "odd.txt"
    lines = lines_of_capture()[:300]
    capture.write_bytes(b"".join([*lines[:200], line, *lines[200:]]))
    result = run(tmp_path / "state", capture, f"odd{os.getpid()}")
    summary = json.loads(result.stdout)
    if line == b"\n" and result.returncode == DONE:
        assert summary["frames"] == 300  # an empty line may be skipped
        return
    assert result.returncode == FAILED and summary["frames"] == 200
    assert f"{capture}: line 201" in result.stderr and "Traceback" not in result.stderr
    assert verified(summary["journal"]).returncode == DONE


def test_first_line_that_fits_no_format_is_refused_by_every_command(tmp_path):
    capture = tmp_path / "odd.txt"
    capture.write_text("what is this\n")
    for command in ("decode", "book"):
        result = tickpath(command, capture, "--venue", "binance_spot")
        assert result.returncode == FAILED
        one_line(result, f"{capture}: line 1")
    assert run(tmp_path / "state", capture, f"one{os.getpid()}").returncode == FAILED


# ---- journals


def test_missing_journal_and_empty_directory_are_named(tmp_path):
    for path in (tmp_path / "absent", tmp_path):
        result = verified(path)
        assert result.returncode == FAILED
        one_line(result, path)


def test_segment_with_a_foreign_magic_is_refused_by_name(journal):
    data = bytearray(segment(journal).read_bytes())
    data[:8] = b"NOTAJRNL"
    segment(journal).write_bytes(data)
    result = verified(journal)
    assert result.returncode in (FAILED, UNVERIFIED) and result.stdout == ""
    one_line(result, segment(journal), "magic")


def test_flipped_byte_of_a_recorded_output_is_found_and_named_by_file_and_offset(journal):
    data = bytearray(segment(journal).read_bytes())
    slots = np.concatenate(list(JournalReader(journal).batches()))
    record = slots[output_positions(slots, EventType.EV_INTENT)[3]].tobytes()
    offset = bytes(data).index(record)
    data[offset + 40] ^= 1
    segment(journal).write_bytes(data)
    result = verified(journal)
    assert result.returncode == UNVERIFIED
    one_line(result, segment(journal), "offset", "checksum")


def test_flipped_bit_anywhere_in_the_journal_never_verifies(journal):
    whole = segment(journal).read_bytes()
    random = np.random.default_rng(3)
    for offset in [0, 9, 100, 4095, 4096, 4100, 4159, *random.integers(4160, len(whole), 12).tolist(), len(whole) - 1]:
        data = bytearray(whole)
        data[offset] ^= 1 << int(random.integers(8))
        segment(journal).write_bytes(data)
        result = verified(journal)
        assert result.returncode in (FAILED, UNVERIFIED), offset
        one_line(result, segment(journal))


@pytest.mark.parametrize("cut_bytes", [1, 63, 64, 65, 200, 5000, 100_000])
def test_tail_torn_by_a_crash_is_cut_and_reported_and_the_rest_replays_equal(journal, cut_bytes):
    (journal / "summary.json").unlink()  # a crash leaves none
    os.truncate(segment(journal), segment(journal).stat().st_size - cut_bytes)
    result = verified(journal)
    assert result.returncode == DONE, result.stderr
    summary = json.loads(result.stdout)
    assert summary["match"] and not summary["orderly"]
    if cut_bytes != 64:  # that is the final block, whole
        assert summary["torn_tail"]["path"] == str(segment(journal)) and summary["torn_tail"]["bytes_cut"] > 0
        assert "torn tail" in tickpath("replay", journal).stdout


def test_journal_shorter_than_its_summary_says_is_reported(journal):
    os.truncate(segment(journal), segment(journal).stat().st_size - 5000)
    result = verified(journal)
    if result.returncode == DONE:
        summary = json.loads(result.stdout)
        assert not summary["orderly"] and summary["torn_tail"]["path"] == str(segment(journal))
    else:
        assert result.returncode == UNVERIFIED
        one_line(result, segment(journal), "summary.json")


def test_configuration_changed_by_one_strategy_parameter_does_not_verify(journal):
    path = journal / "config.json"
    header = json.loads(path.read_text())
    header["config"]["strategies"][0]["parameters"]["order_qty_lots"] += 10
    path.write_text(json.dumps(header, sort_keys=True, indent=1))
    result = verified(journal)
    assert result.returncode == UNVERIFIED, result.stderr
    one_line(result, path)


def test_other_parameter_by_override_gives_other_outputs_and_does_not_verify(journal):
    result = verified(journal, "--set", "strategies.0.parameters.order_qty_lots=2000")
    assert result.returncode == UNVERIFIED
    summary = json.loads(result.stdout)
    assert not summary["match"] and summary["difference"]["recorded"] != summary["difference"]["replayed"]
    assert summary["output_hash"] != summary["recorded_hash"]
    one_line(result, "difference at output")
    asked = tickpath("replay", journal, "--set", "strategies.0.parameters.order_qty_lots=2000")
    assert asked.returncode == DONE  # without --verify it is only a question


def test_bad_override_of_a_replay_is_wrong_usage(journal):
    result = verified(journal, "--set", "strategies.0.parametres.x=1")
    assert result.returncode == USAGE
    one_line(result, "parametres")


def test_journal_rewritten_unchanged_verifies(journal, tmp_path):
    again = rewritten(journal, tmp_path / "again", lambda slots: [slots])
    assert verified(again).returncode == DONE


@pytest.mark.parametrize(
    "kind",
    [
        EventType.EV_INTENT,
        EventType.EV_FILL,
        EventType.EV_ORDER_STATE,
        EventType.EV_POSITION,
        EventType.EV_CANCEL,
        EventType.EV_SIGNAL,
    ],
)
def test_output_changed_together_with_its_checksums_is_shown_as_the_first_difference(journal, tmp_path, kind):
    def change(slots):
        field = 0 if kind in (EventType.EV_SIGNAL, EventType.EV_CANCEL) else 1
        slots["payload"][output_positions(slots, kind)[3]][field] ^= 1
        return [slots]

    result = verified(rewritten(journal, tmp_path / "changed", change))
    assert result.returncode == UNVERIFIED, result.stdout
    difference = json.loads(result.stdout)["difference"]
    assert difference["recorded"]["type"] == difference["replayed"]["type"]
    assert sum(difference["recorded"][k] != difference["replayed"][k] for k in difference["recorded"]) == 1
    one_line(result, f"output {difference['output']}")
    shown = tickpath("replay", tmp_path / "changed", "--verify")
    assert shown.returncode == UNVERIFIED and f"first difference at output {difference['output']}" in shown.stdout


def test_dropped_output_record_does_not_verify_even_when_the_sequence_is_closed(journal, tmp_path):
    def drop(slots):
        at = output_positions(slots, EventType.EV_CANCEL)[2]
        assert slots["type"][at + 1] != EventType.EV_CONT
        rest = np.concatenate([slots[:at], slots[at + 1 :]])
        rest["seq"] = slots["seq"][: len(rest)]
        return [rest]

    result = verified(rewritten(journal, tmp_path / "dropped", drop))
    assert result.returncode == UNVERIFIED
    assert json.loads(result.stdout)["difference"]


def test_dropped_output_record_that_leaves_a_gap_does_not_verify(journal, tmp_path):
    def drop(slots):
        at = output_positions(slots, EventType.EV_CANCEL)[2]
        assert slots["type"][at + 1] != EventType.EV_CONT
        return [slots[:at], slots[at + 1 :]]

    assert verified(rewritten(journal, tmp_path / "gap", drop)).returncode == UNVERIFIED


def test_dropped_input_record_does_not_verify(journal, tmp_path):
    def drop(slots):
        at = output_positions(slots, EventType.EV_EXEC_REPORT)[4]
        rest = np.concatenate([slots[:at], slots[at + 2 :]])
        rest["seq"] = slots["seq"][: len(rest)]
        return [rest]

    assert verified(rewritten(journal, tmp_path / "input", drop)).returncode == UNVERIFIED
