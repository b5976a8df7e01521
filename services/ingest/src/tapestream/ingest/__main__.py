"""``python -m tapestream.ingest``: one venue into the stream."""

from tapestream.common.process import run_process
from tapestream.ingest.app import main
from tapestream.ingest.settings import IngestSettings

if __name__ == "__main__":
    run_process("ingest", IngestSettings, main)
