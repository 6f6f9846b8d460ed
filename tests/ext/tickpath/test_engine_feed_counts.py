"""What the engine counts of a feed: the messages that are judged, the good ones, gaps, refused frames, lost connections."""
from engine_harness import Market
from tickpath.shm.state_page import StatePage
from tickpath.types import BookState, FeedKind
from tickpathd.feed_report import feed_rows


def row(market):
    market.engine.publish_state()
    page = StatePage(market.engine.state_buffer)
    (feed,) = feed_rows(page.info(), page.totals(), page.instruments()).values()
    return feed


def counts(market):
    return tuple(row(market)[key] for key in ("messages", "good", "errors", "gaps"))


def test_counting_begins_with_the_message_that_opens_the_gate():
    m = Market()                                   # its snapshot waits for the first diff that chains to it
    before = counts(m)
    assert before[0] == before[1] <= 1 and before[2:] == (0, 0)
    m.depth(bids=[("99.95", "3")])
    m.quote()
    messages, good, *_ = counts(m)
    assert messages == good and good > before[1] and row(m)["accuracy"] == 1.0


def test_messages_behind_a_gap_count_and_are_not_good():
    m = Market()
    m.depth()
    m.quote()
    messages, good, _, _ = counts(m)
    m.update_id += 5
    for n in range(3):
        m.depth(bids=[("99.95", str(n + 1))])
    assert counts(m) == (messages + 3, good, 0, 1) and row(m)["state"] == BookState.BOOK_SYNCING.name[5:]
    rows = ",".join(f'["{100 + k}.00000000","1.00000000"]' for k in range(1, 3))
    m.frame(f'{{"lastUpdateId":{m.update_id},"bids":[["99.99000000","1.00000000"]],"asks":[{rows}]}}')
    m.depth()
    after = counts(m)
    assert after[1] > good and after[0] - after[1] >= 3
    assert row(m)["accuracy"] == after[1] / after[0] < 1


def test_refused_frames_are_errors_and_no_messages():
    m = Market()
    m.depth()
    messages, good, _, _ = counts(m)
    for _ in range(4):
        m.frame('{"e":"depthUpdate","E":1,"s":"TESTUSDT","U":')
    m.frame('{"result":null,"id":1}')              # an answer is neither
    assert counts(m) == (messages, good, 4, 0)
    assert row(m)["accuracy"] == good / (messages + 4) and row(m)["frames"] == 7


def test_trades_and_quotes_that_are_older_than_the_book_do_not_count():
    m = Market()
    m.depth()
    m.quote()
    before = counts(m)
    m.trade("100.00", "1")
    m.update_id -= 2
    m.quote()
    assert counts(m) == before


def test_lost_connections_are_counted_for_their_venue():
    m = Market()
    for kind in (FeedKind.FEED_CONNECTED, FeedKind.FEED_LOST, FeedKind.FEED_CONNECTED, FeedKind.FEED_SILENT, FeedKind.FEED_LOST):
        m.session.feed_event(kind, m.now_ms * 1_000_000, 0, 0)
    assert row(m)["reconnects"] == 2


def test_age_is_that_of_the_newest_book_message_or_quote():
    m = Market()
    m.depth()
    m.quote(ms=5)
    m.trade("100.00", "1", ms=7)
    assert row(m)["age_ms"] == 7.0
    m.session.clock((m.now_ms + 100) * 1_000_000)
    assert row(m)["age_ms"] == 107.0


def test_page_names_the_venues_and_whose_each_instrument_is():
    m = Market()
    info = StatePage(m.engine.state_buffer).info()
    assert info["venues"] == ["binance_spot"] and info["instrument_venues"] == [0]
