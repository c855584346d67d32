"""Random questions for event counts of the Events API, the events they need, and the SQL of their answers.

The events are of a product of their own: around the changes of clocks of three zones in the
last 400 days, and anywhere else in them, some with users. Other products are counted too,
with a token that sees all.
"""

import datetime
import random
import zoneinfo

from conditions import literal

NAME = "event-counts"  # as a report in the list of outcomes
PATH = "/analytics/api/v1/traffic/event-counts"
ZONES = ["Europe/Malta", "America/New_York", "Australia/Lord_Howe"]
DAYS = 400
HOUR_MS = 3_600_000
NAMES = ["khub.search", "page.display", "document.rate", "Größe", 'Say "hi"', "session_start"]
USERS = [{"id": "u1", "realm": ["internal"], "groups": ["g1", "g2"], "roles": "ADMIN"}, {"id": "u2", "realm": "Keycloak", "roles": ["ADMIN", "PRINT"]},
         {"realm": ["internal", "Keycloak"], "groups": ["g2"]}, {"id": "7"}, {}]
FILTERS = {"id": ["u1", "u2", "7", "12", "nobody"], "realm": ["internal", "Keycloak", "x"], "group": ["g1", "g2"], "role": ["ADMIN", "PRINT"]}
MEMBERS = {"id": "id", "realm": "realm", "group": "groups", "role": "roles"}  # of $user, by filter


def clock_changes(now_ms):
    """The instants, in milliseconds, at which clocks of a zone are changed."""
    changes = []
    for name in ZONES:
        zone, hour = zoneinfo.ZoneInfo(name), now_ms - DAYS * 24 * HOUR_MS
        hour -= hour % (HOUR_MS // 2)
        offset = None
        while hour < now_ms:
            at = datetime.datetime.fromtimestamp(hour / 1000, datetime.timezone.utc).astimezone(zone).utcoffset()
            if offset not in (None, at):
                changes.append(hour)
            offset, hour = at, hour + HOUR_MS // 2
    return changes


class Events:
    """Generates the lines of the counted product."""

    def __init__(self, seed, now_ms):
        self.rnd, self.now, self.serial = random.Random(f"counts {seed}"), now_ms, 0
        self.changes = clock_changes(now_ms)

    def time(self):
        rnd = self.rnd
        if self.changes and rnd.random() < 0.6:
            near = rnd.choice([0, -1, 1, rnd.randint(-3 * HOUR_MS, 3 * HOUR_MS), rnd.randint(-40 * HOUR_MS, 40 * HOUR_MS)])
            return min(self.now, rnd.choice(self.changes) + near)
        back = rnd.randrange(DAYS * 24 * HOUR_MS)
        return self.now - (back if rnd.random() < 0.7 else back - back % HOUR_MS + self.now % HOUR_MS)  # full hours, and any time

    def next(self, n):
        lines = []
        for _ in range(n):
            self.serial += 1
            properties = {"$user": self.rnd.choice(USERS)} if self.rnd.random() < 0.5 else {}
            lines.append({"euid": self.rnd.randint(1, 20), "event_name": self.rnd.choice(NAMES), "itime": self.time(),
                          "random_id": f"c{self.serial}", "properties": properties})
        return lines


class Question:
    refused, report, path = None, NAME, PATH

    def __init__(self, body, token, products):
        self.body = self.sent = body
        self.token, self.products = token, products

    @property
    def product(self):
        return self.products


class Questions:
    """Draws questions. scopes are (token, products that it sees)."""

    def __init__(self, seed, now_ms, scopes):
        self.rnd, self.now, self.scopes = random.Random(f"ask {seed}"), now_ms, scopes
        self.changes = clock_changes(now_ms)

    def next(self):
        rnd = self.rnd
        zone = rnd.choice([None, "UTC", *ZONES, *ZONES])
        start, end = sorted((self.date(), self.date()))
        body = {"startDate": self.text(start), "endDate": self.text(end), "groupByPeriod": rnd.choice(["day", "week", "month"])}
        if full(body["endDate"]) <= full(body["startDate"]):
            body["endDate"] = (start + datetime.timedelta(days=rnd.choice([1, 1, 7, 40]))).date().isoformat()
        if zone:
            body["timeZone"] = zone
        if filters := self.filters():
            body["filters"] = filters
        return Question(body, *rnd.choice(self.scopes))

    def date(self):
        """A date that is not in the future in any zone, often near a change of clocks."""
        rnd, latest = self.rnd, self.now - 15 * HOUR_MS
        at = rnd.randint(self.now - DAYS * 24 * HOUR_MS, latest)
        if self.changes and rnd.random() < 0.5:
            at = min(latest, rnd.choice(self.changes) + rnd.randint(-30, 30) * HOUR_MS)
        return datetime.datetime.fromtimestamp(at // 1000, datetime.timezone.utc).replace(tzinfo=None)

    def text(self, at):
        form = self.rnd.choice(["%Y-%m-%d", "%Y-%m-%d", "%Y-%m-%dT%H:%M", "%Y-%m-%dT%H:%M:%S", "%Y-%m-%dT%H:00", "%Y-%m-%dT%H:30"])
        return at.strftime(form)

    def filters(self):
        rnd, out = self.rnd, {}
        if rnd.random() < 0.35:
            out["name"] = rnd.sample([*NAMES, "Open", "none"], rnd.randint(0, 3))
        if rnd.random() < 0.3:
            out["user"] = {f: rnd.sample(FILTERS[f], rnd.randint(0, 2)) for f in rnd.sample(sorted(FILTERS), rnd.randint(1, 3))}
        return out


def full(date):
    """A date of the API as a date and time."""
    return datetime.datetime.fromisoformat(date)


def shortest(at):
    return at.date().isoformat() if at.time() == datetime.time() else at.isoformat()


def periods(start, end, split):
    """(start, end) of each day, week or month, cut off where the range begins and ends."""
    out = []
    while start < end:
        day = start.replace(hour=0, minute=0, second=0)
        if split == "day":
            after = day + datetime.timedelta(days=1)
        elif split == "week":
            after = day + datetime.timedelta(days=7 - day.weekday())
        else:
            after = (day.replace(day=1) + datetime.timedelta(days=32)).replace(day=1)
        out.append((start, min(after, end)))
        start = after
    return out


def one_of(values):
    return "(" + ", ".join(map(literal, values)) + ")"


def conditions(filters):
    """SQL conditions on an event e."""
    if names := filters.get("name"):
        yield f"e.name IN {one_of(names)}"
    for name, wanted in (filters.get("user") or {}).items():
        if not wanted:
            continue
        has = f"EXISTS (SELECT 1 FROM users u WHERE u.seq = e.seq AND u.member = '{MEMBERS[name]}'"
        test = f"{has} AND u.text IN {one_of(wanted)})"
        if name == "id":
            test = f"({test} OR NOT {has}) AND CAST(e.client AS VARCHAR) IN {one_of(wanted)})"
        yield test


def answer(raw, q):
    """The whole answer to a question."""
    body, filters = q.body, q.body.get("filters") or {}
    start, end = full(body["startDate"]), full(body["endDate"])
    wall = f"(make_timestamp(e.ms * 1000) AT TIME ZONE 'UTC') AT TIME ZONE {literal(body.get('timeZone') or 'UTC')}"
    where = " AND ".join(["true", *conditions(filters)])
    rows = raw.rows(f"""SELECT name, CAST(date_trunc('{body["groupByPeriod"]}', wall) AS VARCHAR), count(*)
        FROM (SELECT e.name, {wall} AS wall FROM events e WHERE e.product IN ({", ".join(map(str, q.products))}) AND {where})
        WHERE wall >= TIMESTAMP '{start}' AND wall < TIMESTAMP '{end}' GROUP BY ALL""")
    counted = {name: {} for name in filters.get("name") or []}
    for name, period, n in rows:
        counted.setdefault(name, {})[period[:10]] = n
    results = []
    for name in sorted(counted, key=lambda n: n.encode()):
        of = [{"periodStartDate": shortest(a), "periodEndDate": shortest(b), "eventCount": counted[name].get(bucket(a, body["groupByPeriod"]), 0)}
              for a, b in periods(start, end, body["groupByPeriod"])]
        results.append({"name": name, "periods": of})
    return {"startDate": body["startDate"], "endDate": body["endDate"], "groupByPeriod": body["groupByPeriod"], "results": results}


def bucket(at, split):
    """The day with which the day, week or month begins that has a time."""
    day = at.date()
    if split == "week":
        day -= datetime.timedelta(days=day.weekday())
    return (day.replace(day=1) if split == "month" else day).isoformat()
