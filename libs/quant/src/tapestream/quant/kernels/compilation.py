"""How kernels are compiled: once for each state of their sources, and without holding up other threads."""

from __future__ import annotations

import contextlib
import hashlib
import os
from pathlib import Path

import numba
from numba.core import config

_FOLDER = Path(__file__).parent


def _sources_digest() -> str:
    digest = hashlib.sha256(numba.__version__.encode())
    for source in sorted(_FOLDER.glob("*.py")):
        digest.update(source.read_bytes())
    return digest.hexdigest()[:16]


def _keep_cache_apart() -> None:
    """Give this state of the sources a cache of its own.

    numba compiles a function anew when its own file changes, but not when one that it calls does: code of
    the release before would go on running.
    """
    if "NUMBA_CACHE_DIR" in os.environ:
        return
    for place in (_FOLDER / "__pycache__", Path.home() / ".cache" / "tapestream"):
        with contextlib.suppress(OSError):
            place.mkdir(parents=True, exist_ok=True)
            if os.access(place, os.W_OK):
                config.CACHE_DIR = str(place / f"kernels-{_sources_digest()}")  # pyright: ignore[reportAttributeAccessIssue]
                return


_keep_cache_apart()

compiled = numba.njit(cache=True, nogil=True)
"""Decorator of every kernel. A compiled one lets other threads run, so a service may call it in one."""
