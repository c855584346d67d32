"""Random events of a seeded generator, as lines for Weir.

A plan is made of batches of lines, in the order in which they are to be sent.
Times are unique over all clients but for a few ties within one client, whose
later line is sent later, so that (time, order of sending) is (time, offset).
"""

import json
import random
from decimal import Decimal

DAY_MS = 86_400_000

# Values that events give properties. None, "" and "<NULL>" clear; a name with
# a dot is sent nested or dotted.
POOL = {
    "prodVersion": ["1.0", "1.1", "2.0", "2.0-beta", "10.0", None, "<NULL>"],
    "prodEdition": ["Pro", "Lite", "Größe", 'A "quoted"', "", "pro"],
    "prodBuild": ["100", 101, 102, "b'7", None],
    "prodLanguage": ["en", "de", "mt", "日本語", "\U0001f600", "\uffee", ""],
    "licenseType": ["purchased", "freeware", "unknown", None],
    "licenseStatus.activated": [True, False, "Y", "no", "yes", " Yes", "True", "maybe", None],
    "licenseStatus.blocked": [True, False, 0, 1, "N"],
    "licenseStatus.expired": ["true", "false", "TRUE", None],
    "licenseStatus.allowed": [True, "1", "0", ""],
    "os.platform": ["Linux", "Microsoft Windows", "macOS", None],
    "os.version": ["Microsoft Windows 10", "Microsoft Windows 7", "Debian 12", ""],
    "os.edition": ["Microsoft Windows 7 Professional", "Home", "<NULL>"],
    "osLanguage": ["en-US", "de-DE", "fr-FR", None],
    "geography.country": ["DE", "US", "JP", "BR", "ZA", "AU", "MT", "AQ", "XX", "UK", "de", "Germany", None, ""],
    "geography.continent": ["EU", "AS", "ZZ", None],
    "geography.usState": ["US-NY", "US-CA", ""],
    "C01": ["a", "b", "c d", "<NULL>", "", "a"],
    "C02": ["x1", "x2", "x3", "x4", None],
    "C20": [1, 2, 2.5, "2", "late"],
    "machineId": None,  # of the client, see Client
    "licenseKey": None,
    "osWordLength": ["64-bit", "32-bit", None],
    "gpu.vendor": ["NV", "AMD", ""],
    "gpu.model": ["G1", "G2", "R9", None],
    "formFactor": ["laptop", "desktop", "server"],
    "cpuType": ["x86", "arm"],
    "vm": ["none", "KVM", ""],
    "dotNetVersion": ["4.0;4.8", "8.0"],
    "javaVersion": ["21", "17", 11],
    "javaVendor": ["Eclipse", "Oracle", None],
    "cpuCores": [1, 2, 4, 8, 16, "4", "+4", 4.0, "0x4", None],
    "displayCount": [1, 2, 3, "2"],
    "ram": [2048, 4096, 8192, 16384, "n/a", 8192.5, " 8192", Decimal("8192.0"), None],
    "resolutionWidth": [1280, 1920, 3840],
    "resolutionHeight": [720, 1080, 2160, ""],
    "screenPpi": [96, 96.5, 120, "dense"],
    "javaVmRam": [256, 512, "1e3"],
    "touchScreen": [True, False, "yes", "NO", 0, "maybe", None],
    "optOut.historical": [True, False],
    "optOut.current": [True, False, None],
    "backOff.current": [False, True, "Y"],
}
STABLE = ["machineId", "licenseKey"]
CATEGORIES = [None, "", "File", "File", "Edit", "Größe"]
NAMES = ["Open", "Save", "Export", "Ping", "Crash", 'Say "hi"']
OWN = {
    "plan": ["pro", "free", "", None, "<NULL>", "trial", {"a": 1}, ["pro"]],
    "count": [0, 1, 2, 3, 2.5, -1, "2", " 2.0", "0x2", "many", None],
    "beta": [True, False, "yes", "no", None],
    "until": ["2026-01-31", "2025-06-01T10:00:00Z", "soon", "2025-06-01", None],
}


def encode(v):
    """JSON with exact decimals."""
    if isinstance(v, Decimal):
        return format(v, "f")
    if isinstance(v, dict):
        return "{" + ",".join(json.dumps(k, ensure_ascii=False) + ":" + encode(x) for k, x in v.items()) + "}"
    if isinstance(v, list):
        return "[" + ",".join(map(encode, v)) + "]"
    return json.dumps(v, ensure_ascii=False)


class Client:
    """One client: its identity, its active days and its properties."""

    def __init__(self, rnd, euid, days):
        self.euid = euid
        self.installed = rnd.randrange(days)
        span = days - self.installed
        self.days = span if rnd.random() < 0.5 else rnd.randint(1, span)  # others are lost at some time
        self.rate = rnd.choice([0.1, 0.3, 0.6, 0.9])
        self.talks = rnd.choice([0, 0.2, 0.6, 1])  # how often an event has $client
        self.knows = rnd.sample(sorted(POOL), rnd.randint(3, len(POOL)))
        self.machine = f"m-{rnd.randrange(60)}"
        self.license = f"K-{rnd.randrange(12)}"

    def properties(self, rnd):
        """The $client of one event, nested or dotted."""
        properties = {}
        for name in rnd.sample(self.knows, min(len(self.knows), rnd.randint(1, 9))):
            if name == "machineId":
                value = self.machine if rnd.random() < 0.9 else rnd.choice(["", f"m-{rnd.randrange(60)}"])
            elif name == "licenseKey":
                value = self.license if rnd.random() < 0.8 else rnd.choice([None, f"K-{rnd.randrange(12)}"])
            else:
                value = rnd.choice(POOL[name])
            outer, dot, inner = name.partition(".")
            if dot and rnd.random() < 0.5:
                properties.setdefault(outer, {})[inner] = value
            else:
                properties[name] = value
        return properties


class Generator:
    """Generates the lines of one product."""

    def __init__(self, seed, now_ms, clients=260, days=62):
        self.rnd = random.Random(seed)
        self.now, self.days = now_ms, days
        self.midnight = now_ms - now_ms % DAY_MS  # of today
        self.taken, self.ids, self.serial = set(), [], 0
        ids = set()
        while len(ids) < clients:
            ids.add(self.rnd.choice([self.rnd.randint(1, 30), self.rnd.randint(1, 5000), self.rnd.randint(2**53, 2**63 - 1)]))
        self.clients = [Client(self.rnd, euid, days) for euid in sorted(ids)]

    def history(self):
        """Every line of all days up to now, some late, some sent twice."""
        events = []
        for c in self.clients:
            first = self.midnight - (self.days - 1 - c.installed) * DAY_MS
            for day in range(c.days):
                if day == 0 or self.rnd.random() < c.rate * 0.6:
                    events += self.day_of(c, first + day * DAY_MS)
        return self.in_order_of_sending(events)

    def latest(self, n):
        """n more events, of old and new clients: of the last two days, and some far back."""
        events = []
        for _ in range(n):
            c = self.rnd.choice(self.clients)
            back = 2 if self.rnd.random() < 0.7 else self.days
            if at := self.time(self.now - back * DAY_MS, self.now):
                events.append(self.event(c, at))
        return self.in_order_of_sending(events)

    def users(self, n):
        """n changes of properties and contacts: (euid, kind, operation, values)."""
        rnd, out = self.rnd, []
        for _ in range(n):
            operation, values = rnd.choice([
                ("set", {"tier": rnd.choice(["gold", "silver", "größer", "7"]), "vip": rnd.random() < 0.5}),
                ("set", {"score": rnd.choice([0, 3, 20, Decimal("2.5")])}),
                ("set", {"tags": rnd.sample(["a", "b", "ü"], rnd.randint(0, 3))}),
                ("increase", {"score": rnd.choice([1, -2, Decimal("0.25")])}),
                ("increase", {"tier": 1}),  # no number: changes nothing
                ("add", {"tags": rnd.sample(["a", "b", "c", "d"], rnd.randint(1, 3))}),
                ("remove", {"tags": rnd.sample(["a", "b", "c", "d"], rnd.randint(1, 3))}),
                ("delete", {rnd.choice(["tier", "score", "vip", "tags"]): None}),
                ("set", {"email": rnd.choice(["x@example.org", "y@example.org"]), "mobile_phone": rnd.choice(["+49 1", ""])}),
            ])
            out.append((rnd.choice(self.clients).euid, "contact" if "email" in values else "property", operation, values))
        return out

    def day_of(self, c, begin):
        rnd, out = self.rnd, []
        end = min(begin + DAY_MS, self.now)
        edges = [begin, end - 1, begin + 2 * 3_600_000, end - 5 * 3_600_000]  # midnights, of other zones too
        for _ in range(rnd.choice([0, 1, 1, 2, 4])):
            for name in ("session_start", "session_stop"):
                at = self.time(begin, end)
                if at and rnd.random() < 0.9:
                    out.append(self.event(c, at, name))
        for _ in range(rnd.choice([0, 1, 2, 3, 7])):
            at = self.time(begin, end, rnd.choice(edges) if rnd.random() < 0.2 else None)
            if at:
                out.append(self.event(c, at))
        if not out and (at := self.time(begin, end)):
            out.append(self.event(c, at))
        if out and rnd.random() < 0.05:  # two at one time; the later one is sent later
            out.append(self.event(c, out[-1]["itime"]))
        return out

    def time(self, begin, end, want=None):
        if end <= begin:
            return None
        for _ in range(20):
            at = begin + int(self.rnd.random() * (end - begin)) if want is None else want  # draws do not depend on now
            if at not in self.taken:
                self.taken.add(at)
                return at
            want = None
        return None

    def event(self, c, at, name=None):
        rnd = self.rnd
        self.serial += 1
        props = {}
        if name is None:
            name = rnd.choice(NAMES)
            if (category := rnd.choice(CATEGORIES)) is not None:
                props["$category"] = category
            if rnd.random() < 0.3:
                props["$value"] = self.value()
            if rnd.random() < 0.05:
                props["$runtime"] = 99  # counts on stops alone
        elif name == "session_stop" and rnd.random() < 0.9:
            props["$runtime"] = rnd.choice([Decimal(rnd.randint(0, 9_000_000)) / 1000, rnd.randint(0, 900), Decimal("59.9995"), 60, 300])
        if rnd.random() < c.talks:
            props["$client"] = c.properties(rnd)
        for own, values in OWN.items():
            if rnd.random() < 0.4:
                props[own] = rnd.choice(values)
        return {"euid": c.euid, "event_name": name, "itime": at, "random_id": f"r{self.serial}", "properties": props}

    def value(self):
        rnd = self.rnd
        return rnd.choice([
            rnd.randint(-5, 100), Decimal(rnd.randint(-9999, 99999)) / 100, Decimal(rnd.randint(0, 10**12)) / 10**9,
            Decimal("0.0000000005"), Decimal("0.0000000015"), Decimal("123456789012345678.123456789"),
        ])

    def in_order_of_sending(self, events):
        """By time, but some an hour to days late; some sent again, with other content."""
        rnd = self.rnd
        keyed = []
        for n, e in enumerate(sorted(events, key=lambda e: e["itime"])):
            late = rnd.choice([3_600_000, DAY_MS, 20 * DAY_MS]) if rnd.random() < 0.1 else 0
            keyed.append((e["itime"] + late, n, e))
            if rnd.random() < 0.03:
                again = dict(e, properties=dict(e["properties"], **{"$value": 7, "$client": {"prodVersion": "twice"}}))
                again["itime"] += rnd.choice([0, -1, -DAY_MS])
                keyed.append((e["itime"] + late + rnd.choice([0, DAY_MS]), n + 0.5, again))
        keyed = self.ties_in_order(keyed)
        return [encode(e) for _, _, e in sorted(keyed, key=lambda k: k[:2])]

    @staticmethod
    def ties_in_order(keyed):
        """Events of one client with the same time keep their order: none of them is late."""
        count = {}
        for _, _, e in keyed:
            key = e["euid"], e["itime"]
            count[key] = count.get(key, 0) + 1
        return [(e["itime"], n, e) if count[e["euid"], e["itime"]] > 1 else (at, n, e) for at, n, e in keyed]
