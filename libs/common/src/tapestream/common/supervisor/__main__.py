"""``python -m tapestream.common.supervisor``: what ``make run`` starts."""

from __future__ import annotations

import sys
import warnings

from tapestream.common.errors import DataFolderError, PortTakenError, SettingsError, TapestreamError
from tapestream.common.supervisor.app import supervise
from tapestream.common.supervisor.children import EX_CONFIG, ChildRefusedError
from tapestream.common.supervisor.settings import SupervisorSettings

_EX_UNAVAILABLE = 69


def main() -> int:
    """Run; one line on stderr and an exit code say what stopped the start."""
    warnings.showwarning = _one_line
    try:
        supervise(SupervisorSettings.load())
    except TapestreamError as error:
        print(f"tapestream: {error}", file=sys.stderr)
        return _exit_code(error)
    return 0


def _exit_code(error: TapestreamError) -> int:
    if isinstance(error, SettingsError | PortTakenError | DataFolderError):
        return EX_CONFIG
    if isinstance(error, ChildRefusedError) and error.code == EX_CONFIG:
        return EX_CONFIG
    return _EX_UNAVAILABLE


def _one_line(message: Warning | str, *_: object) -> None:
    print(f"tapestream: {message}", file=sys.stderr)


if __name__ == "__main__":
    sys.exit(main())
