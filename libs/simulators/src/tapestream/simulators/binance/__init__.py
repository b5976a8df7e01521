"""A Binance of one's own: spot and USD-M futures, REST and WebSocket, on one port."""
