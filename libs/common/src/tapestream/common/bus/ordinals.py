"""What a stream already holds, told by the headers of its messages."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator
from datetime import datetime

import nats.errors
from nats.aio.msg import Msg
from nats.js import JetStreamContext, api

from tapestream.common.bus.headers import MSG_ID, ORDINAL

_PAGE = 500


async def last_ordinals(js: JetStreamContext, stream: str, filters: list[str]) -> dict[str, int]:
    """Subject → ordinal of its last stored message, for all subjects that match the filters.

    ``stream`` is its full name. Raises nats errors and TimeoutError while the server is away.
    """
    config = api.ConsumerConfig(deliver_policy=api.DeliverPolicy.LAST_PER_SUBJECT, filter_subjects=filters)
    ordinals: dict[str, int] = {}
    async for message in read_now(js, stream, config, headers_only=True):
        text = (message.headers or {}).get(ORDINAL)
        if text is not None and text.isdigit():
            ordinals[message.subject] = int(text)
    return ordinals


async def stored_ids(
    js: JetStreamContext, stream: str, filters: list[str], since: datetime | None
) -> set[str]:
    """Message ids that a stream holds, of those stored since an instant, or of all.

    Raises as :func:`last_ordinals` does.
    """
    config = api.ConsumerConfig(filter_subjects=filters)
    if since is not None:
        config.deliver_policy = api.DeliverPolicy.BY_START_TIME
        config.opt_start_time = since
    found = read_now(js, stream, config, headers_only=True)
    return {(message.headers or {}).get(MSG_ID, "") async for message in found}


async def read_now(
    js: JetStreamContext, stream: str, config: api.ConsumerConfig, *, headers_only: bool = False
) -> AsyncIterator[Msg]:
    """The messages that a consumer of this configuration finds now; it does not outlive the reading."""
    config.ack_policy = api.AckPolicy.NONE
    config.headers_only = headers_only
    config.mem_storage = True
    config.inactive_threshold = 30
    info = await js.add_consumer(stream, config)
    subscription = await js.pull_subscribe_bind(info.name, stream=stream)
    left, got = info.num_pending or 0, 0
    try:
        while got < left:
            try:
                messages = await subscription.fetch(min(_PAGE, left - got), timeout=2)
            except nats.errors.TimeoutError:
                now = await js.consumer_info(stream, info.name)
                if now.num_pending or now.delivered is None or now.delivered.consumer_seq != got:
                    raise  # a server that is silent, which is not the same as nothing there
                break  # some have gone meanwhile: those that are there have been seen
            got += len(messages)
            for message in messages:
                yield message
    finally:
        await subscription.unsubscribe()
        with contextlib.suppress(nats.errors.Error):  # else it goes by itself after half a minute
            await js.delete_consumer(stream, info.name)
