"""Whether an exchange answers: said once a change, waited out with growing pauses, judged by its books."""
import asyncio

from tickpathd.config import Venue
from tickpathd.reach import SILENCE_S, Reach

BOOK, CANDLES = ("BTC/USDT", "book"), ("BTC/USDT", "candles")


class RateLimitExceeded(Exception):
    pass


def made():
    return Reach("x: ccxt y", Venue(kind="ccxt:y", reconnect_min_ms=1, reconnect_max_ms=8))


def test_each_change_is_said_once(capfd):
    reach = made()
    for _ in range(3):
        reach.down(BOOK, OSError("gone\nfar away"))
    reach.up(BOOK)
    reach.up(BOOK)
    assert capfd.readouterr().err.splitlines() == ["x: ccxt y: BTC/USDT book: OSError: gone far away; trying on",
                                                   "x: ccxt y: BTC/USDT book: answers again"]


def test_exchange_is_judged_by_its_books_where_it_has_any():
    reach = made()
    assert reach.exchange() is None
    reach.up(CANDLES)
    assert reach.exchange() is True
    reach.down(BOOK, OSError())
    assert reach.exchange() is False
    reach.forget(BOOK)
    assert reach.exchange() is True


def test_pauses_grow_to_the_longest_and_an_exchange_that_wants_silence_gets_it():
    reach = made()
    pauses = [reach.down(BOOK, OSError()) for _ in range(40)]
    assert 0.0005 <= min(pauses) and 0.001 < max(pauses) <= 0.008
    assert reach.down(BOOK, RateLimitExceeded()) == SILENCE_S


def test_call_is_kept_up_until_it_answers():
    answers = iter([OSError(), ValueError("odd"), "there"])

    async def call():
        answer = next(answers)
        if isinstance(answer, Exception):
            raise answer
        return answer
    reach = made()
    assert asyncio.run(reach.keep(BOOK, call)) == "there" and reach.counters["failures"] == 2
