"""Program of ingest that builds bars from trades: ``python -m tapestream.ingest.bars``."""
