"""Options of the test run."""

from __future__ import annotations

import pytest


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption(
        "--tape", default="", help="check the system against these tapes, too: files with a comma between"
    )
    parser.addoption("--tape-speed", default="20", help="how fast to play them")
