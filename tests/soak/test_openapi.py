"""A hundred thousand cases of what ``tests/contract/test_openapi.py`` runs forty an operation of.

``SOAK_CASES`` asks for another number. It is shared among the operations that take input; one without
has a case or two and ends by itself. Only requests that differ from all before them are sent and count.
"""

from __future__ import annotations

import itertools
import os

import pytest
import schemathesis
from hypothesis import HealthCheck, Phase, given, seed, settings
from schemathesis.schemas import APIOperation

from tests.contract import test_openapi as contract
from tests.integration.gateway.running import RunningGateway
from tests.support.api_cases import Prober, cases, takes_input

pytestmark = pytest.mark.soak
CASES = int(os.environ.get("SOAK_CASES", "100000"))
OPERATIONS = contract.operations()
ROUND = 2000
"""Examples from one seed. What Hypothesis remembers of a round makes a long one slow."""
api = contract.api

SHARE = -(-CASES // sum(map(takes_input, OPERATIONS)))


@pytest.mark.parametrize("operation", OPERATIONS, ids=lambda one: one.label)
def test_a_hundred_thousand_cases(operation: APIOperation, api: RunningGateway) -> None:
    share = SHARE if takes_input(operation) else 1
    with Prober(api.url) as probe:

        @settings(
            max_examples=ROUND,
            deadline=None,
            database=None,
            phases=[Phase.generate],
            suppress_health_check=list(HealthCheck),
        )
        @given(case=cases(operation))
        def check(case: schemathesis.Case) -> None:
            if probe.asked < share:
                probe(case)

        for number in itertools.count():
            before = probe.asked
            seed(number)(check)()
            if probe.asked >= share:
                break
            assert probe.asked > before, "no more different cases"
    print(f"{operation.label}: {probe.valid} valid and {probe.invalid} invalid cases, {dict(probe.answers)}")
    if takes_input(operation):
        assert min(probe.valid, probe.invalid) > share // 10, "one kind of case is rare"
