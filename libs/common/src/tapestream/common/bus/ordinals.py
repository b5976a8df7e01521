"""What a stream already holds: the ordinal of the last message of each subject."""

from __future__ import annotations

import contextlib

import nats.errors
from nats.js import JetStreamContext, api

from tapestream.common.bus.headers import ORDINAL


async def last_ordinals(js: JetStreamContext, stream: str, filters: list[str]) -> dict[str, int]:
    """Subject → ordinal of its last stored message, for all subjects that match the filters.

    ``stream`` is its full name. Raises nats errors and TimeoutError while the server is away.
    """
    info = await js.add_consumer(
        stream,
        api.ConsumerConfig(
            deliver_policy=api.DeliverPolicy.LAST_PER_SUBJECT,
            ack_policy=api.AckPolicy.NONE,
            filter_subjects=filters,
            headers_only=True,
            mem_storage=True,
            inactive_threshold=30,
        ),
    )
    subscription = await js.pull_subscribe_bind(info.name, stream=stream)
    ordinals: dict[str, int] = {}
    expected = info.num_pending or 0
    try:
        seen = 0
        while seen < expected:
            try:
                messages = await subscription.fetch(min(500, expected - seen), timeout=2)
            except nats.errors.TimeoutError:
                break  # subjects may have moved on meanwhile: each is still seen once at most
            for message in messages:
                seen += 1
                text = (message.headers or {}).get(ORDINAL)
                if text is not None:
                    ordinals[message.subject] = int(text)
    finally:
        await subscription.unsubscribe()
        with contextlib.suppress(nats.errors.Error):  # else it goes by itself after half a minute
            await js.delete_consumer(stream, info.name)
    return ordinals
