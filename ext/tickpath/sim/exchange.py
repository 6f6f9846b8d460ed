"""The simulated venue's exchange from Python: `Exchange` and the words of its answers.

    x = Exchange()
    usdt, btc = x.add_asset("USDT"), x.add_asset("BTC")
    btcusdt = x.add_instrument("BTCUSDT", base="BTC", quote="USDT", tick_size="0.01", lot_size="0.00001")
    account = x.add_account()
    x.deposit(account, "USDT", 1_000 * 10**8)
    order_id, reason = x.submit(account, btcusdt, SIDE_BUY, SimOrderType.LIMIT, SimTif.GTC, 6_000_000, 1_000, now_ns=now_ns)
"""
from enum import IntEnum

from tickpath.sim import core
from tickpath.sim.exchange_base import ExchangeBase
from tickpath.sim.exchange_money import MoneyFace
from tickpath.sim.exchange_run import BulkFace
from tickpath.sim.exchange_types import ACTION_DTYPE, EVENT_DTYPE, RESULT_DTYPE, InstrumentFacts, SimEvent, SimOrderView
from tickpath.sim.margin_face import MarginFace
from tickpath.sim.recorded_face import RecordedFace

__all__ = [
    "ACTION_DTYPE", "EVENT_DTYPE", "RESULT_DTYPE", "Exchange", "InstrumentFacts", "SimActionKind", "SimEvent", "SimEventKind",
    "SimOrderType", "SimOrderView", "SimReason", "SimStatus", "SimStp", "SimTif",
]


def words(name, prefix, members):
    """The core's enum without the prefix that C needs."""
    return IntEnum(name, {member.name.removeprefix(prefix): member.value for member in members})


SimActionKind = words("SimActionKind", "SIM_ACTION_", core.SimActionKind)
SimEventKind = words("SimEventKind", "SIM_EVENT_", core.SimEventKind)
SimOrderType = words("SimOrderType", "SIM_ORDER_", core.SimOrderType)
SimReason = words("SimReason", "SIM_REASON_", core.SimReason)
SimStatus = words("SimStatus", "SIM_STATUS_", core.SimStatus)
SimStp = words("SimStp", "SIM_STP_", core.SimStp)
SimTif = words("SimTif", "SIM_TIF_", core.SimTif)


class Exchange(MarginFace, RecordedFace, MoneyFace, BulkFace, ExchangeBase):
    """One simulated venue: spot and perpetual instruments, clients' and recorded markets."""
