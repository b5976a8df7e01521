"""``python -m tapestream.gateway``."""

from tapestream.common.process import run_process
from tapestream.gateway.app import main
from tapestream.gateway.settings import GatewaySettings

if __name__ == "__main__":
    run_process("gateway", GatewaySettings, main)
