"""A fold over streams whose state survives restarts: snapshot and replay.

A durable consumer remembers a position, not half a bar. Here the state and what was read of each
input subject are saved together; a restart loads them and reads on from a little before. What the
state knows already is skipped by its ordinal, and what was written since by the ids that the output
stream holds, so the outputs of a deterministic fold exist once.

Messages of one stream come in its order. Those of several streams are shown, while a fold catches up, in
the order in which they were stored, so that a stream that is read faster does not run ahead of another.
That is nearly the order of the former life, and not surely the same: a fold whose outputs depend on it
takes what its former life wrote from the output stream (``on_restored``) before it goes on.
"""

from __future__ import annotations

import asyncio
import time
from collections import deque
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from datetime import UTC, datetime

import msgspec
import nats.errors
import structlog
from nats.js.errors import ObjectNotFoundError
from prometheus_client import Counter, Gauge, Histogram

from tapestream.common.bus.connection import Bus
from tapestream.common.bus.fold import Fold, Incoming, Output
from tapestream.common.bus.headers import CAUSE, ERROR, MSG_ID, ORDINAL, ORIGIN
from tapestream.common.bus.live import REWIND_S, LiveReader
from tapestream.common.bus.publisher import ResumingPublisher
from tapestream.common.bus.wire import read_headers
from tapestream.common.contracts.streams import BUCKET_SNAPSHOTS

log = structlog.get_logger(__name__)

SNAPSHOT_EVERY_S = 5.0
CATCH_UP_S = 0.02
SAFE_AFTER_S = 1.0
"""A snapshot counts its outputs as written, so it is stored only when the server has surely put
them on disk: acknowledged this long ago (it flushes within 8 ms)."""

_applied = Counter("tapestream_fold_messages_total", "Messages a fold took in", ["fold"])
_poison = Counter("tapestream_fold_poison_total", "Messages a fold could not read", ["fold"])
_snapshot_bytes = Gauge("tapestream_snapshot_bytes", "Size of the last snapshot", ["fold"])
_apply_seconds = Histogram(
    "tapestream_fold_apply_seconds", "Time to take in one message", ["fold"],
    buckets=(0.00001, 0.000025, 0.00005, 0.0001, 0.00025, 0.0005, 0.001, 0.005, 0.025, 0.1, 1),
)  # fmt: skip
_lag = Gauge("tapestream_fold_pending_messages", "Messages the stream holds for a fold", ["fold"])


class _Snapshot(msgspec.Struct):
    v: int
    stored_ns: int | dict[str, int]
    """Stream → time of the last message; a number where a release with one stream wrote it."""
    seen: dict[str, int]
    state: bytes


class StatefulConsumer:
    """Drives a fold from one or more streams into one publisher."""

    def __init__(
        self,
        bus: Bus,
        *,
        name: str,
        sources: Mapping[str, Sequence[str]],
        fold: Fold,
        publisher: ResumingPublisher,
        on_degraded: Callable[[str], None],
        begin: datetime | None = None,
        on_restored: Callable[[datetime | None, set[str]], Awaitable[None]] | None = None,
    ) -> None:
        """``sources``: stream → filters. ``begin``: where to read from without a snapshot, None for all.

        ``on_restored`` is awaited when the snapshot is loaded and before anything is read. It is given the
        time since when outputs may lack in the state (None: always), and their ids.
        """
        self._bus, self._name, self._fold, self._publisher = bus, name, fold, publisher
        self._sources = sources
        self._on_degraded, self._on_restored = on_degraded, on_restored
        self._begin = begin
        self._seen: dict[str, int] = {}
        self._ordinals: dict[str, int] = {}
        self._written: set[str] = set()
        """Ids of outputs that a life before this one wrote after the snapshot."""
        self._stored_ns: dict[str, int] = {}
        self._positions: dict[str, int] = {}
        self._held: dict[str, deque[Incoming]] = {stream: deque() for stream in sources}
        """What waits for other streams to come as far, while catching up."""
        self._tasks: set[asyncio.Task[None]] = set()
        self._applied = _applied.labels(name)
        self._apply_seconds = _apply_seconds.labels(name)
        self._lag = _lag.labels(name)
        self.readers: list[LiveReader] = []

    async def run(self) -> None:
        """Restore, then read until cancelled."""
        await self._restore()
        newest_ns = max(self._stored_ns.values(), default=0)
        saved = _shortly_before(newest_ns) if newest_ns else self._begin
        self._written = await self._publisher.ids_since(saved)
        if self._on_restored is not None:
            await self._on_restored(saved, self._written)
        self.readers = [
            LiveReader(
                self._bus,
                stream=stream,
                filters=list(filters),
                handle=self._take_in if len(self._sources) == 1 else self._receive,
                start=_shortly_before(self._stored_ns[stream]) if stream in self._stored_ns else self._begin,
            )
            for stream, filters in self._sources.items()
        ]
        async with asyncio.TaskGroup() as group:
            for reader in self.readers:
                group.create_task(reader.run())
            group.create_task(self._save_now_and_then())
            group.create_task(self._catch_up())

    @property
    def caught_up(self) -> bool:
        """Whether all that the streams held at the start has been read."""
        return bool(self.readers) and all(reader.caught_up.is_set() for reader in self.readers)

    def emit(self, outputs: Iterable[Output]) -> None:
        """Write what the fold derives without a message; call it once everything stored has been read."""
        cause = self._cause
        for output in outputs:
            self._write(output, cause)

    # --- reading

    async def _catch_up(self) -> None:
        """A stream that turns out to have nothing more lets the others pass."""
        while not self.caught_up or any(self._held.values()):
            await asyncio.sleep(CATCH_UP_S)
            self._show_held()

    def _receive(self, message: Incoming) -> None:
        self._held[message.stream].append(message)
        self._show_held()

    def _show_held(self) -> None:
        """Show what waits, oldest first, as long as no stream can bring anything older."""
        behind = [
            self._held[stream]
            for stream, reader in zip(self._sources, self.readers, strict=False)
            if not reader.caught_up.is_set()
        ]
        while all(behind):
            waiting = [held for held in self._held.values() if held]
            if not waiting:
                return
            self._take_in(min(waiting, key=lambda held: held[0].stored_ns).popleft())

    def _take_in(self, message: Incoming) -> None:
        try:
            if self._is_known(message):
                return
            self._lag.set(message.pending)
            began = time.perf_counter()
            outputs = list(self._fold.apply(message))
            self._apply_seconds.observe(time.perf_counter() - began)
        except ValueError as error:
            self._reject(message, str(error))
            return
        self._applied.inc()
        stream = message.stream
        self._stored_ns[stream] = max(self._stored_ns.get(stream, 0), message.stored_ns)
        self._positions[stream] = message.seq
        if outputs:
            self.emit(outputs)

    @property
    def _cause(self) -> str:
        """The last message seen of each stream."""
        return ",".join(f"{stream}={seq}" for stream, seq in self._positions.items())

    def _is_known(self, message: Incoming) -> bool:
        """Whether the state holds this message; if not, note that it does from now on."""
        text = read_headers(message.head).get(ORDINAL, "")
        if not text.isdigit():
            return False
        ordinal = int(text)
        if ordinal <= self._seen.get(message.subject, -1):
            return True
        self._seen[message.subject] = ordinal
        return False

    def _write(self, output: Output, cause: str) -> None:
        subject = output.subject
        if f"{subject}:{output.key}" in self._written:
            return
        last = self._ordinals.get(subject) or self._publisher.stored_ordinal(subject) or 0
        self._ordinals[subject] = last + 1
        self._publisher.put(subject, last + 1, output.payload, {CAUSE: cause}, output.key)

    def _reject(self, message: Incoming, error: str) -> None:
        _poison.labels(self._name).inc()
        origin = f"{message.subject} {message.stream} {message.seq}"
        log.error("dead_letter", origin=origin, error=error)
        self._on_degraded(
            f"message {message.seq} of {message.stream} could not be read and is in the dead letters"
        )
        task = asyncio.create_task(self._dead_letter(message, origin, error))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _dead_letter(self, message: Incoming, origin: str, error: str) -> None:
        subject = self._bus.subjects.dead_letter(message.stream, self._name)
        headers = {ERROR: error[:500].replace("\n", " "), ORIGIN: origin, MSG_ID: f"{self._name}:{origin}"}
        while True:
            try:
                await self._bus.js.publish(subject, message.data, headers=headers)
            except (nats.errors.Error, TimeoutError, OSError):
                await asyncio.sleep(0.5)
            else:
                return

    # --- snapshots

    async def _restore(self) -> None:
        while True:
            await self._bus.connected.wait()
            try:
                store = await self._bus.js.object_store(self._bus.subjects.stream(BUCKET_SNAPSHOTS))
                found = await store.get(self._name)
                break
            except ObjectNotFoundError:
                log.info("no_snapshot", fold=self._name)
                return
            except (nats.errors.Error, TimeoutError, OSError) as error:
                log.warning("snapshot_unreachable", fold=self._name, error=repr(error))
                await asyncio.sleep(0.3)
        try:
            snapshot = msgspec.msgpack.decode(found.data or b"", type=_Snapshot)
            self._fold.load(snapshot.state)
        except msgspec.MsgspecError as error:
            log.warning(
                "snapshot_unreadable", fold=self._name, error=str(error), instead="reading the stream anew"
            )
            return
        self._seen = snapshot.seen
        stored_ns = snapshot.stored_ns
        self._stored_ns = (
            stored_ns if isinstance(stored_ns, dict) else dict.fromkeys(self._sources, stored_ns)
        )
        log.info("snapshot_restored", fold=self._name, subjects=len(self._seen))

    async def _save_now_and_then(self) -> None:
        last_ns = dict(self._stored_ns)
        while True:
            await asyncio.sleep(SNAPSHOT_EVERY_S)
            if self._stored_ns == last_ns:
                continue
            last_ns = dict(self._stored_ns)
            if self.caught_up:
                self._written.clear()
            try:
                await self.save()
            except (nats.errors.Error, TimeoutError, OSError) as error:
                log.warning("snapshot_failed", fold=self._name, error=repr(error))

    async def save(self) -> None:
        """Store the state as it is now, once everything it has written is safe."""
        if not self.readers:
            return  # nothing was restored yet: an empty state must not replace what is stored
        data = msgspec.msgpack.encode(
            _Snapshot(
                v=2,
                stored_ns=self._stored_ns,
                seen=self._seen,
                state=self._fold.dump(),
            )
        )
        await self._publisher.drained()
        await asyncio.sleep(SAFE_AFTER_S)
        store = await self._bus.js.object_store(self._bus.subjects.stream(BUCKET_SNAPSHOTS))
        await store.put(self._name, data)
        _snapshot_bytes.labels(self._name).set(len(data))


def _shortly_before(stored_ns: int) -> datetime:
    return datetime.fromtimestamp(stored_ns / 1e9 - REWIND_S, tz=UTC)
