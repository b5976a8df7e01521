"""What is wrong with a channel's URL, said when a rule is made and not at its first firing."""

from __future__ import annotations

import ipaddress
from dataclasses import dataclass
from urllib.parse import urlsplit

from tapestream.alerts.addresses import FORBIDDEN, is_public
from tapestream.alerts.masking import MASK
from tapestream.alerts.registry import channel_of

ALLOWED = (
    "https://… for a webhook, or a URL of a service as apprise writes it: tgram://, slack://, discord://, "
    "mailto://, ntfy://, json://, …"
)


@dataclass(frozen=True)
class UrlCheck:
    allow_private: bool

    def fault(self, url: str) -> tuple[str, str] | None:
        """What is wrong, and what is allowed. Names are looked up when they are notified, not here."""
        if MASK in url:
            return "this URL is masked", "the URL itself, or the masked one of the same rule"
        if channel_of(url) is None:
            return "no channel takes this URL", ALLOWED
        if not self.allow_private and _is_private(url):
            return "a private address is forbidden", f"a public address; {FORBIDDEN}"
        return None


def _is_private(url: str) -> bool:
    host = (urlsplit(url).hostname or "").rstrip(".").lower()
    if host == "localhost" or host.endswith((".localhost", ".local", ".internal")):
        return True
    try:
        return not is_public(str(ipaddress.ip_address(host)))
    except ValueError:
        return False
