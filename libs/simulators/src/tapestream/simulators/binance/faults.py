"""Misfortunes that can be ordered. Pure: frames and the time go in, frames to send come out.

A frame passes skip, mute, duplicate, reorder, delay and stall, in this order. Cutting connections,
rubbish and refusals concern sockets and requests, not frames; the hub and the REST side ask here
whether one is on.
"""

from __future__ import annotations

import random
from collections import deque
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any, NamedTuple

from tapestream.simulators.binance.streams import Kind, Stream
from tapestream.simulators.market import Market


class FaultKind(StrEnum):
    DROP = "drop"
    MUTE = "mute"
    STALL = "stall"
    GARBAGE = "garbage"
    SKIP = "skip"
    DUPLICATE = "duplicate"
    REORDER = "reorder"
    DELAY = "delay"
    REFUSE = "refuse"
    REST_DOWN = "rest_down"
    REST_429 = "rest_429"


class Outgoing(NamedTuple):
    """A frame on its way to the subscribers of a stream."""

    stream: Stream
    payload: bytes
    trade_id: int
    """Id of the trade it carries, or -1."""


@dataclass(frozen=True, slots=True)
class Scope:
    """Which frames a fault concerns; what is None is not asked about."""

    market: Market | None = None
    symbol: str | None = None
    stream: str | None = None
    """A whole stream name (``btcusdt@trade``) or what follows the symbol (``trade``)."""

    def matches(self, stream: Stream) -> bool:
        if self.market is not None and stream.market is not self.market:
            return False
        if self.symbol is not None and stream.symbol != self.symbol:
            return False
        if self.stream is None:
            return True
        return self.stream in (stream.name, stream.name.partition("@")[2])

    @property
    def everything(self) -> bool:
        return self.market is None and self.symbol is None and self.stream is None


@dataclass(slots=True)
class Fault:
    """A fault that is on. ``left`` counts frames down, ``until`` is a monotonic time in seconds."""

    kind: FaultKind
    scope: Scope = field(default_factory=Scope)
    left: int | None = None
    until: float | None = None
    probability: float | None = None
    delay_s: float = 0.0
    held: deque[tuple[float, Outgoing]] = field(default_factory=deque)

    def over(self, now: float) -> bool:
        ended = (self.until is not None and now >= self.until) or (self.left is not None and self.left <= 0)
        return ended and not self.held

    def as_dict(self, now: float) -> dict[str, Any]:
        return {
            "kind": str(self.kind),
            "market": self.scope.market,
            "symbol": self.scope.symbol,
            "stream": self.scope.stream,
            "left": self.left,
            "seconds_left": None if self.until is None else round(max(0.0, self.until - now), 3),
            "probability": self.probability,
            "held": len(self.held),
        }


_ORDER = (
    FaultKind.SKIP,
    FaultKind.MUTE,
    FaultKind.DUPLICATE,
    FaultKind.REORDER,
    FaultKind.DELAY,
    FaultKind.STALL,
)


class Faults:
    """The faults that are on."""

    def __init__(self, seed: int = 0) -> None:
        self._random = random.Random(seed)
        self._faults: list[Fault] = []
        self.counts: dict[str, int] = dict.fromkeys(
            ("skipped", "muted", "duplicated", "reordered", "delayed"), 0
        )

    @property
    def active(self) -> bool:
        """Whether frames have to pass :meth:`admit` at all."""
        return bool(self._faults)

    def add(self, fault: Fault) -> None:
        self._faults.append(fault)
        self._faults.sort(key=lambda known: _ORDER.index(known.kind) if known.kind in _ORDER else -1)

    def reset(self) -> list[Outgoing]:
        """End all faults. Returns the frames that were held."""
        held = [frame for fault in self._faults for _, frame in fault.held]
        self._faults.clear()
        return held

    def is_on(self, kind: FaultKind, now: float) -> Fault | None:
        for fault in self._faults:
            if fault.kind is kind and not fault.over(now):
                return fault
        return None

    def silenced(self, now: float) -> bool:
        """Whether nothing at all may be sent, answers included."""
        return any(
            fault.kind is FaultKind.MUTE and fault.scope.everything and not fault.over(now)
            for fault in self._faults
        )

    def as_list(self, now: float) -> list[dict[str, Any]]:
        return [fault.as_dict(now) for fault in self._faults if not fault.over(now)]

    def admit(self, frame: Outgoing, now: float) -> list[Outgoing]:
        """The frames to send in place of one."""
        return self._pass([frame], 0, now)

    def _pass(self, frames: list[Outgoing], start: int, now: float) -> list[Outgoing]:
        for fault in self._faults[start:]:
            if not frames:
                break
            frames = [out for frame in frames for out in self._one(fault, frame, now)]
        return frames

    def _one(self, fault: Fault, frame: Outgoing, now: float) -> list[Outgoing]:
        if fault.over(now) or not fault.scope.matches(frame.stream):
            return [frame]
        match fault.kind:
            case FaultKind.SKIP:
                if fault.scope.stream is None and frame.stream.kind is not Kind.TRADE:
                    return [frame]
                if fault.probability is not None and self._random.random() >= fault.probability:
                    return [frame]
                self._spend(fault, "skipped")
                return []
            case FaultKind.MUTE:
                self._spend(fault, "muted")
                return []
            case FaultKind.DUPLICATE:
                self._spend(fault, "duplicated")
                return [frame, frame]
            case FaultKind.REORDER:
                fault.held.append((0.0, frame))
                return self._shuffled(fault) if len(fault.held) >= (fault.left or 0) else []
            case FaultKind.DELAY:
                self.counts["delayed"] += 1
                fault.held.append((now + fault.delay_s, frame))
                return []
            case FaultKind.STALL:
                fault.held.append((fault.until or now, frame))
                return []
            case _:
                return [frame]

    def _spend(self, fault: Fault, name: str) -> None:
        self.counts[name] += 1
        if fault.left is not None:
            fault.left -= 1

    def _shuffled(self, fault: Fault) -> list[Outgoing]:
        frames = [frame for _, frame in fault.held]
        fault.held.clear()
        fault.left = 0
        self.counts["reordered"] += len(frames)
        before = list(frames)
        while len(frames) > 1 and frames == before:
            self._random.shuffle(frames)
        return frames

    def release(self, now: float) -> list[Outgoing]:
        """Frames whose time has come, past the faults that follow the one that held them."""
        out: list[Outgoing] = []
        for at, fault in enumerate(self._faults):
            ripe: list[Outgoing] = []
            while fault.held and fault.kind is not FaultKind.REORDER and fault.held[0][0] <= now:
                ripe.append(fault.held.popleft()[1])
            if fault.kind is FaultKind.REORDER and fault.until is not None and now >= fault.until:
                ripe += self._shuffled(fault)
            out += self._pass(ripe, at + 1, now)
        self._faults = [fault for fault in self._faults if not fault.over(now)]
        return out
