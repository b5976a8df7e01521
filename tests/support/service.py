"""A service as a real process, for tests of others that ask it."""

from __future__ import annotations

import contextlib
import os
import subprocess
import sys
from collections.abc import Iterator

import httpx

from tapestream.common.supervisor.ports import free_port
from tests.support.stack import wait_until


@contextlib.contextmanager
def running_service(name: str, **settings: str) -> Iterator[None]:
    """Started and ready; ended at the end."""
    port = free_port()
    environment = os.environ | {"METRICS_PORT": str(port), **settings}
    with subprocess.Popen([sys.executable, "-m", f"tapestream.{name}"], env=environment) as process:
        try:
            url = f"http://127.0.0.1:{port}/health/ready"
            wait_until(
                lambda: httpx.get(url, timeout=2).status_code == 200, f"{name} ready", 180
            )  # its kernels may have to be compiled
            yield
        finally:
            process.kill()
