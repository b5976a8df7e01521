"""Made-up requests to documented operations, and what must be true of every answer."""

from __future__ import annotations

from collections import Counter
from typing import Any, Self

import requests
import schemathesis
from hypothesis import strategies
from hypothesis.strategies import SearchStrategy
from schemathesis import GenerationMode
from schemathesis.checks import not_a_server_error
from schemathesis.schemas import APIOperation
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    negative_data_rejection,
    response_headers_conformance,
    response_schema_conformance,
    status_code_conformance,
)

AWAY = {503, 504}
"""Ingest and recorder do not run here: what needs them says so. Nothing else may say that it is away."""
NEEDS_OTHERS = ("/health", "/api/v1/database/backfill", "/api/v1/database/cleanup")
_DOCUMENTED = [
    status_code_conformance,
    content_type_conformance,
    response_headers_conformance,
    response_schema_conformance,
]
_TIMES = [
    "2024-05-01T10:00:00Z",
    "2024-05-01T10:02:30",
    "2024-05-01T12:30:00+02:00",
    "1714557600",
    "1714557601500",
    "2024-05-01",
    "",
]
_SYMBOLS = ["BTCUSDT", "ETHUSDT", "BTCUSDT@binance_usdm", "btcusdt"]
_KNOWN: dict[str, SearchStrategy[Any]] = {
    "rule_id": strategies.integers(1, 4),
    "metric": strategies.sampled_from(["price", "zscore", "close", "return", "staleness", "radar_rank"]),
    "op": strategies.sampled_from([">", "<", "==", "crosses_above"]),
    "for": strategies.sampled_from(["30s", "1.5m", 5]),
    "conditions": strategies.none(),
    "channels": strategies.none(),
    "symbol": strategies.sampled_from(_SYMBOLS),
    "symbols": strategies.lists(strategies.sampled_from(_SYMBOLS), max_size=3),
    "tf": strategies.sampled_from(["1s", "1m", "5m", "15m", "1h", "90s", "1d"]),
    "start": strategies.sampled_from(_TIMES),
    "end": strategies.sampled_from([*_TIMES, "2024-05-01T11:00:00Z", "2030-01-01"]),
    "older_than": strategies.sampled_from(_TIMES),
    "pair": strategies.sampled_from(
        ["BTCUSDT-ETHUSDT", "ethusdt,btcusdt@binance_usdm", "BTCUSDT-BTCUSDT", "ETHUSDT-BNBUSDT", "BTCUSDT"]
    ),
    "window": strategies.sampled_from([2, 3, 10, 60, 1]),
    "method": strategies.sampled_from(["ols", "Huber", "theil_sen", "KALMAN", "tls"]),
    "timeframe": strategies.sampled_from(["1s", "1m", "5m", "1h"]),
    "cursor": strategies.integers(0, 600).map(str),
    # Owners who want something stay on record, a thousand at most.
    "owner": strategies.sampled_from(["default", "desk", "notebook-1", "A_9"]),
}


def takes_input(operation: APIOperation) -> bool:
    """Whether there is anything to make up."""
    return bool(operation.body) or any(True for _ in operation.iter_parameters())


def cases(operation: APIOperation) -> SearchStrategy[schemathesis.Case]:
    """Valid requests, valid ones that name what there is, and invalid ones."""
    valid = operation.as_strategy()
    if not takes_input(operation):
        return valid
    named = _named(operation, valid)
    invalid = operation.as_strategy(GenerationMode.NEGATIVE)
    # Half of them get past the first look at their symbol; invalid ones take longest to make up.
    return strategies.sampled_from([valid, named, named, invalid]).flatmap(lambda kind: kind)


@strategies.composite
def _named(draw: strategies.DrawFn, operation: APIOperation, valid: SearchStrategy[Any]) -> Any:
    """So that not every case ends at an unknown symbol, or at a period that is no period."""
    case = draw(valid)
    optional = {parameter.name for parameter in operation.query} & _KNOWN.keys()
    for key in sorted(optional - case.query.keys()):
        if draw(strategies.booleans()):
            case.query[key] = ""
    for place in (case.path_parameters, case.query, case.body):
        if isinstance(place, dict):
            for key in sorted(place.keys() & _KNOWN.keys()):
                place[key] = draw(_KNOWN[key])
    return case


class Prober:
    """Sends cases over one connection, none of them twice, and checks the answers."""

    def __init__(self, url: str) -> None:
        self._url = url
        self._session = requests.Session()
        self._session.trust_env = False  # else the environment is searched for proxies at each request
        self._asked: set[tuple[object, ...]] = set()
        self.valid = self.invalid = 0
        self.answers: Counter[int] = Counter()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._session.close()

    @property
    def asked(self) -> int:
        """How many different requests were sent."""
        return len(self._asked)

    def __call__(self, case: schemathesis.Case) -> None:
        sent = case.as_transport_kwargs(base_url=self._url)
        request = tuple(repr(sent.get(part)) for part in ("method", "url", "params", "json", "data"))
        if request in self._asked:
            return
        self._asked.add(request)
        response = case.call(base_url=self._url, session=self._session)
        checks = list(_DOCUMENTED)
        if case.meta is not None and case.meta.generation.mode.is_negative:
            self.invalid += 1
            checks.append(negative_data_rejection)
        else:
            self.valid += 1
        self.answers[response.status_code] += 1
        if response.status_code not in AWAY or not case.path.startswith(NEEDS_OTHERS):
            checks.append(not_a_server_error)
        case.validate_response(response, checks=checks)
        assert response.headers["x-request-id"]
        assert response.headers["x-process-time-ms"]
