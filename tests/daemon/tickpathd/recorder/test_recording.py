"""`tickpath record` on a venue simulator: what another client received is on the disk, bit by bit, and the tools take it."""
import contextlib
import gzip
import json
import os
import signal
import threading
import time

import pytest
from recorder_harness import Started
from sim_harness import Closed, Sim

from process_harness import children, tickpath, until
from tickpath.capture import read_capture
from tickpath.engine import Engine
from tickpath.raw_capture import raw_summary
from tickpath.session import Session
from tickpath.shm.canonical import OutputHasher
from tickpath.shm.journal import JournalReader
from tickpath.shm.ring import EventReader, EventWriter, records
from tickpath.shm.state_page import StatePage
from tickpath.types import CommandKind, EventType
from tickpathd.capture_tools import decode_counts, rebuild_books, unfinished_recordings
from tickpathd.config import ConfigError, load_config
from tickpathd.engine_spec import engine_spec, paper_spec
from tickpathd.recorder.recording import recording_config
from tickpathd.replay import replay

LINES = 6000
STREAMS = ["btcusdt@depth@100ms", "btcusdt@trade", "btcusdt@bookTicker"]


@pytest.fixture(scope="module")
def short_capture(golden_dir, tmp_path_factory):
    """The first minute of the recorded feed."""
    path = tmp_path_factory.mktemp("capture") / "short.gz"
    with gzip.open(golden_dir / "binance_spot" / "hftbacktest_btcusdt_20240808.gz") as source, gzip.open(path, "wb", 1) as out:
        for _, line in zip(range(LINES), source, strict=False):
            out.write(line)
    return path


class Witness:
    """A plain client that reads in a thread of its own: what the venue sent, message by message."""

    def __init__(self, sim):
        self.client = sim.client("/stream")
        self.client.send({"method": "SUBSCRIBE", "params": STREAMS, "id": 1})
        self.messages = []
        self.thread = threading.Thread(target=self._read, daemon=True)
        self.thread.start()

    def _read(self):
        with contextlib.suppress(Closed, OSError):
            while True:
                data = self.client.text(60)
                if data.startswith(b'{"stream"'):
                    self.messages.append((time.time_ns(), data))


def market(files):
    """The market frames of files, as they were received."""
    return [f.data for path in files for f in read_capture(path) if f.source == "ws" and f.data.startswith(b'{"stream"')]


@pytest.fixture(scope="module")
def recorded(short_capture, tmp_path_factory):
    """(result, files, what a witness got, the simulator's last words) of a whole recording ended by Ctrl-C."""
    tmp_path = tmp_path_factory.mktemp("recorded")
    with Sim(short_capture, "--speed", "20", "--start-after", "2") as sim:
        witness = Witness(sim)
        started = Started(tmp_path, "whole", {"v": ("binance_spot", ["BTC/USDT"], sim.addresses, {})})
        try:
            sim.faults.wait(lambda state: state["playback"]["ended"], 40)
            truth = sim.faults.truth("BTCUSDT")
            until(lambda: len(witness.messages) > LINES // 2, "the witness to have read")
            started.stored("v", len(witness.messages))
            code, result, err = started.end(signal.SIGINT)
            assert code == 0, err
        finally:
            started.stop()
        yield result, started.files("v"), witness, truth


def test_frames_are_those_that_another_client_received_bit_by_bit_and_in_order(recorded):
    result, files, witness, _ = recorded
    sent = [data for _, data in witness.messages]
    assert len(sent) > LINES // 2 and market(files) == sent
    feed = result["feeds"]["v"]
    assert feed["frames"] == feed["stored"] == sum(raw_summary(path).frames for path in files) and feed["dropped"] == 0
    assert feed["files"] == [str(path) for path in files] and all(raw_summary(path).final for path in files)
    assert feed["bytes_raw"] == sum(len(f.data) for path in files for f in read_capture(path))
    assert feed["bytes_stored"] == sum(path.stat().st_size for path in files) < feed["bytes_raw"] / 3
    assert (feed["errors"], feed["gaps"], feed["reconnects"], feed["accuracy"]) == (0, 0, 0, 1.0) and feed["good"] > 500
    assert result["problems"] == []


def test_receive_times_are_the_recorders_own(recorded):
    _, files, witness, _ = recorded
    times = [f.ts_recv_ns for path in files for f in read_capture(path) if f.data.startswith(b'{"stream"')]
    assert times == sorted(times)
    lags_ms = sorted(abs(ours - theirs) / 1e6 for ours, (theirs, _) in zip(times, witness.messages, strict=True))
    assert lags_ms[len(lags_ms) // 2] < 1000


def test_rest_snapshot_is_marked_and_names_its_symbol(recorded):
    _, files, _, _ = recorded
    bodies = [f for path in files for f in read_capture(path) if f.source == "rest"]
    assert bodies and all(f.symbol_hint == "BTCUSDT" and f.conn == "gateway" and b'"lastUpdateId"' in f.data for f in bodies)


def test_header_carries_the_grids(recorded):
    _, files, _, _ = recorded
    header = raw_summary(files[0]).header
    assert (header.venue, header.kind, header.symbols) == ("v", "binance_spot", {0: "BTCUSDT"})
    (item,) = header.metadata["instruments"]
    assert item["symbol"] == "BTC/USDT" and item["tick_size"] == "0.01" and item["price_decimals"] >= 2


def test_decode_and_book_find_what_the_venue_sent(recorded, tmp_path):
    _, files, witness, truth = recorded
    sent = tmp_path / "sent.txt"
    sent.write_bytes(b"".join(b"%d %s\n" % item for item in witness.messages))
    wanted, counts = decode_counts("binance_spot", sent), decode_counts("binance_spot", files[0])
    assert counts["errors"] == 0 and counts["snapshots"] >= 1
    assert {k: counts[k] for k in ("trades", "quotes", "book_deltas")} == {k: wanted[k] for k in ("trades", "quotes", "book_deltas")}
    (book,) = rebuild_books("binance_spot", files[0]).values()
    assert (book["state"], book["gaps"]) == ("GOOD", 0) and book["last_update_id"] == truth["sequence"]
    assert [float(book["best_bid"]), float(book["best_bid_qty"])] == [float(x) for x in truth["best_bid"][:2]]
    assert [float(book["best_ask"]), float(book["best_ask_qty"])] == [float(x) for x in truth["best_ask"][:2]]


def test_events_beside_the_frames_are_a_journal_that_replays(recorded):
    result, files, _, _ = recorded
    reader = JournalReader(result["events"])
    frames = trades = 0
    for batch in reader.batches():
        frames += len(records(batch, EventType.EV_FRAME))
        trades += len(records(batch, EventType.EV_TRADE))
    assert reader.final and reader.missed_slots == 0
    assert frames == result["feeds"]["v"]["frames"]
    assert trades == decode_counts("binance_spot", files[0])["trades"]
    assert replay(result["events"])["match"]


def decided(config, files):
    """The output hash of an engine in this process that is fed the files and stopped at their end."""
    writer = EventWriter.local(1 << 18)
    outputs, hasher = EventReader(writer.buffer, 1), OutputHasher()
    session = Session(Engine(engine_spec(config, epoch=1), writer), paper_spec(config))
    for frame in (f for path in files for f in read_capture(path)):
        session.on_frame(frame.data, frame.ts_recv_ns, 0 if frame.symbol_hint else 0xFFFFFFFF, connection=frame.connection)
        hasher.update(outputs.read(65536))
    session.command(CommandKind.COMMAND_STOP, 0, 0)
    session.settle()
    session.finish()
    hasher.update(outputs.read(65536))
    return hasher.hexdigest()


def test_engine_decides_the_same_each_time_it_is_fed_the_recording(recorded, tmp_path):
    _, files, _, _ = recorded
    (item,) = raw_summary(files[0]).header.metadata["instruments"]
    path = tmp_path / "capture.toml"
    path.write_text(f'[instance]\nname = "rerun"\n[storage]\ndir = "{tmp_path}"\n[venues.v]\nkind = "capture:{files[0]}"\n'
                    'pace = "fast"\n[[instruments]]\nvenue = "v"\nsymbol = "BTC/USDT"\nvenue_symbol = "BTCUSDT"\n'
                    f'tick_size = "{item["tick_size"]}"\nlot_size = "{item["lot_size"]}"\n[limits]\nmax_data_age_ms = 60000\n'
                    '[[strategies]]\nname = "m"\nkind = "every_event"\ninstrument = "v:BTC/USDT"\n')
    done = tickpath("run", "-c", path, "--verify", "--json")
    assert done.returncode == 0, done.stderr
    result = json.loads(done.stdout)
    assert result["verified"]["match"] and result["orders"] > 0
    assert result["frames"] == sum(raw_summary(path).frames for path in files)
    assert result["feeds"]["v"]["accuracy"] == 1.0
    config = load_config([path], env={})
    assert decided(config, files) == decided(config, files) == result["output_hash"]


def test_tools_read_a_cut_recording_and_say_what_is_missing(recorded, tmp_path):
    _, files, _, _ = recorded
    cut = tmp_path / "cut.tpraw"
    cut.write_bytes(files[0].read_bytes()[:-200])
    counts, whole = decode_counts("binance_spot", cut), decode_counts("binance_spot", files[0])
    assert 0 < counts["frames"] < whole["frames"] and counts["errors"] == 0
    (line,) = unfinished_recordings(cut)
    assert line.startswith(f"{cut}: the recording was cut off: ") and list(unfinished_recordings(files[0])) == []


def test_simulator_plays_a_recording(recorded):
    _, files, witness, _ = recorded
    with Sim(files[0], "--speed", "60") as sim:
        client = sim.client("/stream")
        client.send({"method": "SUBSCRIBE", "params": STREAMS, "id": 1})
        got = []
        while len(got) < 500:
            data = client.text()
            if data.startswith(b'{"stream"'):
                got.append(data)
    assert got == [data for _, data in witness.messages][:500]


@pytest.fixture(scope="module")
def endless(golden_dir):
    with Sim(golden_dir / "binance_spot" / "hftbacktest_btcusdt_20240808.gz", "--speed", "8", "--loop") as sim:
        yield sim


def test_killed_recorder_loses_no_more_than_its_last_second(endless, tmp_path):
    started = Started(tmp_path, "killed", {"v": ("binance_spot", ["BTC/USDT"], endless.addresses, {})})
    try:
        started.stored("v", 500)
        killed_ns = time.time_ns()
        os.kill(children(started.process.pid)["process"], signal.SIGKILL)
        code, result, err = started.end(None)
        assert code == 1 and "recorder: expected it to end with 0, found signal 9" in err
        (path,) = started.files("v")
        assert result["feeds"]["v"]["files"] == [str(path)]
        summary = raw_summary(path)
        assert not summary.final and summary.last_ts_ns > killed_ns - 1_500_000_000
        assert decode_counts("binance_spot", path)["frames"] == summary.frames >= 500
        # The journal has drained what the killed process had published.
        reader = JournalReader(result["events"])
        events = sum(len(records(batch, EventType.EV_FRAME)) for batch in reader.batches())
        assert events >= summary.frames and not reader.final
    finally:
        started.stop()


def test_recording_ends_in_order_when_the_command_itself_is_killed(endless, tmp_path):
    started = Started(tmp_path, "orphan", {"v": ("binance_spot", ["BTC/USDT"], endless.addresses, {})})
    try:
        started.stored("v", 100)
        started.process.kill()
        until(lambda: all(raw_summary(path).final for path in started.files("v")), "the files to be ended", 20)
        events = next((started.out / "events").iterdir())
        until(lambda: (events / "summary.json").exists(), "the journal to be ended", 20)
    finally:
        started.stop()


def test_full_disk_pauses_the_recording_and_the_feeds_live_on(endless, tmp_path, small_disk):
    disk = small_disk(8 << 20)
    started = Started(tmp_path, "full", {"v": ("binance_spot", ["BTC/USDT"], endless.addresses, {})}, out=disk)
    try:
        started.stored("v", 100)
        filler = disk / "filler"
        with contextlib.suppress(OSError), open(filler, "wb", buffering=0) as file:
            while True:
                file.write(bytes(4096))
        until(lambda: "No space left on device: paused" in started.said(), "a line about the pause")
        before = sum(raw_summary(path).frames for path in started.files("v"))
        time.sleep(1.0)
        filler.unlink()
        until(lambda: "the disk takes them again; 0 frames were dropped" in started.said(), "a line about the end of the pause")
        started.stored("v", before + 300)
        code, result, err = started.end()
        feed = result["feeds"]["v"]
        assert (code, result["problems"]) == (0, []), err
        assert feed["reconnects"] == 0 and feed["dropped"] == 0 and feed["stored"] == feed["frames"]
        assert err.count("paused") == 1
    finally:
        started.stop()


def test_only_the_venues_asked_for_are_recorded_and_feeds_are_judged(endless, tmp_path):
    """With a journal that is killed meanwhile: it is started again and goes on where it was."""
    venues = {name: ("binance_spot", ["BTC/USDT"], endless.addresses, {}) for name in ("one", "two")}
    started = Started(tmp_path, "chosen", venues, "--venue", "two", "--duration", "60", "--set", "venues.two.silent_after_ms=600")
    try:
        started.stored("two", 50)
        page = StatePage.attach(started.name)
        until(lambda: page.instruments()[0]["good_messages"] > 20, "good messages")
        os.kill(started.pids["journal_process"], signal.SIGKILL)
        endless.faults.arm("drop_all")
        until(lambda: "connection lost" in started.said(), "the lost connection")
        endless.faults.arm("bad_number", form="cut_json", count=30)
        until(lambda: len(endless.faults.log("bad_number")) >= 30, "30 refused messages on the wire")
        until(lambda: "events: they are written again" in started.said(), "the journal to go on")
        code, result, err = started.end()
        assert JournalReader(result["events"]).missed_slots == 0
        assert (code, result["problems"]) == (0, []), err
        assert set(result["feeds"]) == {"two"} and not (started.out / "raw" / "one").exists()
        feed = result["feeds"]["two"]
        assert feed["reconnects"] >= 1 and feed["errors"] >= 25
        assert 0 < feed["accuracy"] == feed["good"] / (feed["messages"] + feed["errors"]) < 0.999
        assert err.count("warning: two: expected at least 99.900 % good messages") == 1
    finally:
        started.stop()


def test_wrong_venue_is_refused_with_those_there_are():
    config = load_config([], ["venues.k.kind=kraken", 'venues.k.symbols=["BTC/USD"]', "venues.c.kind=capture:x"], env={})
    with pytest.raises(ConfigError, match=r"--venue: expected one of \['k'\] .*, found 'c'"):
        recording_config(config, ["c"])
    assert list(recording_config(config).venues) == ["k"]
