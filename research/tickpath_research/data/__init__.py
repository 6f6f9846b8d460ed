"""History: fetched through ccxt, kept exactly as it came and as Parquet; docs/history.md.

Nothing of ccxt or pyarrow is imported before it is used, so that `tickpath --help` needs neither.
"""
from tickpath_research.data.layout import DataError, Disagreement, Series, StoreDamage, UsageError
from tickpath_research.data.store import SeriesStore, stored_series

__all__ = ["DataError", "Disagreement", "Series", "SeriesStore", "StoreDamage", "UsageError", "stored_series"]
