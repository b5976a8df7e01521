"""Reading and following key-value buckets."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

import nats.errors
import structlog
from nats.js.api import Header
from nats.js.errors import APIError

from tapestream.common.bus.buckets import bucket_revision, key_subject, read_instruments, remove_key
from tapestream.common.bus.connection import Bus
from tapestream.common.contracts.feeds import DEFAULT_OWNER
from tapestream.common.contracts.messages import FeedWant, Instrument, encode
from tapestream.common.contracts.streams import BUCKET_FEEDS, BUCKET_INSTRUMENTS

log = structlog.get_logger(__name__)

REFRESH_S = 1.0
"""How often a bucket is asked whether it has changed: cheap, and right after any reconnect."""
_WRONG_LAST_SEQUENCE = 10071
"""The server's error code for a write that expected another last message."""


async def follow_instruments(bus: Bus, apply: Callable[[list[Instrument]], None]) -> None:
    """Hand on all instruments at first and whenever one has changed, until cancelled."""
    seen = -1
    while True:
        try:
            newest = await bucket_revision(bus, BUCKET_INSTRUMENTS)
            if newest != seen:
                apply(await read_instruments(bus))
                seen = newest
        except (nats.errors.Error, TimeoutError, OSError) as error:
            log.debug("instruments_unreadable", error=repr(error))
        await asyncio.sleep(REFRESH_S)


async def feeds_revision(bus: Bus) -> int:
    """Revision of the newest entry of the bucket, whoever wrote it."""
    return await bucket_revision(bus, BUCKET_FEEDS)


async def write_want(bus: Bus, owner: str, want: FeedWant, revision: int) -> bool:
    """Write what an owner wants; False where anybody wrote anything into the bucket since ``revision``.

    A rule over all owners, such as how many symbols may stream, holds only so: two who look at once
    and write each their own would break it together.
    """
    try:
        written = await bus.js.publish(
            key_subject(bus, BUCKET_FEEDS, owner),
            encode(want),
            headers={Header.EXPECTED_LAST_SEQUENCE.value: str(revision)},
        )
    except APIError as error:
        if error.err_code != _WRONG_LAST_SEQUENCE:
            raise
        return False
    if not want.symbols and owner != DEFAULT_OWNER:  # as good as none: names are not kept for ever
        await remove_key(bus, BUCKET_FEEDS, owner, written.seq)
    return True
