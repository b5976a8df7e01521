"""The whole system as ``make run`` starts it, on free ports and in a folder of its own."""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import httpx
import nats
import psutil
import psycopg

ROOT = Path(__file__).resolve().parents[2]
START_S = 60.0
MODULES = {
    "simulator": "tapestream.simulators.binance",
    "ingest": "tapestream.ingest",
    "bars": "tapestream.ingest.bars",
    "recorder": "tapestream.ingest.recorder",
    "analytics": "tapestream.analytics",
    "alerts": "tapestream.alerts",
    "gateway": "tapestream.gateway",
}


BESIDE_LIVE_DATA = ("analytics", "alerts")
"""Programs that live data does without: tests of it spare them where two cores have enough to do."""

_PORTS = range(10_500, 31_500)
_next_port = itertools.islice(itertools.cycle(_PORTS), os.getpid() * 997 % len(_PORTS), None)


def free_ports(count: int) -> list[int]:
    """Neighbouring ports that nobody listens on, below those that outgoing connections take.

    Each test worker begins somewhere else, and a port comes round again late.
    """
    ports: list[int] = []
    while len(ports) < count:
        port = next(_next_port)
        with socket.socket() as probe:
            try:
                probe.bind(("127.0.0.1", port))
            except OSError:
                ports.clear()
                continue
        ports = [*ports, port] if ports and port == ports[-1] + 1 else [port]
    return ports


def wait_until(condition: Callable[[], Any], what: str, seconds: float = 30.0, every: float = 0.05) -> Any:
    """Poll until the condition holds and return what it said; fail with ``what`` after a deadline."""
    deadline = time.monotonic() + seconds
    last: object = None
    while time.monotonic() < deadline:
        try:
            last = condition()
        except (httpx.HTTPError, psycopg.Error, OSError) as error:
            last = error
        else:
            if last:
                return last
        time.sleep(every)
    raise AssertionError(f"not within {seconds} s: {what} (last: {last!r})")


class Stack:
    """A running system. Use :func:`running_stack`."""

    def __init__(
        self,
        folder: Path,
        settings: Mapping[str, str],
        without: Sequence[str] = (),
        instead: Mapping[str, str] | None = None,
    ) -> None:
        self.folder = folder
        self._wish = json.dumps({"without": list(without), "instead": dict(instead or {})})
        self._without = [*without]
        if "BINANCE_WS_URL" in settings:  # somebody else's venue
            self._without.append("simulator")
        self._modules = MODULES | dict(instead or {})
        self.http_port, self.nats_port, self.postgres_port, self.sim_port = free_ports(4)
        self.metrics_port = free_ports(8)[0]
        self.environment = {
            "PATH": os.environ["PATH"],
            "HOME": os.environ.get("HOME", "/"),
            "DATA_DIR": str(folder / "data"),
            "PORT": str(self.http_port),
            "NATS_PORT": str(self.nats_port),
            "POSTGRES_PORT": str(self.postgres_port),
            "BINANCE_SIM_PORT": str(self.sim_port),
            "METRICS_BASE_PORT": str(self.metrics_port),
            # The sources that the tests themselves import, where these are not the installed ones.
            "PYTHONPATH": os.pathsep.join([str(ROOT), *filter(None, [os.environ.get("PYTHONPATH")])]),
            "STREAM_STORE_BYTES": str(2 << 30),
            **settings,
        }
        self.log = folder / "log.txt"
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def http(self) -> str:
        return f"http://127.0.0.1:{self.http_port}"

    @property
    def sim(self) -> str:
        return f"http://127.0.0.1:{self.sim_port}"

    @property
    def nats(self) -> str:
        return self.environment.get("NATS_URL") or f"nats://127.0.0.1:{self.nats_port}"

    @property
    def dsn(self) -> str:
        if "DATABASE_URL" in self.environment:
            return self.environment["DATABASE_URL"]
        passfile = next((self.folder / "data").glob("**/postgres/pgpass"))
        return f"postgresql://tapestream@127.0.0.1:{self.postgres_port}/tapestream?passfile={passfile}"

    def start(self) -> None:
        """Start, and wait until the gateway says that everything is ready."""
        with self.log.open("ab") as log:
            self._process = subprocess.Popen(
                [sys.executable, "-m", "tests.support.launch", self._wish],
                env=self.environment,
                cwd=self.folder,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        wait_until(self._ready_or_dead, f"the system ready, see {self.log}", START_S)

    def _ready_or_dead(self) -> bool:
        assert self._process is not None
        if self._process.poll() is not None:
            raise AssertionError(f"the start failed:\n{self.log.read_text()[-3000:]}")
        if "gateway" not in self._without:
            return httpx.get(f"{self.http}/health/ready", timeout=2).status_code == 200
        return all(
            httpx.get(f"http://127.0.0.1:{self.metrics_port + n}/health/ready", timeout=2).status_code == 200
            for n in (1, 2, 3)  # ingest, bars, recorder: the simulator has no such port
        )

    def stop(self) -> None:
        """Stop as Ctrl-C does."""
        if self._process is not None and self._process.poll() is None:
            self._process.send_signal(signal.SIGINT)
            self._process.wait(30)

    def pids(self, part: str) -> list[int]:
        """Processes of a part: a name in MODULES, ``nats`` or ``postgres``."""
        assert self._process is not None
        found = []
        for child in psutil.Process(self._process.pid).children(recursive=True):
            with contextlib.suppress(psutil.Error):
                line = child.cmdline()
                if part in self._modules:
                    match = "-m" in line and self._modules[part] == line[line.index("-m") + 1]
                elif part == "nats":
                    match = bool(line) and "nats-server" in line[0]
                else:
                    match = bool(line) and line[0].endswith("/postgres")
                if match:
                    found.append(child.pid)
        return found

    def kill(self, part: str) -> None:
        """``kill -9`` the first process of a part."""
        for pid in self.pids(part)[:1]:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)

    def want(self, owner: str, symbols: Sequence[str]) -> None:
        """Declare what an owner wants streaming."""

        async def put() -> None:
            client = await nats.connect(self.nats)
            bucket = await client.jetstream().key_value("feeds")
            await bucket.put(owner, json.dumps({"v": 1, "symbols": list(symbols)}).encode())
            await client.close()

        asyncio.run(put())

    def publish(self, subject: str, payload: bytes) -> None:
        """Put a message on the bus, as a stranger may."""

        async def put() -> None:
            client = await nats.connect(self.nats)
            await client.jetstream().publish(subject, payload)
            await client.close()

        asyncio.run(put())

    def subjects(self, stream: str) -> list[str]:
        """Subjects that a stream holds messages of."""

        async def ask() -> list[str]:
            client = await nats.connect(self.nats)
            info = await client.jetstream().stream_info(stream, subjects_filter=">")
            await client.close()
            return list(info.state.subjects or {})

        return asyncio.run(ask())

    def figure(self, part: str, name: str, **labels: str) -> float:
        """Sum of a Prometheus figure of a part over the labels that are not given."""
        offset = [p for p in MODULES if p not in self._without].index(part)
        text = httpx.get(f"http://127.0.0.1:{self.metrics_port + offset}/metrics", timeout=5).text
        assert f"# HELP {name}" in text, f"{part} has no figure {name}"
        total = 0.0
        for line in text.splitlines():
            if line.startswith((name + "{", name + " ")) and all(
                f'{key}="{value}"' in line for key, value in labels.items()
            ):
                total += float(line.rpartition(" ")[2])
        return total

    def sql(self, query: str, *parameters: object) -> list[tuple[Any, ...]]:
        with psycopg.connect(self.dsn, connect_timeout=5) as connection:
            return connection.execute(query, parameters).fetchall()  # type: ignore[arg-type]

    def get(self, path: str, **parameters: Any) -> Any:
        answer = httpx.get(self.http + path, params=parameters, timeout=30)
        answer.raise_for_status()
        return answer.json()


@contextlib.contextmanager
def running_stack(
    folder: Path, *, without: Sequence[str] = (), instead: Mapping[str, str] | None = None, **settings: str
) -> Iterator[Stack]:
    """A started system, stopped at the end."""
    stack = Stack(folder, settings, without, instead)
    try:
        stack.start()
        yield stack
    finally:
        stack.stop()
