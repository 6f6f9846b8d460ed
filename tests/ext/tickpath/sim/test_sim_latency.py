"""Latency models: constant, from samples, with jitter; and the files that samples come from."""
import json

import numpy as np
import pytest

from engine_harness import MS, Market
from tickpath.sim.latency import Latency, load_latency
from tickpath.types import OrderState

TIMES, ENTRY, RESPONSE = (np.array(v, np.int64) for v in ([0, 1000, 2000], [100, 300, 200], [10, 20, 60]))


def test_constant_adds_the_same_each_way():
    latency = Latency("constant", entry_ns=5, response_ns=2)
    assert [latency.entry(t) for t in (0, 10, 20)] == [5, 15, 25] and latency.response(7) == 9


def test_interpolated_lies_between_the_samples_before_and_after_and_holds_at_the_ends():
    def after(now):
        fresh = Latency("interpolated", samples=(TIMES, ENTRY, RESPONSE))
        return fresh.entry(now) - now, fresh.response(now) - now
    assert [after(t) for t in (-50, 0, 500, 1000, 1250, 1999, 2000, 9999)] == [
        (100, 10), (100, 10), (200, 15), (300, 20), (275, 30), (201, 59), (200, 60), (200, 60)]


def test_drawn_takes_each_sample_as_often():
    latency = Latency("drawn", samples=(None, ENTRY, RESPONSE), seed=3)
    took = [latency.entry(t) - t for t in range(0, 3_000_000, 1000)]
    assert set(took) == {100, 200, 300}
    assert all(900 < took.count(v) < 1100 for v in (100, 200, 300))


def test_jitter_comes_from_the_seed_and_is_uniform():
    def run(seed):
        latency = Latency("constant", entry_ns=1000, jitter_ns=99, seed=seed)
        return [latency.entry(t) - t - 1000 for t in range(0, 1_000_000, 1000)]
    assert run(1) == run(1) != run(2)
    assert set(run(1)) <= set(range(100)) and 45 < sum(run(1)) / 1000 < 55 and max(run(1)) > 95


@pytest.mark.parametrize("way", ["entry", "response"])
def test_nothing_overtakes_what_was_sent_before_it_on_the_same_way(way):
    latency = Latency("drawn", samples=(None, [10, 100_000], [10, 100_000]), jitter_ns=1000, seed=5)
    due = [getattr(latency, way)(t) for t in range(0, 200_000, 100)]
    assert due == sorted(due) and len(set(due)) < len(due)


def test_ways_do_not_wait_for_each_other():
    latency = Latency("constant", entry_ns=1_000_000, response_ns=1)
    latency.entry(0)
    assert latency.response(5) == 6


def test_orders_take_as_long_as_the_model_says_and_replies_too():
    samples = (np.array([0, 10 ** 12]), np.array([8 * MS] * 2), np.array([4 * MS] * 2))
    m = Market(paper={"latency_model": "interpolated", "latency_samples": samples})
    ordinal = m.submit()
    m.quote(ms=11)
    assert m.states(ordinal) == []
    m.quote(ms=1)
    assert m.states(ordinal) == [OrderState.ORDER_NEW]


def test_jitter_changes_no_random_reject():
    def rejected(jitter_ns):
        m = Market(paper={"reject_probability": 0.5, "seed": 9, "latency_jitter_ns": jitter_ns})
        ordinals = [m.submit() for _ in range(40)]
        m.quote(ms=50)
        return [OrderState.ORDER_REJECTED in m.states(o) for o in ordinals]
    assert rejected(0) == rejected(3 * MS)


# ---- files

def written(tmp_path, name, content):
    path = tmp_path / name
    if isinstance(content, str):
        path.write_text(content)
    else:
        np.save(path, content) if name.endswith("npy") else np.savez(path, data=content)
    return path


HFT = np.array([(1000, 1100, 1110, 0), (3000, 3050, 3070, 0), (2000, 0, 2010, 0)],
               [("req_ts", "i8"), ("exch_ts", "i8"), ("resp_ts", "i8"), ("_padding", "i8")])


@pytest.mark.parametrize(("name", "content"), [
    ("a.csv", "ts_ns,entry_ns,response_ns\n1000,100,10\n3000,50,20\n"),
    ("a.csv", "response_ns, ts_ns, entry_ns\r\n20,3000,50\r\n10,1000,100\r\n"),
    ("a.csv", "req_ts,exch_ts,resp_ts\n1000,1100,1110\n2000,0,2010\n3000,3050,3070\n"),
    ("a.json", '[{"ts_ns":1000,"entry_ns":100,"response_ns":10},{"ts_ns":3000,"entry_ns":50,"response_ns":20}]'),
    ("a.json", '{"ts_ns":[1000,3000],"entry_ns":[100,50],"response_ns":[10,20]}'),
    ("a.jsonl", '{"ts_ns":1000,"entry_ns":100,"response_ns":10}\n\n{"ts_ns":3000,"entry_ns":50,"response_ns":20}\n'),
    ("a.npz", HFT), ("a.npy", HFT)])
def test_every_form_of_file_gives_the_same_samples(tmp_path, name, content):
    times, entry, response = load_latency(written(tmp_path, name, content))
    assert [list(v) for v in (times, entry, response)] == [[1000, 3000], [100, 50], [10, 20]]


def test_samples_without_times_can_be_drawn_only(tmp_path):
    samples = load_latency(written(tmp_path, "a.csv", "entry_ns,response_ns\n5,6\n"))
    assert samples[0] is None
    assert Latency("drawn", samples=samples).entry(0) == 5
    with pytest.raises(ValueError, match="samples with times"):
        Latency("interpolated", samples=samples)


def test_quantiles_become_samples_of_their_distribution(tmp_path):
    quantiles = {"n": 12, "min": 100, "p50": 200, "p99": 1000, "p999": 5000, "max": 9000}
    path = written(tmp_path, "a.json", json.dumps({"entry_ns": quantiles, "response_ns": {"min": 0, "max": 1000}}))
    times, entry, response = load_latency(path)
    assert times is None and len(entry) == len(response) == 1000
    assert abs(np.median(entry) - 200) < 2 and 950 < np.quantile(entry, 0.99) < 1050 and entry.max() > 5000
    assert abs(response.mean() - 500) < 1


@pytest.mark.parametrize(("name", "content", "expected"), [
    ("a.txt", "1", r"expected a \.csv"),
    ("a.csv", "", "expected columns entry_ns and response_ns"),
    ("a.csv", "entry_ns,response_ns\n", "expected 1 to 10000000 samples, found 0"),
    ("a.csv", "entry_ns,response_ns\n1\n", "a.csv:2: expected 2 values"),
    ("a.csv", "entry_ns,response_ns\n1,x\n", "response_ns: expected whole numbers"),
    ("a.csv", "entry_ns,response_ns\n-1,1\n", "sample 0: expected a latency of 0 ns to an hour for the entry, found -1"),
    ("a.csv", "entry_ns,response_ns\n1,99999999999999\n", "for the response"),
    ("a.json", "{", "expected JSON"), ("a.json", "3", "expected an object or a list"),
    ("a.json", '[{"entry_ns":1},{"x":1}]', "object 1: expected"), ("a.json", "[3]", "expected a list of objects"),
    ("a.json", '{"entry_ns":{"p50":1},"response_ns":[1]}', "expected at least two of"),
    ("a.json", '{"entry_ns":[1,2],"response_ns":[1]}', "expected columns of one length"),
    ("a.json", '{"entry_ns":1,"response_ns":[1]}', "entry_ns: expected whole numbers"),
    ("a.npy", np.zeros(3), "expected a structured array"), ("a.npy", "no numpy", "expected a NumPy file")])
def test_a_file_that_holds_no_samples_is_refused_with_one_line(tmp_path, name, content, expected):
    with pytest.raises(ValueError, match=expected) as error:
        load_latency(written(tmp_path, name, content))
    assert "\n" not in str(error.value) and name in str(error.value)


def test_a_file_that_is_not_there_is_refused(tmp_path):
    with pytest.raises(ValueError, match="expected a readable file"):
        load_latency(tmp_path / "none.csv")
