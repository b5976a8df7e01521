"""What is wrong with a channel's URL, said when a rule is made and not at its first firing."""

from __future__ import annotations

import ipaddress
from dataclasses import dataclass
from urllib.parse import urlsplit

import httpx

from tapestream.alerts.addresses import FORBIDDEN, is_public, is_unguarded
from tapestream.alerts.masking import MASK
from tapestream.alerts.registry import channel_of

ALLOWED = (
    "https://… for a webhook, or a URL of a service as apprise writes it: tgram://, slack://, discord://, "
    "mailto://, ntfy://, json://, …"
)
LONGEST_HOST = 253


@dataclass(frozen=True)
class UrlCheck:
    allow_private: bool

    def fault(self, url: str) -> tuple[str, str] | None:
        """What is wrong, and what is allowed. Names are looked up when they are notified, not here."""
        if MASK in url:
            return "this URL is masked", "the URL itself, or the masked one of the same rule"
        if not url.isprintable():
            return "a control character, or one that is no text", "a URL of printable characters"
        if not _can_be_looked_up(url):
            return "this host can be no name of a host", ALLOWED
        if not self.allow_private and is_unguarded(url):
            return "this service does not let its addresses be checked", FORBIDDEN
        if channel_of(url) is None:
            return "no channel takes this URL", ALLOWED
        if not self.allow_private and _is_private(url):
            return "a private address is forbidden", f"a public address; {FORBIDDEN}"
        return None


def _can_be_looked_up(url: str) -> bool:
    """Whether a webhook's host can be written as a name of the DNS. Other services have hosts of their own."""
    if not url.lower().startswith(("http://", "https://")):
        return True
    try:
        host = httpx.URL(url).raw_host.decode("ascii")
        return ":" in host or len(host.encode("idna")) <= LONGEST_HOST
    except (httpx.InvalidURL, ValueError):
        return False


def _is_private(url: str) -> bool:
    host = (urlsplit(url).hostname or "").rstrip(".").lower()
    if host == "localhost" or host.endswith((".localhost", ".local", ".internal")):
        return True
    try:
        return not is_public(str(ipaddress.ip_address(host)))
    except ValueError:
        return False
