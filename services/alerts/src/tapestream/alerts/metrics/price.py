"""Price of the last trade, in the quote currency. Trades that are not ``MARKET`` distort it and do not count."""

from tapestream.alerts.core.metric import Metric, Source

METRIC = Metric("price", Source.TRADE, "quote currency", "price of each trade")
