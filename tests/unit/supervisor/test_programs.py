from __future__ import annotations

import pytest

from tapestream.common.supervisor.programs import PROGRAMS, place, shared_environment
from tapestream.common.supervisor.settings import SupervisorSettings


def _settings(**values: object) -> SupervisorSettings:
    return SupervisorSettings(_env_file=None, **values)  # type: ignore[arg-type, call-arg]


def test_every_process_has_a_name_and_a_metrics_port_of_its_own() -> None:
    placed = list(place(PROGRAMS, _settings(gateway_workers=3, metrics_base_port=9200)))
    assert [each.name for each in placed][-3:] == ["gateway.0", "gateway.1", "gateway.2"]
    assert [each.metrics_port for each in placed] == list(range(9200, 9200 + len(placed)))
    assert placed[-1].environment() == {"INSTANCE": "2", "METRICS_PORT": str(9200 + len(placed) - 1)}


def test_real_binance_needs_no_simulator_and_keeps_its_addresses() -> None:
    settings = _settings(feed="binance")
    assert "binance-sim" not in [each.name for each in place(PROGRAMS, settings)]
    told = shared_environment(settings, nats_url="n", database_url="d", simulated=False)
    assert "BINANCE_WS_URL" not in told
    assert "BINANCE_API_KEY" not in told


@pytest.mark.parametrize(("key", "told_key"), [("", "tapestream-sim"), ("mine", "mine")])
def test_simulated_binance_is_told_with_a_key(key: str, told_key: str) -> None:
    settings = _settings(binance_sim_port=9999, binance_api_key=key)
    told = shared_environment(settings, nats_url="n", database_url="d", simulated=True)
    assert told["BINANCE_WS_URL"] == "ws://127.0.0.1:9999"
    assert told["BINANCE_REST_URL"] == "http://127.0.0.1:9999"
    assert told["BINANCE_API_KEY"] == told_key
