"""Spot's account endpoints, and those of the wallet that client libraries ask for when they load.

Shapes: github.com/binance/binance-spot-api-docs rest-api.md "Account endpoints"; developers.binance.com/docs/wallet, seen
2026-11-22.
"""
import json

from tickpath_sim.trading.errors import VenueError
from tickpath_sim.trading.spot_orders import commission_rates, discount_of

__all__ = ["account_status"]


def dumps(value):
    return json.dumps(value, separators=(",", ":"), ensure_ascii=False).encode()


def account_status(call):
    venue, account = call.venue, call.account
    omit = call.boolean("omitZeroBalances")
    rows = []
    for asset in venue.by_asset:
        free, locked = venue.exchange.balance(account.number, asset.index)
        if free or locked or not omit:
            rows.append({"asset": asset.name, "free": asset.text(free), "locked": asset.text(locked)})
    rates = commission_rates(account)
    return dumps({
        "makerCommission": int(account.maker_bps), "takerCommission": int(account.taker_bps), "buyerCommission": 0,
        "sellerCommission": 0, "commissionRates": {**rates, "buyer": "0.00000000", "seller": "0.00000000"},
        "canTrade": account.can_trade, "canWithdraw": True, "canDeposit": True, "brokered": False,
        "requireSelfTradePrevention": False, "preventSor": False, "updateTime": call.time(account.updated_ns),
        "accountType": "SPOT", "balances": rows, "permissions": ["SPOT"], "uid": account.uid})


def account_commission(call):
    symbol = call.symbol()
    rates = {**commission_rates(call.account), "buyer": "0.00000000", "seller": "0.00000000"}
    none = dict.fromkeys(rates, "0.00000000")
    return dumps({"symbol": symbol.name, "standardCommission": rates, "specialCommission": none, "taxCommission": none,
                  "discount": json.loads(discount_of(call.account))})


def rate_limit_orders(call):
    return dumps(call.account.order_count.rows(call.now_ns))


def empty_list(call):
    return b"[]"


# ---- the wallet

def system_status(call):
    return b'{"status":0,"msg":"normal"}'


def coins(call):
    venue, account = call.venue, call.account
    rows = []
    for asset in venue.by_asset:
        free, locked = venue.exchange.balance(account.number, asset.index)
        rows.append({
            "coin": asset.name, "depositAllEnable": False, "free": asset.text(free), "freeze": "0", "ipoable": "0", "ipoing": "0",
            "isLegalMoney": False, "locked": asset.text(locked), "name": asset.name, "storage": "0", "trading": True,
            "withdrawAllEnable": False, "withdrawing": "0", "networkList": [{
                "addressRegex": "", "coin": asset.name, "depositDesc": "", "depositEnable": False, "isDefault": True,
                "memoRegex": "", "minConfirm": 1, "name": "simulated", "network": "SIM", "resetAddressStatus": False,
                "specialTips": "", "unLockConfirm": 0, "withdrawDesc": "", "withdrawEnable": False, "withdrawFee": "0",
                "withdrawIntegerMultiple": "0.00000001", "withdrawMax": "0", "withdrawMin": "0", "sameAddress": False,
                "estimatedArrivalTime": 0, "busy": False}]})
    return dumps(rows)


def trade_fee(call):
    symbol, rates = call.optional_symbol(), commission_rates(call.account)
    symbols = call.venue.symbols.values() if symbol is None else [symbol]
    return dumps([{"symbol": s.name, "makerCommission": rates["maker"], "takerCommission": rates["taker"]} for s in symbols])


def asset_detail(call):
    return dumps({asset.name: {"minWithdrawAmount": "0", "depositStatus": False, "withdrawFee": "0", "withdrawStatus": False}
                  for asset in call.venue.by_asset})


def api_restrictions(call):
    trading = "TRADE" in call.key.permissions
    return dumps({"ipRestrict": False, "createTime": 1700000000000, "enableReading": "READ" in call.key.permissions,
                  "enableWithdrawals": False, "enableInternalTransfer": False, "enableMargin": False, "enableFutures": False,
                  "permitsUniversalTransfer": False, "enableVanillaOptions": False, "enableFixApiTrade": False,
                  "enableFixReadOnly": False, "enableSpotAndMarginTrading": trading, "enablePortfolioMarginTrading": False})


def api_trading_status(call):
    return dumps({"data": {"isLocked": False, "plannedRecoverTime": 0, "triggerCondition": {"GCR": 150, "IFER": 150, "UFR": 300},
                           "updateTime": call.time(call.now_ns)}})


def wallet_account_status(call):
    return b'{"data":"Normal"}'


def user_assets(call):
    venue, account, rows = call.venue, call.account, []
    wanted = call.params.get("asset")
    for asset in venue.by_asset:
        free, locked = venue.exchange.balance(account.number, asset.index)
        if (free or locked) and wanted in (None, asset.name):
            rows.append({"asset": asset.name, "free": asset.text(free), "locked": asset.text(locked), "freeze": "0",
                         "withdrawing": "0", "ipoable": "0", "btcValuation": "0"})
    return dumps(rows)


def bnb_burn(call):
    return dumps({"spotBNBBurn": call.account.fee_asset == "BNB", "interestBNBBurn": False})


# ---- user data by listen key

def listen_key_create(call):
    return dumps({"listenKey": call.venue.users.listen_key(call.account, call.now_ns)})


def _listen_key(call):
    key = call.text("listenKey")
    if not call.venue.users.is_key_of(key, call.account, call.now_ns):
        raise VenueError(-1125, "This listenKey does not exist.")
    return key


def listen_key_keepalive(call):
    call.venue.users.keep_alive(_listen_key(call), call.now_ns)
    return b"{}"


def listen_key_close(call):
    call.venue.users.close_key(_listen_key(call))
    return b"{}"
