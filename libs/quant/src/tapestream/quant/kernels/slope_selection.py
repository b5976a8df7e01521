"""The median of n (n - 1) / 2 slopes in O(n log n) time and O(n) memory, as a rule.

For a slope s, the rows in the order of x have as many inversions of ``y - s x`` as there are slopes below
s (Cole, Salowe, Steiger and Szemerédi 1989, "An optimal-time algorithm for slope selection", SIAM J.
Comput. 18, 792-810). A random sample gives a bracket around the median, counting makes it narrow, and
the few slopes left inside are written down and sorted out exactly. Residuals are rounded, so a slope close
to an end of the bracket can be counted on the wrong side of it; the answer is taken only where it
is further inside than that. Where that fails, or too many slopes are equal to be written down, each
slope is compared itself: O(n^2) time, still O(n) memory.
"""

from __future__ import annotations

import math

import numpy as np
from numba import njit

from tapestream.quant.kernels.limits import ROUNDING
from tapestream.quant.kernels.selection import select


@njit(cache=True)
def _random(state):
    """The next state and a number in (0, 1): Park and Miller's generator. Results repeat: the seed is fixed."""
    state = state * 48271 % 2147483647  # no overflow, which compiled integers do not define
    return state, state / 2147483647.0


@njit(cache=True)
def _inversions(keys, order, spare, pairs):
    """Sort ``order`` by keys; returns how many (earlier, later) had keys[earlier] > keys[later].

    The first ``len(pairs)`` of them are written to ``pairs`` [m, 2].
    """
    n = len(order)
    count = 0
    room = len(pairs)
    width = 1
    while width < n:
        for low in range(0, n, 2 * width):
            middle = min(low + width, n)
            high = min(low + 2 * width, n)
            if middle == high or keys[order[middle - 1]] <= keys[order[middle]]:
                for k in range(low, high):
                    spare[k] = order[k]
                continue
            i, j = low, middle
            for k in range(low, high):
                if j >= high or (i < middle and keys[order[i]] <= keys[order[j]]):
                    spare[k] = order[i]
                    i += 1
                    continue
                for left in range(i, min(middle, i + room - count)):
                    pairs[count + left - i, 0] = order[left]
                    pairs[count + left - i, 1] = order[j]
                count += middle - i
                spare[k] = order[j]
                j += 1
        order[:] = spare
        width *= 2
    return count


@njit(cache=True)
def _count_below(slope, centred_y, centred_x, order, spare, keys, none):
    """How many slopes are below this one."""
    for i in range(len(order)):
        keys[i] = centred_y[i] - slope * centred_x[i]
        order[i] = i
    return _inversions(keys, order, spare, none)


@njit(cache=True)
def _pairs_of_equals(ordered):
    """Pairs of equal neighbours in an ordered array."""
    count = 0
    run = 0
    for i in range(1, len(ordered)):
        run = run + 1 if ordered[i] == ordered[i - 1] else 0
        count += run
    return count


@njit(cache=True)
def _by_x_then_y(y, x):
    order = np.argsort(x, kind="mergesort")
    xs, ys = x[order], y[order]
    start = 0
    for i in range(1, len(xs) + 1):
        if i == len(xs) or xs[i] != xs[start]:
            if i - start > 1:
                ys[start:i] = np.sort(ys[start:i])
            start = i
    return ys, xs


@njit(cache=True)
def _sampled(ys, xs, size):
    """Slopes of random pairs, in order."""
    n = len(ys)
    slopes = np.empty(size)
    state = np.int64(n)
    count = 0
    for _ in range(size):
        state, u = _random(state)
        state, v = _random(state)
        i, j = int(u * n), int(v * n)
        if xs[i] != xs[j]:
            slopes[count] = (ys[j] - ys[i]) / (xs[j] - xs[i])
            count += 1
    return np.sort(slopes[:count])


@njit(cache=True)
def _slope_of_rank(ys, xs, rank):
    """Quickselect without writing slopes down: each round compares all of them with one of those left."""
    n = len(ys)
    low, high = -np.inf, np.inf
    state = np.int64(n)
    pivot = np.nan
    while True:
        below = equal = seen_below = seen_above = 0
        from_below = from_above = np.nan
        for i in range(n - 1):
            for j in range(i + 1, n):
                dx = xs[j] - xs[i]
                if dx == 0.0:
                    continue
                slope = (ys[j] - ys[i]) / dx
                if slope < pivot:
                    below += 1
                    if slope > low:
                        seen_below += 1
                        state, u = _random(state)
                        if u * seen_below < 1.0:
                            from_below = slope
                elif slope == pivot:
                    equal += 1
                elif slope < high:
                    seen_above += 1
                    state, u = _random(state)
                    if u * seen_above < 1.0:
                        from_above = slope
        if rank < below:
            high, pivot = pivot, from_below
        elif rank < below + equal:
            return pivot
        else:
            low = low if math.isnan(pivot) else pivot  # the first round has no pivot yet
            pivot = from_above


@njit(cache=True)
def _narrow(low, high, first, last, most, centred_y, centred_x, scratch):
    """A bracket around the ranks first … last with at most ``most`` slopes in it, and how many are below.

    ``(low, high, below low, below high)``; the counts are -1 where the bracket does not hold them.
    """
    order, spare, keys, none = scratch
    below_low = _count_below(low, centred_y, centred_x, order, spare, keys, none)
    below_high = _count_below(high, centred_y, centred_x, order, spare, keys, none)
    for round_ in range(60):
        if below_low > first or below_high <= last:
            return low, high, -1, -1
        if below_high - below_low <= most:
            break
        # Slopes inside lie about evenly; each third round halves instead, should they not.
        share = (0.5 * (first + last) - below_low) / (below_high - below_low)
        width = high - low
        for side in range(2):
            at = 0.5 if round_ % 3 == 2 else min(0.95, max(0.05, share + (0.02 if side else -0.02)))
            slope = low + at * width
            if not low < slope < high:
                continue
            below = _count_below(slope, centred_y, centred_x, order, spare, keys, none)
            if below <= first:
                low, below_low = slope, below
            elif below > last:
                high, below_high = slope, below
    return low, high, below_low, below_high


@njit(cache=True)
def _trusted(low, high, lower, upper, ys, xs, centred_y, centred_x):
    """Whether rounding of residuals cannot have put a slope on the wrong side of the median.

    It moves the border at ``low`` or ``high`` by less than ``size * ROUNDING / dx`` for a pair with this
    dx. So only pairs that are very close in x can be wrong, and these few are looked at one by one.
    """
    inner = min(lower - low, high - upper)
    if inner <= 0.0:
        return False
    size = np.max(np.abs(centred_y)) + max(abs(low), abs(high)) * np.max(np.abs(centred_x))
    close = ROUNDING * size / inner
    n = len(xs)
    looked = 0
    for i in range(n - 1):
        for j in range(i + 1, n):
            dx = xs[j] - xs[i]
            if dx > close:
                break
            looked += 1
            if looked > 64 * n:
                return False
            if dx == 0.0:
                continue
            slope = (ys[j] - ys[i]) / dx
            if centred_y[j] - low * centred_x[j] < centred_y[i] - low * centred_x[i]:
                if slope > lower:
                    return False
            elif centred_y[j] - high * centred_x[j] >= centred_y[i] - high * centred_x[i] and slope < upper:
                return False
    return True


@njit(cache=True)
def select_slopes(y, x):
    """The median slope between rows with different x; NaN where there are none."""
    n = len(y)
    ys, xs = _by_x_then_y(y, x)
    slopes = n * (n - 1) // 2 - _pairs_of_equals(xs)
    if slopes == 0:
        return np.nan
    first, last = (slopes - 1) // 2, slopes // 2

    centred_y, centred_x = ys - ys[n // 2], xs - xs[n // 2]
    spare = np.empty(n, dtype=np.int64)
    keys = np.empty(n)
    order = np.empty(n, dtype=np.int64)
    none = np.empty((0, 2), dtype=np.int64)
    scratch = (order, spare, keys, none)

    # Prices move in steps: that many y are equal is usual, and then so are many slopes, to zero.
    falling = _count_below(0.0, ys, xs, order, spare, keys, none)
    both = 0
    run = 0
    for i in range(1, n):
        run = run + 1 if xs[i] == xs[i - 1] and ys[i] == ys[i - 1] else 0
        both += run
    flat = _pairs_of_equals(np.sort(ys)) - both
    if falling <= first and last < falling + flat:
        return 0.0

    sample = _sampled(ys, xs, 16 * n)
    reach = 1.5 * math.sqrt(len(sample)) + 2.0
    middle = len(sample) // 2
    low = sample[max(0, int(middle - reach))]
    high = sample[min(len(sample) - 1, int(middle + reach))]
    low, high, below_low, below_high = _narrow(
        low, high, first, last, max(8 * n, 20_000), centred_y, centred_x, scratch
    )
    inside = below_high - below_low
    if below_low >= 0 and 0 < inside <= 64 * n + 20_000:
        _count_below(low, centred_y, centred_x, order, spare, keys, none)
        for i in range(n):
            keys[i] = centred_y[i] - high * centred_x[i]
        pairs = np.empty((inside, 2), dtype=np.int64)
        if _inversions(keys, order, spare, pairs) == inside:
            found = np.empty(inside)
            for k in range(inside):
                i, j = pairs[k, 0], pairs[k, 1]
                found[k] = (ys[j] - ys[i]) / (xs[j] - xs[i])
            upper = select(found, last - below_low)
            lower = upper if first == last else np.max(found[: last - below_low])
            if _trusted(low, high, lower, upper, ys, xs, centred_y, centred_x):
                return (lower + upper) / 2.0 if first != last else upper
    upper = _slope_of_rank(ys, xs, last)
    if first == last:
        return upper
    return (_slope_of_rank(ys, xs, first) + upper) / 2.0
