"""``python -m tapestream.alerts``."""

from tapestream.alerts.app import main
from tapestream.alerts.settings import AlertsSettings
from tapestream.common.process import run_process

if __name__ == "__main__":
    run_process("alerts", AlertsSettings, main)
