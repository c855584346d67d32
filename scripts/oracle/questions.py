"""Random requests, and requests that must be refused."""

import datetime
import random

from pieces import ZONES, Pieces

GROUPED = {
    "generic/dateRange", "generic/current", "eventTracking/lifetime/histogram", "eventTracking/lifetime/dataTable",
    "eventTracking/churn/lifetime/histogram", "eventTracking/churn/lifetime/dataTable",
}
FILTERED = {  # the basic reports know no filters
    "generic/dateRange", "generic/current", "engagement/usageDistribution", "engagement/churnAndEngagement",
    "churn/histogram/days", "churn/histogram/sessions", "churn/histogram/runtime", "eventTracking/advanced/fullReport",
} | GROUPED
BOUNDS = ("eventCount", "averageCountPerActiveDay", "averageCountPerActiveWeek", "averageCountPerActiveMonth")
LISTED = (
    ["machineId", "licenseKey", "optOut.historical", "optOut.current", "backOff.historical", "backOff.current", "cpuType", "ram",
     "resolutionWidth", "resolutionHeight", "osWordLength", "displayCount", "cpuCores", "formFactor", "dotNetVersion",
     "lifetimeSessionCount", "lifetimeRuntimeMinutes", "gpu.vendor", "gpu.model", "javaVersion", "javaVendor", "vm", "touchScreen",
     "screenPpi", "javaVmRam", "dateInstalled", "dateLastSeen", "lifetimeEventUsage", "reachOutDeliveries.auto",
     "reachOutDeliveries.manual", "user.tier", "user.score", "user.vip", "user.tags", "user.nobody", "contact.email",
     "contact.mobile_phone"]
)
DAILY = (
    ["prodVersion", "prodEdition", "prodBuild", "prodLanguage", "licenseType", "osLanguage", "C01", "C02", "C20"]
    + ["licenseStatus." + f for f in ("activated", "blocked", "expired", "allowed")]
    + ["os." + f for f in ("platform", "version", "edition")] + ["geography." + f for f in ("continent", "country", "usState")]
)


class Question:
    def __init__(self, report, product, body, refused=None):
        self.report, self.product, self.body = report, product, body
        self.refused = refused  # how the reason of a 400 begins; None: the question is to be answered

    @property
    def path(self):
        folder = "export/request" if self.body.get("export") else "reporting"
        return f"/v3/{folder}/{self.report}/{self.product}"

    @property
    def sent(self):
        return {k: v for k, v in self.body.items() if k != "export"}


class Questions:
    """Draws requests about subjects."""

    def __init__(self, seed, subjects, reports, without=()):
        self.rnd = random.Random(seed)
        self.subjects, self.reports, self.without = subjects, reports, set(without)
        self.n = 0

    def next(self, today):
        """One request; reports take turns."""
        report = self.reports[self.n % len(self.reports)]
        self.n += 1
        subject = self.rnd.choices(self.subjects, [4] + [1] * (len(self.subjects) - 1))[0]
        pieces = Pieces(self.rnd, subject, today)
        if self.rnd.random() < 0.06:
            if refused := self.refused(report, subject, pieces):
                return refused
        return Question(report, subject.product, self.body(report, subject, pieces))

    def body(self, report, subject, pieces):
        body = MAKERS[report](self, report, subject, pieces)
        if report in FILTERED and (f := pieces.filters()):
            body["globalFilters"] = f
        if report in GROUPED and pieces.chance(0.2) and "groupBy" not in self.without:
            body["groupBy"] = pieces.any(subject.groups)
        elif report in GROUPED and pieces.chance(0.1):
            body["groupBy"] = "clientId"
        if pieces.chance(0.25) and "timeZone" not in self.without:
            body["timeZone"] = pieces.any(ZONES)
        if pieces.chance(0.15) and "eventProperties" not in self.without:
            body["eventProperties"] = pieces.event_properties()
        if body.get("groupBy", "clientId") != "clientId":
            ungrouped(body, pieces)
        return body

    def date_range(self, report, subject, pieces):
        split = pieces.any([None, None, "day", "week", "month"])
        body = pieces.range(split) | {"clientStatus": self.statuses()} | pieces.lost()
        if split or pieces.chance(0.3):
            body["dateSplit"] = split
        if pieces.chance(0.6):
            body["levels"] = pieces.levels(1 if split else 3)
        return body

    def statuses(self):
        return self.rnd.sample(["new", "active", "lost"], self.rnd.randint(1, 3))

    def current(self, report, subject, pieces):
        body = {"clientStatus": self.statuses()} | pieces.lost()
        if "lost" not in body["clientStatus"] and pieces.chance(0.5):
            del body["daysUntilDeclaredLost"]
        if pieces.chance(0.5):
            body["startDate"] = pieces.format_day(datetime.date.fromisoformat(pieces.day()))
        if pieces.chance(0.6):
            body["levels"] = pieces.levels(3)
        return body

    def ranged(self, report, subject, pieces):
        return pieces.range()

    def timeline(self, report, subject, pieces):
        split = pieces.any(["day", "week", "month"])
        view = pieces.any(["usageCounts", "usageCount", "customValues"])
        body = pieces.range(split) | {"dateSplit": split, "dataView": view}
        divisor = pieces.any([None, "users", "sessions", "runtime"] + (["usageCounts"] if view == "customValues" else []))
        if divisor or pieces.chance(0.5):
            body["divisor"] = divisor
        body["events"] = pieces.events(6, singles_only=True)
        return body

    def histogram(self, report, subject, pieces):
        body = pieces.range() | self.churn(report, pieces) | {"events": pieces.events(5)}
        if pieces.chance(0.5):
            lower, upper = {}, {}
            for key in self.rnd.sample(BOUNDS, self.rnd.randint(1, 4)):
                lower[key], upper[key] = self.bounds(key)
            body |= {"lowerBounds": lower, "binUpperBounds": upper}
        return body

    def bounds(self, key):
        rnd = self.rnd
        if key == "eventCount":
            low = rnd.randint(1, 4)
            uppers = sorted(rnd.sample(range(low, low + 60), rnd.randint(1, 5)))
        else:
            low = rnd.choice([0, 0.1, 0.25, 1, 0.333])
            uppers = sorted({round(low + step / 100, 2) + 0.01 for step in rnd.sample(range(0, 600), rnd.randint(1, 5))})
            uppers = [round(u, 2) for u in uppers]
        if rnd.random() < 0.5:
            uppers.append("inf")
        return low, uppers

    @staticmethod
    def churn(report, pieces):
        return pieces.lost() if "churn" in report else {}

    def table(self, report, subject, pieces):
        body = pieces.range() | self.churn(report, pieces)
        if pieces.chance(0.5):
            body["events"] = pieces.events(6)
        self.segmented(body, pieces)
        if pieces.chance(0.4):
            body["categorizeEvents"] = pieces.chance(0.8)
        if pieces.chance(0.5):
            body["sorting"] = {"events": pieces.any(["alpha", "eventCounts", "uniqueUsersUsedAtLeastOnce"]),
                               "eventsDirection": pieces.any(["asc", "desc"]),
                               "segments": pieces.any(["alpha", "active", "eventCounts", "uniqueUsersUsedAtLeastOnce", "percentUsedAtLeastOnce"]),
                               "segmentsDirection": pieces.any(["asc", "desc"])}
            for key in self.rnd.sample(sorted(body["sorting"]), self.rnd.randint(0, 2)):
                del body["sorting"][key]
        if pieces.chance(0.3):
            body["startAtRow"] = self.rnd.randint(0, 12)
        if pieces.chance(0.3):
            body["limit"] = self.rnd.choice([1, 3, 10, 1000])
        return body

    @staticmethod
    def segmented(body, pieces):
        if pieces.chance(0.5):
            level = pieces.level()
            body |= {"segmentBy": level["property"], "segments": level["segments"]}

    def full_report(self, report, subject, pieces):
        body = pieces.range() | {"events": pieces.events(5)}
        self.segmented(body, pieces)
        return body

    def engagement(self, report, subject, pieces):
        split = pieces.any(["day", "week", "month"])
        body = pieces.range(split) | pieces.lost(named=False) | {"dateSplit": split}
        if pieces.chance(0.25):
            body["segmentBy"] = "installationMonth"
        else:
            self.segmented(body, pieces)
        return body

    def churned(self, report, subject, pieces):
        return pieces.range() | pieces.lost()

    def client_list(self, report, subject, pieces):
        body = {}
        if pieces.chance(0.9):
            names = LISTED + DAILY
            body["properties"] = self.rnd.sample(names, self.rnd.randint(0, 14))
            if body["properties"] and pieces.chance(0.2):
                body["properties"].append(body["properties"][0])
        if pieces.chance(0.4):
            body["retDailyData"] = pieces.range("day")
            if pieces.chance(0.9):
                body["retDailyData"]["properties"] = self.rnd.sample(DAILY, self.rnd.randint(0, 6))
        if pieces.chance(0.5):
            body["globalFilters"] = pieces.filters()
        if pieces.chance(0.4):
            body["startAtClientId"] = pieces.any([None, "1", "2", "45", "5000", "9"])
        if pieces.chance(0.2):
            body["export"] = True
            if pieces.chance(0.5) and not subject.deep:
                body.pop("properties", None)  # lists all of them, on few pages: DuckDB computes each page anew
        return body

    def refused(self, report, subject, pieces):
        """A request that must be answered 400, if the report has one."""
        body = self.body(report, subject, pieces)
        wrong = []
        if "timeZone" not in self.without:
            wrong.append(({"timeZone": "Mars/Olympus"}, "timeZone"))
        if report in GROUPED and "groupBy" not in self.without:
            wrong.append(({"groupBy": "prodVersion"}, "groupBy"))
            wrong.append(({"groupBy": "machineId", "globalFilters": {"clientId": {"type": "string", "value": "7"}}}, ""))
        elif report not in GROUPED and report != "clientPropertyList" and "groupBy" not in self.without:
            wrong.append(({"groupBy": "machineId"}, "groupBy"))
        if report in FILTERED:
            wrong.append(({"globalFilters": {"shoeSize": {"type": "number", "value": 42}}}, "globalFilters.shoeSize"))
            wrong.append(({"globalFilters": {"geography.country": {"type": "regex", "value": "D"}}}, "globalFilters.geography.country.type"))
        if "lifetime" in report or "fullReport" in report:
            twice = {"combiLabel": "x", "combiArray": [{"name": "Open"}]}
            wrong += [({"events": [twice, twice]}, "events"), ({"events": [{"name": "Open"}, {"name": "Open", "category": ""}]}, "events")]
        if "segments" in body or report.endswith("dataTable") and "lifetime" in report:
            wrong.append(({"segmentBy": "prodVersion", "segments": None}, "segments"))
        if report.endswith("lifetime/histogram"):
            wrong.append(({"lowerBounds": {"eventCount": 1}, "binUpperBounds": None}, ""))
        if report == "clientPropertyList":
            wrong += [({"properties": ["shoeSize"]}, "properties"), ({"retDailyData": {"startDate": "NOW", "stopDate": "NOW", "properties": ["ram"]}}, "retDailyData")]
        if not wrong:
            return None
        change, field = pieces.any(wrong)
        return Question(report, subject.product, body | change, refused=field)


def ungrouped(body, pieces):
    """Removes conditions that do not apply to a group of clients: on a client's id, and on properties and contacts set by changes."""
    alone = lambda name: name == "clientId" or name.startswith(("user.", "contact."))
    for name in [n for n in body.get("globalFilters") or {} if alone(n)]:
        del body["globalFilters"][name]
    for level in (body.get("levels") or {}).values():
        if alone(level["property"]):
            level |= pieces.level("prodVersion")
    if alone(body.get("segmentBy") or ""):
        body["segmentBy"], body["segments"] = "prodVersion", pieces.level("prodVersion")["segments"]


MAKERS = {
    "generic/dateRange": Questions.date_range,
    "generic/current": Questions.current,
    "engagement/usageDistribution": Questions.ranged,
    "engagement/churnAndEngagement": Questions.engagement,
    "eventTracking/basic/dataTable": Questions.ranged,
    "eventTracking/basic/timeline": Questions.timeline,
    "eventTracking/lifetime/histogram": Questions.histogram,
    "eventTracking/lifetime/dataTable": Questions.table,
    "eventTracking/churn/lifetime/histogram": Questions.histogram,
    "eventTracking/churn/lifetime/dataTable": Questions.table,
    "eventTracking/advanced/fullReport": Questions.full_report,
    "churn/histogram/days": Questions.churned,
    "churn/histogram/sessions": Questions.churned,
    "churn/histogram/runtime": Questions.churned,
    "clientPropertyList": Questions.client_list,
}
