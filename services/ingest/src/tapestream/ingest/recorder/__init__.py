"""The recorder: writes trades, quotes, bars and gaps from the stream into Postgres, each once."""
