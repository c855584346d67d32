"""The expected answer of each report: rows of SQL in the published shapes.

An answer is (result, the other members of the envelope). Objects are dicts,
whose order counts; numbers are int or Decimal.
"""

from decimal import Decimal
from fractions import Fraction

import bins
import sql
from conditions import FLAGS, TRUE

NULL = "<NULL>"
NUMBERS = {"cpuCores", "displayCount", "ram", "resolutionWidth", "resolutionHeight", "screenPpi", "javaVmRam",
           "lifetimeRuntimeMinutes", "lifetimeSessionCount"}
FLAG_NAMES = {f"{group}.{member}" for group, members in FLAGS.items() for member in members}
PAGE = 200  # clients


def answer(raw, question, today, flags):
    """The expected answer to a request about the raw events.

    flags are {product: {(category, name): {"basic": bool, "advanced": bool}}} as the owner set them.
    """
    tracked = flags.get(question.product, {})
    q = sql.Query(question.product, question.body, today, unbasic=[e for e, f in tracked.items() if not f["basic"]],
                  unadvanced=[e for e, f in tracked.items() if not f["advanced"]])
    made = REPORTS[question.report](raw, q)
    return made if isinstance(made, tuple) else (made, {})


def by_bytes(text):
    return text.encode()


def category_first(key):
    """Order of events: no category first, then by bytes."""
    category, name = key
    return (category or "").encode(), name.encode()


def ratio(n, d):
    return bins.half_away(Fraction(n), Fraction(d), 2)


def percent(n, d):
    return bins.half_away(Fraction(n) * 100, d, 1)


# generic/dateRange, generic/current


def generic(raw, q):
    levels, spans, statements = sql.statuses(q)
    words = [s for s in ("new", "active", "lost") if s in q.body["clientStatus"]]
    take = [("new", "active", "lost").index(w) for w in words]
    totals = lambda numbers: {w: numbers[t] for w, t in zip(words, take)}
    root = Node(0, len(spans))
    for depth, statement in enumerate(statements, start=1 if levels else 0):
        for idx, *rest in raw.rows(statement):
            node = root
            for label in rest[:depth]:
                node = node.within.setdefault(label, Node(rest[depth], len(spans)))
            node.position = min(node.position, rest[depth])
            node.numbers[idx] = rest[depth + 1:]
    if not levels:
        shown = [totals(n) for n in root.numbers]
        return {"totals": shown[0]} if q.body.get("dateSplit") is None else {str(s[0]): n for s, n in zip(spans, shown)}
    settle(root.within, q.fixed, levels, take, len(spans))
    if q.body.get("dateSplit") is None:
        return encode_levels(root.within, 0, 1, len(levels), totals)
    return {str(s[0]): encode_levels(root.within, i, 1, len(levels), totals) for i, s in enumerate(spans)}


class Node:
    """A series: its segment's position, its numbers by bucket, the series within it."""

    def __init__(self, position, spans):
        self.position, self.numbers, self.within = position, [(0, 0, 0)] * spans, {}


def settle(tree, fixed, levels, take, spans):
    """Adds the series that are always there, drops what is beyond a limit."""
    if not levels:
        return
    for label, position in fixed[0]:
        tree.setdefault(label, Node(position, spans))
    for position, segment in enumerate(levels[0]["segments"]):
        if "limit" not in segment:
            continue
        of = [(l, n) for l, n in tree.items() if n.position == position and l != NULL]
        size = lambda n: sum(numbers[t] for numbers in n.numbers for t in take)
        for label, _ in sorted(of, key=lambda p: (-size(p[1]), by_bytes(p[0])))[segment["limit"]:]:
            del tree[label]
    for node in tree.values():
        settle(node.within, fixed[1:], levels[1:], take, spans)


def encode_levels(tree, idx, depth, deepest, totals):
    inner = {}
    for label in sorted(tree, key=by_bytes):
        node = tree[label]
        inner[label] = {"totals": totals(node.numbers[idx])}
        if depth < deepest:
            inner[label] |= encode_levels(node.within, idx, depth + 1, deepest, totals)
    return {f"level{depth}": inner}


# engagement/usageDistribution, churn/histogram/*

METRICS = {
    "activeDays": (bins.COUNTS, 1, bins.plain),
    "sessions": (bins.COUNTS, 0, bins.plain),
    "runtime": (bins.MINUTES, 0, bins.clock),
}


def usage_distribution(raw, q):
    rows = raw.rows(sql.usage(q))
    made = {m: bins.automatic([r[i] for r in rows], *METRICS[m]) for i, m in enumerate(METRICS)}
    out = {}
    for i, metric in enumerate(METRICS):
        out[metric] = {}
        for b in made[metric]:
            who = [r for r in rows if b.has(r[i])]
            row = {"users": len(who)}
            for j, other in enumerate(METRICS):
                if other != metric:
                    row[other] = dict(zip([o.label for o in made[other]], bins.count_by_bin(made[other], [r[j] for r in who])))
            out[metric][b.label] = row
    return out


def churn_histogram(metric):
    def made(raw, q):
        numbers = [r[list(METRICS).index(metric)] for r in raw.rows(sql.churned(q))]
        cut = bins.automatic(numbers, *METRICS[metric])
        return dict(zip([b.label for b in cut], bins.count_by_bin(cut, numbers)))
    return made


# eventTracking/basic/*


def basic_table(raw, q):
    totals, statement = sql.basic_table(q)
    users, sessions, runtime = raw.rows(totals)[0]
    hours = Fraction(int(runtime), 3_600_000)
    rows = sorted(raw.rows(statement), key=lambda r: category_first(r[:2]))

    def usage(count):
        return {"cumulativeUsageCount": count, "averageCountPerUser": ratio(count, users),
                "averageCountPerSession": ratio(count, sessions), "averageCountPerRuntimeHour": ratio(count, hours)}

    def values(count, total, n):
        if n == 0:
            return {}
        return {"cumulativeValue": total, "averageValuePerUser": ratio(total, users),
                "averageValuePerSession": ratio(total, sessions), "averageValuePerRuntimeHour": ratio(total, hours),
                "averageValuePerUsageCount": ratio(total, count)}

    out = []
    for category in dict.fromkeys(r[0] for r in rows):
        mine = [(name, count, total or Decimal(0), n) for c, name, count, total, n in rows if c == category]
        count = sum(m[1] for m in mine)
        out.append({
            "category": category,
            "categoryUsageSummary": usage(count),
            "categoryCustomValuesSummary": values(count, sum(m[2] for m in mine), sum(m[3] for m in mine)),
            "categoryEventsData": {m[0]: {"eventUsage": usage(m[1]), "eventCustomValues": values(*m[1:])} for m in mine},
        })
    return out


def basic_timeline(raw, q):
    spans, totals, statement = sql.basic_timeline(q)
    found = {(idx, n): (count, total) for idx, n, count, total in raw.rows(statement)}
    of = {idx: rest for idx, *rest in raw.rows(totals)}
    counts, divisor = q.body["dataView"] != "customValues", q.body.get("divisor")
    out = {}
    for idx, (key, _, _) in enumerate(spans):
        users, sessions, runtime = of.get(idx, (0, 0, 0))
        row = []
        for n, e in enumerate(q.body["events"]):
            if (e.get("category") or None, e["name"]) in q.unbasic:
                continue
            count, total = found.get((idx, n), (0, Decimal(0)))
            value = count if counts else total
            if divisor is not None:
                by = {"users": users, "sessions": sessions, "runtime": Fraction(int(runtime), 3_600_000), "usageCounts": count}
                value = ratio(value, by[divisor])
            row.append({"category": e.get("category") or None, "name": e["name"], "value": value})
        out[str(key)] = row
    return out


# eventTracking/lifetime/*, eventTracking/churn/lifetime/*, eventTracking/advanced/fullReport


def named(e):
    return {"combiLabel": e["combiLabel"]} if "combiLabel" in e else {"category": e.get("category") or None, "name": e["name"]}


def lifetime_histogram(churn):
    def made(raw, q):
        rows = raw.rows(sql.lifetime_histogram(q, churn))
        events = q.body["events"]
        used = [sum(r[3 + i] > 0 for r in rows) for i in range(len(events))]
        summary = {"usedAtLeastOnce": [dict(named(e), value=used[i]) for i, e in enumerate(events)],
                   "neverUsed": [dict(named(e), value=len(rows) - used[i]) for i, e in enumerate(events)]}
        histograms = {}
        for at, key in enumerate(("eventCount", "averageCountPerActiveDay", "averageCountPerActiveWeek", "averageCountPerActiveMonth")):
            number = (lambda r, i: r[3 + i]) if at == 0 else (lambda r, i: bins.hundredths(r[3 + i], r[at - 1]))
            numbers = [[number(r, i) for r in rows if r[3 + i] > 0] for i in range(len(events))]
            cut = cut_lifetime(q.body, key, at, [n for of in numbers for n in of])
            found = [bins.count_by_bin(cut, of) for of in numbers]
            histograms[key] = {b.label: [dict(named(e), value=found[i][n]) for i, e in enumerate(events)] for n, b in enumerate(cut)}
        return {"summary": summary, "histograms": histograms}
    return made


def cut_lifetime(body, key, at, numbers):
    name, scale = (bins.plain, 1) if at == 0 else (bins.decimal, 100)
    if key in (body.get("lowerBounds") or {}):
        return bins.given(body["lowerBounds"][key], body["binUpperBounds"][key], name, scale)
    if at == 0:
        return bins.automatic(numbers, bins.COUNTS, 1, name)
    return bins.automatic(numbers, bins.HUNDREDTHS, 0, name, ranges=True)


def largest(q, sizes):
    """The series of segmentBy that are in the answer, by label; sizes are {label: (position, units)}."""
    series = dict(sizes)
    for label, position in q.fixed[0]:
        series.setdefault(label, (position, 0))
    for position, segment in enumerate(q.body["segments"]):
        if "limit" in segment:
            of = [l for l, (p, _) in series.items() if p == position and l != NULL]
            for label in sorted(of, key=lambda l: (-series[l][1], by_bytes(l)))[segment["limit"]:]:
                del series[label]
    return sorted(series, key=by_bytes)


def lifetime_table(churn):
    def made(raw, q):
        active, statement = sql.lifetime_table(q, churn)
        units = {label: (position, n) for label, position, n in raw.rows(active)}
        whole = units.pop(None, (0, 0))[1]
        labels = largest(q, units) if q.fixed else []
        found = {}
        for a, b, label, _, n, users, days in raw.rows(statement):
            found.setdefault((a, b), {})[label] = (n, users, days)
        rows = []
        for key, head, order in asked(q.body.get("events"), found):
            of = found.get(key, {})
            row = dict(head, **metrics(whole, *of.get(None, (0, 0, 0))))
            if q.fixed:
                row["segments"] = [dict(segmentLabel=l, **metrics(units.get(l, (0, 0))[1], *of.get(l, (0, 0, 0)))) for l in labels]
            rows.append((order, row))
        return paged(q.body, rows)
    return made


def asked(events, found):
    """(key in found, the members that name it, its place in alphabetical order) of every row."""
    if events is None:
        return [(k, {"eventCategory": k[0], "eventName": k[1]}, (0,) + category_first(k)) for k in found if k[1] is not None]
    out = []
    for i, e in enumerate(events):
        if "combiLabel" in e:
            out.append(((str(i), None), {"combiLabel": e["combiLabel"]}, (1, by_bytes(e["combiLabel"]), b"")))
        else:
            category = e.get("category") or None
            out.append(((str(i), None), {"eventCategory": category, "eventName": e["name"]}, (0,) + category_first((category, e["name"]))))
    return out


def metrics(active, n, users, days):
    return {"active": active, "eventCount": int(n), "uniqueUsersUsedAtLeastOnce": users, "percentUsedAtLeastOnce": percent(users, active),
            "eventCountPerUserUsedAtLeastOnce": ratio(int(n), users), "eventCountPerUserUsedAtLeastOnceActiveDay": ratio(int(n), int(days))}


def paged(body, rows):
    """Sorts, cuts the page, categorizes."""
    sorting = body.get("sorting") or {}
    member = {"eventCounts": "eventCount"}
    rows.sort(key=lambda r: r[0])
    by, down = sorting.get("events", "alpha"), sorting.get("eventsDirection") == "desc"
    if by == "alpha":
        rows.sort(key=lambda r: r[0], reverse=down)
    else:
        rows.sort(key=lambda r: -r[1][member.get(by, by)] if down else r[1][member.get(by, by)])
    for _, row in rows:
        if "segments" in row:
            by, down = sorting.get("segments", "alpha"), sorting.get("segmentsDirection") == "desc"
            if by == "alpha":
                row["segments"].sort(key=lambda s: by_bytes(s["segmentLabel"]), reverse=down)
            else:
                size = lambda s: s[member.get(by, by)] or 0  # the share of nobody is null
                row["segments"].sort(key=lambda s: -size(s) if down else size(s))
    start, limit = body.get("startAtRow") or 0, body.get("limit") or 1000
    page = [row for _, row in rows[start:start + limit]]
    more = {"reachedEnd": start + limit >= len(rows)}
    if not more["reachedEnd"]:
        more["nextRow"] = start + limit
    return (categorized(page) if body.get("categorizeEvents") else page), more


def categorized(rows):
    groups, plain = {}, []
    for row in rows:
        if "combiLabel" in row:
            plain.append(row)
        else:
            groups.setdefault(row["eventCategory"], []).append({k: v for k, v in row.items() if k != "eventCategory"})
    return [{"eventCategory": c, "categoryData": of} for c, of in groups.items()] + plain


def full_report(raw, q):
    rows = raw.rows(sql.full_report(q))
    shown = [(i, e) for i, e in enumerate(q.body["events"]) if "combiLabel" in e or (e.get("category") or None, e["name"]) not in q.unadvanced]
    if not q.fixed:
        return [full_element(e, [(r[2], r[3 + i]) for r in rows]) for i, e in shown]
    sizes, mine = {}, {}
    for label, position, *rest in rows:
        have = sizes.get(label, (position, 0))
        sizes[label] = (min(have[0], position), have[1] + 1)
        mine.setdefault(label, []).append(rest)
    return {label: [full_element(e, [(r[0], r[1 + i]) for r in mine.get(label, [])]) for i, e in shown] for label in largest(q, sizes)}


def full_element(e, who):
    """One event; who are (sessions, occurrences) of each client."""
    did = [(s, n) for s, n in who if n > 0]
    total = sum(n for _, n in did)
    cut = bins.automatic([n for _, n in did], bins.COUNTS, 1, bins.plain)
    return dict(named(e), **{
        "eventCounts": total,
        "averageEventCountPerSessionUsedAtLeastOnce": ratio(total, sum(s for s, _ in did)),
        "averageEventCountPerSessionAll": ratio(total, sum(s for s, _ in who)),
        "averageEventCountPerUserAtLeastOnce": ratio(total, len(did)),
        "averageEventCountPerUserAll": ratio(total, len(who)),
        "uniqueUsersUsedAtLeastOnce": len(did),
        "uniqueUsersNeverUsed": len(who) - len(did),
        "usageFrequency": dict(zip([b.label for b in cut], bins.count_by_bin(cut, [n for _, n in did]))),
    })


# engagement/churnAndEngagement


def period(d, split):
    if split == "month":
        return d.year * 12 + d.month
    return d.toordinal() if split == "day" else (d.toordinal() - 1) // 7


def engagement(raw, q):
    rows = raw.rows(sql.engagement(q))
    start, stop, split = q.date("startDate"), q.date("stopDate"), q.body["dateSplit"]
    last = lambda first: period(stop, split) - period(first, split)
    if q.body.get("segmentBy") == "installationMonth":
        months = [key for key, _, _ in sql.buckets(start, stop, "month")]
        return {str(m): periods([r for r in rows if r[2] == m], last(max(m, start))) for m in months}
    if not q.fixed:
        return {"totals": periods(rows, last(start))}
    sizes = {}
    for label, position, _, _, _, n in rows:
        have = sizes.get(label, (position, 0))
        sizes[label] = (min(have[0], position), have[1] + n)
    return {label: periods([r for r in rows if r[0] == label], last(start)) for label in largest(q, sizes)}


def periods(rows, last):
    out = {}
    for p in range(last + 1):
        there = [r for r in rows if r[4] >= p]
        size = sum(r[5] for r in there)
        lost = sum(r[5] for r in there if r[3] is not None and r[3] < p)
        out[str(p)] = {"engaged": size - lost, "engagedPercent": percent(size - lost, size), "lost": lost, "lostPercent": percent(lost, size)}
    return out


# clientPropertyList


def value_of(name, text):
    if name in FLAG_NAMES:
        return (text or "").strip().lower() in TRUE
    if text is None:
        return NULL
    if name == "touchScreen" and text in ("true", "false"):
        return text == "true"
    if name in NUMBERS:
        try:
            return Decimal(text)
        except ArithmeticError:
            return text
    return text


EVERY = (  # what an export lists without properties, in this order; then the user attributes and the contacts
    ["prodVersion", "prodEdition", "prodBuild", "prodLanguage", "licenseType", "licenseKey"]
    + ["licenseStatus." + f for f in ("activated", "blocked", "expired", "allowed")]
    + ["geography." + f for f in ("continent", "country", "usState")] + ["os." + f for f in ("platform", "version", "edition")]
    + ["osLanguage", "osWordLength", "formFactor", "vm", "cpuType", "cpuCores", "ram", "displayCount", "resolutionWidth", "resolutionHeight",
       "screenPpi", "touchScreen", "gpu.vendor", "gpu.model", "dotNetVersion", "javaVersion", "javaVendor", "javaRuntime", "javaGraphics",
       "javaVmVersion", "javaVmName", "javaVmRam", "machineId", "dateInstalled", "dateLastSeen", "lifetimeRuntimeMinutes",
       "lifetimeSessionCount", "lifetimeEventUsage", "optOut.historical", "optOut.current", "backOff.historical", "backOff.current"]
    + [f"C{n:02}" for n in range(1, 21)]
)


def client_list(raw, q):
    if q.body.get("export") and q.body.get("properties") is None:
        attributes = sorted(raw.attribute_names.get(q.product, ()), key=lambda n: (n.startswith("contact."), by_bytes(n)))
        q.body = q.body | {"properties": EVERY + attributes}
    wanted, clients, usage, daily = sql.client_list(q)
    rows = sorted(raw.rows(clients), key=lambda r: by_bytes(r[0]))
    rows = [r for r in rows if by_bytes(r[0]) >= by_bytes(q.body.get("startAtClientId") or "")]
    page, rest = rows[:PAGE], rows[PAGE:]
    more = {"reachedEnd": not rest} | ({"nextClientId": rest[0][0]} if rest else {})
    properties = list(dict.fromkeys(q.body.get("properties") or []))
    events, days = {}, {}
    if "lifetimeEventUsage" in properties:
        for unit, category, name, n in raw.rows(usage):
            events.setdefault(unit, []).append((category, name, n))
    for unit, at, *values in raw.rows(daily) if daily else ():
        of = q.body["retDailyData"].get("properties") or []
        days.setdefault(unit, []).append({"date": str(at)} | {p: value_of(p, v) for p, v in zip(of, values)})
    out = []
    for unit, *values in page:
        known, element = dict(zip(wanted, values)), {"clientId": unit}
        for p in properties:
            if p == "lifetimeEventUsage":
                element[p] = [{"eventCategory": c, "eventName": n, "eventCount": k}
                              for c, n, k in sorted(events.get(unit, []), key=lambda e: category_first(e[:2]))]
            elif p.startswith(("user.", "contact.")):
                value = raw.user_attributes.get((q.product, unit), {}).get(p)
                element[p] = NULL if value in (None, "", NULL) else value  # 0, false and [] are values
            else:
                element[p] = [] if p.startswith("reachOut") else value_of(p, known[p])
        if q.body.get("retDailyData"):
            element["dailyData"] = days.get(unit, [])
        out.append(element)
    return out, more


REPORTS = {
    "generic/dateRange": generic,
    "generic/current": generic,
    "engagement/usageDistribution": usage_distribution,
    "engagement/churnAndEngagement": engagement,
    "eventTracking/basic/dataTable": basic_table,
    "eventTracking/basic/timeline": basic_timeline,
    "eventTracking/lifetime/histogram": lifetime_histogram(churn=False),
    "eventTracking/lifetime/dataTable": lifetime_table(churn=False),
    "eventTracking/churn/lifetime/histogram": lifetime_histogram(churn=True),
    "eventTracking/churn/lifetime/dataTable": lifetime_table(churn=True),
    "eventTracking/advanced/fullReport": full_report,
    "churn/histogram/days": churn_histogram("activeDays"),
    "churn/histogram/sessions": churn_histogram("sessions"),
    "churn/histogram/runtime": churn_histogram("runtime"),
    "clientPropertyList": client_list,
}
