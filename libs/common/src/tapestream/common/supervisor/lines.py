"""How one line of a child looks on the console. Pure."""

from __future__ import annotations

import json
import zlib
from dataclasses import dataclass
from datetime import datetime
from typing import Any, cast

NAME_WIDTH = 11
_RESET, _DIM, _BOLD = "\x1b[0m", "\x1b[2m", "\x1b[1m"
_NAME_COLOURS = tuple(f"\x1b[{code}m" for code in (36, 35, 34, 32, 33, 96, 95, 94, 92))
_LEVEL_COLOURS = {"warning": "\x1b[33m", "error": "\x1b[31m", "critical": "\x1b[41m"}
_HIDDEN = {"event", "level", "timestamp", "service", "instance", "logger", "exception"}
"""Fields shown elsewhere in the line, or that its prefix says already."""


@dataclass(frozen=True)
class Style:
    """``tty``: for people, else for programs."""

    tty: bool
    colour: bool


def is_noise(name: str, text: str) -> bool:
    """Whether a third-party server's line says nothing that a user can act on."""
    match name:
        case "nats":
            return not any(level in text for level in ("[WRN]", "[ERR]", "[FTL]"))
        case "postgres":
            return text.startswith(("LOG:", "FATAL:  the database system is starting up")) or not text
        case _:
            return not text


def raw(name: str, text: str) -> str:
    """The line as it is, behind its name."""
    return f"{name:<{NAME_WIDTH}} | {text}\n"


def pretty(name: str, text: str, style: Style) -> str:
    """A JSON log line as ``time name level event key=value …``; any other line as it is."""
    prefix = _paint(f"{name:<{NAME_WIDTH}}", _name_colour(name), style)
    fields = _fields(text)
    if fields is None:
        return f"{'':12} {prefix} {text}\n"
    level = str(fields.get("level", "info"))
    shown = [
        _paint(_clock(fields.get("timestamp")), _DIM, style),
        prefix,
        _paint(f"{level:<7}", _LEVEL_COLOURS.get(level, _DIM), style),
        _paint(str(fields["event"]), _BOLD, style),
        *(
            f"{_paint(f'{key}=', _DIM, style)}{_value(value)}"
            for key, value in fields.items()
            if key not in _HIDDEN and not key.startswith("_")
        ),
    ]
    line = " ".join(shown) + "\n"
    if trace := fields.get("exception"):
        line += "".join(f"{'':13}{part}\n" for part in str(trace).splitlines())
    return line


def _fields(text: str) -> dict[str, Any] | None:
    if not text.startswith("{"):
        return None
    try:
        fields = json.loads(text)
    except ValueError:
        return None
    return cast("dict[str, Any]", fields) if isinstance(fields, dict) and "event" in fields else None


def _clock(timestamp: object) -> str:
    """Local time of day; the day is today's."""
    try:
        return datetime.fromisoformat(str(timestamp)).astimezone().strftime("%H:%M:%S.%f")[:12]
    except ValueError:
        return f"{'':12}"


def _value(value: object) -> str:
    if isinstance(value, str):
        return (
            value if value and not any(c in value for c in ' ="') else json.dumps(value, ensure_ascii=False)
        )
    return json.dumps(value, ensure_ascii=False)


def _name_colour(name: str) -> str:
    return _NAME_COLOURS[zlib.crc32(name.encode()) % len(_NAME_COLOURS)]


def _paint(text: str, code: str, style: Style) -> str:
    return f"{code}{text}{_RESET}" if style.colour else text
