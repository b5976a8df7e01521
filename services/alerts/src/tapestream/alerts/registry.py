"""The metrics and channels that there are."""

from __future__ import annotations

from functools import cache

from tapestream.alerts import channels, metrics
from tapestream.alerts.channel import Channel
from tapestream.alerts.core.metric import Metric
from tapestream.common.plugins import load_plugin, plugin_names


@cache
def all_metrics() -> dict[str, Metric]:
    """Name → metric."""
    found = [load_plugin(metrics, name).METRIC for name in plugin_names(metrics)]
    return {metric.name: metric for metric in found}


@cache
def all_channels() -> tuple[Channel, ...]:
    """In the order in which they are asked."""
    return tuple(load_plugin(channels, name).CHANNEL for name in plugin_names(channels))


def load_channels() -> None:
    """Make them ready: the first use of some blocks for half a second, so not while requests are served."""
    channel_of("nobody://")


def channel_of(url: str) -> Channel | None:
    """The first that takes a URL."""
    return next((one for one in all_channels() if one.takes(url)), None)
