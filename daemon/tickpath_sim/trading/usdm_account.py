"""What an account of USD-M futures has, as the venue's account calls and the user data stream tell it.

All amounts come from the exchange's margin book (tickpath.sim.margin); nothing is kept here but what the book does not know:
the history of income and of margin added or taken by hand.
"""
from collections import deque
from typing import NamedTuple

from tickpath_sim.trading.usdm_contracts import E8, text_of
from tickpath_sim.trading.usdm_shapes import units_text

__all__ = ["Income", "Statement", "leg_name", "position_event"]

LEGS = ("BOTH", "LONG", "SHORT")
INCOME_KEPT = 10_000
NS_PER_MS = 1_000_000
MARGIN_CHANGES_KEPT = FORCED_KEPT = 1000


def leg_name(position_side):
    return LEGS[int(position_side)]


class Income(NamedTuple):
    """One row of GET /fapi/v1/income."""
    kind: str                               # COMMISSION REALIZED_PNL FUNDING_FEE TRANSFER INSURANCE_CLEAR
    symbol: str
    units: int
    asset: str
    time_ms: int
    tran_id: int
    trade_id: str
    info: str

    def answer(self):
        return {"symbol": self.symbol, "incomeType": self.kind, "income": units_text(self.units), "asset": self.asset,
                "info": self.info, "time": self.time_ms, "tranId": self.tran_id, "tradeId": self.trade_id}


class Statement:
    """One account's futures book in the venue's words.

    Parameters: venue : UsdmVenue.  account : Account of the order service.
    """

    def __init__(self, venue, account):
        self.venue, self.account = venue, account
        self.exchange, self.number = venue.exchange, account.number
        self.income = deque(maxlen=INCOME_KEPT)
        self.margin_changes = deque(maxlen=MARGIN_CHANGES_KEPT)
        self.forced = deque(maxlen=FORCED_KEPT)         # orders by which the venue closed positions
        self.multi_assets = self.fee_burn = self.hedge = False

    # ---- the book

    def margin(self):
        return self.exchange.margin_account(self.number, self.venue.margin_asset.index)

    def positions(self, contract=None):
        """[(Contract, MarginPosition)] of the contracts touched, or of one."""
        found = self.exchange.positions(self.number, contract.index if contract is not None else None)
        return [(self.venue.by_index[p.instrument], p) for p in found]

    def leverage(self, contract):
        return self.exchange.position_settings(self.number, contract.index)[0]

    def isolated(self, contract):
        return self.exchange.position_settings(self.number, contract.index)[1]

    # ---- answers

    def position_rows(self, shape, contract=None, *, every=False):
        """Rows for all legs. Parameters: every : contracts that were never touched, too."""
        contracts = [contract] if contract is not None else list(self.venue.contracts.values())
        legs = (1, 2) if self.hedge else (0,)
        rows = []
        for item in contracts:
            found = {int(p.position_side): p for _, p in self.positions(item)}
            for leg in legs:
                position = found.get(leg)
                if position is None and not every:
                    continue
                if not every and not position.qty_lots and not position.order_margin_units and not position.isolated_wallet_units:
                    continue
                rows.append(shape(self, item, leg, position))
        return rows

    def balances(self):
        m = self.margin()
        row = {"accountAlias": f"TpSm{self.number:04d}", "asset": self.venue.margin_asset.name,
               "balance": units_text(m.wallet_units), "crossWalletBalance": units_text(m.cross_wallet_units),
               "crossUnPnl": units_text(m.cross_unrealised_units), "availableBalance": units_text(max(0, m.available_units)),
               "maxWithdrawAmount": units_text(max(0, m.max_withdraw_units)), "marginAvailable": True,
               "updateTime": self.venue.now_ns() // NS_PER_MS}
        return [row]

    def account_answer(self, version):
        m = self.margin()
        initial = m.position_margin_units + m.order_margin_units
        available = units_text(max(0, m.available_units))
        withdrawable = units_text(max(0, m.max_withdraw_units))
        now_ms = self.venue.now_ns() // NS_PER_MS
        head = {"feeTier": 0, "canTrade": True, "canDeposit": True, "canWithdraw": True, "feeBurn": self.fee_burn,
                "tradeGroupId": -1, "updateTime": 0, "multiAssetsMargin": self.multi_assets} if version == 2 else {}
        totals = {"totalInitialMargin": units_text(initial), "totalMaintMargin": units_text(m.maintenance_units),
                  "totalWalletBalance": units_text(m.wallet_units), "totalUnrealizedProfit": units_text(m.unrealised_units),
                  "totalMarginBalance": units_text(m.margin_balance_units),
                  "totalPositionInitialMargin": units_text(m.position_margin_units),
                  "totalOpenOrderInitialMargin": units_text(m.order_margin_units),
                  "totalCrossWalletBalance": units_text(m.cross_wallet_units),
                  "totalCrossUnPnl": units_text(m.cross_unrealised_units), "availableBalance": available,
                  "maxWithdrawAmount": withdrawable}
        asset = {"asset": self.venue.margin_asset.name, "walletBalance": units_text(m.wallet_units),
                 "unrealizedProfit": units_text(m.unrealised_units), "marginBalance": units_text(m.margin_balance_units),
                 "maintMargin": units_text(m.maintenance_units), "initialMargin": units_text(initial),
                 "positionInitialMargin": units_text(m.position_margin_units),
                 "openOrderInitialMargin": units_text(m.order_margin_units),
                 "crossWalletBalance": units_text(m.cross_wallet_units), "crossUnPnl": units_text(m.cross_unrealised_units),
                 "availableBalance": available, "maxWithdrawAmount": withdrawable}
        if version == 2:
            asset["marginAvailable"] = True
        asset["updateTime"] = now_ms
        positions = self.position_rows(account_position_v2 if version == 2 else account_position_v3, every=version == 2)
        return {**head, **totals, "assets": [asset], "positions": positions}

    # ---- user data

    def balance_events(self, change_units):
        m = self.margin()
        return [{"a": self.venue.margin_asset.name, "wb": units_text(m.wallet_units), "cw": units_text(m.cross_wallet_units),
                 "bc": units_text(change_units)}]

    def position_events(self, contract, legs=None):
        return [position_event(item, p) for item, p in self.positions(contract) if legs is None or int(p.position_side) in legs]


# ---- one leg in its different forms; `position` None: the contract was never touched

def _mark_text(statement, contract):
    return text_of(statement.venue.marks.of(contract).mark_e8, 8, 8)


def entry_text(contract, position):
    if position is None or not position.qty_lots:
        return "0.0"
    return _trimmed(text_of(position.entry_price_e8, 8, 8))


def break_even_text(position):
    return "0.0" if position is None or not position.qty_lots else _trimmed(text_of(position.break_even_e8, 8, 8))


def _trimmed(text):
    text = text.rstrip("0")
    return f"{text}0" if text.endswith(".") else text


def qty_text(contract, position):
    return contract.qty_text(position.qty_lots if position is not None else 0)


def amount(position, field, zero="0"):
    value = getattr(position, field) if position is not None else 0
    return units_text(value) if value else zero


def _notional_cap(statement, contract):
    leverage = statement.leverage(contract)
    caps = [cap for cap, highest, _ in contract.brackets if highest >= leverage]
    return str(caps[-1] if caps else contract.brackets[0][0])


def position_risk_v2(statement, contract, leg, position):
    isolated = bool(position.isolated) if position is not None else statement.isolated(contract)
    return {"symbol": contract.name, "positionAmt": qty_text(contract, position), "entryPrice": entry_text(contract, position),
            "breakEvenPrice": break_even_text(position), "markPrice": _mark_text(statement, contract),
            "unRealizedProfit": amount(position, "unrealised_units", "0.00000000"),
            "liquidationPrice": _liquidation(position), "leverage": str(statement.leverage(contract)),
            "maxNotionalValue": _notional_cap(statement, contract), "marginType": "isolated" if isolated else "cross",
            "isolatedMargin": isolated_margin(position, "0.00000000"), "isAutoAddMargin": "false", "positionSide": LEGS[leg],
            "notional": amount(position, "notional_units"), "isolatedWallet": amount(position, "isolated_wallet_units"),
            "updateTime": update_ms(position), "isolated": isolated, "adlQuantile": 0}


def position_risk_v3(statement, contract, leg, position):
    initial = position.position_margin_units + position.order_margin_units if position is not None else 0
    return {"symbol": contract.name, "positionSide": LEGS[leg], "positionAmt": qty_text(contract, position),
            "entryPrice": entry_text(contract, position), "breakEvenPrice": break_even_text(position),
            "markPrice": _mark_text(statement, contract), "unRealizedProfit": amount(position, "unrealised_units", "0.00000000"),
            "liquidationPrice": _liquidation(position), "isolatedMargin": isolated_margin(position),
            "notional": amount(position, "notional_units"), "marginAsset": contract.terms.quote,
            "isolatedWallet": amount(position, "isolated_wallet_units"), "initialMargin": units_text(initial) if initial else "0",
            "maintMargin": amount(position, "maintenance_units"),
            "positionInitialMargin": amount(position, "position_margin_units"),
            "openOrderInitialMargin": amount(position, "order_margin_units"), "adl": 0,
            "bidNotional": amount(position, "bid_notional_units"), "askNotional": amount(position, "ask_notional_units"),
            "updateTime": update_ms(position)}


def account_position_v2(statement, contract, leg, position):
    initial = position.position_margin_units + position.order_margin_units if position is not None else 0
    return {"symbol": contract.name, "initialMargin": units_text(initial) if initial else "0",
            "maintMargin": amount(position, "maintenance_units"),
            "unrealizedProfit": amount(position, "unrealised_units", "0.00000000"),
            "positionInitialMargin": amount(position, "position_margin_units"),
            "openOrderInitialMargin": amount(position, "order_margin_units"), "leverage": str(statement.leverage(contract)),
            "isolated": bool(position.isolated) if position is not None else statement.isolated(contract),
            "entryPrice": entry_text(contract, position), "breakEvenPrice": break_even_text(position),
            "maxNotional": _notional_cap(statement, contract), "positionSide": LEGS[leg],
            "positionAmt": qty_text(contract, position), "notional": amount(position, "notional_units"),
            "isolatedWallet": amount(position, "isolated_wallet_units"), "updateTime": update_ms(position),
            "bidNotional": amount(position, "bid_notional_units"), "askNotional": amount(position, "ask_notional_units")}


def account_position_v3(statement, contract, leg, position):
    initial = position.position_margin_units + position.order_margin_units if position is not None else 0
    return {"symbol": contract.name, "positionSide": LEGS[leg], "positionAmt": qty_text(contract, position),
            "unrealizedProfit": amount(position, "unrealised_units", "0.00000000"),
            "isolatedMargin": isolated_margin(position, "0.00000000"),
            "notional": amount(position, "notional_units"), "isolatedWallet": amount(position, "isolated_wallet_units"),
            "initialMargin": units_text(initial) if initial else "0", "maintMargin": amount(position, "maintenance_units"),
            "updateTime": update_ms(position)}


def _liquidation(position):
    if position is None or not position.qty_lots or position.liquidation_e8 <= 0:
        return "0"
    return text_of(position.liquidation_e8, 8, 8)


def isolated_margin(position, zero="0"):
    """The wallet of an isolated position and what it has won or lost since."""
    if position is None or not position.isolated or not position.qty_lots:
        return zero
    return units_text(position.isolated_wallet_units + position.unrealised_units)


def update_ms(position):
    return position.updated_ns // NS_PER_MS if position is not None else 0


def position_event(contract, position):
    """A position as ACCOUNT_UPDATE carries it."""
    return {"s": contract.name, "pa": qty_text(contract, position), "ep": entry_text(contract, position),
            "bep": break_even_text(position), "cr": units_text(position.realised_units),
            "up": units_text(position.unrealised_units), "mt": "isolated" if position.isolated else "cross",
            "iw": amount(position, "isolated_wallet_units"), "ps": LEGS[int(position.position_side)], "ma": contract.terms.quote}


def margin_call(statement, positions):
    """The body of MARGIN_CALL for these (contract, position) pairs."""
    m = statement.margin()
    return {"cw": units_text(m.cross_wallet_units), "p": [
        {"s": contract.name, "ps": LEGS[int(p.position_side)], "pa": qty_text(contract, p),
         "mt": "ISOLATED" if p.isolated else "CROSSED", "iw": amount(p, "isolated_wallet_units"),
         "mp": text_of(p.mark_e8, 8, 8), "up": units_text(p.unrealised_units), "mm": units_text(p.maintenance_units)}
        for contract, p in positions]}


def bracket_answer(contract, brackets):
    """GET /fapi/v1/leverageBracket of a contract; `brackets` as the exchange has them."""
    return {"symbol": contract.name, "notionalCoef": 1.0, "brackets": [
        {"bracket": n, "initialLeverage": leverage, "notionalCap": cap // E8, "notionalFloor": floor // E8,
         "maintMarginRatio": rate / E8, "cum": float(cum / E8)}
        for n, (floor, cap, leverage, rate, cum) in enumerate(brackets, 1)]}
