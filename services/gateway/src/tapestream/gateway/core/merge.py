"""One answer from memory and history, without a hole or a double at the border."""

from __future__ import annotations

import numpy as np

from tapestream.gateway.core.columns import TradeColumns, join_columns


def merge_trades(older: TradeColumns, newer: TradeColumns) -> TradeColumns:
    """Both parts by id, each id once; of a double ``newer`` counts."""
    if not len(older) or not len(newer) or older.id[-1] < newer.id[0]:
        return join_columns([older, newer])
    both = join_columns([newer, older])
    _, first = np.unique(both.id, return_index=True)  # sorted by id, the first occurrence of each
    return both.where_rows(first)


def in_period(columns: TradeColumns, start_ns: int | None, end_ns: int | None) -> TradeColumns:
    """Trades with a time in ``[start_ns, end_ns)``."""
    mask = np.ones(len(columns), np.bool_)
    if start_ns is not None:
        mask &= columns.ts_ns >= start_ns
    if end_ns is not None:
        mask &= columns.ts_ns < end_ns
    return columns if mask.all() else columns.where(mask)
