"""Which addresses notifications may go to.

A user's URL must not reach into the network of the one who runs Tapestream (cloud metadata services, the
database, NATS). Names are therefore looked up by us, each address is checked, and the connection goes to
the address that was checked: a name that points elsewhere a moment later changes nothing.
"""

from __future__ import annotations

import asyncio
import contextlib
import ipaddress
import socket
import threading
from collections.abc import Iterator
from typing import Any

FORBIDDEN = "addresses that are not public are forbidden: ALERT_WEBHOOK_PRIVATE=true allows them"
UNGUARDED = ("syslog", "rsyslog", "growl")
"""Schemes of libraries that look names up past us, or that write to this very host."""
_NAT64 = ipaddress.ip_network("64:ff9b::/96")


class ForbiddenAddressError(OSError):
    """The host has an address that is not public."""


def is_unguarded(url: str) -> bool:
    """Whether a URL is of a service whose addresses cannot be checked."""
    return url.partition(":")[0].strip().lower() in UNGUARDED


def is_public(address: str) -> bool:
    """Whether an IP address is one of the public internet."""
    ip = ipaddress.ip_address(address.partition("%")[0])
    if isinstance(ip, ipaddress.IPv6Address):
        inner = ip.ipv4_mapped or ip.sixtofour or (ip.teredo[1] if ip.teredo else None)
        if inner is None and ip in _NAT64:
            inner = ipaddress.IPv4Address(int(ip) & 0xFFFF_FFFF)
        if inner is not None:
            return is_public(str(inner))
    return ip.is_global and not ip.is_multicast


async def resolve(host: str, port: int, *, allow_private: bool) -> str:
    """An address of a host. Raises OSError (ForbiddenAddressError where any of them is not public)."""
    found = await asyncio.get_running_loop().getaddrinfo(host, port, type=socket.SOCK_STREAM)
    _check(found, allow_private=allow_private)
    return str(found[0][4][0])


_lookup = socket.getaddrinfo
_guarded = threading.local()


def _guarded_lookup(*args: Any, **kwargs: Any) -> Any:
    found = _lookup(*args, **kwargs)
    if getattr(_guarded, "on", False):
        _check(found, allow_private=False)
    return found


@contextlib.contextmanager
def only_public() -> Iterator[None]:
    """In this thread, every name that a library looks up here must be public, or it gets an OSError.

    Libraries connect to what the lookup gave them, so that there is no second one to be deceived by.
    """
    socket.getaddrinfo = _guarded_lookup
    _guarded.on = True
    try:
        yield
    finally:
        _guarded.on = False


def _check(found: list[Any], *, allow_private: bool) -> None:
    if not found:
        raise OSError("this host has no address")
    if not allow_private and not all(is_public(one[4][0]) for one in found):
        raise ForbiddenAddressError(FORBIDDEN)
