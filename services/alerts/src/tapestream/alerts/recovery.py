"""What a former life has fired, read back from the stream."""

from __future__ import annotations

import asyncio
from datetime import datetime

import msgspec
import nats.errors
import structlog
from nats.js import api

from tapestream.common.bus.connection import Bus
from tapestream.common.bus.ordinals import read_now
from tapestream.common.contracts.alerts import AlertFired, RuleState
from tapestream.common.contracts.messages import decoder
from tapestream.common.contracts.streams import ALERTS

log = structlog.get_logger(__name__)

_decode = decoder(AlertFired).decode


async def recorded_firings(bus: Bus, since: datetime | None) -> list[tuple[int, int, int, RuleState]]:
    """Id, rule, version and state of each firing stored since an instant; waits while NATS is away."""
    while True:
        await bus.connected.wait()
        try:
            return await _read(bus, since)
        except (nats.errors.Error, TimeoutError, OSError) as error:
            log.debug("firings_retry", error=repr(error))
            await asyncio.sleep(0.2)


async def _read(bus: Bus, since: datetime | None) -> list[tuple[int, int, int, RuleState]]:
    config = api.ConsumerConfig(filter_subjects=[bus.subjects.all_alerts()])
    if since is not None:
        config.deliver_policy = api.DeliverPolicy.BY_START_TIME
        config.opt_start_time = since
    found: list[tuple[int, int, int, RuleState]] = []
    async for message in read_now(bus.js, bus.subjects.stream(ALERTS), config):
        try:
            fired = _decode(message.data)
        except msgspec.DecodeError as error:
            log.warning("firing_unreadable", subject=message.subject, error=str(error))
        else:
            found.append((fired.id, fired.rule_id, fired.version, fired.state))
    return found
