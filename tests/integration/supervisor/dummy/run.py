"""The supervisor with two dummy programs in its table, one of them twice."""

import sys

from tapestream.common.supervisor import __main__ as program
from tapestream.common.supervisor.app import supervise
from tapestream.common.supervisor.programs import Program

TABLE = (Program("alpha", "service"), Program("beta", "service", copies=lambda _: 2))

program.supervise = lambda settings: supervise(settings, TABLE)
sys.exit(program.main())
