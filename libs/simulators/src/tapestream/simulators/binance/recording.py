"""Files of recorded frames, read without holding them in memory.

Two forms, plain or gzipped: ``<receive time ns> <JSON>`` lines (also ``<seconds>: <JSON>``), and JSON
lines ``{"recv_ns": …, "stream": …, "data": …}``. The JSON of ``data`` is kept as it was recorded: a file
is mapped (a gzipped one unpacked into a nameless temporary file first) and frames are cut from it when
they are due.
"""

from __future__ import annotations

import gzip
import mmap
import shutil
import tempfile
from array import array
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NamedTuple

import msgspec

from tapestream.common.errors import TapestreamError
from tapestream.simulators.market import Ints

_STREAM, _DATA = b'{"stream":"', b'","data":'


class TapeError(TapestreamError):
    """A tape cannot be read; the text names the file and the line."""


class RawFrame(NamedTuple):
    recv_ns: int
    stream: str
    """Empty for what came without: a bare event or a REST answer."""
    start: int
    end: int
    """Where the JSON of the event lies in the file."""


class Payloads:
    """The JSON of every frame, cut from the files on demand."""

    __slots__ = ("_ends", "_file_of", "_files", "_starts")

    def __init__(self) -> None:
        self._files: list[mmap.mmap] = []
        self._file_of, self._starts, self._ends = array("H"), array("q"), array("q")

    def __len__(self) -> int:
        return len(self._starts)

    def __getitem__(self, at: int) -> bytes:
        return self._files[self._file_of[at]][self._starts[at] : self._ends[at]]

    def add_file(self, path: Path) -> mmap.mmap:
        """Raises TapeError where there is nothing to read."""
        try:
            mapped = _mapped(path)
        except (OSError, EOFError) as error:
            raise TapeError(f"TAPE={path}: {error}") from None
        except ValueError:
            raise TapeError(f"TAPE={path}: the file is empty") from None
        self._files.append(mapped)
        return mapped

    def add(self, start: int, end: int) -> None:
        """A frame of the file that was added last."""
        self._file_of.append(len(self._files) - 1)
        self._starts.append(start)
        self._ends.append(end)

    def reorder(self, order: Ints) -> None:
        at = order.tolist()
        self._file_of = array("H", [self._file_of[place] for place in at])
        self._starts = array("q", [self._starts[place] for place in at])
        self._ends = array("q", [self._ends[place] for place in at])


def _mapped(path: Path) -> mmap.mmap:
    if path.suffix != ".gz":
        with path.open("rb") as plain:
            return mmap.mmap(plain.fileno(), 0, access=mmap.ACCESS_READ)
    with gzip.open(path, "rb") as packed, tempfile.TemporaryFile() as unpacked:
        shutil.copyfileobj(packed, unpacked, 1 << 20)
        unpacked.flush()
        return mmap.mmap(unpacked.fileno(), 0, access=mmap.ACCESS_READ)


def read_frames(path: Path, mapped: mmap.mmap) -> Iterator[RawFrame]:
    """Frames of one file in its own order. Raises TapeError at a line that holds none."""
    decode = msgspec.json.Decoder(_Line).decode
    end = number = 0
    while line := mapped.readline():
        start, end = end, end + len(line)
        number += 1
        text = line.strip()
        if not text or not (text[0] == 0x7B or text[:1].isdigit()):
            continue  # a heading, such as the address that was recorded
        try:
            frame = _frame(text, decode)
        except (ValueError, msgspec.DecodeError) as error:
            raise TapeError(f"TAPE={path}, line {number}: not a recorded frame ({error})") from None
        lead = start + line.find(text[:1])
        yield RawFrame(frame.recv_ns, frame.stream, lead + frame.start, lead + frame.end)


class _Line(msgspec.Struct):
    stream: str = ""
    data: msgspec.Raw = msgspec.Raw(b"")
    recv_ns: int = 0


def _frame(text: bytes, decode: Callable[[bytes], _Line]) -> RawFrame:
    """A line; positions count from its first character."""
    if text[0] == 0x7B:
        line = decode(text)
        data = bytes(line.data)
        if not data or not line.recv_ns:
            raise ValueError("it has no recv_ns and data")
        start = text.index(data)
        return RawFrame(line.recv_ns, line.stream, start, start + len(data))
    stamp, _, rest = text.partition(b" ")
    recv_ns = int(float(stamp[:-1]) * 1e9) if stamp.endswith(b":") else int(stamp)
    body = len(stamp) + 1
    if rest.startswith(_STREAM):
        quote = rest.index(b'"', len(_STREAM))
        if rest.startswith(_DATA, quote) and rest.endswith(b"}"):
            name = rest[len(_STREAM) : quote].decode()
            return RawFrame(recv_ns, name, body + quote + len(_DATA), len(text) - 1)
    line = decode(rest)
    if line.stream:
        data = bytes(line.data)
        start = body + rest.index(data)
        return RawFrame(recv_ns, line.stream, start, start + len(data))
    return RawFrame(recv_ns, "", body, len(text))
