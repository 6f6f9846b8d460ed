"""Error answers of Binance USD-M futures: codes, texts, and what each refusal of the matching core is called there.

Codes and texts: developers.binance.com/docs/derivatives/usds-margined-futures/error-code, seen 2026-11-22.
"""
from tickpath_sim.trading.errors import VenueError

__all__ = ["TEXTS", "error", "refusal"]

TEXTS = {
    -1000: "An unknown error occurred while processing the request.",
    -1002: "You are not authorized to execute this request.",
    -1003: "Too many requests; current limit is {} requests per minute. Please use the websocket for live updates to avoid "
           "polling the API.",
    -1013: "Invalid message.",
    -1014: "Unsupported order combination.",
    -1015: "Too many new orders; current limit is {} orders per {}.",
    -1020: "This operation is not supported.",
    -1021: "Timestamp for this request is outside of the recvWindow.",
    -1022: "Signature for this request is not valid.",
    -1023: "Start time is greater than end time.",
    -1100: "Illegal characters found in parameter '{}'; legal range is '{}'.",
    -1101: "Duplicate values for a parameter detected.",
    -1102: "Mandatory parameter '{}' was not sent, was empty/null, or malformed.",
    -1105: "Parameter '{}' was empty.",
    -1106: "Parameter '{}' sent when not required.",
    -1111: "Precision is over the maximum defined for this asset.",
    -1112: "No orders on book for symbol.",
    -1115: "Invalid timeInForce.",
    -1116: "Invalid orderType.",
    -1117: "Invalid side.",
    -1120: "Invalid interval.",
    -1121: "Invalid symbol.",
    -1125: "This listenKey does not exist. Please use `POST /fapi/v1/listenKey` to recreate `listenKey`.",
    -1126: "This asset is not supported.",
    -1127: "More than {} hours between startTime and endTime.",
    -1128: "Combination of optional parameters invalid.",
    -1130: "Data sent for parameter '{}' is not valid.",
    -1136: "Invalid newOrderRespType.",
    -2007: "Invalid callBack rate.",
    -2011: "Unknown order sent.",
    -2013: "Order does not exist.",
    -2014: "API-key format invalid.",
    -2015: "Invalid API-key, IP, or permissions for action.",
    -2018: "Balance is insufficient.",
    -2019: "Margin is insufficient.",
    -2020: "Unable to fill.",
    -2021: "Order would immediately trigger.",
    -2022: "ReduceOnly Order is rejected.",
    -2023: "User in liquidation mode now.",
    -2024: "Position is not sufficient.",
    -2025: "Reach max open order limit.",
    -2026: "This OrderType is not supported when reduceOnly.",
    -2027: "Exceeded the maximum allowable position at current leverage.",
    -2028: "Leverage is smaller than permitted: insufficient margin balance.",
    -4000: "Invalid order status.",
    -4001: "Price less than 0.",
    -4002: "Price greater than max price.",
    -4003: "Quantity less than or equal to zero.",
    -4004: "Quantity less than min quantity.",
    -4005: "Quantity greater than max quantity.",
    -4006: "Stop price less than zero.",
    -4007: "Stop price greater than max price.",
    -4013: "Price less than min price.",
    -4014: "Price not increased by tick size.",
    -4015: "Client order id is not valid.",
    -4016: "Price is higher than mark price multiplier cap.",
    -4021: "'{}' is not valid depth limit.",
    -4023: "Qty not increased by step size.",
    -4024: "Price is lower than mark price multiplier floor.",
    -4028: "Leverage {} is not valid",
    -4031: "Invalid parameter working type: {}",
    -4044: "Balance Type is invalid.",
    -4045: "Reach max stop order limit.",
    -4046: "No need to change margin type.",
    -4047: "Margin type cannot be changed if there exists open orders.",
    -4048: "Margin type cannot be changed if there exists position.",
    -4049: "Add margin only support for isolated position.",
    -4050: "Cross balance insufficient.",
    -4051: "Isolated balance insufficient.",
    -4054: "Cannot add position margin: position is 0.",
    -4055: "Amount must be positive.",
    -4059: "No need to change position side.",
    -4060: "Invalid position side.",
    -4061: "Order's position side does not match user's setting.",
    -4062: "Invalid or improper reduceOnly value.",
    -4067: "Position side cannot be changed if there exists open orders.",
    -4068: "Position side cannot be changed if there exists position.",
    -4082: "Invalid number of batch place orders: {}",
    -4104: "Invalid contract type.",
    -4116: "ClientOrderId is duplicated.",
    -4117: "Stop order is triggering.",
    -4118: "ReduceOnly Order Failed. Please check your existing position and open orders.",
    -4120: "Order type not supported for this endpoint. Please use the Algo Order API endpoints instead.",
    -4130: "An open stop or take profit order with GTE and closePosition in the direction is existing.",
    -4131: "The counterparty's best price does not meet the PERCENT_PRICE filter limit.",
    -4135: "Invalid activation price.",
    -4136: "Target strategy invalid for orderType {},closePosition {}.",
    -4137: "Quantity must be zero with closePosition equals true.",
    -4138: "Reduce only must be true with closePosition equals true.",
    -4140: "Invalid symbol status for opening position.",
    -4141: "Symbol is closed.",
    -4144: "Invalid pair.",
    -4161: "Leverage reduction is not supported in Isolated Margin Mode with open positions.",
    -4164: "Order's notional must be no smaller than {} (unless you choose reduce only).",
    -4165: "Maximum time interval is 7 days.",
    -4167: "Unable to adjust to Multi-Assets mode with symbols of USDⓈ-M Futures under isolated-margin mode.",
    -4168: "Unable to adjust to isolated-margin mode under the Multi-Assets mode.",
    -4169: "Unable to adjust Multi-Assets Mode with insufficient margin balance in USDⓈ-M Futures.",
    -4170: "Unable to adjust Multi-Assets Mode with open orders in USDⓈ-M Futures.",
    -4171: "Adjusted asset mode is currently set and does not need to be adjusted repeatedly.",
    -5021: "Due to the order could not be filled immediately, the FOK order has been rejected. The order will not be recorded in "
           "the order history",
    -5022: "Due to the order could not be executed as maker, the Post Only order will be rejected. The order will not be "
           "recorded in the order history",
    -5024: "Symbol is not in trading status. Order amendment is not permitted.",
    -5025: "Only limit order is supported.",
    -5026: "Exceed maximum modify order limit.",
    -5027: "No need to modify the order.",
    -5028: "Timestamp for this request is outside of the ME recvWindow.",
    -5029: "Order's notional must be no smaller than {}",
    -5037: "Invalid price match",
    -5038: "Price match only supports order type: LIMIT, STOP AND TAKE_PROFIT",
    -5039: "Invalid self trade prevention mode",
    -5040: "The goodTillDate timestamp must be greater than the current time plus 600 seconds and smaller than 253402300799000",
    -5041: "No depth matches this BBO order",
}

UNAUTHORIZED = (-1002, -2014, -2015)


def error(code, *values, text=None):
    """The venue's refusal, to be raised.

    Parameters: code : of TEXTS.  values : put into its text.  text : instead of the table's.
    """
    return VenueError(code, TEXTS[code].format(*values) if text is None else text, 401 if code in UNAUTHORIZED else 400)


# What the core says, by name -> the venue's code. Where the text needs a value, or depends on the order, `refusal` decides.
CODES = {
    "LOT_SIZE": -4023, "MARKET_LOT_SIZE": -4005, "PRICE_FILTER": -4014, "MAX_ORDERS": -2025, "MAX_ALGO_ORDERS": -4045,
    "INSUFFICIENT_BALANCE": -2019, "WOULD_TAKE": -5022, "WOULD_TRIGGER": -2021, "UNKNOWN_ORDER": -2011, "REDUCE_ONLY": -2022,
    "NO_LIQUIDITY": -1112, "CLOSED": -4140, "FOK": -5021, "MAX_POSITION": -2027, "MARGIN": -2019,
    "LEVERAGE": -2027, "LEVERAGE_CAP": -2027, "LIQUIDATED": -2023, "AMEND": -5027, "OVERFLOW": -4005,
    "FULL": -2025, "BAD_REQUEST": -1014, "POSITION_SIDE": -4061,
    "NO_NEED_TO_CHANGE_TYPE": -4046, "OPEN_ORDERS": -4047, "POSITION": -4048, "ADD_NOT_ISOLATED": -4049,
    "CROSS_INSUFFICIENT": -4050, "ISOLATED_INSUFFICIENT": -4051, "TRANSFER_INSUFFICIENT": -2018,
    "NO_POSITION": -4054, "AMOUNT_NOT_POSITIVE": -4055, "NO_NEED_TO_CHANGE_MODE": -4059, "MODE_OPEN_ORDERS": -4067,
    "MODE_POSITION": -4068, "LEVERAGE_TOO_LOW": -2028, "ISOLATED_LEVERAGE_REDUCE": -4161,
}


def refusal(name, *, min_notional="5", market=False, buy=False, leverage=None):
    """The error for a reason of the core.

    Parameters: name : of SimReason or MarginReason.  market, buy : of the order.  leverage : that was asked for.
    """
    if name == "MIN_NOTIONAL":
        return error(-4164, min_notional)
    if name == "PERCENT_PRICE":
        return error(-4131 if market else -4016 if buy else -4024)
    if name == "LEVERAGE_INVALID":
        return error(-4028, leverage)
    code = CODES.get(name)
    return error(code) if code else error(-1000, text=f"{TEXTS[-1000]} {name}")
