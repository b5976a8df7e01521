"""Ways to notify, one file each: found by listing this package.

A module has a ``CHANNEL`` (:class:`tapestream.alerts.channel.Channel`); the first in the order of the file
names that takes a URL serves it.
"""
