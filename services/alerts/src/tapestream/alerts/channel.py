"""What a way to notify must be able to do."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

from tapestream.common.contracts.alerts import AlertEvent


class DeliveryError(Exception):
    """A try to notify failed. The text has no secrets; ``is_final`` says that trying again is of no use."""

    def __init__(self, text: str, *, is_final: bool = False) -> None:
        super().__init__(text)
        self.is_final = is_final


@dataclass(frozen=True)
class Delivery:
    """One firing on its way to one URL."""

    id: int
    """The same at each try: by it a receiver recognises what it has had."""
    url: str
    event: AlertEvent
    attempt: int


@dataclass(frozen=True)
class SendOptions:
    timeout_s: float
    allow_private: bool
    """Whether it may go to addresses that are not public."""
    secret: str
    """Key of signatures, empty for none."""


class Channel(Protocol):
    name: str

    def takes(self, url: str) -> bool:
        """Whether this is a URL of the channel."""
        ...

    async def send(self, delivery: Delivery, options: SendOptions) -> None:
        """Notify. Raises DeliveryError."""
        ...
