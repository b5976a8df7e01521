"""The data folder: ours, writable, and used by one supervisor at a time."""

from __future__ import annotations

import fcntl
import os
import re
import time
from contextlib import suppress
from pathlib import Path

from tapestream.common.errors import DataFolderError

LOCK_NAME = "supervisor.lock"
_DEFAULT_NAME = ".tapestream"
_OTHER_SOURCE = re.compile(r"binance|tape-[0-9a-f]{8}|seed--?[0-9]+")
"""Folders of other sources beside this one's data."""
_GUARDIAN_DEADLINE_S = 8.0


class DataFolder:
    """A locked data folder. The lock is an open file, so that it ends with its last holder."""

    def __init__(self, path: Path, lock_fd: int) -> None:
        self.path = path
        self.lock_fd = lock_fd

    @classmethod
    def open(cls, path: Path) -> DataFolder:
        """Make the folder if need be and lock it. Raises DataFolderError with what is wrong."""
        path = path.expanduser().absolute()
        try:
            path.mkdir(mode=0o700, parents=True, exist_ok=True)
            _check_ours(path)
            lock_fd = os.open(path / LOCK_NAME, os.O_RDWR | os.O_CREAT, 0o600)
        except OSError as error:
            raise DataFolderError(path, error.strerror or str(error)) from None
        try:
            _lock(path, lock_fd)
        except DataFolderError:
            os.close(lock_fd)
            raise
        os.ftruncate(lock_fd, 0)
        os.pwrite(lock_fd, f"{os.getpid()}\n".encode(), 0)
        return cls(path, lock_fd)

    def close(self) -> None:
        os.close(self.lock_fd)


def _check_ours(path: Path) -> None:
    owner = path.stat().st_uid
    if owner != os.geteuid():
        raise DataFolderError(path, f"belongs to another user (uid {owner})")
    entries = {entry.name for entry in path.iterdir() if not _OTHER_SOURCE.fullmatch(entry.name)}
    if entries and LOCK_NAME not in entries and path.name != _DEFAULT_NAME:
        raise DataFolderError(path, "holds other files")


def _lock(path: Path, lock_fd: int) -> None:
    deadline = time.monotonic() + _GUARDIAN_DEADLINE_S
    while True:
        with suppress(BlockingIOError):
            fcntl.flock(lock_fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
            return
        holder = os.pread(lock_fd, 32, 0).decode().strip()
        # A killed supervisor's guardian holds the lock until it has cleaned up: wait for that.
        if _runs(holder) or time.monotonic() > deadline:
            raise DataFolderError(
                path, f"is in use by a Tapestream that runs already (process {holder or '?'})"
            )
        time.sleep(0.05)


def _runs(pid: str) -> bool:
    if not pid.isdigit():
        return True  # just started, has not written its id yet
    try:
        os.kill(int(pid), 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True
