"""Random parts of requests: filters, segments, events, ranges."""

import datetime

from conditions import FLAGS
from events import CATEGORIES, NAMES, OWN, POOL

ZONES = ["UTC", "Europe/Berlin", "America/New_York", "Asia/Kolkata", "Pacific/Auckland", "Pacific/Kiritimati", "America/Sao_Paulo"]
REGEXES = [".*", "^1", "0$", "[ab2]", "^(US|DE|MT)$", "(?i)pro", "^x[12]$", "e", "^$", "\\d+\\.\\d+", "^Microsoft Windows"]
NUMERIC = ["cpuCores", "displayCount", "ram", "resolutionWidth", "screenPpi", "javaVmRam", "lifetimeSessionCount",
           "lifetimeRuntimeMinutes", "prodBuild", "C20", "user.score"]


class Subject:
    """The names and values of a product that requests can use."""

    def __init__(self, product, first, last, values, events, own, groups, deep):
        self.product = product
        self.groups = groups  # what groupBy may be
        self.first, self.last = first, last  # days
        self.values = values  # property -> values that clients say
        self.events = events  # (category, name)
        self.own = own  # own property -> values
        self.deep = deep  # years of history: days are too many to ask for


def generated(product, today):
    """The subject of the generated events."""
    values = {name: [v for v in pool or [] if v not in (None, "", "<NULL>")] for name, pool in POOL.items()}
    values |= {"user.tier": ["gold", "silver", "7"], "user.score": ["0", "3", "20", "2.5"], "user.vip": ["true", "false"],
               "contact.email": ["x@example.org"]}
    values["machineId"] = [f"m-{n}" for n in range(12)]
    values["licenseKey"] = [f"K-{n}" for n in range(12)]
    events = sorted({(c or "", n) for c in CATEGORIES for n in NAMES}) + [("File", "Nobody")]
    own = {name: [v for v in pool if not isinstance(v, (dict, list))] for name, pool in OWN.items()}
    return Subject(product, today - datetime.timedelta(days=64), today, values, events, own, groups=["machineId", "licenseKey", "C02"], deep=False)


class Pieces:
    """Draws parts of requests about one subject."""

    def __init__(self, rnd, subject, today):
        self.rnd, self.subject, self.today = rnd, subject, today

    def chance(self, p):
        return self.rnd.random() < p

    def any(self, options):
        return self.rnd.choice(options)

    # ranges

    def range(self, split=None):
        s, rnd = self.subject, self.rnd
        days = (s.last - s.first).days
        longest = {"day": 120, "week": 700}.get(split, days) if s.deep else days
        length = rnd.randint(0, min(longest, days))
        first = s.first + datetime.timedelta(days=rnd.randint(0, days - length))
        last = first + datetime.timedelta(days=length)
        if self.chance(0.3) and not (s.deep and split == "day"):
            last = s.last
        return {"startDate": self.format_day(first), "stopDate": self.format_day(last)}

    def format_day(self, day):
        back = (self.today - day).days
        if 0 <= back < 60000 and self.chance(0.15):
            return "NOW" if back == 0 else f"NOW-{back}"
        return day.isoformat()

    def lost(self, named=True):
        body = {"daysUntilDeclaredLost": self.any([30, 90, 365, 900]) if self.subject.deep else self.any([1, 2, 3, 5, 8, 13, 21, 34])}
        if named:
            body["dateReportedLost"] = self.any(["dateLastSeen", "dateDeclaredLost"])
        return body

    # filters

    def values(self, name):
        known = self.subject.values.get(name) or [v for values in self.subject.values.values() for v in values][:40] or ["x"]
        return [str(v).lower() if isinstance(v, bool) else str(v) for v in known]

    def property(self):
        return self.any(list(self.subject.values) + ["geography.continent", "lifetimeSessionCount", "vm", "javaVmName"])

    def condition(self, name, values=None, types=None):
        """A filter of any type; values are texts."""
        rnd, values = self.rnd, values or self.values(name)
        types = types or (["number", "numberRange"] if name in NUMERIC else []) + ["string", "string", "stringArray", "regex", "null", "numberRange", "boolean"]
        kind = self.any(types)
        if kind == "null":
            return {"includeNull": True}
        f = {"type": kind}
        if kind in ("string", "regex"):
            f["value"] = self.any(values if kind == "string" else REGEXES)
        elif kind == "stringArray":
            f["value"] = rnd.sample(values, min(len(values), rnd.randint(1, 3)))
        elif kind == "number":
            f["value"] = self.number(values)
        elif kind == "boolean":
            f["value"] = self.chance(0.5)
        elif kind == "date":
            f["value"] = self.day()
        else:
            low, high = (self.day(), self.day()) if kind == "dateRange" else (self.number(values), self.number(values))
            low, high = sorted([low, high])
            f |= {"min": low} if self.chance(0.7) else {}
            f |= {"max": high} if self.chance(0.7) else {}
        if self.chance(0.25):
            f["includeNull"] = True
        return f

    def number(self, values):
        numbers = [float(v) for v in values if v.replace(".", "", 1).replace("-", "", 1).isdigit()] or [1.0, 3.0, 20.0]
        n = self.any(numbers)
        return int(n) if n == int(n) else n

    def day(self):
        s = self.subject
        return (s.first + datetime.timedelta(days=self.rnd.randint(0, (s.last - s.first).days))).isoformat()

    def filters(self, most=2, clients=True):
        out = {}
        for _ in range(self.any([0, 0, 0, 1, 1, most])):
            name, f = self.filter(clients)
            out[name] = f
        return out

    def filter(self, clients):
        kind = self.any(["plain"] * 5 + ["date", "flags", "os", "geography", "gpu", "usage", "usage", "life", "client" if clients else "plain"])
        if kind == "date":
            return self.any(["dateInstalled", "dateLastSeen"]), self.condition("date", types=["date", "dateRange", "dateRange"])
        if kind == "flags":
            return self.flags_filter()
        if kind in ("os", "geography", "gpu"):
            return kind, self.level_filter(kind)
        if kind == "usage":
            return "lifetimeEventUsage", self.usage()
        if kind == "life":
            name = self.any(["lifetimeSessionCount", "lifetimeRuntimeMinutes"])
            return name, self.condition(name, values=["0", "1", "5", "20", "60", "400"], types=["numberRange", "numberRange", "number"])
        if kind == "client":
            return "clientId", self.condition("clientId", values=["1", "7", "12"], types=["regex", "stringArray"])
        name = self.property()
        f = self.condition(name)
        while f.get("type") == "regex" and name.startswith("geography."):  # which only segments may be
            f = self.condition(name)
        return name, f

    def flags_filter(self):
        name = self.any(list(FLAGS))
        one = lambda: {m: self.chance(0.5) for m in self.rnd.sample(FLAGS[name], self.rnd.randint(1, 2))}
        return name, self.any([one(), [one()], [one(), one()]])

    def level_filter(self, name):
        members = {"os": ["platform", "version", "edition"], "geography": ["continent", "country", "usState"], "gpu": ["vendor", "model"]}[name]
        kind = self.any(["string", "stringArray"] + ([] if name == "geography" else ["regex"]))
        f = {"type": kind}
        for m in self.rnd.sample(members, self.rnd.randint(1, 2)):
            value = self.condition(f"{name}.{m}", types=[kind])["value"]
            shape = self.any(["bare", "bare", "object", "null"])
            if shape == "bare":
                f[m] = value
            elif shape == "object":
                f[m] = {"value": value} | ({"includeNull": True} if self.chance(0.6) else {})
            else:
                f[m] = {"includeNull": True}
        return f

    def usage(self):
        if self.chance(0.6):
            category, name = self.any(self.subject.events)
            f = {"category": category or self.any([None, ""]), "name": name}
            if category == "" and self.chance(0.3):
                del f["category"]
        else:
            f = {"combiArray": self.members(tracked=True)}
        low, high = sorted(self.rnd.sample(range(0, 30), 2))
        f |= {"min": low} if self.chance(0.5) else {}
        f |= {"max": high} if self.chance(0.4) else {}
        return f

    def event_properties(self):
        own = self.subject.own
        names = self.rnd.sample(sorted(own), self.any([1, 1, 2]))
        return {n: self.condition(n, values=[str(v).lower() if isinstance(v, bool) else str(v) for v in own[n] if v not in (None, "", "<NULL>")],
                                  types=["string", "stringArray", "regex", "null", "number", "numberRange", "boolean", "date", "dateRange"]) for n in names}

    # events

    def members(self, tracked=False):
        out = []
        for _ in range(self.rnd.randint(1, 3)):
            category, name = self.any(self.subject.events)
            m = {"category": category or None, "name": name}
            if self.chance(0.5):
                m["nameType"] = "string"
            elif self.chance(0.5):
                # what matches session_start too must not count it; a lifetimeEventUsage filter is not asked that
                m |= {"nameType": "regex", "name": self.any(["^[A-Zc-r]", "e$", "x"] if tracked else [".*", "^S", "s", "e$"])}
            if category and self.chance(0.4):
                m |= {"categoryType": "regex", "category": self.any(["^F", ".", "i"])}
            out.append(m)
        return out

    def events(self, most=4, singles_only=False):
        seen, out = set(), []
        for n in range(self.rnd.randint(1, most)):
            if not singles_only and self.chance(0.35):
                out.append({"combiLabel": f"{self.any(['Ü', 'Z', 'a'])} {n}", "combiArray": self.members()})
                continue
            e = self.any(self.subject.events)
            if e not in seen:
                seen.add(e)
                out.append({"category": e[0] or self.any([None, ""]), "name": e[1]})
        return out

    # segments

    def level(self, name=None):
        name = name or self.any([self.property(), self.property(), self.any(list(FLAGS))])
        if name in FLAGS:
            return {"property": name, "segments": [
                {"segmentLabel": f"{c} flags"} | {m: self.chance(0.5) for m in self.rnd.sample(FLAGS[name], self.rnd.randint(1, 2))}
                for c in self.rnd.sample("aZé", self.rnd.randint(1, 3))]}
        segments, labels = [], set()
        for n in range(self.any([1, 1, 2, 3])):
            s = self.segment(name, n)
            label = s.get("segmentLabel") or str(s.get("value"))
            if s.get("type") is None:
                label = "<NULL>"
            if not s.get("split") and label in labels:
                continue
            labels.add(label)
            segments.append(s)
        if any("limit" in s for s in segments):  # whose label was given, and may be cut off, is nowhere said
            segments = [s for s in segments if s.get("split") or s.get("segmentLabel")]
        return {"property": name, "segments": segments}

    def segment(self, name, n):
        if self.chance(0.5):
            s = self.condition(name, types=["regex", "regex", "stringArray"])
            if s["type"] == "regex" and self.chance(0.6):
                s["value"] = ".*"
            s["split"] = True
            if self.chance(0.4):
                s["limit"] = self.rnd.randint(1, 4)
            return s
        s = self.condition(name)
        if s.get("type") is None:
            return s
        if s["type"] not in ("string", "number") or self.chance(0.3):
            s["segmentLabel"] = self.any(["Größe", "≥ all", "A", "zz"]) + str(n)
        return s

    def levels(self, most):
        return {f"level{n}": self.level() for n in range(1, self.rnd.randint(1, most) + 1)}
