"""A service that counts its starts in Postgres and behaves as its environment says."""

import json
import os
import signal
import subprocess
import sys
import time
from types import FrameType

import psycopg

EX_CONFIG = 78


def say(event: str, **fields: object) -> None:
    print(json.dumps({"event": event, "level": "info", "instance": os.environ["INSTANCE"], **fields}))


def leave(_number: int, _frame: FrameType | None) -> None:
    say("drained")
    sys.exit(0)


def main() -> None:
    if os.environ.get("DUMMY") == "wrong":
        print("beta: DUMMY=wrong: use right", file=sys.stderr)
        sys.exit(EX_CONFIG)
    signal.signal(signal.SIGINT, lambda *_: say("interrupted"))
    signal.signal(signal.SIGTERM, signal.SIG_IGN if os.environ.get("DUMMY") == "stubborn" else leave)
    subprocess.Popen(["sleep", "600"])  # a helper in its group, which must not outlive it
    with psycopg.connect(os.environ["DATABASE_URL"], autocommit=True) as connection:
        connection.execute("SELECT pg_advisory_lock(1)")
        connection.execute("CREATE TABLE IF NOT EXISTS starts (at timestamptz DEFAULT now())")
        connection.execute("INSERT INTO starts DEFAULT VALUES")
        row = connection.execute("SELECT count(*) FROM starts").fetchone()
        connection.execute("SELECT pg_advisory_unlock(1)")
    say("up", pid=os.getpid(), starts=row[0] if row else 0, metrics_port=os.environ["METRICS_PORT"])
    while True:
        time.sleep(60)


main()
