"""Which trades of a flush are new, and what the stream dropped before it was read."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

from tapestream.common.contracts.messages import TradeBatch
from tapestream.common.recording.refusal import Refused
from tapestream.ingest.core.ranges import IdRange
from tapestream.ingest.recorder.core.batches import Columns

RESTARTED_NS = 60_000_000_000
"""A batch of known ids that is newer than the last trade by this much is no duplicate: the venue
counts anew. Venues' times are not quite in the order of their ids, so a little more is no sign."""


@dataclass(frozen=True, slots=True)
class Head:
    """The newest trade of an instrument that the live stream has brought."""

    id: int
    ts_ns: int


@dataclass(frozen=True, slots=True)
class Overtaken:
    """Ids that the stream no longer held when it was read, before any of them was recorded."""

    instrument_id: int
    ids: IdRange
    from_ts_ns: int
    to_ts_ns: int


@dataclass(slots=True)
class TradePlan:
    """What to do with the trades of one flush."""

    instrument_id: npt.NDArray[np.int32]
    """Of every row of the columns."""
    live: npt.NDArray[np.bool_] | None
    """Rows that are new for certain; None means all of them."""
    check: npt.NDArray[np.bool_] | None
    """Rows that may be recorded already (backfill); None means none."""
    heads: dict[int, Head] = field(default_factory=dict)
    overtaken: list[Overtaken] = field(default_factory=list)
    duplicates: int = 0
    refused: list[Refused] = field(default_factory=list)


def plan_trades(
    columns: Columns[TradeBatch],
    backfill: Sequence[bool],
    instrument_ids: Sequence[int],
    heads: Mapping[int, Head],
) -> TradePlan:
    """Trim live batches by the last id of their instrument and note what lies between.

    ``backfill`` and ``instrument_ids`` have one entry a batch; ``heads`` is left as it is.
    """
    lengths = np.diff(columns.starts)
    plan = TradePlan(np.repeat(np.asarray(instrument_ids, np.int32), lengths), None, None)
    trimmed: list[tuple[int, int]] = []
    checked: list[tuple[int, int]] = []
    for k, batch in enumerate(columns.batches):
        start, end = columns.starts[k], columns.starts[k + 1]
        if backfill[k]:
            checked.append((start, end))
            continue
        instrument_id = instrument_ids[k]
        head = plan.heads.get(instrument_id) or heads.get(instrument_id)
        if head is not None:
            if batch.id[0] <= head.id:
                known = bisect_right(batch.id, head.id)
                if known == len(batch.id):
                    trimmed.append((start, end))
                    if batch.ts_ns[-1] > head.ts_ns + RESTARTED_NS:
                        plan.refused.append(_restarted(columns.origins[k], batch, head))
                    else:
                        plan.duplicates += known
                    continue
                trimmed.append((start, start + known))
                plan.duplicates += known
            missing = _overtaken(instrument_id, batch, head)
            if missing is not None:
                plan.overtaken.append(missing)
        plan.heads[instrument_id] = Head(batch.id[-1], batch.ts_ns[-1])
    if checked:
        plan.check = _mask(columns.starts[-1], checked)
    if trimmed or checked:
        plan.live = ~_mask(columns.starts[-1], trimmed + checked)
    return plan


def _overtaken(instrument_id: int, batch: TradeBatch, head: Head) -> Overtaken | None:
    # A publisher that finds an empty stream knows nothing of what it held before.
    published = batch.prev_id if batch.prev_id >= 0 else batch.id[0] - 1
    last = min(published, batch.id[0] - 1)
    if last <= head.id:
        return None
    return Overtaken(instrument_id, IdRange(head.id + 1, last), head.ts_ns, batch.ts_ns[0])


def _restarted(index: int, batch: TradeBatch, head: Head) -> Refused:
    detail = (
        f"ids {batch.id[0]} to {batch.id[-1]} are not above the recorded {head.id}, yet their time is "
        f"later: the venue counts anew; record it into another database"
    )
    return Refused(index, "restarted_ids", detail, len(batch.id))


def _mask(rows: int, parts: Sequence[tuple[int, int]]) -> npt.NDArray[np.bool_]:
    mask = np.zeros(rows, np.bool_)
    for start, end in parts:
        mask[start:end] = True
    return mask
