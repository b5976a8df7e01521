"""Checks of ports, before anything starts."""

from __future__ import annotations

import random
import socket
from collections.abc import Iterable
from dataclasses import dataclass

from tapestream.common.errors import PortTakenError, SettingsError


@dataclass(frozen=True)
class NeededPort:
    """A port that something is about to bind, and the setting that moves it."""

    host: str
    port: int
    setting: str
    purpose: str


def check_ports(needed: Iterable[NeededPort]) -> None:
    """Raises PortTakenError for the first port that cannot be bound."""
    seen: dict[int, NeededPort] = {}
    for each in needed:
        other = seen.setdefault(each.port, each)
        if other is not each:
            raise SettingsError(
                f"{each.setting}={each.port} is also the port of {other.purpose} ({other.setting}); "
                f"give each its own"
            )
        if not can_bind(each.host, each.port):
            raise PortTakenError(each.host, each.port, each.setting, each.purpose)


def can_bind(host: str, port: int) -> bool:
    """Whether a server could bind this address now. Raises SettingsError for an unknown host."""
    try:
        family, kind, proto, _, address = socket.getaddrinfo(
            host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        )[0]
    except socket.gaierror:
        raise SettingsError(f"HOST={host}: not an address of this machine") from None
    with socket.socket(family, kind, proto) as probe:
        # As servers do: connections of an earlier run that linger are no obstacle.
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(address)
        except OSError:
            return False
    return True


def free_port() -> int:
    """A free port on loopback, below the range that outgoing connections take theirs from."""
    while True:
        port = random.SystemRandom().randint(20_000, 32_000)
        if can_bind("127.0.0.1", port):
            return port
