"""A token bucket that says how long to wait; the caller does the waiting."""

from __future__ import annotations

from dataclasses import dataclass, field


@dataclass(slots=True)
class TokenBucket:
    per_s: float
    burst: float
    _level: float = field(init=False)
    _at: float = 0.0

    def __post_init__(self) -> None:
        self._level = self.burst

    def take(self, now: float) -> float:
        """Take one token; returns 0, or the seconds until there would be one (none is taken then)."""
        self._level = min(self.burst, self._level + (now - self._at) * self.per_s)
        self._at = now
        if self._level >= 1:
            self._level -= 1
            return 0.0
        return (1 - self._level) / self.per_s
