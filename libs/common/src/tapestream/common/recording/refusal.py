"""A message that cannot be recorded, and why."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Refused:
    """Message number ``index`` of a flush goes to the dead letters."""

    index: int
    reason: str
    """One word, a label of the figures: ``undecodable``, ``columns``, ``order``, ``number``, …"""
    detail: str
    """What was found and what is allowed, for the one who reads the dead letter."""
    rows: int = 0
    """Rows in it, where that could be told."""
