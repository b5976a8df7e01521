"""Starts, watches, restarts and stops everything that one machine runs.

``python -m tapestream.common.supervisor`` is what ``make run`` starts. ``programs.py`` is the table
of what runs, ``embedded/`` holds the NATS and Postgres servers that come as wheels (tests start
them too), ``app.py`` puts it together.
"""
