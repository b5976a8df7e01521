"""Between the streams and the evaluator: messages in, firings out."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable

from tapestream.alerts import figures
from tapestream.alerts.core.evaluator import Evaluator
from tapestream.common.bus.fold import Incoming, Output
from tapestream.common.contracts.alerts import AlertFired
from tapestream.common.contracts.messages import Bar, Clock, TradeBatch, decoder, encode
from tapestream.common.contracts.signals import PairSignal, Radar
from tapestream.common.contracts.subjects import Subjects

_trades = decoder(TradeBatch).decode
_clock = decoder(Clock).decode
_bar = decoder(Bar).decode
_pair = decoder(PairSignal).decode
_radar = decoder(Radar).decode
_Reader = Callable[[bytes, int], None]


class AlertsFold:
    """See :class:`tapestream.common.bus.fold.Fold`; what a restart does is told in :mod:`.core.evaluator`."""

    def __init__(self, subjects: Subjects) -> None:
        self._subjects = subjects
        self._outputs: list[Output] = []
        self._readers: dict[str, _Reader] = {}
        """By subject, so that each is taken apart once."""
        self.evaluator = Evaluator(self._on_fired)

    def apply(self, message: Incoming) -> Iterable[Output]:
        reader = self._readers.get(message.subject)
        if reader is None:
            reader = self._readers[message.subject] = self._reader_of(message.subject)
        self.evaluator.positions[message.stream] = message.seq
        reader(message.data, message.stored_ns)
        if not self._outputs:
            return ()
        outputs, self._outputs = self._outputs, []
        return outputs

    def dump(self) -> bytes:
        return self.evaluator.dump()

    def load(self, data: bytes) -> None:
        self.evaluator.load(data)

    def _on_fired(self, fired: AlertFired) -> None:
        # encoded at once: its state is the rule's own, and goes on changing
        key = f"{fired.version}:{fired.ordinal}"
        self._outputs.append(Output(self._subjects.alert_fired(fired.rule_id), key, encode(fired)))
        figures.FIRED.labels(fired.severity).inc()
        if fired.recv_ns:
            figures.FIRE_SECONDS.observe((time.time_ns() - fired.recv_ns) / 1e9)

    def _reader_of(self, subject: str) -> _Reader:
        evaluator = self.evaluator
        if subject.startswith(self._subjects.all_signals()[:-1]):
            return self._signal_reader(subject)
        parsed = self._subjects.parse_market(subject)
        match parsed.kind:
            case "trade":
                return lambda data, stored_ns: evaluator.on_trades(_checked(_trades(data)), stored_ns)
            case "backfill":
                return lambda data, _: self._count_late(_trades(data))
            case "clock":
                return lambda data, stored_ns: evaluator.on_clock(parsed.venue, _clock(data).ts_ns, stored_ns)
            case "bar":
                return lambda data, stored_ns: evaluator.on_bar(_bar(data), stored_ns)
            case _:
                return lambda _, __: None

    def _signal_reader(self, subject: str) -> _Reader:
        evaluator = self.evaluator
        if subject.startswith(self._subjects.radar("")):
            return lambda data, stored_ns: evaluator.on_radar(_radar(data), stored_ns)
        try:
            self._subjects.parse_pair(subject)
        except ValueError:
            return lambda _, __: None  # a kind of signal that no metric is about
        return lambda data, stored_ns: evaluator.on_pair(_pair(data), stored_ns)

    def _count_late(self, batch: TradeBatch) -> None:
        self.evaluator.counts.late_trades += len(batch.id)


def _checked(batch: TradeBatch) -> TradeBatch:
    """Raise ValueError for a batch that cannot be right, before anything has changed."""
    rows = len(batch.id)
    if not rows == len(batch.ts_ns) == len(batch.price) or (batch.kind and len(batch.kind) != rows):
        raise ValueError(f"columns of different lengths: {rows} ids")
    return batch
