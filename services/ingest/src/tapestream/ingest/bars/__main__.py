"""``python -m tapestream.ingest.bars``."""

from tapestream.common.process import run_process
from tapestream.common.settings import Settings
from tapestream.ingest.bars.app import main

if __name__ == "__main__":
    run_process("bars", Settings, main, niceness=5)
