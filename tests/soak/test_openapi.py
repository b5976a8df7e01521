"""A hundred thousand cases of what ``tests/contract/test_openapi.py`` runs forty an operation of.

``SOAK_CASES`` asks for another number. It is shared among the operations that take input; one without
has a case or two and ends by itself.
"""

from __future__ import annotations

import os

import pytest
import schemathesis
from schemathesis.schemas import APIOperation

from tests.contract import test_openapi as contract
from tests.integration.gateway.running import RunningGateway

pytestmark = pytest.mark.soak
CASES = int(os.environ.get("SOAK_CASES", "100000"))
OPERATIONS = contract._operations()
api = contract.api


def _takes_input(operation: APIOperation) -> bool:
    return bool(operation.body) or any(True for _ in operation.iter_parameters())


SHARE = -(-CASES // sum(map(_takes_input, OPERATIONS)))


@pytest.mark.parametrize("operation", OPERATIONS, ids=lambda one: one.label)
def test_a_hundred_thousand_cases(
    operation: APIOperation, api: RunningGateway, monkeypatch: pytest.MonkeyPatch
) -> None:
    calls = 0
    call = schemathesis.Case.call

    def counted(*args: object, **kwargs: object) -> object:
        nonlocal calls
        calls += 1
        return call(*args, **kwargs)

    monkeypatch.setattr(schemathesis.Case, "call", counted)
    monkeypatch.setattr(contract, "EXAMPLES", SHARE)

    contract.test_no_operation_crashes_or_surprises(operation, api)

    print(f"{operation.label}: {calls} cases")
    assert calls >= (SHARE if _takes_input(operation) else 1), "fewer cases than asked for"
