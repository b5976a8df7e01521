from __future__ import annotations

import socket

import pytest

from tapestream.common.errors import PortTakenError, SettingsError
from tapestream.common.supervisor.ports import NeededPort, check_ports, free_port


def test_a_taken_port_is_named_with_its_setting() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
        with pytest.raises(PortTakenError, match=f"port {port} on 127.0.0.1 is taken; set NATS_PORT"):
            check_ports([NeededPort("127.0.0.1", port, "NATS_PORT", "NATS")])


def test_one_port_for_two_is_refused() -> None:
    port = free_port()
    with pytest.raises(SettingsError, match=f"POSTGRES_PORT={port} is also the port of NATS"):
        check_ports(
            [
                NeededPort("127.0.0.1", port, "NATS_PORT", "NATS"),
                NeededPort("127.0.0.1", port, "POSTGRES_PORT", "Postgres"),
            ]
        )


def test_an_unknown_host_is_refused() -> None:
    with pytest.raises(SettingsError, match="HOST=not a host"):
        check_ports([NeededPort("not a host", free_port(), "PORT", "gateway")])
