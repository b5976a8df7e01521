"""Logs without secrets, and one trace id from a request to all that it causes."""

from __future__ import annotations

import re
from collections.abc import Iterator

import pytest
import structlog

from tapestream.common.telemetry.logs import redact
from tapestream.common.telemetry.trace import start_trace

TRACE_ID = "4bf92f3577b34da6a3ce929d0e0e4736"
FORM = re.compile(r"00-([0-9a-f]{32})-([0-9a-f]{16})-01")


@pytest.fixture(autouse=True)
def _clean_context() -> Iterator[None]:
    with structlog.contextvars.bound_contextvars():
        structlog.contextvars.clear_contextvars()
        yield
        structlog.contextvars.clear_contextvars()


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("GET /ws?token=hunter2&tf=1m", "GET /ws?token=***&tf=1m"),
        ("/x?apiKey=hunter2 and /y?SIGNATURE=hunter2", "/x?apiKey=*** and /y?SIGNATURE=***"),
        ("nats://host:4222 is away", "nats://host:4222 is away"),
        ("10:00:01 a@b", "10:00:01 a@b"),
    ],
)
def test_passwords_are_taken_out_of_text(text: str, shown: str) -> None:
    assert redact(text) == shown


@pytest.mark.parametrize(
    "url",
    [
        "postgresql://tape:hunter2@db:5432/tape",
        "nats://:hunter2@db:5432/tape",
        "amqp://tape:hunter2@hunter2@db:5432/tape",
    ],
)
def test_passwords_are_taken_out_of_urls(url: str) -> None:
    shown = redact(f"cannot reach {url} now")

    assert isinstance(shown, str)
    assert "hunter2" not in shown
    assert shown.startswith(f"cannot reach {url.split(':', maxsplit=1)[0]}://")
    assert shown.endswith("***@db:5432/tape now")


@pytest.mark.parametrize(
    "key",
    ["password", "db_passwd", "API_KEY", "apikey", "X-Token", "Authorization", "client_secret", "Cookie"],
)
def test_secret_keys_are_masked_whatever_they_hold(key: str) -> None:
    assert redact({key: ["hunter2"], "symbol": "BTCUSDT"}) == {key: "***", "symbol": "BTCUSDT"}


def test_secrets_are_found_at_any_depth() -> None:
    value = {"a": ("amqp://:hunter2@b", {"deep": [{"token": "hunter2"}, "x?token=hunter2"]}), "n": 1}

    shown = redact(value)

    assert "hunter2" not in repr(shown)
    assert isinstance(shown, dict)
    assert shown["a"][1] == {"deep": [{"token": "***"}, "x?token=***"]}
    assert shown["n"] == 1


@pytest.mark.parametrize("value", [None, 1, 1.5, True, b"bytes"])
def test_other_values_stay_as_they_are(value: object) -> None:
    assert redact(value) is value


def test_the_callers_trace_goes_on_under_a_new_span() -> None:
    passed_on = start_trace(f"00-{TRACE_ID}-00f067aa0ba902b7-00")

    match = FORM.fullmatch(passed_on)
    assert match
    assert match[1] == TRACE_ID
    assert match[2] != "00f067aa0ba902b7"
    assert structlog.contextvars.get_contextvars() == {"trace_id": TRACE_ID}


@pytest.mark.parametrize(
    "given",
    [
        None,
        "",
        "nonsense",
        TRACE_ID,
        f"00-{'0' * 32}-00f067aa0ba902b7-01",
        f"00-{TRACE_ID.upper()}-00f067aa0ba902b7-01",
        f"00-{TRACE_ID}-00f067aa0ba902b7-01\r\nx: y",
    ],
)
def test_without_a_valid_trace_one_begins(given: str | None) -> None:
    first, second = start_trace(given), start_trace(given)

    match = FORM.fullmatch(second)
    assert match
    assert match[1] not in {TRACE_ID, "0" * 32}
    assert first != second
    assert structlog.contextvars.get_contextvars() == {"trace_id": match[1]}
