"""``python -m tapestream.ingest.recorder``."""

from tapestream.common.process import run_process
from tapestream.ingest.recorder.app import SERVICE, run
from tapestream.ingest.recorder.settings import RecorderSettings

if __name__ == "__main__":
    run_process(SERVICE, RecorderSettings, run, niceness=10)
