"""Capture files: formats, compression, time, damage, and the grids found in them."""
import base64
import gzip
import json
import lzma
import tracemalloc

import lz4.frame
import msgspec
import pytest
import zstandard
from hypothesis import given
from hypothesis import strategies as st

from tickpath.capture import CaptureError, CaptureFrame, expand_capture, read_capture

COMPRESSIONS = {
    "plain": lambda data: data,
    "gzip": gzip.compress,
    "zstandard": zstandard.ZstdCompressor(write_checksum=True).compress,
    "lz4": lambda data: lz4.frame.compress(data, content_checksum=True),
    "xz": lzma.compress,
}
COMPRESSED = [name for name in COMPRESSIONS if name != "plain"]
SPOT_1 = "binance_spot/hftbacktest_btcusdt_20240808.gz"
SPOT_2 = "binance_spot/hftbacktest_btcusdt_20240809.gz"


@pytest.fixture
def capture(tmp_path):
    """capture(bytes or list of lines) writes a file whose name says nothing and returns its path."""
    def write(content, name="capture"):
        path = tmp_path / name
        path.write_bytes(content if isinstance(content, bytes) else "".join(f"{line}\n" for line in content).encode())
        return path
    return write


def frames_then_error(path):
    """What is delivered before the CaptureError that must come."""
    frames = []
    with pytest.raises(CaptureError) as caught:
        for frame in read_capture(path):
            frames.append(frame)
    return frames, caught.value


def quote(symbol, bid, bid_qty, ask, ask_qty):
    return json.dumps({"stream": f"{symbol.lower()}@bookTicker",
                       "data": {"u": 1, "s": symbol, "b": bid, "B": bid_qty, "a": ask, "A": ask_qty}})


def spot_lines(count=5000):
    """Lines of format A that do not compress to nothing."""
    return [f'{1723161253937085768 + n * 1_000_003} {{"stream":"btcusdt@trade","data":{{"e":"trade","s":"BTCUSDT","t":{n},'
            f'"p":"{61000 + n * 7919 % 1000}.{n * 104729 % 100:02d}000000","q":"0.{n * 7919 % 99991:05d}000"}}}}'
            for n in range(count)]


# ---- compression

@pytest.mark.parametrize("name", COMPRESSIONS)
def test_compression_is_recognised_by_content_alone(capture, name):
    lines = spot_lines(300)
    frames = list(read_capture(capture(COMPRESSIONS[name]("\n".join(lines).encode()))))
    assert [f"{f.ts_recv_ns} {f.data.decode()}" for f in frames] == lines


@pytest.mark.parametrize("name", COMPRESSED)
def test_concatenated_compressed_files_read_as_one(capture, name):
    lines = spot_lines(300)
    halves = [COMPRESSIONS[name]("".join(f"{line}\n" for line in part).encode()) for part in (lines[:123], lines[123:])]
    assert len(list(read_capture(capture(halves[0] + halves[1])))) == 300


def test_zero_padding_behind_a_gzip_stream_is_ignored(capture):
    assert len(list(read_capture(capture(gzip.compress(b'1 {"a":1}\n') + bytes(10_000))))) == 1


@pytest.mark.parametrize("name", COMPRESSED)
def test_truncated_stream_delivers_whole_frames_and_then_says_where_it_ends(capture, name):
    lines = spot_lines()
    whole = COMPRESSIONS[name]("\n".join(lines).encode())
    cut = len(whole) * 2 // 3
    frames, error = frames_then_error(capture(whole[:cut]))
    # lz4 and xz hand out nothing of an unfinished block; gzip and zstandard nearly everything.
    assert [f"{f.ts_recv_ns} {f.data.decode()}" for f in frames] == lines[:len(frames)]
    assert name == "xz" or len(frames) > 100
    assert error.line == len(frames) + 1
    assert f"line {error.line}: expected the rest of the {name} stream" in str(error)
    assert f"byte {cut} (truncated)" in str(error)


@pytest.mark.parametrize("name", COMPRESSED)
def test_corrupt_stream_delivers_the_frames_before_the_damage(capture, name):
    lines = spot_lines()
    data = bytearray(COMPRESSIONS[name]("\n".join(lines).encode()))
    data[-len(data) // 8:-len(data) // 8 + 64] = b"\xff" * 64
    frames, error = frames_then_error(capture(bytes(data)))
    assert len(frames) < len(lines)
    assert error.line == len(frames) + 1
    if name in ("gzip", "xz"):
        # No checksum stands before their end: nonsense may come out, and is then refused as a line.
        good = [n for n, f in enumerate(frames) if f"{f.ts_recv_ns} {f.data.decode(errors='replace')}" == lines[n]]
        assert len(good) > len(lines) * 3 // 4
    else:
        assert f"expected a sound {name} stream, found damage before byte" in str(error)
        assert [f"{f.ts_recv_ns} {f.data.decode()}" for f in frames] == lines[:len(frames)]


def test_damage_that_only_the_checksum_shows_is_reported_at_the_end(capture):
    data = bytearray(gzip.compress("\n".join(spot_lines()).encode()))
    data[-8] ^= 1
    frames, error = frames_then_error(capture(bytes(data)))
    assert len(frames) > 4500
    assert "expected a sound gzip stream, found damage before byte" in str(error)


@given(cut=st.integers(1, 4000), name=st.sampled_from(COMPRESSED))
def test_stream_cut_anywhere_never_invents_a_frame(tmp_path_factory, cut, name):
    lines = spot_lines(200)
    whole = COMPRESSIONS[name]("\n".join(lines).encode())
    path = tmp_path_factory.mktemp("cut") / "capture"
    path.write_bytes(whole[:max(8, min(cut, len(whole) - 1))])
    frames, _ = frames_then_error(path)
    assert [f"{f.ts_recv_ns} {f.data.decode()}" for f in frames] == lines[:len(frames)]


def test_large_capture_is_streamed_and_not_held_in_memory(capture):
    line = b'1723161253937085768 {"stream":"x","data":"' + b"y" * 1000 + b'"}\n'
    path = capture(gzip.compress(line * 40_000, 1))
    tracemalloc.start()
    try:
        assert sum(1 for _ in read_capture(path)) == 40_000
        assert tracemalloc.get_traced_memory()[1] < 8 << 20
    finally:
        tracemalloc.stop()


# ---- format A

def test_recorded_spot_capture_has_the_frames_that_its_description_counts(golden_dir):
    frames = list(read_capture(golden_dir / SPOT_1))
    assert len(frames) == 41249
    assert frames[0].ts_recv_ns == 1723161253937085768
    assert frames[0].data.startswith(b'{"stream":"btcusdt@depth@100ms","data":{"e":"depthUpdate"')
    assert [n for n, f in enumerate(frames) if f.source == "rest"] == [7]
    assert all(a.ts_recv_ns <= b.ts_recv_ns for a, b in zip(frames, frames[1:], strict=False))
    assert sum(1 for _ in read_capture(golden_dir / SPOT_2)) == 58325


def test_recorded_spot_capture_is_delivered_byte_for_byte(golden_dir):
    text = gzip.decompress((golden_dir / SPOT_1).read_bytes())
    assert b"".join(b"%d %s\n" % (f.ts_recv_ns, f.data) for f in read_capture(golden_dir / SPOT_1)) == text


@given(st.lists(st.tuples(st.integers(0, 2 ** 63 - 1),
                          st.dictionaries(st.text(max_size=5), st.text(st.characters(codec="utf-8"), max_size=20), max_size=3)),
                min_size=1, max_size=20))
def test_any_frames_written_as_format_a_come_back(tmp_path_factory, rows):
    path = tmp_path_factory.mktemp("a") / "capture"
    encoded = [(ts, msgspec.json.encode(value)) for ts, value in rows]
    path.write_bytes(b"\r\n".join(b"%d %s" % row for row in encoded))
    assert [(f.ts_recv_ns, f.data) for f in read_capture(path)] == encoded


@pytest.mark.parametrize("line, found", [
    ("17231612539x7 {}", "'17231612539x7 {}'"), ("1723161253937085768{}", "'1723161253937085768{}'"),
    ('1723161253937085768 {"stream":"cut of', "cut of"), ("-5 {}", "'-5 {}'"), ("5  {}", "'5  {}'"),
])
def test_line_that_does_not_fit_format_a_is_refused_with_its_number(capture, line, found):
    frames, error = frames_then_error(capture(['5 {"a":1}', "", '6 {"a":2}', line]))
    assert [f.ts_recv_ns for f in frames] == [5, 6]
    assert error.line == 4
    assert "line 4: expected '<receive time in ns> <JSON frame>', found" in str(error)
    assert found in str(error)


def test_receive_time_beyond_int64_is_refused(capture):
    _, error = frames_then_error(capture(["9223372036854775807 {}", "9223372036854775808 {}"]))
    assert str(error).endswith("line 2: expected a receive time in ns within int64, found 9223372036854775808")


# ---- format B

def record(**fields):
    return json.dumps(fields)


def test_rest_records_in_front_are_sorted_to_their_time(capture):
    frames = list(read_capture(capture([
        record(t="header", format=2, exchange="BINANCE"),
        record(t="http", conn="h", ts=12.5, url="https://x/api/v3/depth?symbol=NKNUSDT&limit=5", data="{}"),
        record(t="http", conn="h", ts=10.5, url="https://x/api/v3/exchangeInfo", data='{"symbols":[]}'),
        record(t="connect", conn="w", ts=10.6, addr="wss://x"),
        record(t="send", conn="w", ts=10.7, data="subscribe"),
        record(t="recv", conn="w", ts=11, data='{"é":"\u2713"}'),
        record(t="recv", conn="w", ts=12.5, data="{1}"),
    ])))
    assert frames == [
        CaptureFrame(10_500_000_000, b'{"symbols":[]}', "rest", None, "h"),
        CaptureFrame(11_000_000_000, '{"é":"✓"}'.encode(), "ws", None, "w"),
        CaptureFrame(12_500_000_000, b"{}", "rest", "NKNUSDT", "h"),          # equal times keep the file's order
        CaptureFrame(12_500_000_000, b"{1}", "ws", None, "w"),
    ]


def test_binary_frames_are_decoded_from_base64(capture):
    raw = bytes(range(256))
    path = capture([record(t="recv", ts=1, conn="w", b64=base64.b64encode(raw).decode())])
    assert next(read_capture(path)).data == raw


@pytest.mark.parametrize("text, ts_recv_ns", [
    ("1618678132.9496498", 1618678132949649800), ("1633998512.0633569", 1633998512063356900),
    ("1633998513", 1633998513 * 10 ** 9), ("1.6339985e9", 1633998500 * 10 ** 9), ("0.000000001", 1),
    ("1633998512.1234567899", 1633998512123456789), ("5e-9", 5),
])
def test_seconds_become_nanoseconds_without_a_double_in_between(capture, text, ts_recv_ns):
    assert next(read_capture(capture([f'{{"t":"recv","ts":{text},"data":"{{}}"}}']))).ts_recv_ns == ts_recv_ns


@pytest.mark.parametrize("line, text", [
    ('{"t":"recv","data":"{}"}', 'expected "ts" in seconds since 1970, found none'),
    ('{"t":"recv","ts":-1,"data":"{}"}', "found -1"), ('{"t":"recv","ts":1e999999999,"data":"{}"}', "found 1e999999999"),
    ('{"t":"recv","ts":"1","data":"{}"}', 'found "1"'), (f'{{"t":"recv","ts":{"9" * 6000},"data":"{{}}"}}', "found 9999"),
    ('{"t":"recv","ts":1}', 'expected "data" or "b64", found neither'),
    ('{"t":"recv","ts":1,"b64":"!"}', 'expected "b64" in base64'),
    ('{"t":"rcv","ts":1,"data":"{}"}', "found 'rcv'"), ("[1]", "expected a recorder's JSON record"),
    ('{"t":"recv","ts":1,"data":"cut', "expected a recorder's JSON record"), ('{"ts":1}', "expected a recorder's JSON record"),
    ('{"t":"recv","ts":1,"x":' + "[" * 100_000, "expected a recorder's JSON record"),
])
def test_record_that_does_not_fit_format_b_is_refused_after_the_records_before_it(capture, line, text):
    frames, error = frames_then_error(capture([
        record(t="http", ts=9, url="u", data="{}"), record(t="recv", ts=8, data="{}"), line, record(t="recv", ts=10, data="{}")]))
    assert [f.ts_recv_ns for f in frames] == [8 * 10 ** 9, 9 * 10 ** 9]
    assert error.line == 3
    assert text in str(error)


def test_recorded_format_b_capture_is_in_order_of_time(shared_data):
    frames = list(read_capture(shared_data("ws/binance_spot/cryptofeed_BINANCE_20211012.jsonl.zst")))
    assert sum(f.source == "ws" for f in frames) == 265
    assert [f.symbol_hint for f in frames if f.source == "rest"] == [None, "NKNUSDT", "BLZETH", "LRCBTC", "RUNEEUR"]
    assert all(a.ts_recv_ns <= b.ts_recv_ns for a, b in zip(frames, frames[1:], strict=False))
    assert {f.conn for f in frames if f.source == "ws"} == {"BINANCE.ws.1"}


# ---- format C

def test_frames_without_a_time_get_a_synthetic_clock(capture):
    frames = list(read_capture(capture(['{"channel":"status"}', "[1,2]", '{"channel":"heartbeat"}'])))
    assert frames == [CaptureFrame(0, b'{"channel":"status"}', "ws", None, None),
                      CaptureFrame(1_000_000, b"[1,2]", "ws", None, None),
                      CaptureFrame(2_000_000, b'{"channel":"heartbeat"}', "ws", None, None)]


def test_line_that_is_no_json_is_refused_in_format_c(capture):
    frames, error = frames_then_error(capture(['{"a":1}', "hello"]))
    assert len(frames) == 1
    assert str(error).endswith("line 2: expected a JSON object or array, found 'hello'")


def test_recorded_format_c_capture_is_read(shared_data):
    assert sum(1 for _ in read_capture(shared_data("ws/kraken/kraken_v2_book10_BTCUSD_20260719T1754.jsonl.gz"))) == 1376


# ---- which file

@pytest.mark.parametrize("content, text", [
    (b"", "expected a capture with at least one line, found an empty file"), (b"\n\n \n", "found an empty file"),
    (gzip.compress(b"", mtime=0), "found an empty file"), (b"time,price\n1,2\n", "line 1: expected a capture's first line"),
    (b"BZh91AY&SY\x00\xff\n", "line 1: expected a capture's first line"), (b"\x1f\x8b\x08", "(truncated)"),
])
def test_file_that_is_no_capture_is_refused(capture, content, text):
    frames, error = frames_then_error(capture(content))
    assert frames == []
    assert text in str(error)


def test_missing_file_is_refused_by_name(tmp_path):
    _, error = frames_then_error(tmp_path / "none.gz")
    assert str(error) == f"{tmp_path}/none.gz: expected a readable capture file, found No such file or directory"


def test_pattern_expands_to_sorted_files(capture, tmp_path):
    for name in ("b.gz", "a.gz", "c.txt"):
        capture(b"1 {}\n", name)
    (tmp_path / "d.gz").mkdir()
    assert [p.name for p in expand_capture(f"{tmp_path}/*.gz")] == ["a.gz", "b.gz"]
    assert expand_capture(tmp_path / "c.txt") == [tmp_path / "c.txt"]


def test_existing_name_with_brackets_is_a_path_and_no_pattern(capture):
    path = capture(b"1 {}\n", "x[1].gz")
    assert expand_capture(str(path)) == [path]


def test_nothing_to_expand_is_an_error_that_names_the_pattern(tmp_path):
    with pytest.raises(CaptureError, match=r"/\*\.gz: expected a file that fits the pattern, found none"):
        expand_capture(f"{tmp_path}/*.gz")
    with pytest.raises(CaptureError, match="expected a capture file, found none"):
        expand_capture(tmp_path / "none")
    with pytest.raises(CaptureError, match="expected a capture file, found a directory"):
        expand_capture(tmp_path)
