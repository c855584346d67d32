"""Histograms: the bounds of bins and their labels."""

from decimal import ROUND_HALF_UP, Decimal, getcontext
from fractions import Fraction

getcontext().prec = 80  # sums of decimals are exact

COUNTS = [1, 2, 3, 5, 8, 12]
MINUTES = [5, 15, 30, 60, 120, 240]
HUNDREDTHS = [10, 20, 50, 100, 200, 500]


def plain(n):
    return str(n)


def clock(minutes):
    return f"{minutes // 60}:{minutes % 60:02}"


def decimal(hundredths):
    whole, rest = divmod(hundredths, 100)
    return f"{whole}.{rest // 10}" if rest % 10 == 0 else f"{whole}.{rest:02}"


class Bin:
    """The whole numbers from low to high; a high of None is open."""

    def __init__(self, low, high, label, below=False):
        self.low, self.high, self.label, self.below = low, high, label, below

    def has(self, n):
        return (self.below or n >= self.low) and (self.high is None or n <= self.high)


def closed(low, high, name):
    return Bin(low, high, name(low) if low == high else f"{name(low)} - {name(high)}")


def opened(low, name):
    return Bin(low, None, "≥ " + name(low))


def automatic(numbers, ladder, least, name, ranges=False):
    """The automatic bins of numbers; with ranges the first one is never "≤"."""
    if not numbers:
        return []
    ordered = sorted(numbers)
    reach = ordered[-(-len(ordered) * 95 // 100) - 1]
    ten, factor = 1, None
    while factor is None:
        factor = next((d * ten for d in (1, 2, 5) if ladder[-1] * d * ten >= reach), None)
        ten *= 10
    bins, low = [], least
    for step in ladder:
        high = step * factor
        if not bins and least < ladder[0] and not ranges:
            bins.append(Bin(low, high, "≤ " + name(high), below=True))
        else:
            bins.append(closed(low, high, name))
        low = high + 1
        if high >= reach:
            break
    if ordered[-1] >= low:
        bins.append(opened(low, name))
    return bins


def given(lower, uppers, name, scale=1):
    """The bins of lowerBounds and binUpperBounds, in units of 1/scale."""
    bins, low = [], rounded(lower, scale)
    for upper in uppers:
        if upper == "inf":
            bins.append(opened(low, name))
            break
        high = rounded(upper, scale)
        bins.append(closed(low, high, name))
        low = high + 1
    return bins


def rounded(bound, scale):
    return int((Decimal(str(bound)) * scale).quantize(Decimal(1), ROUND_HALF_UP))


def count_by_bin(bins, numbers):
    """The count of numbers in each bin."""
    out = [0] * len(bins)
    for n in numbers:
        for i, b in enumerate(bins):
            if b.has(n):
                out[i] += 1
                break
    return out


def half_away(n, d, digits):
    """n ÷ d rounded to digits decimals, half away from zero; None for a divisor of 0."""
    if d == 0:
        return None
    value = Fraction(n) / Fraction(d) * 10**digits
    whole = int(abs(value) + Fraction(1, 2))
    return Decimal(whole if value >= 0 else -whole).scaleb(-digits)


def hundredths(n, d):
    """n ÷ d in hundredths, half up; both are not negative."""
    return (n * 200 + d) // (2 * d)
