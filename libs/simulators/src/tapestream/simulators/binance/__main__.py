"""``python -m tapestream.simulators.binance``: the Binance simulator as a process of its own."""

from __future__ import annotations

import sys

from tapestream.common.errors import TapestreamError
from tapestream.simulators.binance.app import serve
from tapestream.simulators.binance.settings import SimulatorSettings


def main() -> int:
    try:
        serve(SimulatorSettings.load())
    except TapestreamError as error:
        print(error, file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
