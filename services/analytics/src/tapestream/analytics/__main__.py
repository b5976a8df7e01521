"""``python -m tapestream.analytics``."""

from tapestream.analytics.app import main
from tapestream.analytics.settings import AnalyticsSettings
from tapestream.common.process import run_process

if __name__ == "__main__":
    run_process("analytics", AnalyticsSettings, main, niceness=5)
