"""Reading and following key-value buckets."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

import msgspec
import nats.errors
import structlog
from nats.js.api import Header
from nats.js.errors import APIError, KeyNotFoundError, NoKeysError
from nats.js.kv import KeyValue

from tapestream.common.bus.connection import Bus
from tapestream.common.contracts.messages import FeedWant, Instrument, decoder, encode
from tapestream.common.contracts.streams import BUCKET_FEEDS, BUCKET_INSTRUMENTS

log = structlog.get_logger(__name__)

REFRESH_S = 1.0
"""How often a bucket is asked whether it has changed: cheap, and right after any reconnect."""
_WRONG_LAST_SEQUENCE = 10071
"""The server's error code for a write that expected another last message."""
_decode_instrument = decoder(Instrument).decode
_decode_want = decoder(FeedWant).decode


async def follow_instruments(bus: Bus, apply: Callable[[list[Instrument]], None]) -> None:
    """Hand on all instruments at first and whenever one has changed, until cancelled."""
    name = bus.subjects.stream(BUCKET_INSTRUMENTS)
    seen = -1
    while True:
        try:
            newest = (await bus.js.stream_info(f"KV_{name}")).state.last_seq
            if newest != seen:
                apply(await _read_instruments(bus, name))
                seen = newest
        except (nats.errors.Error, TimeoutError, OSError) as error:
            log.debug("instruments_unreadable", error=repr(error))
        await asyncio.sleep(REFRESH_S)


async def _read_instruments(bus: Bus, name: str) -> list[Instrument]:
    bucket = await bus.js.key_value(name)
    watcher = await bucket.watchall(ignore_deletes=True)
    found: list[Instrument] = []
    try:
        while (entry := await watcher.updates(timeout=5)) is not None:
            value = getattr(entry, "value", None)
            if value is None:
                break
            try:
                found.append(_decode_instrument(value))
            except msgspec.DecodeError as error:
                log.warning("instrument_unreadable", error=str(error))
    finally:
        await watcher.stop()
    return found


async def read_wants(bus: Bus) -> dict[str, FeedWant]:
    """What every owner wants. Raises nats errors and TimeoutError."""
    bucket = await bus.js.key_value(bus.subjects.stream(BUCKET_FEEDS))
    try:
        owners = await bucket.keys()
    except NoKeysError:
        return {}
    wants: dict[str, FeedWant] = {}
    for owner in owners:
        want = await _read_want(bucket, owner)
        if want is not None:
            wants[owner] = want
    return wants


async def _read_want(bucket: KeyValue, owner: str) -> FeedWant | None:
    try:
        entry = await bucket.get(owner)
    except KeyNotFoundError:
        return None
    try:
        return _decode_want(entry.value or b"")
    except msgspec.DecodeError as error:
        log.warning("feed_want_unreadable", owner=owner, error=str(error))
        return None


async def feeds_revision(bus: Bus) -> int:
    """Revision of the newest entry of the bucket, whoever wrote it."""
    return (await bus.js.stream_info(f"KV_{bus.subjects.stream(BUCKET_FEEDS)}")).state.last_seq


async def write_want(bus: Bus, owner: str, want: FeedWant, revision: int) -> bool:
    """Write what an owner wants; False where anybody wrote anything into the bucket since ``revision``.

    A rule over all owners, such as how many symbols may stream, holds only so: two who look at once
    and write each their own would break it together.
    """
    subject = f"$KV.{bus.subjects.stream(BUCKET_FEEDS)}.{owner}"
    try:
        await bus.js.publish(
            subject, encode(want), headers={Header.EXPECTED_LAST_SEQUENCE.value: str(revision)}
        )
    except APIError as error:
        if error.err_code != _WRONG_LAST_SEQUENCE:
            raise
        return False
    return True
