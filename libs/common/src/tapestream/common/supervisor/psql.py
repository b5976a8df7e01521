"""``make psql``: the bundled psql on the embedded Postgres of a running Tapestream."""

from __future__ import annotations

import os
import sys
from typing import NoReturn

from tapestream.common.errors import TapestreamError
from tapestream.common.supervisor.children import EX_CONFIG
from tapestream.common.supervisor.embedded.postgres import EmbeddedPostgres
from tapestream.common.supervisor.settings import SupervisorSettings


def main() -> NoReturn:
    """Become psql."""
    try:
        settings = SupervisorSettings.load()
        server = EmbeddedPostgres(settings.source_folder / "postgres", settings.postgres_port)
    except TapestreamError as error:
        print(f"tapestream: {error}", file=sys.stderr)
        sys.exit(EX_CONFIG)
    url = settings.database_url.get_secret_value() or server.safe_url
    # The password by file: what stands in a command line is seen by everybody.
    os.environ["PGPASSFILE"] = str(server.password_file)
    os.execv(server.psql, [server.psql, url, *sys.argv[1:]])


if __name__ == "__main__":
    main()
