"""Run as a script beside the supervisor: kills what the supervisor leaves when it is killed itself.

It reads lines from a pipe: ``+ PID SIGNAL FOLDER`` (a process to look after, the signal that stops
it politely, and a folder whose users belong to it, or ``-``), ``- PID`` (it is gone). End of file
means that the supervisor is gone: everything registered gets its polite signal, then SIGQUIT
(Postgres: "stop now, all of you"), then SIGKILL, with its process group, its descendants and whoever
works in its folder: the backends of Postgres have sessions of their own.

It also inherits the data folder's lock, so the next start waits until all of this is done.
"""

from __future__ import annotations

import os
import signal
import sys
import time
from contextlib import suppress
from dataclasses import dataclass

POLITE_S = 1.2
QUIT_S = 0.5
STEP_S = 0.02


@dataclass(frozen=True)
class Ward:
    """One process to look after. ``born`` tells it from a later process with the same id."""

    pid: int
    polite: int
    folder: str
    born: str


def main() -> None:
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGQUIT):
        signal.signal(number, signal.SIG_IGN)
    wards: dict[int, Ward] = {}
    for line in sys.stdin:
        action, pid, *rest = line.rstrip("\n").split(" ", 3)
        if action == "+":
            wards[int(pid)] = Ward(int(pid), int(rest[0]), rest[1], birth(int(pid)))
        else:
            wards.pop(int(pid), None)
    end_all(list(wards.values()))


def end_all(wards: list[Ward]) -> None:
    """End the wards and all that belongs to them, politely first."""
    family = {ward.pid: _born(descendants(ward.pid)) for ward in wards}
    for ward in wards:
        _signal(ward, ward.polite)
    if not _all_gone(wards, POLITE_S):
        for ward in wards:
            family[ward.pid] |= _born(descendants(ward.pid))
            if ward.folder != "-":
                _signal(ward, signal.SIGQUIT)
        _all_gone([ward for ward in wards if ward.folder != "-"], QUIT_S)
    for ward in wards:
        _kill_rest(ward, family[ward.pid])


def _kill_rest(ward: Ward, family: dict[int, str]) -> None:
    # The group outlives its leader, and its id is not given to another process while it does.
    with suppress(OSError):
        os.killpg(ward.pid, signal.SIGKILL)
    _signal(ward, signal.SIGKILL)
    for pid, born in family.items():
        if birth(pid) == born:
            kill(pid)
    if ward.folder != "-":
        for pid in users_of(ward.folder):
            kill(pid)


def _all_gone(wards: list[Ward], within_s: float) -> bool:
    deadline = time.monotonic() + within_s
    while any(alive(ward) for ward in wards):
        if time.monotonic() > deadline:
            return False
        time.sleep(STEP_S)
    return True


def _signal(ward: Ward, number: int) -> None:
    if alive(ward):
        kill(ward.pid, number)


def kill(pid: int, number: int = signal.SIGKILL) -> None:
    with suppress(OSError):
        os.kill(pid, number)


def alive(ward: Ward) -> bool:
    if ward.born:
        return birth(ward.pid) == ward.born
    try:
        os.kill(ward.pid, 0)
    except OSError:
        return False
    return True


def _stat(pid: int) -> list[str]:
    """Fields of ``/proc/PID/stat`` after the name, from the state on; none for a dead process."""
    try:
        with open(f"/proc/{pid}/stat") as file:
            fields = file.read().rpartition(") ")[2].split()
    except OSError:
        return []
    return [] if not fields or fields[0] in "ZX" else fields


def birth(pid: int) -> str:
    """When a process started, in ticks since boot; empty for a dead one or where /proc is missing."""
    fields = _stat(pid)
    return fields[19] if fields else ""


def parent_of(pid: int) -> int:
    fields = _stat(pid)
    return int(fields[1]) if fields else 0


def _born(pids: set[int]) -> dict[int, str]:
    return {pid: born for pid in pids if (born := birth(pid))}


def _every_pid() -> list[int]:
    try:
        return [int(name) for name in os.listdir("/proc") if name.isdigit()]
    except OSError:
        return []


def descendants(pid: int) -> set[int]:
    """Children of a process, and theirs, whatever session they are in."""
    parents = {each: parent_of(each) for each in _every_pid()}
    found: set[int] = set()
    fresh = {pid}
    while fresh:
        fresh = {each for each, parent in parents.items() if parent in fresh} - found
        found |= fresh
    return found


def users_of(folder: str) -> list[int]:
    """Processes whose working folder this is: the Postgres of that cluster and all its backends."""
    found: list[int] = []
    for pid in _every_pid():
        with suppress(OSError):
            if os.readlink(f"/proc/{pid}/cwd") == folder and pid != os.getpid():
                found.append(pid)
    return found


if __name__ == "__main__":
    main()
