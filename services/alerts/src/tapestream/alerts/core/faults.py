"""What was wrong with a request, field by field."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

from tapestream.common.contracts.alerts import Fault

MOST_FAULTS = 100
"""That are told at once."""


class RuleError(Exception):
    """A request that cannot be done, with all its faults."""

    def __init__(self, faults: list[Fault]) -> None:
        super().__init__("; ".join(f"{one.field}: {one.detail}" for one in faults))
        self.faults = faults


class Faults:
    """Reads fields, and notes those that are wrong instead of stopping at the first."""

    def __init__(self) -> None:
        self.found: list[Fault] = []

    def add(self, field: str, value: object, allowed: str, detail: str) -> None:
        if len(self.found) < MOST_FAULTS:
            self.found.append(Fault(field=shown(field), value=shown(value), allowed=allowed, detail=detail))

    def check(self) -> None:
        """Raise RuleError where anything was wrong."""
        if self.found:
            raise RuleError(self.found)

    def text(self, given: Mapping[str, Any], key: str, most: int) -> str:
        value = given.get(key, "")
        if not isinstance(value, str) or len(value) > most or "\x00" in value:
            self.add(key, value, f"a text of {most} characters at most", "this is no such text")
            return ""
        return value.strip()

    def flag(self, given: Mapping[str, Any], key: str, *, usual: bool) -> bool:
        value = given.get(key, usual)
        if not isinstance(value, bool):
            self.add(key, value, "true or false", "this is neither")
            return usual
        return value

    def choice(
        self, given: Mapping[str, Any], key: str, allowed: tuple[str, ...], usual: str, where: str = ""
    ) -> str:
        value = given.get(key, usual)
        if value not in allowed:
            self.add(where + key, value, ", ".join(allowed), f"no such {key}")
            return usual
        return value

    def number(
        self,
        given: Mapping[str, Any],
        key: str,
        where: str = "",
        *,
        usual: float = math.nan,
        least: float = -math.inf,
    ) -> float:
        """A finite number; without a usual one it must be there."""
        value = given.get(key, usual)
        if (
            not isinstance(value, (int, float))
            or isinstance(value, bool)
            or not math.isfinite(value)
            or value < least
            or abs(value) > 1e300
        ):
            at_least = f", {least:g} at least" if math.isfinite(least) else ""
            shown_value = None if key not in given else value
            self.add(where + key, shown_value, f"a finite number{at_least}", f"{key} is no such number")
            return 0.0
        return float(value)

    def count(
        self, given: Mapping[str, Any], key: str, least: int, most: int, usual: int, where: str = ""
    ) -> int:
        value = given.get(key, usual)
        if not isinstance(value, int) or isinstance(value, bool) or not least <= value <= most:
            self.add(where + key, value, f"a whole number from {least} to {most}", f"no such {key}")
            return usual
        return value


def shown(value: object) -> Any:
    """A value as it may be echoed in JSON."""
    if value is None or isinstance(value, (bool, int)):
        return value
    if isinstance(value, float):
        return value if math.isfinite(value) else repr(value)
    return (value if isinstance(value, str) else repr(value))[:200].encode("utf-8", "replace").decode()
