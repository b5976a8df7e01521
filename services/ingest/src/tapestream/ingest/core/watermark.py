"""The watermark of a venue: up to which event time everything has been published."""

from __future__ import annotations

from collections.abc import Iterable

from tapestream.ingest.core.sequencer import TradeSequencer


class Watermark:
    """Newest event time less a small lag, stalled by symbols that may still bring something older."""

    def __init__(self, lag_ns: int, border_ns: int) -> None:
        self._lag_ns, self._border_ns = lag_ns, border_ns
        self._newest_ns = 0
        self._published_ns = 0

    def see(self, event_ns: int) -> bool:
        """Note the event time of a frame. True where it crosses a border of the shortest bar."""
        if event_ns <= self._newest_ns:
            return False
        crossed = (event_ns - self._lag_ns) // self._border_ns > self._published_ns // self._border_ns
        self._newest_ns = event_ns
        return crossed

    def advance(self, sequencers: Iterable[TradeSequencer]) -> int | None:
        """The watermark now, or None where it has not moved since the last call.

        A symbol that goes on after a restart does not know the time of its last trade: until it is
        verified nothing moves. A symbol without any trade yet holds up nobody.
        """
        mark = self._newest_ns - self._lag_ns
        for sequencer in sequencers:
            waiting = sequencer.held or not sequencer.verified
            if waiting and sequencer.last_id >= 0 and sequencer.last_ts_ns < mark:
                mark = sequencer.last_ts_ns
        if mark <= self._published_ns:
            return None
        self._published_ns = mark
        return mark
