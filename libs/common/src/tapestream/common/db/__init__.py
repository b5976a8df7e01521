"""Postgres: tables, migrations, connections, projections and reading history."""
