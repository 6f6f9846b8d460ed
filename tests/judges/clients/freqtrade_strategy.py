"""A freqtrade strategy that buys at once and sells a moment later: what counts is that orders go through, not that they pay."""
from datetime import timedelta

from freqtrade.strategy import IStrategy


class BuyAndSell(IStrategy):
    INTERFACE_VERSION = 3
    timeframe = "1m"
    minimal_roi = {"0": 100}
    stoploss = -0.5
    startup_candle_count = 0
    process_only_new_candles = False
    ignore_buying_expired_candle_after = 10 ** 9

    def populate_indicators(self, dataframe, metadata):
        return dataframe

    def populate_entry_trend(self, dataframe, metadata):
        dataframe["enter_long"] = 1
        return dataframe

    def populate_exit_trend(self, dataframe, metadata):
        dataframe["exit_long"] = 0
        return dataframe

    def custom_exit(self, pair, trade, current_time, current_rate, current_profit, **kwargs):
        return "held long enough" if current_time - trade.open_date_utc > timedelta(seconds=3) else None
