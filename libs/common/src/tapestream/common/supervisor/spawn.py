"""How every child is started: own session, no inherited descriptors, dies with us."""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

_LAUNCH = Path(__file__).with_name("launch.py")


@dataclass(frozen=True)
class Identity:
    """As whom a child runs: ``how`` is ``same``, ``map`` (user namespace) or ``set`` (setuid)."""

    how: str = "same"
    uid: int = 0
    gid: int = 0

    def __str__(self) -> str:
        return self.how if self.how == "same" else f"{self.how}:{self.uid}:{self.gid}"


SAME = Identity()


def launch_command(command: Sequence[str], *, death_signal: int = 0, identity: Identity = SAME) -> list[str]:
    """The command that runs ``command`` so that it gets ``death_signal`` when we die.

    The kernel ties that signal to the *thread* that starts the child: pass 0 unless that thread
    lives as long as the process, and let the guardian do the work.
    """
    return [
        *(sys.executable, "-I", "-S", str(_LAUNCH)),
        *(str(os.getpid()), str(int(death_signal)), str(identity)),
        *command,
    ]
