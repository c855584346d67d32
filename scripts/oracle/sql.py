"""The SQL of each report over the raw events.

A Query is a chain of common table expressions. They are, in this order:

    ev       the events of the question: of the product, that match eventProperties,
             each with its unit (the client, or what groupBy makes one client) and its day
    life     one row for each unit: first and last day, sessions, runtime, active days …
    vals     what the events say of properties
    off      the days of units at whose end they are opted out; act are the events of ev on other days
    counted  the units that the report is about: (unit, idx, until), idx being a bucket and
             until the day at whose end values are looked at, NULL for the latest known
    known    counted with life, the values of the properties that are read, and usages
    who      those of known that match the filters
    seg1 …   who by series of one level, of two, of three: labels g1, g2, g3 and the position k
             of the last one's segment
"""

import datetime

from conditions import (STANDARD, TRACKED, Reader, event_match, filters, flagged, holds, literal, series, true_text)


def local_day(zone):
    utc = "make_timestamp(e.ms * 1000)"
    if zone in (None, "UTC"):
        return f"CAST({utc} AS DATE)"
    return f"CAST(({utc} AT TIME ZONE 'UTC') AT TIME ZONE {literal(zone)} AS DATE)"


def date(d):
    return f"DATE '{d.isoformat()}'"


def day(text, today):
    """The day that startDate or stopDate names."""
    if text.startswith("NOW"):
        return today - datetime.timedelta(days=int(text[4:] or 0))
    return datetime.date.fromisoformat(text)


def buckets(start, stop, split):
    """(key, first, last) of the buckets of a range."""
    if split is None:
        return [(start, start, stop)]
    out, first = [], start
    while first <= stop:
        if split == "day":
            key, after = first, first + datetime.timedelta(days=1)
        elif split == "week":
            key = first - datetime.timedelta(days=first.weekday())
            after = key + datetime.timedelta(days=7)
        else:
            key = first.replace(day=1)
            after = (key + datetime.timedelta(days=32)).replace(day=1)
        out.append((key, first, min(stop, after - datetime.timedelta(days=1))))
        first = after
    return out


class Query:
    """Builds the common table expressions of a question."""

    def __init__(self, product, body, today, unbasic=(), unadvanced=()):
        self.product, self.body, self.today = product, body, today
        self.unbasic, self.unadvanced = unbasic, unadvanced
        self.reader, self.ctes, self.fixed = Reader(), [], []
        self.source()

    def cte(self, name, sql):
        self.ctes.append(f"{name} AS MATERIALIZED (\n{sql})")

    def select(self, sql):
        return "WITH " + ",\n".join(self.ctes) + "\n" + sql

    def date(self, name):
        return day(self.body[name], self.today)

    def source(self):
        joins, wheres = [], [f"e.product = {self.product}"]
        for i, (name, f) in enumerate((self.body.get("eventProperties") or {}).items()):
            joins.append(f"LEFT JOIN own o{i} ON o{i}.seq = e.seq AND o{i}.name = {literal(name)}")
            wheres.append(holds(f"o{i}.text", f))
        self.cte("ours", f"""SELECT e.seq, e.ms, e.name, e.category, e.value, e.runtime, e.client,
            {local_day(self.body.get('timeZone'))} AS day
            FROM events e {' '.join(joins)} WHERE {' AND '.join(wheres)}""")
        group = self.body.get("groupBy") or "clientId"
        if group == "clientId":
            self.cte("ev", "SELECT *, CAST(client AS VARCHAR) AS unit FROM ours")
        else:
            self.cte("grouped", f"""SELECT o.client, last(s.text ORDER BY o.ms, o.seq) AS unit FROM reported s JOIN ours o USING (seq)
                WHERE s.name = {literal(group)} GROUP BY o.client""")
            self.cte("ev", "SELECT o.*, g.unit FROM ours o JOIN grouped g USING (client) WHERE g.unit IS NOT NULL")
        self.cte("life", """SELECT unit, min(day) AS installed, max(day) AS seen,
            count(*) FILTER (name = 'session_start') AS sessions,
            coalesce(sum(runtime) FILTER (name = 'session_stop'), 0) AS runtime, count(DISTINCT day) AS days,
            count(DISTINCT date_trunc('week', day)) AS weeks, count(DISTINCT date_trunc('month', day)) AS months
            FROM ev GROUP BY unit""")
        self.cte("vals", f"""SELECT ev.unit, s.name, s.text, ev.ms, ev.seq, ev.day
            FROM reported s JOIN ev USING (seq) WHERE s.product = {self.product}""")
        self.cte("said", f"""SELECT unit, day, {true_text('last(text ORDER BY ms, seq)')} AS off
            FROM vals WHERE name = 'optOut.current' GROUP BY unit, day""")
        self.cte("off", """SELECT d.unit, d.day FROM (SELECT DISTINCT unit, day FROM ev) d
            ASOF JOIN said ON said.unit = d.unit AND said.day <= d.day WHERE said.off""")
        self.cte("act", "SELECT * FROM ev ANTI JOIN off USING (unit, day)")
        self.cte("gone", "SELECT unit FROM said GROUP BY unit HAVING max_by(off, day)")

    def lost_day(self):
        """The day on which a unit of life is lost, NULL while it is not."""
        n = self.body["daysUntilDeclaredLost"]
        on = "seen" if self.body.get("dateReportedLost", "dateLastSeen") == "dateLastSeen" else f"seen + {n}"
        return f"(CASE WHEN seen + {n} <= {date(self.today)} AND unit NOT IN (FROM gone) THEN {on} END)"

    def active_now(self):
        """Whether a unit of life is active in generic/current."""
        n = self.body.get("daysUntilDeclaredLost") or (None if self.body.get("startDate") else 40)
        here = "unit NOT IN (FROM gone)" + (f" AND seen + {n} > {date(self.today)}" if n else "")
        return here + (f" AND seen >= {date(self.date('startDate'))}" if self.body.get("startDate") else "")

    def active(self, until):
        """counted: units active in the range."""
        self.cte("counted", f"""SELECT DISTINCT unit, 0 AS idx, {until} AS until FROM act
            WHERE day BETWEEN {date(self.date('startDate'))} AND {date(self.date('stopDate'))}""")

    def lost(self):
        """counted: units lost in the range, with their latest values."""
        self.cte("counted", f"""SELECT unit, 0 AS idx, CAST(NULL AS DATE) AS until FROM life
            WHERE {self.lost_day()} BETWEEN {date(self.date('startDate'))} AND {date(self.date('stopDate'))}""")

    def statuses(self, spans):
        """counted: what is new, active and lost in each of the buckets."""
        self.cte("bucket", "SELECT * FROM (VALUES " + ", ".join(
            f"({i}, {date(first)}, {date(last)})" for i, (_, first, last) in enumerate(spans)) + ") t(idx, first, final)")
        parts = []
        for n, status in enumerate(("new", "active", "lost")):
            if status not in self.body["clientStatus"]:
                continue
            flags = ", ".join(f"{int(n == m)} AS {s}" for m, s in enumerate(("fresh", "active", "lost")))
            source = {"new": "(SELECT unit, min(day) AS installed FROM act JOIN life USING (unit) WHERE day = installed GROUP BY unit)",
                      "active": "act", "lost": "life"}[status]
            if "stopDate" not in self.body and status != "lost":
                source = f"(SELECT unit, installed, seen AS day FROM life WHERE {self.active_now()})"
            on = {"new": "installed", "active": "day"}.get(status) or self.lost_day()
            parts.append(f"SELECT DISTINCT unit, idx, final, {flags} FROM {source} JOIN bucket ON {on} BETWEEN first AND final")
        until = "CAST(NULL AS DATE)" if "stopDate" not in self.body else "any_value(final)"
        self.cte("counted", f"""SELECT unit, idx, {until} AS until, max(fresh) AS fresh, max(active) AS active, max(lost) AS lost
            FROM ({' UNION ALL '.join(parts)}) GROUP BY unit, idx""")

    def filtered(self, levels=()):
        """known, who and seg. Conditions are built first, as they say what has to be known."""
        where = filters(self.reader, self.body.get("globalFilters"))
        lists = [series(self.reader, level) for level in levels]
        self.fixed = [fixed for _, fixed in lists]
        self.known()
        self.cte("who", f"SELECT life.* FROM known life WHERE {where}")
        if lists:
            self.segments([text for text, _ in lists])

    def segments(self, lists):
        source, keys = "who life", ""
        for n, text in enumerate(lists, 1):
            keys += f", s{n}.l AS g{n}"
            self.cte(f"series{n}", f"SELECT life.*, unnest({text}) AS s{n} FROM {source}")
            self.cte(f"seg{n}", f"SELECT unit, idx{keys}, min(s{n}.k) AS k FROM series{n} GROUP BY ALL")
            source = f"series{n} life"

    def known(self):
        columns, joins = [], []
        for name, column in self.reader.reported.items():
            columns.append(column)
            joins.append(f"LEFT JOIN of_{column} USING (unit, idx)")
            if name.startswith(("user.", "contact.")):
                self.cte(f"of_{column}", f"""SELECT c.unit, c.idx, t.text AS {column} FROM counted c JOIN user_attributes t
                    ON CAST(t.client AS VARCHAR) = c.unit WHERE t.product = {self.product} AND t.name = {literal(name)}""")
                continue
            until = "AND (c.until IS NULL OR v.day <= c.until)" if name in STANDARD else ""
            self.cte(f"of_{column}", f"""SELECT c.unit, c.idx, last(v.text ORDER BY v.ms, v.seq) AS {column}
                FROM counted c JOIN vals v ON v.unit = c.unit {until} WHERE v.name = {literal(name)} GROUP BY c.unit, c.idx""")
        for i, condition in enumerate(self.reader.usages):
            self.cte(f"of_u{i}", f"SELECT unit, count(*) AS n{i} FROM ev WHERE {condition} GROUP BY unit")
            columns.append(f"coalesce(n{i}, 0) AS u{i}")
            joins.append(f"LEFT JOIN of_u{i} USING (unit)")
        extra = "".join(", " + c for c in columns)
        self.cte("known", f"""SELECT c.*, life.* EXCLUDE (unit){extra} FROM counted c JOIN life USING (unit) {' '.join(joins)}""")

    def level(self):
        """The level that segmentBy and segments make."""
        if not self.body.get("segmentBy") or self.body["segmentBy"] == "installationMonth":
            return []
        return [{"property": self.body["segmentBy"], "segments": self.body["segments"]}]


def statuses(q):
    """The levels, the buckets and a statement for each depth of the answer. Rows: idx, a label for each
    level down to there, the position of the last one's segment, new, active, lost.

    A unit may be in several series of a level, so no depth is the sum of what is below it."""
    levels = [q.body["levels"][f"level{n}"] for n in (1, 2, 3) if (q.body.get("levels") or {}).get(f"level{n}")]
    if "stopDate" in q.body:
        spans = buckets(q.date("startDate"), q.date("stopDate"), q.body.get("dateSplit"))
    else:
        start = q.date("startDate") if q.body.get("startDate") else datetime.date(1970, 1, 1)
        spans = [(start, start, datetime.date(9999, 1, 1))]
    q.statuses(spans)
    q.filtered(levels)
    sums = "sum(fresh), sum(active), sum(lost)"
    if not levels:
        return levels, spans, [q.select(f"SELECT idx, 0, {sums} FROM who GROUP BY idx")]
    deep = []
    for depth in range(1, len(levels) + 1):
        keys = ", ".join(f"g{n}" for n in range(1, depth + 1))
        deep.append(q.select(f"""SELECT idx, {keys}, min(k), {sums} FROM
            seg{depth} JOIN counted USING (unit, idx) GROUP BY idx, {keys}"""))
    return levels, spans, deep


def in_range(q):
    return f"ev.day BETWEEN {date(q.date('startDate'))} AND {date(q.date('stopDate'))}"


USED = """count(DISTINCT day) AS days, count(*) FILTER (name = 'session_start') AS sessions,
    coalesce(sum(runtime) FILTER (name = 'session_stop'), 0) AS runtime"""


def usage(q):
    """Rows (active days, sessions, begun minutes) of the clients active in the range."""
    q.active(date(q.date("stopDate")))
    q.filtered()
    return q.select(f"""SELECT r.days, r.sessions, (r.runtime + 59999) // 60000
        FROM (SELECT unit, {USED} FROM act ev WHERE {in_range(q)} GROUP BY unit) r JOIN who USING (unit)""")


def basic_table(q):
    """What all comes to, and rows (category, name, count, sum, values)."""
    q.cte("inside", f"SELECT * FROM ev WHERE {in_range(q)}")
    totals = q.select(f"""SELECT (SELECT count(DISTINCT unit) FROM act ev WHERE {in_range(q)}), count(*) FILTER (name = 'session_start'),
        coalesce(sum(runtime) FILTER (name = 'session_stop'), 0) FROM inside""")
    return totals, q.select(f"""SELECT category, name, count(*), sum(value), count(value) FROM inside ev
        WHERE {TRACKED} AND {flagged(q.unbasic)} GROUP BY category, name""")


def basic_timeline(q):
    """Buckets, what each comes to, and rows (idx, event's position, count, sum)."""
    spans = buckets(q.date("startDate"), q.date("stopDate"), q.body["dateSplit"])
    q.cte("bucket", "SELECT * FROM (VALUES " + ", ".join(
        f"({i}, {date(first)}, {date(last)})" for i, (_, first, last) in enumerate(spans)) + ") t(idx, first, final)")
    q.cte("inside", "SELECT ev.*, idx FROM ev JOIN bucket ON ev.day BETWEEN first AND final")
    totals = q.select("""SELECT idx, count(DISTINCT unit) FILTER (off.unit IS NULL), count(*) FILTER (name = 'session_start'),
        coalesce(sum(runtime) FILTER (name = 'session_stop'), 0) FROM inside LEFT JOIN off USING (unit, day) GROUP BY idx""")
    parts = [f"SELECT idx, {i} AS n, count(*), coalesce(sum(value), 0) FROM inside ev WHERE {event_match(e)} GROUP BY idx"
             for i, e in enumerate(q.body["events"])]
    return spans, totals, q.select(" UNION ALL ".join(parts))


def population(q, churn):
    """Those that lifetime and churn reports are about, with their latest values."""
    if churn:
        q.lost()
    else:
        q.active("CAST(NULL AS DATE)")


def counts(events, leave_out=()):
    """Columns c0, c1, …: how often each requested event was sent."""
    keep = f" AND {flagged(leave_out)}" if leave_out else ""
    return ", ".join(
        f"count(*) FILTER ({event_match(e)}{keep if 'combiLabel' in e else ''}) AS c{i}" for i, e in enumerate(events))


def lifetime_histogram(q, churn):
    """Rows (active days, weeks, months, count of each event) of the population."""
    population(q, churn)
    q.filtered()
    events = q.body["events"]
    columns = ", ".join(f"coalesce(c{i}, 0)" for i in range(len(events)))
    return q.select(f"""SELECT days, weeks, months, {columns} FROM who
        LEFT JOIN (SELECT unit, {counts(events)} FROM ev GROUP BY unit) USING (unit)""")


def lifetime_table(q, churn):
    """Two statements: rows (label, position, units) with label NULL for the whole; and rows (event's key, label,
    position, occurrences, users, active days of the users), the key being (category, name) or (position, NULL)."""
    population(q, churn)
    q.filtered(q.level())
    q.cte("part", "SELECT unit, CAST(NULL AS VARCHAR) AS g1, 0 AS k FROM who"
          + (" UNION ALL SELECT unit, g1, k FROM seg1" if q.fixed else ""))
    active = q.select("SELECT g1, min(k), count(*) FROM part GROUP BY g1")
    events = q.body.get("events")
    if events is None:
        q.cte("done", f"SELECT unit, category AS a, name AS b, count(*) AS n FROM ev WHERE {TRACKED} GROUP BY unit, category, name")
    else:
        q.cte("done", " UNION ALL ".join(
            f"SELECT unit, CAST({i} AS VARCHAR) AS a, CAST(NULL AS VARCHAR) AS b, count(*) AS n FROM ev WHERE {event_match(e)} GROUP BY unit"
            for i, e in enumerate(events)))
    return active, q.select("""SELECT a, b, g1, min(k), sum(n), count(*), sum(days) FROM done JOIN part USING (unit)
        JOIN life USING (unit) GROUP BY a, b, g1""")


def full_report(q):
    """Rows (label, position, sessions in range, count of each event in range), one for each unit and series."""
    q.active(date(q.date("stopDate")))
    q.filtered(q.level())
    events = q.body["events"]
    q.cte("did", f"""SELECT unit, count(*) FILTER (name = 'session_start') AS starts, {counts(events, q.unadvanced)}
        FROM act ev WHERE {in_range(q)} GROUP BY unit""")
    columns = ", ".join(f"c{i}" for i in range(len(events)))
    source = "seg1" if q.fixed else "(SELECT unit, NULL AS g1, 0 AS k FROM who)"
    return q.select(f"SELECT g1, k, starts, {columns} FROM {source} JOIN did USING (unit)")


def period(d, split):
    """The number of a day, of a week from Monday to Sunday, or of a month; date_diff does not count by Mondays."""
    if split == "month":
        return f"(year({d}) * 12 + month({d}))"
    return f"(({d} - DATE '1969-12-29') // {7 if split == 'week' else 1})"


def engagement(q):
    """Rows (label, position, install month, period after which lost or NULL, period that was reached, units)."""
    start, stop, split = q.date("startDate"), q.date("stopDate"), q.body["dateSplit"]
    q.cte("counted", f"""SELECT unit, 0 AS idx, installed AS until FROM life
        WHERE installed BETWEEN {date(start)} AND {date(stop)} AND unit NOT IN (FROM gone)""")
    q.filtered(q.level())
    source = "seg1 JOIN life USING (unit)" if q.fixed else "(SELECT *, NULL AS g1, 0 AS k FROM who)"
    return q.select(f"""SELECT g1, min(k), CAST(date_trunc('month', installed) AS DATE) AS month,
        CASE WHEN {q.lost_day()} IS NOT NULL THEN {period('seen', split)} - {period('installed', split)} END AS left_in,
        {period(date(stop), split)} - {period('installed', split)} AS reached, count(*)
        FROM {source} GROUP BY g1, month, left_in, reached""")


def churned(q):
    """Rows (active days, sessions, begun minutes) of the lives of those lost."""
    q.lost()
    q.filtered()
    return q.select("SELECT days, sessions, (runtime + 59999) // 60000 FROM who")


def client_list(q):
    """Statements for the clients (id, a column for each property), their events and their days."""
    wanted = [p for p in q.body.get("properties") or [] if p not in ("lifetimeEventUsage", "reachOutDeliveries.auto", "reachOutDeliveries.manual")]
    q.cte("counted", "SELECT unit, 0 AS idx, CAST(NULL AS DATE) AS until FROM life")
    columns = [q.reader.column(p) for p in wanted]
    q.filtered()
    clients = q.select("SELECT " + ", ".join(["unit"] + columns) + " FROM who life")
    usage = q.select(f"""SELECT unit, category, name, count(*) FROM ev JOIN who USING (unit) WHERE {TRACKED}
        GROUP BY ALL""")
    daily = q.body.get("retDailyData")
    if not daily:
        return wanted, clients, usage, None
    sub = Query(q.product, {k: v for k, v in q.body.items() if k != "globalFilters"}, q.today)
    sub.cte("counted", f"""SELECT DISTINCT unit, day - DATE '1970-01-01' AS idx, day AS until FROM ev
        WHERE day BETWEEN {date(day(daily['startDate'], q.today))} AND {date(day(daily['stopDate'], q.today))}""")
    columns = [sub.reader.column(p) for p in daily.get("properties") or []]
    sub.filtered()
    return wanted, clients, usage, sub.select("SELECT " + ", ".join(["unit", "until"] + columns) + " FROM who life ORDER BY until")
