"""Projections: from a stream into tables, rows and position in one transaction."""
