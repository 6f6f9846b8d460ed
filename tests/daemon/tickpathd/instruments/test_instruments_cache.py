"""Kept tables: whole or not at all, never of another server, made again from the raw bodies when they do not fit."""
import json
import multiprocessing
import time

import pytest

from tickpath.capture import read_capture
from tickpathd.instruments.cache import CacheError, InstrumentCache, default_cache_dir
from tickpathd.instruments.venues import parse_bodies

URL = "https://www.okx.com"
NOW_NS = 1_790_000_000_123_456_789


def body(*names):
    return json.dumps({"code": "0", "msg": "ünïcode \u2028", "data": [
        {"instId": name, "instType": "SPOT", "tickSz": "0.1", "lotSz": "0.00000001", "minSz": "0.00001", "state": "live"}
        for name in names]}, ensure_ascii=False).encode()


ANSWERS = [("/api/v5/public/instruments?instType=SPOT", body("BTC-USDT", "ETH-USDT")), ("/second?x=1&symbol=Y", body("SOL-USDT"))]


@pytest.fixture
def cache(tmp_path):
    return InstrumentCache(tmp_path / "kept", "okx", URL)


@pytest.fixture
def stored(cache):
    """The CachedTable that is kept in `cache`."""
    made, raw = cache.made(ANSWERS, ("spot",), parse_bodies("okx", [answer for _, answer in ANSWERS]), NOW_NS)
    with cache.locked():
        cache.store(made, raw)
    return made


def test_nothing_kept_is_none(cache):
    assert cache.load() is None


def test_what_was_kept_comes_back_equal(cache, stored):
    again = cache.load()
    assert again == stored
    assert [one.symbol for one in again.table.facts] == ["BTC/USDT", "ETH/USDT", "SOL/USDT"]
    assert again.fetched_ns == NOW_NS and again.kinds == ("spot",)


def test_the_raw_bodies_are_a_capture_byte_for_byte(cache, stored):
    frames = list(read_capture(cache.raw))
    assert [(frame.data, frame.source, frame.ts_recv_ns) for frame in frames] == [(answer, "rest", NOW_NS) for _, answer in ANSWERS]


@pytest.mark.parametrize("damage", [lambda t: t.unlink(), lambda t: t.write_bytes(b""), lambda t: t.write_bytes(t.read_bytes()[:-100]),
                                    lambda t: t.write_bytes(b"[" * 100_000), lambda t: t.write_bytes(b"\xff" * 50),
                                    lambda t: t.write_bytes(t.read_bytes().replace(b'"format":1', b'"format":2')),
                                    lambda t: t.write_bytes(t.read_bytes().replace(b'"tick_size":"0.1"', b'"tick_size_of_tomorrow":"0.1"')),
                                    lambda t: t.write_bytes(t.read_bytes().replace(b"www.okx.com", b"test.okx.com"))])
def test_a_table_that_does_not_fit_is_made_again_from_the_raw_bodies(cache, stored, damage):
    damage(cache.table)
    assert cache.load() == stored


def test_a_table_beside_other_raw_bodies_is_not_believed(cache, stored):
    made, raw = cache.made([("/x", body("ONE-USDT"))], ("spot",), parse_bodies("okx", [body("ONE-USDT")]), NOW_NS + 5)
    cache.raw.write_bytes(raw)                       # as if the machine had stopped between the two files
    assert cache.load() == made


@pytest.mark.parametrize("data", [b"", b"junk", b"\x28\xb5\x2f\xfd\x00\x00"])
def test_damaged_raw_bodies_are_an_error_with_the_file(cache, stored, data):
    cache.raw.write_bytes(data)
    with pytest.raises(CacheError, match=str(cache.raw)):
        cache.load()


def test_cut_raw_bodies_are_an_error(cache, stored):
    whole = cache.raw.read_bytes()
    for size in range(0, len(whole), 17):
        cache.raw.write_bytes(whole[:size])
        with pytest.raises(CacheError):
            cache.load()


def test_one_servers_table_never_stands_in_for_anothers(tmp_path, cache, stored):
    other = InstrumentCache(tmp_path / "kept", "okx", "https://test.okx.com")
    assert other.load() is None and other.raw != cache.raw
    other.raw.write_bytes(cache.raw.read_bytes())
    other.table.write_bytes(cache.table.read_bytes())
    with pytest.raises(CacheError, match="expected instruments of okx from https://test.okx.com, found"):
        other.load()
    assert InstrumentCache(tmp_path / "kept", "okx", URL + "/").load() == stored


def test_a_directory_that_cannot_be_written_stops_nobody_but_says_so(tmp_path):
    (tmp_path / "file").write_text("")
    cache = InstrumentCache(tmp_path / "file" / "kept", "okx", URL)
    made, raw = cache.made(ANSWERS, ("spot",), parse_bodies("okx", [answer for _, answer in ANSWERS]), NOW_NS)
    with cache.locked():
        cache.keep_silent(1)
        with pytest.raises(CacheError, match="expected to keep the instruments there, found Not a directory"):
            cache.store(made, raw)


def test_a_silence_is_remembered_until_the_venue_answers(cache, stored):
    cache.keep_silent(NOW_NS)
    assert InstrumentCache(cache.dir, "okx", URL).silent_until_ns() == NOW_NS
    cache.store(*cache.made(ANSWERS, ("spot",), stored.table, NOW_NS))
    assert cache.silent_until_ns() == 0
    cache.hold.write_text("not a number")
    assert cache.silent_until_ns() == 0


def _hold_lock(folder, ready, seconds):
    with InstrumentCache(folder, "okx", URL).locked():
        ready.set()
        time.sleep(seconds)


def test_a_second_process_waits_for_the_first(cache):
    context = multiprocessing.get_context("spawn")
    ready = context.Event()
    holder = context.Process(target=_hold_lock, args=(cache.dir, ready, 0.5))
    holder.start()
    try:
        assert ready.wait(20)
        started = time.monotonic()
        with cache.locked():
            assert time.monotonic() - started > 0.2
    finally:
        holder.join(20)


def test_the_lock_of_a_killed_process_is_free(cache):
    context = multiprocessing.get_context("spawn")
    ready = context.Event()
    holder = context.Process(target=_hold_lock, args=(cache.dir, ready, 60))
    holder.start()
    assert ready.wait(20)
    holder.kill()
    holder.join(20)
    with cache.locked():
        pass


def test_the_default_directory_is_in_the_state_directory(monkeypatch):
    monkeypatch.setenv("STATE_DIRECTORY", "/var/lib/tickpath:/other")
    assert str(default_cache_dir()) == "/var/lib/tickpath/instruments"
    monkeypatch.delenv("STATE_DIRECTORY")
    monkeypatch.setenv("XDG_STATE_HOME", "/home/x/state")
    assert str(default_cache_dir()) == "/home/x/state/tickpath/instruments"
