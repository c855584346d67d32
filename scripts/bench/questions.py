"""SQL of the requests of BenchmarkReports over the Parquet files of the rollups.

Each function runs its SQL by ask(sql), which is timed, and then arranges the rows in
the shape of Weir's answer, which is not. The value of a property is the last one by
(time, offset), as in rollups: [{"t":1700000000000,"o":42,"v":{"prodVersion":"4.1"}}]. The
SQL does not handle what the data of the benchmark lacks: cleared properties, and
clients that send only some of their properties with an event.
"""

from datetime import date, timedelta
from decimal import Decimal

import shapes

STANDARD = {"prodVersion", "prodEdition", "geography.country"}  # of the requested ones those that are stored for each day
TRACKED = "name NOT IN ('session_start', 'session_stop')"


def path(name, member):
    return f"'$[0].v.\"{name}\"'" if member == "v" else f"'$[0].{member}'"


class Question:
    def __init__(self, body, today):
        self.body = body
        self.today = f"DATE '{today}'"
        self.after = body.get("daysUntilDeclaredLost")
        self.filters = body.get("globalFilters", {})
        if "startDate" in body:
            self.first, self.last = date.fromisoformat(body["startDate"]), date.fromisoformat(body["stopDate"])
            self.days = f"day BETWEEN DATE '{self.first}' AND DATE '{self.last}'"

    def lifetimes(self, names=()):
        """One row for each client: its lifetime, and current values as now0, now1, …"""
        paths = ", ".join(path(n, m) for n in names for m in "vto")
        reported = f"json_extract_string(properties, [{paths}])" if names else "NULL"
        values = "".join(
            f", arg_max(j[{3 * i + 1}], (CAST(j[{3 * i + 2}] AS BIGINT), CAST(j[{3 * i + 3}] AS BIGINT))) AS now{i}" for i in range(len(names)))
        return (f"lifetimes AS (SELECT client_id, CAST(min(first_time) AS DATE) AS f, CAST(max(last_time) AS DATE) AS l, sum(sessions) AS sessions{values} "
                f"FROM (SELECT client_id, first_time, last_time, sessions, {reported} AS j FROM clients) GROUP BY client_id)")

    def condition(self, name, value):
        f = self.filters[name]
        if f["type"] == "string":
            return f"{value} = '{f['value']}'"
        if f["type"] == "stringArray":
            return f"{value} IN ({', '.join(repr(v) for v in f['value'])})"
        return f"TRY_CAST({value} AS DOUBLE) >= {f['min']}"  # numberRange

    def conditions(self, value):
        return " AND ".join(self.condition(name, value(name)) for name in self.filters) or "TRUE"

    def matching(self, moment, more=()):
        """CTEs lifetimes and matching: clients that match, by current values ("now"), at the end of the range or of the install day."""
        names = list(self.filters)
        past = [n for n in names if n in STANDARD and moment != "now"]
        now = [n for n in names if n not in past] + list(more)
        ctes = [self.lifetimes(now)]
        value = {n: f"now{i}" for i, n in enumerate(now)} | {n: f"then{i}" for i, n in enumerate(past)}
        join = ""
        if past:
            join = " JOIN reported USING (client_id)"
            on = f"day <= DATE '{self.last}'" if moment == "end" else "day = f"
            source = "client_days" if moment == "end" else "client_days JOIN lifetimes USING (client_id)"
            values = "".join(f", arg_max(j[{i + 1}], day) AS then{i}" for i in range(len(past)))
            ctes.append(f"reported AS (SELECT client_id{values} FROM (SELECT client_id, day, json_extract_string(properties, "
                        f"[{', '.join(path(n, 'v') for n in past)}]) AS j FROM {source} WHERE {on}) GROUP BY client_id)")
        ctes.append(f"matching AS (SELECT lifetimes.* FROM lifetimes{join} WHERE {self.conditions(value.__getitem__)})")
        return ", ".join(ctes)

    def among(self, of="matching"):
        """Condition on rows that their client is one of those that match."""
        return f"client_id IN (SELECT client_id FROM {of})" if self.filters or of != "matching" else "TRUE"

    def lost(self):
        return f"l + {self.after} <= {self.today} AND l BETWEEN DATE '{self.first}' AND DATE '{self.last}'"

    def events(self):
        return "(category, name) IN (" + ", ".join(f"('{e['category']}', '{e['name']}')" for e in self.body["events"]) + ")"

    def bucket(self, day):
        return f"CAST(date_trunc('{self.body['dateSplit']}', {day}) AS DATE)"

    def keys(self):
        all_days = (self.first + timedelta(n) for n in range((self.last - self.first).days + 1))
        return list(dict.fromkeys(d.replace(day=1) if self.body["dateSplit"] == "month" else d for d in all_days))


def whole(q, ask):
    [row] = ask(f"""WITH {q.matching("end")}
        SELECT (SELECT count(*) FROM matching WHERE f BETWEEN DATE '{q.first}' AND DATE '{q.last}'),
               (SELECT count(DISTINCT client_id) FROM client_days WHERE {q.days} AND {q.among()}),
               (SELECT count(*) FROM matching WHERE {q.lost()})""")
    return {"totals": dict(zip(("new", "active", "lost"), row))}


def by_bucket(q, ask):
    labelled, keys = "levels" in q.body, [d.isoformat() for d in q.keys()]
    if not labelled and not q.filters:
        rows = ask(f"""WITH {q.lifetimes()}
            SELECT b, NULL, coalesce(n, 0), coalesce(a, 0)
            FROM (SELECT {q.bucket("day")} AS b, count(DISTINCT client_id) AS a FROM client_days WHERE {q.days} GROUP BY b)
            FULL JOIN (SELECT {q.bucket("f")} AS b, count(*) AS n FROM lifetimes WHERE f BETWEEN DATE '{q.first}' AND DATE '{q.last}' GROUP BY b) USING (b)""")
    else:
        past = [n for n in q.filters if n in STANDARD] + ["prodVersion"] * labelled
        now = [n for n in q.filters if n not in STANDARD]
        value = {n: f"now{i}" for i, n in enumerate(now)} | {n: f"v{i}" for i, n in enumerate(past)}
        last = "".join(f", arg_max(j[{i + 1}], day) AS s{i}" for i in range(len(past)))
        carried = "".join(f", last_value(s{i} IGNORE NULLS) OVER so_far AS v{i}" for i in range(len(past)))
        label = value["prodVersion"] if labelled else "NULL"
        rows = ask(f"""WITH {q.lifetimes(now)},
            reported AS (SELECT client_id, CASE WHEN day >= DATE '{q.first}' THEN {q.bucket("day")} END AS b{last}
                FROM (SELECT client_id, day, json_extract_string(properties, [{", ".join(path(n, "v") for n in past)}]) AS j
                      FROM client_days WHERE day <= DATE '{q.last}') GROUP BY client_id, b),
            known AS (SELECT client_id, b{carried} FROM reported
                WINDOW so_far AS (PARTITION BY client_id ORDER BY b NULLS FIRST ROWS BETWEEN UNBOUNDED PRECEDING AND CURRENT ROW))
            SELECT b, {label} AS label, count(*) FILTER (WHERE f >= DATE '{q.first}' AND {q.bucket("f")} = b), count(*)
            FROM known JOIN lifetimes USING (client_id) WHERE b IS NOT NULL AND {q.conditions(value.__getitem__)} GROUP BY b, label""")
    return shapes.count_series([(b.isoformat(), *rest) for b, *rest in rows], keys, ("new", "active"), labelled)


def current(q, ask):
    rows = ask(f"""WITH {q.matching("now", ["prodVersion"])}
        SELECT now{len(q.filters)} AS label, count(*) FROM matching WHERE l + 40 > {q.today} GROUP BY label""")
    return shapes.count_series([("", *row) for row in rows], [""], ("active",), True)[""]


def usage_distribution(q, ask):
    return shapes.usage_distribution(ask(f"""WITH {q.matching("end")}
        SELECT n, s, m, count(*) FROM (
            SELECT client_id, count(DISTINCT day) AS n, sum(sessions) AS s, (sum(runtime_ms) + 59999) // 60000 AS m
            FROM client_days WHERE {q.days} AND {q.among()} GROUP BY client_id) GROUP BY n, s, m"""))


def churn_and_engagement(q, ask):
    rows = ask(f"""WITH {q.matching("install")}
        SELECT {q.bucket("f")} AS month, CASE WHEN l + {q.after} <= {q.today} THEN date_diff('month', f, l) END AS period, count(*)
        FROM matching WHERE f BETWEEN DATE '{q.first}' AND DATE '{q.last}' GROUP BY month, period""")
    return shapes.cohorts(rows, q.keys(), q.last)


def event_table(q, ask):
    [totals] = ask(f"SELECT count(DISTINCT client_id), sum(sessions), sum(runtime_ms) FROM client_days WHERE {q.days}")
    return shapes.event_table(ask(f"""SELECT coalesce(category, '') AS c, name, sum(count), sum(value_sum), sum(value_count)
        FROM event_days WHERE {q.days} AND {TRACKED} GROUP BY c, name"""), *totals)


def timeline(q, ask):
    users = dict(ask(f"SELECT {q.bucket('day')} AS b, count(DISTINCT client_id) FROM client_days WHERE {q.days} GROUP BY b"))
    counts = {row[:3]: row[3] for row in ask(f"""SELECT {q.bucket("day")} AS b, category, name, sum(count)
        FROM event_days WHERE {q.days} AND {q.events()} GROUP BY b, category, name""")}
    return {
        b.isoformat(): [e | {"value": shapes.ratio(counts.get((b, e["category"], e["name"]), 0), users.get(b, 0))} for e in q.body["events"]]
        for b in q.keys()
    }


def full_report(q, ask):
    population = f"""{q.matching("end")},
        population AS MATERIALIZED (SELECT client_id, sum(sessions) AS s FROM client_days WHERE {q.days} AND {q.among()} GROUP BY client_id)"""
    [totals] = ask(f"WITH {population} SELECT count(*), sum(s) FROM population")
    return shapes.full_report(ask(f"""WITH {population}
        SELECT category, name, n, count(*), sum(s)
        FROM (SELECT category, name, client_id, sum(count) AS n FROM event_days WHERE {q.days} AND {q.events()} GROUP BY category, name, client_id)
        JOIN population USING (client_id) GROUP BY category, name, n"""), q.body["events"], *totals)


def population(q):
    """CTE life: the clients active in the range, or lost in it, that match now, with the totals of their lifetimes."""
    who = f"SELECT client_id FROM matching WHERE {q.lost()}" if q.after else f"SELECT client_id FROM client_days WHERE {q.days} AND {q.among()}"
    return f"""{q.matching("now")}, population AS ({who}),
        life AS (SELECT client_id, count(DISTINCT day) AS d, count(DISTINCT date_trunc('week', day)) AS w, count(DISTINCT date_trunc('month', day)) AS m
                 FROM client_days WHERE {q.among("population")} GROUP BY client_id)"""


def lifetime_histogram(q, ask):
    [[size]] = ask(f"WITH {population(q)} SELECT count(*) FROM life")
    return shapes.lifetime_histogram(ask(f"""WITH {population(q)}
        SELECT category, name, n, d, w, m, count(*)
        FROM (SELECT category, name, client_id, sum(count) AS n FROM event_days WHERE {q.events()} GROUP BY category, name, client_id)
        JOIN life USING (client_id) GROUP BY category, name, n, d, w, m"""), q.body["events"], size)


def lifetime_table(q, ask):
    [[size]] = ask(f"WITH {population(q)} SELECT count(*) FROM life")
    return shapes.lifetime_table(ask(f"""WITH {population(q)}
        SELECT c, name, sum(n), count(*), sum(d)
        FROM (SELECT coalesce(category, '') AS c, name, client_id, sum(count) AS n FROM event_days WHERE {TRACKED} GROUP BY c, name, client_id)
        JOIN life USING (client_id) GROUP BY c, name"""), size)


def churn_days(q, ask):
    return shapes.histogram(dict(ask(f"WITH {population(q)} SELECT d, count(*) FROM life GROUP BY d")), shapes.COUNTS)


def client_list(q, ask):
    names = list(q.filters)
    more = [n for n in ("prodVersion", "ram") if n not in names]
    at = {n: f"now{i}" for i, n in enumerate(names + more)}
    page = ask(f"""WITH {q.matching("now", more)} SELECT client_id, {at["prodVersion"]}, {at["ram"]}, f, sessions
        FROM matching ORDER BY CAST(client_id AS VARCHAR) LIMIT 200""")
    ids = ", ".join(str(row[0]) for row in page)
    daily = q.body["retDailyData"]
    usage, days = {}, {}
    for client, category, name, count in ask(f"""SELECT client_id, coalesce(category, '') AS c, name, sum(count) FROM event_days
            WHERE client_id IN ({ids}) AND {TRACKED} GROUP BY client_id, c, name ORDER BY c, name"""):
        usage.setdefault(client, []).append({"eventCategory": category or None, "eventName": name, "eventCount": count})
    for client, day, version in ask(f"""SELECT client_id, day, last_value(v IGNORE NULLS) OVER (PARTITION BY client_id ORDER BY day) FROM (
            SELECT client_id, day, max(json_extract_string(properties, {path("prodVersion", "v")})) AS v FROM client_days
            WHERE client_id IN ({ids}) AND day <= DATE '{daily["stopDate"]}' GROUP BY client_id, day) ORDER BY client_id, day"""):
        if day.isoformat() >= daily["startDate"]:
            days.setdefault(client, []).append({"date": day.isoformat(), "prodVersion": version if version is not None else "<NULL>"})
    return [
        {"clientId": str(client), "prodVersion": version if version is not None else "<NULL>", "ram": Decimal(ram) if ram is not None else "<NULL>",
         "dateInstalled": installed.isoformat(), "lifetimeSessionCount": sessions, "lifetimeEventUsage": usage.get(client, []), "dailyData": days.get(client, [])}
        for client, version, ram, installed, sessions in page
    ]


REPORTS = {
    "generic/dateRange": lambda q, ask: (by_bucket if "dateSplit" in q.body else whole)(q, ask),
    "generic/current": current,
    "engagement/usageDistribution": usage_distribution,
    "engagement/churnAndEngagement": churn_and_engagement,
    "eventTracking/basic/dataTable": event_table,
    "eventTracking/basic/timeline": timeline,
    "eventTracking/advanced/fullReport": full_report,
    "eventTracking/lifetime/histogram": lifetime_histogram,
    "eventTracking/lifetime/dataTable": lifetime_table,
    "eventTracking/churn/lifetime/dataTable": lifetime_table,
    "churn/histogram/days": churn_days,
    "clientPropertyList": client_list,
}
