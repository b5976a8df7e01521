"""Rules as clients write them: whatever it is, it fits a message."""

from __future__ import annotations

import json

import pytest
from pydantic import ValidationError

from tapestream.common.contracts.alerts import AlertCreate
from tapestream.common.contracts.messages import encode
from tapestream.gateway.alert_schemas import RuleBody, sent

CONDITION = {"metric": "price", "symbol": "A", "op": ">", "value": 1}


@pytest.mark.parametrize(
    "text",
    [
        '{"x": "\\ud800"}', '{"x": ["\\ud800"]}', '{"x": {"\\ud800": "\\udfff"}}',
        '{"conditions": [{"metric": "price", "x": "\\ud800"}]}',
    ],
)  # fmt: skip
def test_halves_of_surrogate_pairs_are_replaced(text: str) -> None:
    values = sent(RuleBody.model_validate(json.loads(text)))
    assert encode(AlertCreate(rule=values))


def test_the_largest_body_fits_a_message() -> None:
    many = {f"{number:03}" + "\x01" * 5000: "\x01" * 100_000 for number in range(60)}
    body = {"conditions": [CONDITION | many for _ in range(20)], "channels": ["\x01" * 2000] * 20} | many
    assert len(encode(AlertCreate(rule=sent(RuleBody.model_validate(body))))) < 1 << 20


@pytest.mark.parametrize("field", ["for", "cooldown"])
def test_a_duration_is_short(field: str) -> None:
    with pytest.raises(ValidationError):
        RuleBody.model_validate(CONDITION | {field: "1" * 1_000_000})


def test_what_is_known_is_passed_on_as_it_is() -> None:
    body = {"conditions": [CONDITION], "for": "5m", "operator": "<", "expires_at": None}
    assert sent(RuleBody.model_validate(body)) == body
    assert sent(RuleBody.model_validate(CONDITION | {"conditions": None})) == CONDITION | {"conditions": None}
