"""A gap message as a hole of the ledger."""

from __future__ import annotations

from tapestream.common.contracts.messages import Gap
from tapestream.ingest.core.ranges import IdRange
from tapestream.ingest.recorder.core.ledger import Hole

_LARGEST = (1 << 63) - 1


def problem(gap: Gap) -> str | None:
    """What is wrong with a gap, if anything."""
    if not 0 <= gap.from_id <= gap.to_id < _LARGEST:
        return f"from_id {gap.from_id} and to_id {gap.to_id} are no range of ids"
    for name in ("from_ts_ns", "to_ts_ns", "detected_ns"):
        if not 0 <= getattr(gap, name) <= _LARGEST:
            return f"{name} {getattr(gap, name)} is no time"
    if not gap.venue or not gap.symbol:
        return "venue and symbol must not be empty"
    return None


def hole(gap: Gap) -> Hole:
    """The range as the ledger keeps it, in whole microseconds."""
    return Hole(
        IdRange(gap.from_id, gap.to_id),
        gap.reason,
        gap.from_ts_ns // 1000 * 1000,
        gap.to_ts_ns // 1000 * 1000,
        gap.detected_ns // 1000 * 1000,
    )
