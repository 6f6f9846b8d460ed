"""Each fault on Binance spot: a client sees exactly it, and the log says so. Those of other venues stand in their files."""
import json
import zlib
from decimal import Decimal

import pytest
from sim_harness import SPOT, BinanceFollower, FaultClient, Frame, drain, entries, follow

from tickpath_sim.control import FaultError

DIFFS = "/ws/btcusdt@depth@100ms"
ALL = "/stream?streams=btcusdt@depth@100ms/btcusdt@trade/btcusdt@bookTicker"


@pytest.fixture
def spot(calm):
    return calm(SPOT, "--rest-weight-per-min", "0")


@pytest.fixture
def followed(spot):
    """(server, client, follower) in step with the truth."""
    client = spot.client(DIFFS)
    spot.faults.wait(lambda state: any(c["subscribed"] for c in state["clients"]))
    follower = BinanceFollower(spot)
    follower.snapshot(5000)
    return spot, client, follower


def pass_diffs(sim, client, follower, count=1):
    """Let events pass until the truth has moved by `count` changes; returns the messages that came."""
    messages = []
    sim.faults.step(count, "BTCUSDT")
    drain(client, lambda m: (messages.append(m), follower and follower.feed(m)))
    return messages


def agrees(sim, follower):
    return follower.book.agrees(sim.faults.truth("BTCUSDT"))


def test_without_a_fault_the_client_follows_the_truth(followed):
    sim, client, follower = followed
    assert len(pass_diffs(sim, client, follower, 5)) == 5
    assert follower.gaps == 0 and agrees(sim, follower)


def test_drop_diff_leaves_one_gap_in_the_chain(followed):
    sim, client, follower = followed
    sim.faults.arm("drop_diff", symbol="BTCUSDT", count=1)
    before = sim.faults.truth("BTCUSDT")["sequence"]
    messages = pass_diffs(sim, client, follower, 2)
    assert len(messages) == 1 and follower.gaps == 1
    entry = entries(sim, "drop_diff")[-1]
    assert entry["symbol"] == "BTCUSDT" and before < entry["sequence"] == messages[0]["U"] - 1
    assert entry["connections"][0]["message"] == sim.faults.state()["clients"][0]["messages"]


def test_the_log_says_where_on_the_wire_it_was(followed):
    sim, client, follower = followed
    pass_diffs(sim, client, follower, 2)
    state = sim.faults.state()["clients"][0]
    sim.faults.arm("drop_diff")
    pass_diffs(sim, client, follower)
    (where,) = entries(sim, "drop_diff")[-1]["connections"]
    assert where == {"connection": state["connection"], "message": state["messages"] + 1, "byte": state["bytes"]}


def test_duplicate_diff_comes_twice_and_once_only(followed):
    sim, client, follower = followed
    sim.faults.arm("duplicate_diff")
    messages = pass_diffs(sim, client, follower, 2)
    assert [m["u"] for m in messages] == [messages[0]["u"]] * 2 + [messages[2]["u"]]
    assert follower.gaps == 0 and follower.old == 1 and agrees(sim, follower)
    assert entries(sim, "duplicate_diff")[-1]["sequence"] == messages[0]["u"]


def test_old_diff_is_one_that_was_sent_before(followed):
    sim, client, follower = followed
    sent = pass_diffs(sim, client, follower, 3)
    sim.faults.arm("old_diff")
    new, old = pass_diffs(sim, client, follower)
    assert new["u"] > sent[-1]["u"] and old["u"] < new["u"]
    assert follower.old == 1 and follower.gaps == 0 and agrees(sim, follower)
    assert entries(sim, "old_diff")[-1]["sequence"] == new["u"]


def test_straddling_diff_covers_the_one_before(followed):
    sim, client, follower = followed
    (before,) = pass_diffs(sim, client, follower)
    sim.faults.arm("straddling_diff")
    (straddling,) = pass_diffs(sim, client, follower)
    assert straddling["U"] == before["U"] and straddling["u"] > before["u"]
    assert follower.gaps == 0 and follower.old == 0 and agrees(sim, follower)
    assert entries(sim, "straddling_diff")


def test_old_snapshot_is_older_than_any_diff_that_was_buffered_as_often_as_told(spot):
    client = spot.client(DIFFS)
    spot.faults.wait(lambda state: any(c["subscribed"] for c in state["clients"]))
    (first,) = pass_diffs(spot, client, None)
    spot.faults.arm("old_snapshot", count=2)
    ids = [spot.get("/api/v3/depth?symbol=BTCUSDT&limit=100")[1]["lastUpdateId"] for _ in range(3)]
    assert ids[0] == ids[1] < first["U"] - 1 and ids[2] == spot.faults.truth("BTCUSDT")["sequence"]
    assert [e["given"] for e in spot.faults.log("old_snapshot")[-2:]] == ids[:2]


def test_reconnect_move_resets_the_socket_and_moves_every_price(followed):
    sim, client, follower = followed
    before = sim.faults.truth("BTCUSDT")
    sim.faults.arm("reconnect_move", symbol="BTCUSDT", pct=0.02)
    assert client.closed() == -1
    moved = Decimal(entries(sim, "reconnect_move")[-1]["moved"]["BTCUSDT"])
    assert abs(moved - Decimal(before["best_bid"][0]) * Decimal("0.02")) <= Decimal("0.01")
    after = sim.faults.truth("BTCUSDT")
    assert [Decimal(p) for p, _ in after["bids"]] == [Decimal(p) + moved for p, _ in before["bids"]]
    again = sim.client(ALL)
    sim.faults.wait(lambda state: any(c["subscribed"] for c in state["clients"]))
    fresh = BinanceFollower(sim)
    fresh.snapshot(5000)
    messages = pass_diffs(sim, again, fresh, 3)
    assert fresh.gaps == 0 and agrees(sim, fresh) and not fresh.book.is_crossed()
    quotes = [m["data"] for m in messages if m["stream"].endswith("bookTicker")]
    assert quotes and all(abs(Decimal(q["b"]) - Decimal(after["best_bid"][0])) < 100 for q in quotes)
    sim.faults.arm("reconnect_move", pct=-0.02)
    assert again.closed() == -1


def test_silent_sends_no_data_while_answers_and_pongs_go_on(followed):
    sim, client, follower = followed
    sim.faults.arm("silent")
    assert pass_diffs(sim, client, follower, 2) == []
    client.send({"method": "LIST_SUBSCRIPTIONS", "id": 7})
    assert client.message() == {"result": ["btcusdt@depth@100ms"], "id": 7}
    client.send(b"still there?", opcode=9)
    assert client.frame() == Frame(True, 0, 10, b"still there?")
    assert len(entries(sim, "silent")) == 1
    assert sim.faults.disarm("silent")
    assert len(pass_diffs(sim, client, follower)) == 1 and follower.gaps == 1


def test_silent_for_one_connection_leaves_the_others_alone(followed):
    sim, client, follower = followed
    number = sim.faults.state()["clients"][0]["connection"]
    other = sim.client(DIFFS)
    sim.faults.wait(lambda state: sum(c["subscribed"] for c in state["clients"]) == 2)
    sim.faults.arm("silent", connection=number)
    assert len(pass_diffs(sim, other, None)) == 1
    assert client.quiet(0.1)


def test_half_open_neither_answers_nor_closes_and_is_reset_in_the_end(followed):
    sim, client, follower = followed
    sim.faults.arm("half_open")
    client.send(b"anyone?", opcode=9)
    assert pass_diffs(sim, client, follower) == []
    newer = sim.client(DIFFS)
    sim.faults.wait(lambda state: sum(c["subscribed"] for c in state["clients"]) == 2)
    assert len(pass_diffs(sim, newer, None)) == 1, "a client that comes later is served"
    with pytest.raises(TimeoutError):
        client.frame(0.1)
    sim.faults.disarm("half_open")
    assert client.closed() == -1
    assert entries(sim, "half_open")[-1]["connections"]


def test_cut_says_server_shutdown_and_closes(followed):
    sim, client, follower = followed
    sim.faults.arm("cut", after_ms=50, code=1012)
    assert client.message()["e"] == "serverShutdown"
    assert client.closed() == 1012
    assert entries(sim, "cut")[-1]["after_ms"] == 50


def test_drop_all_resets_every_socket(spot):
    clients = [spot.client(DIFFS) for _ in range(3)]
    spot.faults.wait(lambda state: sum(c["subscribed"] for c in state["clients"]) == 3)
    spot.faults.arm("drop_all")
    assert [client.closed() for client in clients] == [-1] * 3
    assert len(entries(spot, "drop_all")[-1]["connections"]) == 3


def test_fragment_splits_messages_into_two_to_five_frames(followed):
    sim, client, follower = followed
    sim.faults.arm("fragment", count=4)
    sim.faults.step(5, "BTCUSDT")
    counts = []
    while len(counts) < 5:
        frames = [client.frame()]
        while not frames[-1].fin:
            frames.append(client.frame())
        assert [f.opcode for f in frames] == [1] + [0] * (len(frames) - 1)
        follower.feed(json.loads(b"".join(f.payload for f in frames)))
        counts.append(len(frames))
    assert counts == [2, 3, 4, 5, 1] and follower.gaps == 0 and follower.applied == 5
    assert len(entries(sim, "fragment")) == 4


def test_trickle_sends_single_bytes_and_what_follows_keeps_its_place(followed):
    sim, client, follower = followed
    sim.faults.arm("trickle", gap_ms=1.0)
    sim.faults.step(1, "BTCUSDT")
    before = client.arrivals
    data = client.text()
    # Bytes may meet again in the kernel, but not so many of them.
    assert client.arrivals - before > len(data) // 4
    follower.feed(json.loads(data))
    pass_diffs(sim, client, follower, 2)
    assert follower.applied == 3 and follower.gaps == 0 and agrees(sim, follower)


def test_bad_utf8_spoils_one_message(followed):
    sim, client, follower = followed
    sim.faults.arm("bad_utf8")
    sim.faults.step(2, "BTCUSDT")
    with pytest.raises(UnicodeDecodeError):
        client.text().decode()
    client.text().decode()
    assert entries(sim, "bad_utf8")


@pytest.mark.parametrize("bits", [1, 2, 4, 7])
def test_reserved_bits_are_set_on_one_frame(followed, bits):
    sim, client, follower = followed
    sim.faults.arm("reserved_bits", bits=bits)
    sim.faults.step(2, "BTCUSDT")
    assert [client.frame().reserved for _ in range(2)] == [bits, 0]
    assert entries(sim, "reserved_bits")[-1]["bits"] == bits


def test_oversize_is_one_byte_over_ten_mebibytes_and_still_the_message(followed):
    sim, client, follower = followed
    sim.faults.arm("oversize")
    sim.faults.step(2, "BTCUSDT")
    frame = client.frame()
    assert len(frame.payload) == 10 * 1024 * 1024 + 1
    follower.feed(json.loads(frame.payload))
    assert follower.applied == 1 and entries(sim, "oversize")


def test_deflate_bomb_is_small_on_the_wire_and_large_inflated(followed):
    sim, client, follower = followed
    sim.faults.arm("deflate_bomb", inflated_mib=16)
    sim.faults.step(2, "BTCUSDT")
    frame = client.frame()
    assert frame.reserved == 4 and len(frame.payload) < 100_000
    assert len(zlib.decompressobj(-15).decompress(frame.payload + b"\0\0\xff\xff")) == 16 << 20
    assert json.loads(client.text())["e"] == "depthUpdate"
    assert entries(sim, "deflate_bomb")


def test_flood_sends_the_last_message_again_and_again(followed):
    sim, client, follower = followed
    (last,) = pass_diffs(sim, client, follower)
    before = sim.faults.state()["counters"].get("flood_messages", 0)
    sim.faults.arm("flood", rate=5000, seconds=0.3)
    sim.faults.wait(lambda state: not sim.faults.faults()["armed"])
    got = []
    drain(client, got.append)
    assert len(got) == sim.faults.state()["counters"]["flood_messages"] - before > 100
    assert all(message == last for message in got)
    assert entries(sim, "flood")[-1]["rate"] == 5000


def test_a_client_that_cannot_follow_a_flood_is_cut_off_and_counted(start_sim):
    sim = start_sim(SPOT, "--start-after", "1", "--queue-mib", "0.5", "--speed", "fast")
    slow = sim.client(ALL)
    sim.faults.wait(lambda state: state["playback"]["events"] > 10)
    sim.faults.arm("flood", rate=50_000, seconds=10)
    sim.faults.wait(lambda state: state["counters"].get("slow_disconnects") == 1)
    assert slow.closed() in (-1, 0)


def test_crossed_for_one_message_is_taken_back_by_the_next(followed):
    sim, client, follower = followed
    sim.faults.arm("crossed")
    (crossed,) = pass_diffs(sim, client, follower)
    assert follower.book.is_crossed() and follower.gaps == 0
    assert entries(sim, "crossed")[-1]["price"] in [row[0] for row in crossed["b"]]
    truth = sim.faults.truth("BTCUSDT")
    assert Decimal(truth["best_bid"][0]) < Decimal(truth["best_ask"][0]), "the truth is never crossed"
    pass_diffs(sim, client, follower)
    assert not follower.book.is_crossed() and agrees(sim, follower) and follower.gaps == 0


def test_crossed_until_taken_back(followed):
    sim, client, follower = followed
    sim.faults.arm("crossed", seconds=60)
    pass_diffs(sim, client, follower, 3)
    assert follower.book.is_crossed()
    sim.faults.disarm("crossed")
    pass_diffs(sim, client, follower)
    assert not follower.book.is_crossed() and agrees(sim, follower)


def test_swapped_keys_is_the_same_message_in_another_order(followed):
    sim, client, follower = followed
    sim.faults.arm("swapped_keys")
    sim.faults.step(2, "BTCUSDT")
    swapped, plain = (json.loads(client.text(), object_pairs_hook=list) for _ in range(2))
    assert [key for key, _ in swapped] == [key for key, _ in reversed(plain)]
    follower.feed(dict(swapped))
    follower.feed(dict(plain))
    assert follower.gaps == 0 and follower.applied == 2 and entries(sim, "swapped_keys")


def test_halt_shows_in_exchange_info_until_taken_back(spot):
    def status():
        return spot.get("/api/v3/exchangeInfo?symbol=BTCUSDT")[1]["symbols"][0]["status"]
    assert status() == "TRADING"
    spot.faults.arm("halt", symbol="BTCUSDT", status="CANCEL_ONLY")
    assert status() == spot.faults.truth("BTCUSDT")["status"] == "CANCEL_ONLY"
    spot.faults.disarm("halt")
    assert status() == "TRADING" and entries(spot, "halt")[-1]["status"] == "CANCEL_ONLY"


def test_tick_change_moves_the_book_off_the_old_grid_without_a_gap(start_sim):
    sim = start_sim(SPOT, "--start-after", "0", "--speed", "0.000001")
    sim.faults.pause()
    client = sim.client(DIFFS)
    sim.faults.wait(lambda state: any(c["subscribed"] for c in state["clients"]))
    follower = BinanceFollower(sim)
    follower.snapshot(5000)
    before = sim.faults.truth("BTCUSDT")
    sim.faults.arm("tick_change", symbol="BTCUSDT", tick_size="0.001", lot_size="0.0000001")
    info = sim.get("/api/v3/exchangeInfo?symbol=BTCUSDT")[1]["symbols"][0]
    sizes = {f["filterType"]: f.get("tickSize") or f.get("stepSize") for f in info["filters"]}
    assert (sizes["PRICE_FILTER"], sizes["LOT_SIZE"]) == ("0.001", "0.0000001")
    assert Decimal(sim.faults.truth("BTCUSDT")["best_bid"][0]) == Decimal(before["best_bid"][0]) + Decimal("0.001")
    pass_diffs(sim, client, follower, 2)
    assert follower.gaps == 0 and agrees(sim, follower)
    assert all(price % Decimal("0.01") == Decimal("0.001") for price in (*follower.book.bids, *follower.book.asks))
    assert entries(sim, "tick_change")[-1]["tick_size"] == "0.001"


SIGNS = {"1e400": b'"1e400"', "nan": b",NaN]", "negative_zero": b'"-0"', "digits25": b'"1234567890123456789012345"',
         "negative_price": b'["-', "duplicate_keys": b'{"e":null,"e":', "deep_nesting": b"[" * 5000, "cut_json": None}


@pytest.mark.parametrize("form", SIGNS)
def test_bad_number_spoils_one_message_in_the_form_asked_for(followed, form):
    sim, client, follower = followed
    sim.faults.arm("bad_number", form=form)
    sim.faults.step(2, "BTCUSDT")
    bad, good = client.text(), client.text()
    if form == "cut_json":
        with pytest.raises(ValueError):
            json.loads(bad)
    else:
        assert SIGNS[form] in bad and SIGNS[form] not in good
    assert json.loads(good)["e"] == "depthUpdate"
    assert entries(sim, "bad_number")[-1]["form"] == form


# ---- the control itself

def test_the_list_names_every_fault_with_its_parameters(spot):
    listed = spot.faults.faults()
    assert listed["venue"] == "binance_spot" and listed["armed"] == []
    assert listed["faults"]["trickle"]["parameters"]["gap_ms"]["type"] == "float"
    assert not listed["faults"]["checksum_flip"]["applies"] and listed["faults"]["drop_diff"]["applies"]


@pytest.mark.parametrize("name, values, expected", [
    ("lightning", {}, "expected one of drop_diff"),
    ("checksum_flip", {}, "expected a venue of kraken, okx, found binance_spot"),
    ("drop_diff", {"symbol": "NOPE"}, "drop_diff.symbol: expected an instrument of the capture, found 'NOPE'"),
    ("drop_diff", {"counts": 1}, "expected keys of count, seconds, symbol, connection, found 'counts'"),
    ("drop_diff", {"count": 0}, "drop_diff.count: expected more than 0, found 0"),
    ("drop_diff", {"count": True}, "drop_diff.count: expected int, found True"),
    ("bad_number", {"form": "pi"}, "bad_number.form: expected one of 1e400"),
    ("reserved_bits", {"bits": 8}, "reserved_bits.bits: expected 1 to 7, found 8"),
])
def test_a_fault_that_makes_no_sense_is_refused_with_a_reason(spot, name, values, expected):
    with pytest.raises(FaultError, match=expected.replace("(", r"\(")):
        spot.faults.arm(name, **values)
    assert spot.faults.faults()["armed"] == []


def test_a_fault_for_another_symbol_or_an_ended_one_does_nothing(followed):
    sim, client, follower = followed
    sim.faults.arm("drop_diff", count=1)
    assert sim.faults.disarm("drop_diff") and not sim.faults.disarm("drop_diff")
    sim.faults.arm("drop_diff", seconds=0.05)
    sim.faults.wait(lambda state: not sim.faults.faults()["armed"])
    pass_diffs(sim, client, follower, 3)
    assert follower.gaps == 0 and agrees(sim, follower)


def test_two_faults_at_once_both_act(followed):
    sim, client, follower = followed
    sim.faults.arm("duplicate_diff")
    sim.faults.arm("reserved_bits", bits=2)
    sim.faults.step(2, "BTCUSDT")
    first, second, third = client.frame(), client.frame(), client.frame()
    assert first == second and first.reserved == 2 and third.reserved == 0


def test_truth_of_an_unknown_symbol_is_refused(spot):
    with pytest.raises(FaultError, match="symbol: expected one of"):
        spot.faults.truth("NOPE")


def test_a_faults_port_that_is_not_there_is_an_os_error():
    with pytest.raises(OSError):
        FaultClient("http://127.0.0.1:1", timeout_s=1).state()


def test_follow_counts_only_changes_of_its_own_symbol(followed):
    sim, client, follower = followed
    sim.faults.step(2, "BTCUSDT")
    follow(client, follower, events=2)
    assert follower.applied == 2 and follower.gaps == 0
