"""The account calls of USD-M futures: balances, positions, leverage, margin, position mode, income, fees.

Rules: developers.binance.com/docs/derivatives/usds-margined-futures/account, seen 2026-11-22.
"""
from decimal import Decimal

import msgspec

from tickpath_sim.trading.usdm_account import (
    Income,
    account_position_v2,
    bracket_answer,
    leg_name,
    position_risk_v2,
    position_risk_v3,
)
from tickpath_sim.trading.usdm_contracts import E8
from tickpath_sim.trading.usdm_errors import error, refusal
from tickpath_sim.trading.usdm_params import flag, number
from tickpath_sim.trading.usdm_shapes import units_text

__all__ = ["UsdmSettings"]

encode = msgspec.json.encode
NS_PER_MS = 1_000_000
SUCCESS = b'{"code":200,"msg":"success"}'
LEVERAGE_MAX = 125
UNITS_MAX = 1 << 62
INCOME_KINDS = {"TRANSFER", "REALIZED_PNL", "FUNDING_FEE", "COMMISSION", "INSURANCE_CLEAR", "WELCOME_BONUS", "REFERRAL_KICKBACK",
                "COMMISSION_REBATE", "API_REBATE", "INTERNAL_TRANSFER", "DELIVERED_SETTELMENT", "COIN_SWAP_DEPOSIT",
                "COIN_SWAP_WITHDRAW", "AUTO_EXCHANGE"}


class UsdmSettings:
    """Parameters: venue : UsdmVenue."""

    def __init__(self, venue):
        self.venue, self.exchange = venue, venue.exchange

    def statement(self, call):
        return self.venue.statement(call.account)

    def _settle(self, reason, **values):
        """After a setting: hand out what followed from it. Errors: VenueError for a reason of the margin book."""
        self.venue.settle()
        if reason:
            raise refusal(self.venue.margin_reason(reason), **values)

    # ---- what there is

    def account_v2(self, call):
        return encode(self.statement(call).account_answer(2))

    def account_v3(self, call):
        return encode(self.statement(call).account_answer(3))

    def balance(self, call):
        return encode(self.statement(call).balances())

    def account_config(self, call):
        statement = self.statement(call)
        return encode({"feeTier": 0, "canTrade": call.account.can_trade, "canDeposit": True, "canWithdraw": True,
                       "dualSidePosition": statement.hedge, "updateTime": 0, "multiAssetsMargin": statement.multi_assets,
                       "tradeGroupId": -1})

    def symbol_config(self, call):
        statement = self.statement(call)
        contracts = [self.venue.contract_of(call.params)] if "symbol" in call.params else self.venue.contracts.values()
        rows = []
        for contract in contracts:
            row = account_position_v2(statement, contract, 0, None)
            rows.append({"symbol": contract.name, "marginType": "ISOLATED" if row["isolated"] else "CROSSED",
                         "isAutoAddMargin": False, "leverage": int(row["leverage"]), "maxNotionalValue": row["maxNotional"]})
        return encode(rows)

    def position_risk_v2(self, call):
        contract = self.venue.contract_of(call.params) if "symbol" in call.params else None
        return encode(self.statement(call).position_rows(position_risk_v2, contract, every=True))

    def position_risk_v3(self, call):
        contract = self.venue.contract_of(call.params) if "symbol" in call.params else None
        return encode(self.statement(call).position_rows(position_risk_v3, contract))

    def position_status(self, call):
        """v2/account.position: as REST's third version, but for the spelling of one field."""
        contract = self.venue.contract_of(call.params) if "symbol" in call.params else None
        rows = self.statement(call).position_rows(position_risk_v3, contract)
        return encode([{("unrealizedProfit" if name == "unRealizedProfit" else name): value for name, value in row.items()}
                       for row in rows])

    def adl_quantile(self, call):
        contracts = [self.venue.contract_of(call.params)] if "symbol" in call.params else list(self.venue.contracts.values())
        statement = self.statement(call)
        touched = {contract.name for contract, position in statement.positions() if position.qty_lots}
        legs = {"LONG": 0, "SHORT": 0, "HEDGE": 0} if statement.hedge else {"LONG": 0, "SHORT": 0, "BOTH": 0}
        return encode([{"symbol": contract.name, "adlQuantile": legs} for contract in contracts if contract.name in touched])

    def commission_rate(self, call):
        contract, account = self.venue.contract_of(call.params), call.account
        return encode({"symbol": contract.name, "makerCommissionRate": _rate(account.maker_bps),
                       "takerCommissionRate": _rate(account.taker_bps), "rpiCommissionRate": _rate(account.maker_bps)})

    def brackets(self, call):
        if "symbol" in call.params:
            contract = self.venue.contract_of(call.params)
            return encode([bracket_answer(contract, self.exchange.brackets(contract.index))])
        return encode([bracket_answer(c, self.exchange.brackets(c.index)) for c in self.venue.contracts.values()])

    def income(self, call):
        params = call.params
        kind = params.get("incomeType")
        if kind is not None and kind not in INCOME_KINDS:
            raise error(-1130, "incomeType")
        start_ms, end_ms = number(params, "startTime", 0, default=0), number(params, "endTime", 0, default=1 << 62)
        if start_ms > end_ms:
            raise error(-1023)
        limit = min(number(params, "limit", 1, default=100), 1000)
        page = number(params, "page", 1, default=1)
        rows = [row for row in self.statement(call).income
                if kind in (None, row.kind) and params.get("symbol") in (None, row.symbol) and start_ms <= row.time_ms <= end_ms]
        rows = rows[(page - 1) * limit:page * limit] if "page" in params or "startTime" in params else rows[-limit:]
        return encode([row.answer() for row in rows])

    def api_status(self, call):
        return encode({"indicators": {}, "updateTime": call.now_ns // NS_PER_MS})

    # ---- what can be set

    def leverage(self, call):
        contract = self.venue.contract_of(call.params)
        leverage = number(call.params, "leverage")
        if not 1 <= leverage <= LEVERAGE_MAX:
            raise error(-4028, leverage)
        statement = self.statement(call)
        before = statement.leverage(contract)
        self._settle(self.exchange.set_leverage(call.account.number, contract.index, leverage), leverage=leverage)
        if leverage != before:
            self.venue.users.config_changed(call.account, {"ac": {"s": contract.name, "l": leverage}})
        cap = account_position_v2(statement, contract, 0, None)["maxNotional"]
        return encode({"leverage": leverage, "maxNotionalValue": cap, "symbol": contract.name})

    def margin_type(self, call):
        contract = self.venue.contract_of(call.params)
        kind = call.params.get("marginType")
        if kind is None:
            raise error(-1102, "margintype")
        if kind not in ("ISOLATED", "CROSSED"):
            raise error(-1130, "marginType")
        if kind == "ISOLATED" and self.statement(call).multi_assets:
            raise error(-4168)
        self._settle(self.exchange.set_margin_type(call.account.number, contract.index, kind == "ISOLATED"))
        self.venue.users.account_update(call.account, "MARGIN_TYPE_CHANGE", contract, balances=False)
        return SUCCESS

    def position_mode(self, call):
        return encode({"dualSidePosition": self.statement(call).hedge})

    def set_position_mode(self, call):
        if "dualSidePosition" not in call.params:
            raise error(-1102, "dualsideposition")
        wanted = flag(call.params, "dualSidePosition")
        self._settle(self.exchange.set_position_mode(call.account.number, wanted))
        self.statement(call).hedge = wanted
        return SUCCESS

    def multi_assets(self, call):
        return encode({"multiAssetsMargin": self.statement(call).multi_assets})

    def set_multi_assets(self, call):
        """One margin asset is all this venue has, so the mode is remembered and told but changes no sum."""
        if "multiAssetsMargin" not in call.params:
            raise error(-1102, "multiassetsmargin")
        wanted, statement = flag(call.params, "multiAssetsMargin"), self.statement(call)
        if wanted == statement.multi_assets:
            raise error(-4171)
        if call.account.open_orders:
            raise error(-4170)
        if wanted and any(position.isolated for _, position in statement.positions()):
            raise error(-4167)
        statement.multi_assets = wanted
        self.venue.users.config_changed(call.account, {"ai": {"j": wanted}})
        return SUCCESS

    def fee_burn(self, call):
        return encode({"feeBurn": self.statement(call).fee_burn})

    def set_fee_burn(self, call):
        self.statement(call).fee_burn = flag(call.params, "feeBurn")
        return SUCCESS

    def position_margin(self, call):
        params, statement = call.params, self.statement(call)
        contract = self.venue.contract_of(params)
        kind = number(params, "type")
        if kind not in (1, 2):
            raise error(-1130, "type")
        text = params.get("amount")
        if text is None:
            raise error(-1102, "amount")
        units = contract.scaled(text)
        if units is None or units is False:
            raise error(-1102 if units is None else -1111, "amount")
        if units <= 0:
            raise error(-4055)
        if units > UNITS_MAX:
            raise error(-4050 if kind == 1 else -4051)
        side = params.get("positionSide", "BOTH")
        if side not in ("BOTH", "LONG", "SHORT"):
            raise error(-4060)
        if statement.hedge != (side != "BOTH"):
            raise error(-4061)
        leg = ("BOTH", "LONG", "SHORT").index(side)
        self._settle(self.exchange.add_margin(call.account.number, contract.index, leg, units if kind == 1 else -units))
        statement.margin_changes.append({
            "symbol": contract.name, "type": kind, "deltaType": "USER_ADJUST", "amount": units_text(units),
            "asset": contract.terms.quote, "time": call.now_ns // NS_PER_MS, "positionSide": leg_name(leg), "clientTranId": ""})
        self.venue.users.account_update(call.account, "MARGIN_TRANSFER", contract)
        return encode({"code": 200, "msg": "Successfully modify position margin.", "amount": units / E8, "type": kind})

    def margin_history(self, call):
        params = call.params
        contract = self.venue.contract_of(params)
        kind = number(params, "type", 1, 2, default=0) if "type" in params else 0
        start_ms, end_ms = number(params, "startTime", 0, default=0), number(params, "endTime", 0, default=1 << 62)
        limit = min(number(params, "limit", 1, default=500), 500)
        rows = [row for row in self.statement(call).margin_changes
                if row["symbol"] == contract.name and kind in (0, row["type"]) and start_ms <= row["time"] <= end_ms]
        return encode(rows[-limit:])

    # ---- listen keys

    def start_stream(self, call):
        return encode({"listenKey": self.venue.users.start(call.account, call.now_ns)})

    def keep_stream(self, call):
        self.venue.users.keep(call.account, call.now_ns)
        return b"{}"

    def close_stream(self, call):
        self.venue.users.close(call.account)
        return b"{}"


def income_of(venue, kind, contract, units, now_ms, tran_id, trade_id="", info=None):
    """A row of income for a contract's margin asset."""
    return Income(kind, contract.name if contract is not None else "", units, venue.margin_asset.name, now_ms, tran_id,
                  str(trade_id) if trade_id else "", info if info is not None else kind)


def _rate(bps):
    """Basis points as a fraction: "0.0002" of 2."""
    return format((Decimal(bps) / 10_000).normalize().quantize(Decimal("0.000001")).normalize(), "f")
