"""What the end of the start says: where things are."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Places:
    """Where things are. A server that is not ours has no more than its address here."""

    http: str
    nats_url: str
    postgres: str
    psql: str
    data_folder: Path
    feed: str
    took_s: float
    silent: tuple[str, ...] = ()
    """Programs that do not answer yet."""


def banner(places: Places) -> str:
    """The text."""
    bare = places.http.removeprefix("http://")
    rows = [
        ("HTTP", places.http),
        ("docs", f"{places.http}/docs"),
        ("WebSocket", f"ws://{bare}/ws"),
        ("NATS", f"{places.nats_url}    nats sub -s {places.nats_url} 'md.>'"),
        ("Postgres", places.postgres),
        ("", places.psql),
        ("data", str(places.data_folder)),
        ("feed", places.feed),
    ]
    state = f"is up after {places.took_s:.1f} s"
    if places.silent:
        state = f"has started; no answer yet from {', '.join(places.silent)}"
    lines = [f"  {label:<10} {text}".rstrip() for label, text in rows if text]
    return "\n".join(["", f"  Tapestream {state}. Ctrl-C stops it.", "", *lines, "", ""])
