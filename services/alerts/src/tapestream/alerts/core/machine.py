"""One rule at work: from its conditions to its firings.

A rule fires when its condition (all or any of its conditions) becomes true, has held for ``for_ns`` and
the cooldown is over; it is then latched until the condition has cleared by the hysteresis. Everything
happens at event times, which the caller gives.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from tapestream.alerts.core.metric import Metric, Source
from tapestream.common.contracts.alerts import ConditionSpec, ConditionState, RuleSpec, RuleState


@dataclass(frozen=True)
class Rule:
    """A rule that is to be evaluated."""

    id: int
    version: int
    since_ns: int
    """Messages that their stream stored up to this server time do not count."""
    spec: RuleSpec
    metrics: tuple[Metric, ...]
    """Of its conditions, in their order."""


def source_key(metric: Metric, condition: ConditionSpec) -> str:
    """Names what brings the values of a condition: the rules that listen to it are found by this."""
    match metric.source:
        case Source.TRADE | Source.SILENCE:
            return f"trade:{condition.of}"
        case Source.BATCH:
            return f"batch:{condition.of}"
        case Source.BAR:
            return f"bar:{condition.timeframe}:{condition.of}"
        case Source.PAIR:
            return pair_key(condition.timeframe, condition.window, condition.method, condition.of)
        case Source.RADAR:
            return f"radar:{condition.timeframe}"


def pair_key(timeframe: str, window: int, method: str, of: str) -> str:
    return f"pair:{timeframe}:{window}:{method}:{of}"


def venue_of(of: str) -> str:
    """Venue of an instrument, or of the first of a pair."""
    return of.partition(",")[0].rpartition("@")[2]


@dataclass(eq=False, slots=True)
class Machine:
    """A rule and where it stands."""

    rule: Rule
    state: RuleState
    sources: frozenset[str] = field(init=False)
    venue: str = field(init=False)
    """Its timers run by this venue's clock."""
    _all: bool = field(init=False)

    def __post_init__(self) -> None:
        spec = self.rule.spec
        keys = {source_key(*one) for one in zip(self.rule.metrics, spec.conditions, strict=True)}
        self.venue = venue_of(spec.conditions[0].of)
        self.sources = frozenset(keys | {f"clock:{venue_of(one.of)}" for one in spec.conditions})
        self._all = spec.match == "all"

    def counts(self, source: str, ordinal: int, stored_ns: int) -> bool:
        """Whether an event is for this rule: stored after it was made, and not seen by its state yet."""
        return stored_ns > self.rule.since_ns and ordinal > self.state.seen.get(source, -1)

    def settle(self, at_ns: int) -> int | None:
        """Fire if the time has come up to ``at_ns``; returns the event time of the firing."""
        due_ns = self.state.due_ns
        return self._fire(due_ns) if due_ns is not None and due_ns <= at_ns else None

    def decide(self, at_ns: int) -> int | None:
        """Draw the conclusion from conditions that have changed; returns the event time of a firing."""
        state, conditions = self.state, self.state.conditions
        if state.latched and (
            any(one.cleared for one in conditions) if self._all else all(one.cleared for one in conditions)
        ):
            state.latched = False
        if state.latched or state.spent:
            return None
        if not (all(one.holds for one in conditions) if self._all else any(one.holds for one in conditions)):
            state.due_ns = None
            return None
        if state.due_ns is None:
            state.due_ns = max(at_ns + self.rule.spec.for_ns, state.quiet_until_ns)
        return self.settle(at_ns)

    def _fire(self, at_ns: int) -> int | None:
        state, spec = self.state, self.rule.spec
        state.due_ns = None
        if spec.expires_ns and at_ns >= spec.expires_ns:
            state.spent = True
            return None
        state.ordinal += 1
        state.latched = True
        state.quiet_until_ns = at_ns + spec.cooldown_ns
        state.spent = spec.once
        return at_ns


def new_state(spec: RuleSpec) -> RuleState:
    """Of a rule that has seen nothing yet."""
    return RuleState(conditions=[ConditionState() for _ in spec.conditions])
