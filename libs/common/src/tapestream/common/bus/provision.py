"""Streams and buckets are set up here, by one function, and nowhere else."""

from __future__ import annotations

import asyncio

import nats.errors
import structlog
from nats.js import api
from nats.js.errors import APIError, NotFoundError

from tapestream.common.bus.connection import Bus
from tapestream.common.contracts.streams import (
    BUCKET_FEEDS,
    BUCKET_INSTRUMENTS,
    BUCKET_SNAPSHOTS,
    BUCKET_WATCHES,
    DISK_SHARE,
    stream_plans,
)
from tapestream.common.errors import ProvisionError

log = structlog.get_logger(__name__)

_MIB = 1 << 20
_BUCKET_BYTES = {BUCKET_FEEDS: 1 * _MIB, BUCKET_INSTRUMENTS: 8 * _MIB, BUCKET_WATCHES: 1 * _MIB}
_SNAPSHOT_BYTES = 1024 * _MIB
BUCKET_SHARE = 0.03
"""Part of a small store that one bucket may take; snapshots take half of what streams leave."""


async def provision(bus: Bus, store_bytes: int) -> None:
    """Create or update every stream and bucket; call it at the start of any process.

    Sizes are part of ``store_bytes``: all ``max_bytes`` together stay within 80 % of the store,
    because a full store makes even small streams refuse. Retries while the server is away.
    Raises ProvisionError where the plan cannot be met.
    """
    plans = stream_plans(bus.subjects)
    if sum(plan.share for plan in plans) > 1:
        raise ProvisionError("the streams' shares add up to more than 1")
    while True:
        try:
            for plan in plans:
                await _ensure_stream(bus, plan.config(bus.subjects, store_bytes))
            for bucket, most in _BUCKET_BYTES.items():
                await _ensure_bucket(bus, bucket, min(most, int(store_bytes * BUCKET_SHARE)))
            await _ensure_snapshots(bus, min(_SNAPSHOT_BYTES, int(store_bytes * (1 - DISK_SHARE) / 2)))
        except (nats.errors.Error, TimeoutError, OSError) as error:
            if isinstance(error, APIError) and error.code is not None and 400 <= error.code < 500:
                raise ProvisionError(f"stream set-up refused: {error.description}") from error
            log.warning("provision_retry", error=str(error) or repr(error))
            await asyncio.sleep(0.3)
        else:
            return


async def _ensure_stream(bus: Bus, wanted: api.StreamConfig) -> None:
    assert wanted.name
    try:
        info = await bus.js.stream_info(wanted.name)
    except NotFoundError:
        await bus.js.add_stream(wanted)
        return
    have = info.config
    if (
        sorted(have.subjects or []) != sorted(wanted.subjects or [])
        or have.max_bytes != wanted.max_bytes
        or have.max_age != wanted.max_age
    ):
        wanted.persist_mode = have.persist_mode  # fixed when a stream is made
        await bus.js.update_stream(wanted)


async def _ensure_bucket(bus: Bus, bucket: str, most: int) -> None:
    name = bus.subjects.stream(bucket)
    try:
        await bus.js.stream_info(f"KV_{name}")
    except NotFoundError:
        await bus.js.create_key_value(api.KeyValueConfig(bucket=name, history=1, max_bytes=most))


async def _ensure_snapshots(bus: Bus, most: int) -> None:
    name = bus.subjects.stream(BUCKET_SNAPSHOTS)
    try:
        await bus.js.stream_info(f"OBJ_{name}")
    except NotFoundError:
        await bus.js.create_object_store(name, config=api.ObjectStoreConfig(bucket=name, max_bytes=most))
