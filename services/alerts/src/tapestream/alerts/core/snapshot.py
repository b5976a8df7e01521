"""The state of the evaluator as it is saved."""

from __future__ import annotations

import msgspec

from tapestream.alerts.core.closes import Closes
from tapestream.alerts.core.prices import LastTrade
from tapestream.common.contracts.alerts import RuleState


class Counts(msgspec.Struct):
    """What was not evaluated, and what was, since the first start."""

    trades: int = 0
    duplicates: int = 0
    late_trades: int = 0
    revised: int = 0
    fired: int = 0


class Snapshot(msgspec.Struct):
    """All that a restart needs."""

    rules: dict[int, tuple[int, RuleState]] = {}
    """Id → version, state."""
    trades: dict[str, LastTrade] = {}
    closes: dict[str, Closes] = {}
    ordinals: dict[str, int] = {}
    last_id: int = 0
    counts: Counts = msgspec.field(default_factory=Counts)
