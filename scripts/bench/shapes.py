"""Shapes of the reports, implemented independently of Weir from the API documents.

DuckDB computes the numbers; arranging them in the shape of the answer is not timed.
Decimals are exact, as in the answers, which are parsed as Decimal.
"""

from collections import Counter, defaultdict
from decimal import Decimal
from fractions import Fraction

COUNTS = dict(ladder=[1, 2, 3, 5, 8, 12], least=1)
SESSIONS = dict(ladder=[1, 2, 3, 5, 8, 12], least=0)
MINUTES = dict(ladder=[5, 15, 30, 60, 120, 240], least=0, label=lambda n: f"{n // 60}:{n % 60:02d}")
HUNDREDTHS = dict(ladder=[10, 20, 50, 100, 200, 500], least=0, label=lambda n: f"{n // 100}.{n % 100:02d}".removesuffix("0"), ranged=True)


def rounded(n, d, decimals):
    """n / d, half away from zero; None for a divisor of 0."""
    if d == 0:
        return None
    scaled = abs(Fraction(n) / Fraction(d)) * 10**decimals
    whole = (2 * scaled.numerator + scaled.denominator) // (2 * scaled.denominator)
    return Decimal(whole if n >= 0 else -whole).scaleb(-decimals)


def ratio(n, d):
    return rounded(n, d, 2)


def percent(n, d):
    return rounded(100 * n, d, 1)


def bins(counted, ladder, least, label=str, ranged=False):
    """The automatic bins of {number: clients} as [(low, high, label)]; high is None for an open one."""
    if not counted:
        return []
    rank, reach, seen = (sum(counted.values()) * 95 + 99) // 100, 0, 0
    for reach in sorted(counted):
        seen += counted[reach]
        if seen >= rank:
            break
    factor = next(f for ten in range(19) for f in (10**ten, 2 * 10**ten, 5 * 10**ten) if ladder[-1] * f >= reach)
    out, low = [], least
    for step in ladder:
        high = step * factor
        if not out and least < step and not ranged:
            name = "≤ " + label(high)
        else:
            name = label(high) if low == high else f"{label(low)} - {label(high)}"
        out.append((low, high, name))
        low = high + 1
        if high >= reach:
            break
    if max(counted) >= low:
        out.append((low, None, "≥ " + label(low)))
    return out


def label_of(of, n):
    return next(name for low, high, name in of if high is None or n <= high)


def histogram(counted, scale):
    of = bins(counted, **scale)
    out = {name: 0 for _, _, name in of}
    for n, clients in counted.items():
        out[label_of(of, n)] += clients
    return out


def count_series(rows, keys, statuses, labelled):
    """rows: (key, label, one number for each status)."""
    if not labelled:
        out = {key: dict.fromkeys(statuses, 0) for key in keys}
        for key, _, *numbers in rows:
            out[key] = dict(zip(statuses, numbers))
        return out
    labels = {"<NULL>"} | {label if label is not None else "<NULL>" for _, label, *_ in rows}
    out = {key: {"level1": {label: {"totals": dict.fromkeys(statuses, 0)} for label in labels}} for key in keys}
    for key, label, *numbers in rows:
        out[key]["level1"]["<NULL>" if label is None else label]["totals"] = dict(zip(statuses, numbers))
    return out


def usage_distribution(rows):
    """rows: (active days, sessions, minutes, clients)."""
    scales = {"activeDays": COUNTS, "sessions": SESSIONS, "runtime": MINUTES}
    cut = {}
    for i, (name, scale) in enumerate(scales.items()):
        counted = Counter()
        for row in rows:
            counted[row[i]] += row[3]
        cut[name] = bins(counted, **scale)
    out = {}
    for i, name in enumerate(scales):
        others = [(j, other) for j, other in enumerate(scales) if j != i]
        out[name] = {
            label: {"users": 0} | {other: {inner: 0 for _, _, inner in cut[other]} for _, other in others} for _, _, label in cut[name]
        }
        for row in rows:
            at = out[name][label_of(cut[name], row[i])]
            at["users"] += row[3]
            for j, other in others:
                at[other][label_of(cut[other], row[j])] += row[3]
    return out


HOUR = 3_600_000


def event_table(rows, users, sessions, runtime):
    """rows: (category, name, count, sum of values, values)."""

    def usage(count):
        return {
            "cumulativeUsageCount": count,
            "averageCountPerUser": ratio(count, users),
            "averageCountPerSession": ratio(count, sessions),
            "averageCountPerRuntimeHour": ratio(count * HOUR, runtime),
        }

    def values(count, total, n):
        if n == 0:
            return {}
        return {
            "cumulativeValue": total,
            "averageValuePerUser": ratio(total, users),
            "averageValuePerSession": ratio(total, sessions),
            "averageValuePerRuntimeHour": ratio(total * HOUR, runtime),
            "averageValuePerUsageCount": ratio(total, count),
        }

    groups = defaultdict(list)
    for category, *rest in sorted(rows, key=lambda r: ((r[0] or "").encode(), r[1].encode())):
        groups[category or None].append(rest)
    out = []
    for category, events in groups.items():
        sums = [sum(e[i] for e in events) for i in (1, 2, 3)]
        out.append({
            "category": category,
            "categoryUsageSummary": usage(sums[0]),
            "categoryCustomValuesSummary": values(*sums),
            "categoryEventsData": {name: {"eventUsage": usage(n), "eventCustomValues": values(n, s, v)} for name, n, s, v in events},
        })
    return out


def lifetime_table(rows, active):
    """rows: (category, name, count, users, active days of them)."""
    return [
        {
            "eventCategory": category or None, "eventName": name, "active": active, "eventCount": count,
            "uniqueUsersUsedAtLeastOnce": users, "percentUsedAtLeastOnce": percent(users, active),
            "eventCountPerUserUsedAtLeastOnce": ratio(count, users),
            "eventCountPerUserUsedAtLeastOnceActiveDay": ratio(count, days),
        }
        for category, name, count, users, days in sorted(rows, key=lambda r: ((r[0] or "").encode(), r[1].encode()))
    ]


def full_report(rows, events, clients, sessions):
    """rows: (category, name, occurrences, clients with that many, their sessions)."""
    of = defaultdict(list)
    for category, name, *rest in rows:
        of[category, name].append(rest)
    out = []
    for e in events:
        mine = of[e["category"], e["name"]]
        count, users, own = sum(n * c for n, c, _ in mine), sum(c for _, c, _ in mine), sum(s for _, _, s in mine)
        out.append(e | {
            "eventCounts": count,
            "averageEventCountPerSessionUsedAtLeastOnce": ratio(count, own),
            "averageEventCountPerSessionAll": ratio(count, sessions),
            "averageEventCountPerUserAtLeastOnce": ratio(count, users),
            "averageEventCountPerUserAll": ratio(count, clients),
            "uniqueUsersUsedAtLeastOnce": users,
            "uniqueUsersNeverUsed": clients - users,
            "usageFrequency": histogram({n: c for n, c, _ in mine}, COUNTS),
        })
    return out


def lifetime_histogram(rows, events, population):
    """rows: (category, name, count, days, weeks, months, clients)."""
    scales = {"eventCount": COUNTS, "averageCountPerActiveDay": HUNDREDTHS, "averageCountPerActiveWeek": HUNDREDTHS, "averageCountPerActiveMonth": HUNDREDTHS}

    def number(row, metric):
        return row[2] if metric == 0 else int(rounded(row[2], row[2 + metric], 2) * 100)

    used = Counter()
    for row in rows:
        used[row[0], row[1]] += row[6]
    keys = [(e["category"], e["name"]) for e in events]

    def listed(of):
        return [e | {"value": of[key]} for e, key in zip(events, keys)]

    out = {
        "summary": {"usedAtLeastOnce": listed(used), "neverUsed": listed({key: population - used[key] for key in keys})},
        "histograms": {},
    }
    for metric, (name, scale) in enumerate(scales.items()):
        counted, placed = Counter(), defaultdict(Counter)
        for row in rows:
            counted[number(row, metric)] += row[6]
        cut = bins(counted, **scale)
        for row in rows:
            placed[label_of(cut, number(row, metric))][row[0], row[1]] += row[6]
        out["histograms"][name] = {label: listed(placed[label]) for _, _, label in cut}
    return out


def cohorts(rows, months, last):
    """rows: (month installed, period lost by or None, clients)."""
    out = {}
    for month in months:
        mine = [(lost, n) for m, lost, n in rows if m == month]
        size = sum(n for _, n in mine)
        out[month.isoformat()] = {}
        for period in range((last.year - month.year) * 12 + last.month - month.month + 1):
            lost = sum(n for at, n in mine if at is not None and at < period)
            out[month.isoformat()][str(period)] = {
                "engaged": size - lost, "engagedPercent": percent(size - lost, size), "lost": lost, "lostPercent": percent(lost, size),
            }
    return out
