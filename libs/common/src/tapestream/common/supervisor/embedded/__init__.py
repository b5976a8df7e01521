"""The servers that come as wheels, for ``make run`` and for tests.

>>> with EmbeddedNats(folder) as nats, EmbeddedPostgres(folder) as postgres:
...     nats.url, postgres.url
"""

from tapestream.common.supervisor.embedded.nats import EmbeddedNats
from tapestream.common.supervisor.embedded.postgres import EmbeddedPostgres
from tapestream.common.supervisor.embedded.server import EmbeddedServer, ServerStartError

__all__ = ["EmbeddedNats", "EmbeddedPostgres", "EmbeddedServer", "ServerStartError"]
