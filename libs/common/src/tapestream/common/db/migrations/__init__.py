"""Alembic's folder: ``versions`` holds one file a step; ``tapestream.common.db.migrate`` runs them."""
