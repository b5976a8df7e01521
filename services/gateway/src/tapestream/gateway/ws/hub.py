"""Who listens to what, and the fan-out.

Frames of a topic are built once. Each client collects what is for it, and all clients with something
waiting are written together: at once while that is cheap, and less often as it gets dearer, so that
writing never takes more than about a fifth of the time.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterable

from tapestream.gateway import metrics
from tapestream.gateway.core.bundle import Bundle
from tapestream.gateway.core.subscriptions import Channel
from tapestream.gateway.ws.client import Client
from tapestream.gateway.ws.tally import Tally

PAUSE_PER_COST = 4
"""A flush is followed by a pause of as many times what it took: what comes meanwhile goes out together."""
CHEAP_S = 0.0005
"""A flush of a few clients is followed by no pause at all."""
LONGEST_PAUSE_S = 0.01
"""However dear a flush is, nobody waits longer for the next one."""


class Topic:
    """The clients that subscribed to one thing."""

    __slots__ = ("channel", "clients", "key")

    def __init__(self, channel: Channel) -> None:
        self.channel = channel
        self.key = channel.topic
        self.clients: set[Client] = set()

    def publish(self, bundle: Bundle) -> None:
        for client in self.clients:
            client.offer(bundle)


class Hub:
    """All clients of this process."""

    def __init__(self) -> None:
        self.clients: set[Client] = set()
        self.tally = Tally()
        self.changes = 0
        """Grows whenever somebody is the first to listen to something, or the last to leave it."""
        self._topics: dict[str, Topic] = {}
        self._by_source: dict[str, list[Topic]] = {}
        self._waiting: list[Client] = []
        self._scheduled = False
        self._not_before = 0.0

    # --- membership

    def join(self, client: Client) -> None:
        self.clients.add(client)
        metrics.CLIENTS.set(len(self.clients))

    def leave(self, client: Client) -> None:
        """Take a client out of everything."""
        self.clients.discard(client)
        for channel in list(client.channels.values()):
            self.unsubscribe(client, channel)
        client.close()
        metrics.CLIENTS.set(len(self.clients))

    def subscribe(self, client: Client, channel: Channel) -> None:
        """Frames of the channel go to the client from now on."""
        topic = self._topics.get(channel.topic)
        if topic is None:
            topic = self._topics[channel.topic] = Topic(channel)
            self.changes += 1
            self._by_source.setdefault(source_key(channel), []).append(topic)
        topic.clients.add(client)
        client.channels[channel.topic] = channel

    def unsubscribe(self, client: Client, channel: Channel) -> None:
        client.channels.pop(channel.topic, None)
        topic = self._topics.get(channel.topic)
        if topic is None:
            return
        topic.clients.discard(client)
        if not topic.clients:
            del self._topics[channel.topic]
            self.changes += 1
            siblings = self._by_source[source_key(channel)]
            siblings.remove(topic)
            if not siblings:
                del self._by_source[source_key(channel)]

    def topics(self, source: str) -> Iterable[Topic]:
        """Topics with at least one client that are fed from a source (see :func:`source_key`)."""
        return self._by_source.get(source, ())

    def channels(self, *kinds: str) -> list[Channel]:
        """What somebody listens to, of some kinds."""
        return [topic.channel for topic in self._topics.values() if topic.channel.kind in kinds]

    def broadcast(self, bundle: Bundle) -> None:
        """To every client, whatever it subscribed to."""
        for client in self.clients:
            client.offer(bundle)

    def alert(self, bundle: Bundle) -> None:
        """To every client that hears alerts: conflated, by rule, only for those that do not keep up."""
        for client in self.clients:
            if client.hears_alerts:
                (client.offer if client.is_slow else client.tell)(bundle)

    def tell_all(self, bundle: Bundle) -> None:
        """To every client that keeps up, unconflated: heartbeats."""
        for client in self.clients:
            if not client.is_slow:
                client.tell(bundle)

    # --- writing

    def wake(self, client: Client) -> None:
        """Flush this client soon."""
        client.queued = True
        self._waiting.append(client)
        if not self._scheduled:
            self._scheduled = True
            loop = asyncio.get_running_loop()
            delay = self._not_before - time.perf_counter()
            if delay > 0:
                loop.call_later(delay, self._flush)
            else:
                loop.call_soon(self._flush)

    def _flush(self) -> None:
        began, worked = time.perf_counter(), time.thread_time()
        waiting, self._waiting = self._waiting, []
        self._scheduled = False
        for client in waiting:
            client.queued = False
            if not client.closed:
                client.flush(began)
        # the loop writes to the sockets at the end of this round: only then the cost is known
        asyncio.get_running_loop().call_soon(self._flushed, began, worked)

    def _flushed(self, began: float, worked: float) -> None:
        """The cost is the work done, not the time it took: others may have had the core meanwhile."""
        now = time.perf_counter()
        metrics.FLUSH_SECONDS.observe(now - began)
        cost = time.thread_time() - worked
        pause = min(PAUSE_PER_COST * cost, LONGEST_PAUSE_S) if cost > CHEAP_S else 0.0
        self._not_before = now + pause


def source_key(channel: Channel) -> str:
    """Trades of a symbol feed the topic ``trades`` and its other names alike."""
    return f"{channel.kind}:{channel.timeframe}:{channel.symbol}"
