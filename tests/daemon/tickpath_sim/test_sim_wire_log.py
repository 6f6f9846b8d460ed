"""The wire log: what was put in comes out, whatever stands on the disk is whole or said not to be, and no credential is there."""
import asyncio
import itertools
import time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tickpath.sim.wire_pack import masked
from tickpath_sim.trading.wire_log import (
    CLOSED,
    FAULT,
    HTTP_IN,
    HTTP_OUT,
    OPENED,
    WS_IN,
    WS_OUT,
    WireLog,
    WireLogError,
    WireLogReader,
    tapped,
)

SIGNATURE = b"15af09e41c36f3cc61378c2fbe2c33719a03dd5eba8d0f9206fbda44de717c88"
KEY = b"vmPUZE6mv9SD5VNHk4HlWFsOr6aKE2zvsw0MuIgwCIPy6utIco14y7Ju91duEh8A"
LISTEN = b"pqia91ma19a5s61cv6a81va65sdf19v8a65a1a5s61cv6a81va65sdf19v8a"


def content(directory):
    return b"".join(path.read_bytes() for path in sorted(directory.glob("wire-*.tpw")))


def records(directory):
    return list(WireLogReader(directory))


@pytest.fixture
def log(tmp_path):
    log = WireLog(tmp_path / "log")
    yield log
    log.close()


def test_what_goes_in_comes_out_in_order_with_times_that_never_go_back(log):
    begun = time.time_ns()
    log.opened(1, "ws", "/ws-api/v3")
    log.frame_in(1, 1, True, b'{"id":1}')
    log.bytes_out(1, b"\x81\x02{}")
    log.http_in(7, b"GET / HTTP/1.1\r\n\r\n")
    log.http_out(7, b"HTTP/1.1 200 OK\r\n\r\n")
    log.fault(b'{"fault":"x"}')
    log.closed(1)
    log.close()
    found = records(log.directory)
    assert [(r.number, r.connection, r.kind, r.flags, r.data) for r in found] == [
        (1, 1, OPENED, 0, b"ws /ws-api/v3"), (2, 1, WS_IN, 0x81, b'{"id":1}'), (3, 1, WS_OUT, 0, b"\x81\x02{}"),
        (4, 7, HTTP_IN, 0, b"GET / HTTP/1.1\r\n\r\n"), (5, 7, HTTP_OUT, 0, b"HTTP/1.1 200 OK\r\n\r\n"),
        (6, 0, FAULT, 0, b'{"fault":"x"}'), (7, 1, CLOSED, 0, b"")]
    times = [r.ts_ns for r in found]
    assert times == sorted(times) and begun - 10**9 < times[0] < begun + 10**10


@settings(max_examples=60, deadline=None)
@given(st.lists(st.tuples(st.sampled_from(["in", "out", "http"]), st.binary(max_size=300)), max_size=40), st.data())
def test_any_byte_that_changes_on_the_disk_is_found(tmp_path_factory, messages, data):
    directory = tmp_path_factory.mktemp("wire")
    log = WireLog(directory / "log")
    for kind, payload in messages:
        if kind == "in":
            log.frame_in(3, 1, True, payload)
        elif kind == "out":
            log.bytes_out(3, payload)
        else:
            log.http_out(4, payload)
    log.closed(3)
    log.close()
    before = records(log.directory)
    assert len(before) == len(messages) + 1
    path = log.directory / "wire-000001.tpw"
    raw = bytearray(path.read_bytes())
    at = data.draw(st.integers(0, len(raw) - 1))
    raw[at] ^= data.draw(st.integers(1, 255))
    path.write_bytes(raw)
    reader = WireLogReader(log.directory)
    try:
        after = list(reader)
    except WireLogError as e:
        assert str(path) in str(e) and "expected" in str(e) and "found" in str(e)
    else:
        # In the header's times and padding nothing is read; a size that grew beyond the end looks like a crash's torn record.
        assert reader.torn_bytes or after == before and 24 <= at < 64


def test_a_record_that_a_crash_cut_off_is_told_and_what_stands_before_it_is_read(log):
    for number in range(5):
        log.bytes_out(1, b"x" * (10 + number))
    log.close()
    path = log.directory / "wire-000001.tpw"
    whole = path.read_bytes()
    for cut in range(1, 46):
        path.write_bytes(whole[:-cut])
        reader = WireLogReader(log.directory)
        found = list(reader)
        assert len(found) == 4 and reader.torn_bytes == 32 + 14 - cut


def test_the_log_is_cut_in_files_and_the_oldest_are_deleted(tmp_path):
    log = WireLog(tmp_path / "log", limit_mib=1)
    for _ in range(3000):
        log.bytes_out(1, b"z" * 1000)
    log.close()
    paths = sorted(log.directory.glob("*.tpw"))
    assert sum(path.stat().st_size for path in paths) <= 1 << 20 and len(paths) >= 3 and log.deleted_files > 5
    reader = WireLogReader(log.directory)
    found = list(reader)
    assert reader.first_number == found[0].number > 1 and found[-1].number == 3000
    assert [r.number for r in found] == list(range(found[0].number, 3001))
    # A file in the middle that is gone is damage, not the bound.
    paths[1].unlink()
    with pytest.raises(WireLogError, match="to be the first"):
        list(WireLogReader(log.directory))


def test_a_second_run_does_not_write_over_the_first(log):
    with pytest.raises(WireLogError, match="expected a directory without a wire log, found one of an earlier run"):
        WireLog(log.directory)
    with pytest.raises(WireLogError, match="expected a directory that can be written"):
        WireLog("/proc/nowhere/at/all")


def test_a_disk_that_fails_ends_the_log_and_nothing_else(log, monkeypatch):
    def refuse(*arguments):
        raise OSError(28, "No space left on device")
    log.bytes_out(1, b"before")
    monkeypatch.setattr("tickpath_sim.trading.wire_log.os.write", refuse)
    log.flush()
    log.bytes_out(1, b"after")
    log.flush()
    assert "No space left" in log.failure and log.describe()["dropped"] == 2


# ---- credentials

@pytest.mark.parametrize("text", [
    b'{"id":1,"params":{"apiKey":"%b","signature":"%b"}}' % (KEY, SIGNATURE),
    b'{"id": 1, "params": {"apiKey": "%b", "signature": "%b"}}' % (KEY, SIGNATURE),
    b"symbol=BTCUSDT&timestamp=1&signature=%b" % SIGNATURE,
    b'{\\"apiKey\\":\\"%b\\"}' % KEY,
    b"GET /api/v3/order?signature=%b&a=1 HTTP/1.1\r\nX-MBX-APIKEY: %b\r\n\r\n" % (SIGNATURE, KEY),
    b"x-mbx-apikey:%b\r\n" % KEY,
    b'{"listenKey":"%b"}' % LISTEN,
    b"PUT /api/v3/userDataStream?listenKey=%b HTTP/1.1" % LISTEN,
    b"/ws/%b" % LISTEN, b"/stream?streams=btcusdt@trade/%b" % LISTEN,
    b'{"method":"SUBSCRIBE","params":["%b"]}' % LISTEN])
def test_credentials_are_overwritten_by_as_many_asterisks(text):
    found = masked(text)
    assert len(found) == len(text)
    for secret in (SIGNATURE, KEY, LISTEN):
        assert secret not in found and (secret not in text or secret[6:] not in found)
    assert SIGNATURE[:1] * 2 not in found or SIGNATURE not in text
    assert [c for c in found if c != ord("*")] == [c for c, m in zip(text, found, strict=True) if m != ord("*")]


def test_what_is_no_credential_stays():
    for text in (b'{"method":"order.place","params":{"newClientOrderId":"tp000000000000001","price":"100.00"}}',
                 b'{"e":"executionReport","i":4293153,"c":"mine","keys":1}', b"key", b"apiKey", b"signature=", b"", b"y", b"e"):
        assert masked(text) == text


@settings(max_examples=150, deadline=None)
@given(st.binary(max_size=400))
def test_masking_any_bytes_keeps_their_length(data):
    assert len(masked(data)) == len(data)


@pytest.mark.parametrize("cuts", list(itertools.combinations(range(0, 200, 13), 2)))
def test_a_credential_is_masked_wherever_the_stream_is_cut(tmp_path, cuts):
    request = (b"POST /api/v3/order?symbol=BTCUSDT&signature=%b HTTP/1.1\r\nHost: x\r\nX-MBX-APIKEY: %b\r\n\r\n" % (SIGNATURE, KEY))
    log = WireLog(tmp_path / "log")
    for begin, end in itertools.pairwise((0, *cuts, len(request))):
        log.http_in(1, request[begin:end])
        log.frame_in(2, 1 if begin == 0 else 0, end == len(request), request[begin:end])
    log.close()
    for kind in (HTTP_IN, WS_IN):
        whole = b"".join(r.data for r in records(log.directory) if r.kind == kind)
        assert len(whole) == len(request)
        # A name that a cut splits is only known once it is whole; from then on nothing of the value is left.
        assert SIGNATURE[1:] not in whole and KEY[7:] not in whole


# ---- any protocol of asyncio

def test_a_tapped_protocol_is_logged_both_ways_and_can_be_cut(tmp_path):
    class Echo(asyncio.Protocol):
        def connection_made(self, transport):
            self.transport = transport

        def data_received(self, data):
            if data == b"cut":
                self.transport.cut_after(4)
            elif data == b"reset":
                self.transport.reset()
                return
            self.transport.writelines([b"<", data, b"> and more"])

    async def run():
        log = WireLog(tmp_path / "log")
        server = await asyncio.get_running_loop().create_server(tapped(Echo, log), "127.0.0.1", 0)
        seen = []
        for word in (b"hello", b"cut", b"reset"):
            reader, writer = await asyncio.open_connection(*server.sockets[0].getsockname())
            writer.write(word)
            if word == b"hello":
                seen.append(await reader.readexactly(len(b"<hello> and more")))
            else:
                try:
                    seen.append(await reader.read())
                except ConnectionResetError:
                    seen.append("reset")
            writer.close()
        server.close()
        await asyncio.sleep(0.05)
        log.close()
        return seen
    assert asyncio.run(run()) == [b"<hello> and more", b"<cut", "reset"]
    found = records(tmp_path / "log")
    assert len({r.connection for r in found}) == 3
    assert [r.data for r in found if r.kind in (HTTP_IN, HTTP_OUT)] == [b"hello", b"<hello> and more", b"cut", b"<cut", b"reset"]
    assert sum(r.kind == CLOSED for r in found) == 3


def test_a_reader_of_nothing_says_what_it_expected(tmp_path):
    with pytest.raises(WireLogError, match="expected a wire log"):
        WireLogReader(tmp_path)
