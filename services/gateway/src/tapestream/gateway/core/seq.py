"""``seq``: the position in the data that a client hands back to resume.

A position is ``stream sequence * 1024 + index in the message``: an integer that JavaScript holds
exactly for 8.7e12 messages. Positions of trades, quotes and bars are counted apart, because bars
come from another stream.
"""

from __future__ import annotations

PER_MESSAGE = 1024


def position(stream_seq: int, index: int = 0) -> int:
    """Position of the ``index``-th item of a message. Items beyond the 1023rd share the last one."""
    return stream_seq * PER_MESSAGE + min(index, PER_MESSAGE - 1)


def stream_seq_of(seq: int) -> int:
    """Sequence of the message that a position lies in."""
    return seq // PER_MESSAGE


class Ascending:
    """Makes positions grow strictly.

    A server that crashed may give the sequences of its last, forgotten messages to other ones; a
    position computed from them would go back. It is lifted above the last one given instead.
    """

    def __init__(self) -> None:
        self.last = 0

    def take(self, stream_seq: int, count: int) -> range:
        """``count`` positions for the items of a message."""
        first = max(self.last + 1, position(stream_seq))
        self.last = first + count - 1
        return range(first, first + count)
