"""Command lanes between real processes: clients that are killed, hostile, too many, or gone; the engine goes on."""
import contextlib
import mmap
import os
import random
import signal
import struct
import subprocess
import sys
import threading
import time

import numpy as np
import pytest

from engine_harness import Market
from tickpath.shm.lane import CommandClient, CommandLane, LaneError, LaneTimeout, lane_bytes
from tickpath.shm.ring import EventReader, EventWriter, records, ring_bytes
from tickpath.shm.segment import SHM_DIR, SegmentError, create_segment, list_segments
from tickpath.shm.words import load_word, store_word
from tickpath.types import CommandKind, EventType, Reason, Role

PING = int(CommandKind.COMMAND_PING)
SLOTS = 64


class Lane:
    """An engine with one lane of role trader, in real segments."""

    def __init__(self):
        self.instance = f"tlane-{os.getpid()}-{time.monotonic_ns() % 10**9}"
        self.ring = create_segment(self.instance, "ring", ring_bytes(1 << 16), slot_count=1 << 16)
        self.market = Market(writer=EventWriter(self.ring.buffer))
        self.segment = create_segment(self.instance, "lane.desk", lane_bytes(SLOTS), slot_count=SLOTS, mode=0o660)
        self.lane = CommandLane(self.segment.buffer, 0, int(Role.ROLE_TRADER), "desk")
        self.market.session.add_lane(self.lane)

    def answers(self):
        return self.market.records(EventType.EV_COMMAND)

    def turns(self, seconds=0.0):
        """Turns for so long and until nothing comes any more; the answers given."""
        reader = EventReader(self.ring.buffer, "latest")
        found = []
        end = time.monotonic() + seconds
        while self.market.turn() or time.monotonic() < end:
            found.append(records(reader.read(1 << 12), EventType.EV_COMMAND))
        assert reader.missed_slots == 0
        return np.concatenate([*found, records(reader.read(1 << 12), EventType.EV_COMMAND)])

    def ask(self, client, kind=PING, **fields):
        request = client.send(kind, **fields)
        self.market.turn()
        return client.wait(request)

    def close(self):
        self.segment.close()
        self.ring.close()


@pytest.fixture
def made():
    lane = Lane()
    yield lane
    lane.close()
    assert list_segments(lane.instance) == []


def child(code, *arguments):
    return subprocess.Popen([sys.executable, "-c", code, *map(str, arguments)], stdout=subprocess.PIPE, text=True)


SENDER = """
import sys
from tickpath.shm.lane import CommandClient, LaneFull
from tickpath.types import CommandKind
client = CommandClient(sys.argv[1], "desk")
print("ready", flush=True)
request = int(sys.argv[2])
while True:
    try:
        client.send(CommandKind.COMMAND_PING, request_id=request, value=request * 3, detail=request * 5)
        request += 1
    except LaneFull:
        pass
"""


def test_a_killed_client_leaves_whole_commands_and_a_lane_for_the_next_one(made):
    r = random.Random(5)
    request = 1
    for _ in range(12):
        process = child(SENDER, made.instance, request)
        assert process.stdout.readline().strip() == "ready"
        killer = threading.Timer(r.uniform(0.0, 0.02), process.kill)
        killer.start()
        answers = made.turns(0.05)
        killer.join()
        process.wait()
        process.stdout.close()
        answers = np.concatenate([answers, made.turns()])
        expected = list(range(request, request + len(answers)))
        assert answers["request_id"].tolist() == expected
        assert answers["value"].tolist() == [3 * q for q in expected]
        assert answers["detail"].tolist() == [5 * q for q in expected]
        assert set(answers["reason"].tolist()) <= {int(Reason.REASON_OK)}
        request += len(answers)
        with CommandClient(made.instance, "desk") as client:
            assert made.ask(client, request_id=request)["reason"] == Reason.REASON_OK
        request += 1
    assert request > 50


def test_what_a_client_sent_before_it_died_is_still_done_once(made):
    code = ("import sys, os\nfrom tickpath.shm.lane import CommandClient\nc = CommandClient(sys.argv[1], 'desk')\n"
            "[c.send(4, request_id=i) for i in range(1, 11)]\nos.kill(os.getpid(), 9)")
    process = child(code, made.instance)
    assert process.wait(30) == -signal.SIGKILL
    process.stdout.close()
    with CommandClient(made.instance, "desk") as client:
        client.send(PING, request_id=11)
        while made.market.turn():
            pass
        assert made.answers()["request_id"].tolist() == list(range(1, 12))


def test_a_client_that_dies_between_payload_and_sequence_has_sent_nothing(made):
    memory = made.segment.buffer
    memory[4096 + 8:4096 + 64] = bytes(range(56))
    assert made.market.turn() == 0
    with CommandClient(made.instance, "desk") as client:
        assert made.ask(client)["reason"] == Reason.REASON_OK
    assert len(made.answers()) == 1


def test_a_second_client_is_refused_while_the_first_lives(made):
    with CommandClient(made.instance, "desk") as client:
        with pytest.raises(LaneError, match="expected a free lane, found it in use"):
            CommandClient(made.instance, "desk")
        assert made.ask(client)["reason"] == Reason.REASON_OK
    with CommandClient(made.instance, "desk") as client:
        assert made.ask(client)["reason"] == Reason.REASON_OK
    with pytest.raises(LaneError, match="expected an open client"):
        client.send(PING)


def test_a_lane_that_is_not_there_is_named(made):
    with pytest.raises(SegmentError, match=r"lane\.nobody: expected a running instance"):
        CommandClient(made.instance, "nobody")


def test_no_answer_in_time_says_so_and_the_same_request_can_be_asked_again(made):
    with CommandClient(made.instance, "desk") as client:
        request = client.send(PING)
        with pytest.raises(LaneTimeout, match=f"expected an answer to request {request}"):
            client.wait(request, 0.02)
        client.send(PING, request_id=request)
        made.market.turn()
        assert client.wait(request)["reason"] == Reason.REASON_OK
        assert made.answers()["flags"].tolist() == [0, 1]


@pytest.mark.parametrize("seed", range(6))
def test_a_client_that_writes_nonsense_everywhere_hurts_only_itself(made, seed):
    r = random.Random(seed)
    memory = made.segment.buffer
    for _ in range(200):
        for _ in range(r.randrange(1, 30)):
            offset = r.randrange(128, len(memory) // 8 * 8) & ~7
            memory[offset:offset + 8] = struct.pack("<Q", r.choice([0, 1, 2 ** 64 - 1, r.getrandbits(64), r.randrange(100)]))
        assert made.market.turn() <= 16
        made.market.quote()
    taken = made.lane.taken
    assert load_word(memory, 128) == taken, "the engine's own count stands in the lane again"
    assert all(a["lane"] == 0 and a["role"] == Role.ROLE_TRADER for a in made.answers())
    for k in range(SLOTS):
        store_word(memory, 4096 + 64 * k, 0)
    with CommandClient(made.instance, "desk") as client:
        answer = made.ask(client, request_id=2 ** 64 - 1)
        assert answer["reason"] in (Reason.REASON_OK, Reason.REASON_REQUEST_TOO_OLD)


TRUNCATED = """
import os, sys
sys.path.insert(0, sys.argv[1])
from test_lane import Lane, PING
from tickpath.shm.lane import CommandClient
from tickpath.shm.segment import SHM_DIR
made = Lane()
client = CommandClient(made.instance, "desk")
print(made.ask(client)["reason"], flush=True)
fd = os.open(SHM_DIR + made.segment.name, os.O_RDWR)
os.ftruncate(fd, 0)
for _ in range(5):
    made.market.turn()
    made.market.quote()
print(made.lane.broken, made.market.totals()["lanes_broken"], made.market.totals()["quotes"], flush=True)
made.ring.buffer, made.segment.buffer
made.close()
"""


def test_a_client_that_takes_the_lanes_memory_away_does_not_end_the_engine(made, root):
    tests = root / "tests"
    done = subprocess.run([sys.executable, "-c", TRUNCATED, str(tests / "ext" / "tickpath" / "shm")], capture_output=True,
                          text=True, timeout=60, env={**os.environ, "PYTHONPATH": os.pathsep.join(
                              [str(tests), os.environ.get("PYTHONPATH", "")])})
    assert done.returncode == 0, done.stderr
    assert done.stdout.split() == ["1", "True", "1", "5"]


def test_another_bus_error_ends_the_process_as_always(tmp_path):
    path = tmp_path / "f"
    path.write_bytes(bytes(8192))
    code = ("import mmap, os, sys\nfrom tickpath.shm.lane import CommandLane, lane_bytes\n"
            "lane = CommandLane(mmap.mmap(-1, lane_bytes(64)), 0, 1)\n"
            "f = open(sys.argv[1], 'r+b'); m = mmap.mmap(f.fileno(), 8192); os.truncate(sys.argv[1], 0); m[5000]")
    assert subprocess.run([sys.executable, "-c", code, str(path)], timeout=60).returncode == -signal.SIGBUS


@pytest.mark.parametrize("size", [1, 4096, 4096 + 64 * 8, 4096 + 64 * 24, 5000])
def test_a_lane_of_an_impossible_size_is_refused(size):
    with pytest.raises(SegmentError, match=f"found {size} bytes"):
        CommandLane(mmap.mmap(-1, size), 0, 1)


def test_lane_index_and_slot_count_are_checked():
    with pytest.raises(ValueError, match="index: expected 0 to 15, found 16"):
        CommandLane(mmap.mmap(-1, lane_bytes(64)), 16, 1)
    for count in (0, 8, 17, 100):
        with pytest.raises(ValueError, match="slot_count: expected a power of two of at least 16"):
            lane_bytes(count)


def test_the_lane_belongs_to_its_group_with_0660(made):
    found = os.stat(SHM_DIR + made.segment.name)
    assert found.st_mode & 0o777 == 0o660
    with pytest.raises(SegmentError, match="expected a group of this machine, found 'no-such-group'"):
        create_segment(made.instance, "lane.other", lane_bytes(64), mode=0o660, group="no-such-group")
    if os.getuid() == 0:
        with create_segment(made.instance, "lane.other", lane_bytes(64), mode=0o660, group="daemon") as other:
            assert os.stat(SHM_DIR + other.name).st_gid == 1
    with contextlib.suppress(FileNotFoundError):
        os.unlink(SHM_DIR + f"/tickpath.{made.instance}.lane.other")
