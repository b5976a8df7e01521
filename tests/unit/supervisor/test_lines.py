from __future__ import annotations

import json

import pytest

from tapestream.common.supervisor.lines import Style, is_noise, pretty, raw

PEOPLE = Style(tty=True, colour=False)


def test_json_becomes_time_name_level_event_and_values() -> None:
    text = json.dumps(
        {
            "event": "feed_started",
            "level": "info",
            "timestamp": "2026-01-02T03:04:05.678900Z",
            "service": "ingest",
            "instance": "0",
            "symbol": "BTCUSDT",
            "why": "asked by a client",
            "n": 3,
        }
    )
    line = pretty("ingest", text, PEOPLE)
    assert ":04:05.678 ingest" in line
    assert line.endswith('info    feed_started symbol=BTCUSDT why="asked by a client" n=3\n')
    assert "service" not in line


def test_a_trace_follows_its_line() -> None:
    line = pretty("bars", json.dumps({"event": "crashed", "exception": "Traceback\n  here"}), PEOPLE)
    assert line.splitlines()[1:] == [" " * 13 + "Traceback", " " * 13 + "  here"]


@pytest.mark.parametrize("text", ["plain words", "{not json", '["a list"]', '{"no": "event"}'])
def test_other_lines_stay_as_they_are(text: str) -> None:
    assert pretty("bars", text, PEOPLE).endswith(f" {text}\n")
    assert raw("bars", text) == f"bars        | {text}\n"


def test_colour_only_where_it_is_wanted() -> None:
    text = json.dumps({"event": "x", "level": "error"})
    assert "\x1b[" not in pretty("bars", text, PEOPLE)
    assert "\x1b[31m" in pretty("bars", text, Style(tty=True, colour=True))


@pytest.mark.parametrize(
    ("name", "text", "noise"),
    [
        ("nats", "[7] [INF] Server is ready", True),
        ("nats", "[7] [WRN] JetStream is slow", False),
        ("postgres", "LOG:  database system is ready to accept connections", True),
        ("postgres", "FATAL:  the database system is starting up", True),
        ("postgres", "FATAL:  could not write to file: No space left on device", False),
        ("ingest", "LOG:  mine", False),
    ],
)
def test_third_party_noise_is_left_out(name: str, text: str, noise: bool) -> None:
    assert is_noise(name, text) is noise
