"""``python -m tapestream.common.bus.sub 'md.trade.>'``: print what passes, as ``nats sub`` does."""

from __future__ import annotations

import asyncio
import contextlib
import sys

from tapestream.common.bus.connection import Bus
from tapestream.common.contracts.subjects import Subjects
from tapestream.common.settings import Settings


async def main(pattern: str) -> None:
    settings = Settings.load()
    url = settings.nats_url or f"nats://127.0.0.1:{settings.nats_port}"
    bus = await Bus.connect(url, "sub", Subjects(settings.subject_prefix))
    subscription = await bus.nc.subscribe(pattern)
    print(f"listening on {pattern} at {url}", file=sys.stderr)
    async for message in subscription.messages:
        print(message.subject, message.data.decode(errors="replace"), flush=True)


if __name__ == "__main__":
    with contextlib.suppress(KeyboardInterrupt):
        asyncio.run(main(sys.argv[1] if len(sys.argv) > 1 else ">"))
