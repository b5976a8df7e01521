"""Deterministic randomness: every number is a function of a key and an index, with no state.

Only integer arithmetic, addition, multiplication and division are used, so that the same seed gives
the same market on every machine.
"""

from __future__ import annotations

from hashlib import blake2b

import numpy as np
from numpy.typing import NDArray

from tapestream.simulators.market import Ints

Floats = NDArray[np.float64]

_GOLDEN = np.uint64(0x9E3779B97F4A7C15)
_MASK = (1 << 64) - 1


def make_key(*parts: object) -> int:
    """A 64-bit key out of a seed, a symbol, a purpose."""
    text = "\x1f".join(str(part) for part in parts)
    return int.from_bytes(blake2b(text.encode(), digest_size=8).digest(), "little")


def sub_key(key: int, index: int) -> int:
    """A key below a key, such as a minute's."""
    return int(bits(key, np.array([index], dtype=np.int64))[0])


def bits(key: int, index: Ints) -> NDArray[np.uint64]:
    """64 random bits for each index (SplitMix64, Steele, Lea, Flood 2014)."""
    x = (index.astype(np.uint64) + np.uint64(1)) * _GOLDEN + np.uint64(key & _MASK)
    x ^= x >> np.uint64(30)
    x *= np.uint64(0xBF58476D1CE4E5B9)
    x ^= x >> np.uint64(27)
    x *= np.uint64(0x94D049BB133111EB)
    x ^= x >> np.uint64(31)
    return x


def uniform(key: int, index: Ints) -> Floats:
    """Uniform in [0, 1)."""
    return (bits(key, index) >> np.uint64(11)).astype(np.float64) * (1.0 / (1 << 53))


def normal(key: int, index: Ints) -> Floats:
    """Nearly normal, mean 0, variance 1: four 16-bit words summed (Irwin-Hall)."""
    x = bits(key, index)
    word = np.uint64(0xFFFF)
    total = (
        (x & word)
        + ((x >> np.uint64(16)) & word)
        + ((x >> np.uint64(32)) & word)
        + ((x >> np.uint64(48)) & word)
    )
    return (total.astype(np.float64) / 65_536.0 - 2.0) * 1.7320508075688772


def wander(key: int, at: Ints, octaves: int) -> Floats:
    """Noise that looks like a random walk on scales from 1 to 2**octaves and stays bounded beyond.

    Each octave is linear between random values 2**j apart, with an amplitude that grows as the square
    root of the distance, as a random walk's does. A step of 1 has a standard deviation near 1.
    """
    total = np.zeros(len(at), dtype=np.float64)
    amplitude = 0.5
    for octave in range(octaves):
        cell = at >> octave
        part = (at - (cell << octave)).astype(np.float64) / float(1 << octave)
        octave_key = (key + 0x632BE59BD9B4E019 * (octave + 1)) & _MASK
        left, right = normal(octave_key, cell), normal(octave_key, cell + 1)
        total += amplitude * (left + (right - left) * part)
        amplitude *= 1.4142135623730951
    return total


def exponential(x: Floats) -> Floats:
    """e**x for small x by repeated squaring: plain multiplications, alike on every machine."""
    result = 1.0 + x / 4096.0
    for _ in range(12):
        result = result * result
    return result
