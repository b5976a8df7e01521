"""Reading a key-value bucket as a whole.

The client's own listing leaves a consumer behind for five minutes each time, and the server allows a
thousand of them; here it is deleted when it has been read.
"""

from __future__ import annotations

import msgspec
import structlog
from nats.js import api

from tapestream.common.bus.connection import Bus
from tapestream.common.bus.ordinals import read_now
from tapestream.common.contracts.messages import FeedWant, Instrument, decoder
from tapestream.common.contracts.signals import PairWatches
from tapestream.common.contracts.streams import BUCKET_FEEDS, BUCKET_INSTRUMENTS, BUCKET_WATCHES

log = structlog.get_logger(__name__)

_OPERATION = "KV-Operation"
"""Header of an entry that is no value but the mark of a deletion."""
_decode_want = decoder(FeedWant).decode
_decode_watches = decoder(PairWatches).decode
_decode_instrument = decoder(Instrument).decode


async def bucket_revision(bus: Bus, bucket: str) -> int:
    """Revision of the newest entry, whoever wrote it. Raises nats errors and TimeoutError."""
    return (await bus.js.stream_info(_stream(bus, bucket))).state.last_seq


async def read_bucket(bus: Bus, bucket: str) -> dict[str, bytes]:
    """Key → value of all there is. Raises nats errors and TimeoutError."""
    prefix = key_subject(bus, bucket, "")
    config = api.ConsumerConfig(
        deliver_policy=api.DeliverPolicy.LAST_PER_SUBJECT, filter_subjects=[f"{prefix}>"]
    )
    found: dict[str, bytes] = {}
    async for message in read_now(bus.js, _stream(bus, bucket), config):
        if _OPERATION not in (message.headers or {}):
            found[message.subject.removeprefix(prefix)] = message.data
    return found


async def read_wants(bus: Bus) -> dict[str, FeedWant]:
    """Owner → what it wants streaming; what cannot be read is logged. Raises nats errors and TimeoutError."""
    wants: dict[str, FeedWant] = {}
    for owner, value in (await read_bucket(bus, BUCKET_FEEDS)).items():
        try:
            wants[owner] = _decode_want(value)
        except msgspec.DecodeError as error:
            log.warning("feed_want_unreadable", owner=owner, error=str(error))
    return wants


async def read_watches(bus: Bus) -> dict[str, PairWatches]:
    """Owner → the pairs it wants watched; what cannot be read is logged. Raises nats errors and TimeoutError."""
    watches: dict[str, PairWatches] = {}
    for owner, value in (await read_bucket(bus, BUCKET_WATCHES)).items():
        try:
            watches[owner] = _decode_watches(value)
        except msgspec.DecodeError as error:
            log.warning("watches_unreadable", owner=owner, error=str(error))
    return watches


async def read_instruments(bus: Bus) -> list[Instrument]:
    """All instruments that are listed; what cannot be read is logged. Raises nats errors and TimeoutError."""
    found: list[Instrument] = []
    for value in (await read_bucket(bus, BUCKET_INSTRUMENTS)).values():
        try:
            found.append(_decode_instrument(value))
        except msgspec.DecodeError as error:
            log.warning("instrument_unreadable", error=str(error))
    return found


async def remove_key(bus: Bus, bucket: str, key: str, up_to: int) -> None:
    """Remove a key without a trace, unless it was written after revision ``up_to``."""
    await bus.js.purge_stream(_stream(bus, bucket), seq=up_to + 1, subject=key_subject(bus, bucket, key))


def key_subject(bus: Bus, bucket: str, key: str) -> str:
    """The subject that a key's values are written to."""
    return f"$KV.{bus.subjects.stream(bucket)}.{key}"


def _stream(bus: Bus, bucket: str) -> str:
    return f"KV_{bus.subjects.stream(bucket)}"
