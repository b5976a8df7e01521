"""Which quotes of a flush are new."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Mapping, Sequence

import numpy as np
import numpy.typing as npt

from tapestream.common.contracts.messages import QuoteBatch
from tapestream.ingest.recorder.core.batches import Columns
from tapestream.ingest.recorder.core.trades import Head


def new_quotes(
    columns: Columns[QuoteBatch], instrument_ids: Sequence[int], heads: Mapping[int, Head]
) -> tuple[npt.NDArray[np.bool_], dict[int, Head]]:
    """A mask of the rows above the last id of their instrument, and the heads after them."""
    new = np.ones(columns.starts[-1], np.bool_)
    moved: dict[int, Head] = {}
    for k, batch in enumerate(columns.batches):
        instrument_id, start = instrument_ids[k], columns.starts[k]
        head = moved.get(instrument_id) or heads.get(instrument_id)
        known = bisect_right(batch.id, head.id) if head is not None else 0
        new[start : start + known] = False
        if known < len(batch.id):
            moved[instrument_id] = Head(batch.id[-1], batch.ts_ns[-1])
    return new, moved
