"""``python -m tests.support.launch '{"without": […], "instead": {name: module}}'``: the supervisor
with some programs left out or replaced by ones that lack a safeguard."""

from __future__ import annotations

import ctypes
import dataclasses
import json
import signal
import sys

from tapestream.common.supervisor.app import supervise
from tapestream.common.supervisor.programs import PROGRAMS
from tapestream.common.supervisor.settings import SupervisorSettings

PR_SET_PDEATHSIG = 1

if __name__ == "__main__":
    # A test run that is killed takes its system with it.
    ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGTERM)
    wish = json.loads(sys.argv[1])
    supervise(
        SupervisorSettings.load(),
        [
            dataclasses.replace(program, module=wish["instead"].get(program.name, program.module))
            for program in PROGRAMS
            if program.name not in wish["without"]
        ],
    )
