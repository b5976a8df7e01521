"""Two hundred schedules of what ``tests/e2e/test_chaos.py`` runs twenty of."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.e2e.test_chaos import test_nothing_is_lost_whatever_goes_wrong as run_schedule

pytestmark = pytest.mark.soak


@pytest.mark.parametrize("seed", range(1001, 1201))
def test_two_hundred_schedules(tmp_path: Path, seed: int) -> None:
    run_schedule(tmp_path, seed)
