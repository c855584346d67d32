"""Filters, segments and event matches of a request as SQL conditions.

Every condition is an expression that is true or false, never NULL. A property
is read through a Reader, which remembers what the question has to look up.
"""

import re

STANDARD = (
    ["prodVersion", "prodEdition", "prodBuild", "prodLanguage", "licenseType", "osLanguage"]
    + ["licenseStatus." + f for f in ("activated", "blocked", "expired", "allowed")]
    + ["os." + f for f in ("platform", "version", "edition")]
    + ["geography." + f for f in ("continent", "country", "usState")]
    + [f"C{n:02}" for n in range(1, 21)]
)
LEVELS = {"os": ["platform", "version", "edition"], "geography": ["continent", "country", "usState"], "gpu": ["vendor", "model"]}
FLAGS = {
    "licenseStatus": ["activated", "blocked", "expired", "allowed"],
    "optOut": ["historical", "current"],
    "backOff": ["historical", "current"],
}
OF_LIFE = {
    "clientId": "life.unit",
    "dateInstalled": "CAST(life.installed AS VARCHAR)",
    "dateLastSeen": "CAST(life.seen AS VARCHAR)",
    "lifetimeSessionCount": "CAST(life.sessions AS VARCHAR)",
    "lifetimeRuntimeMinutes": "CAST(life.runtime // 60000 AS VARCHAR)",
}
# Properties whose values have one spelling each.
NUMBERS = ["cpuCores", "displayCount", "ram", "resolutionWidth", "resolutionHeight", "screenPpi", "javaVmRam"]
BOOLEANS = ["touchScreen"]
# Continents of the countries that the generator knows, in capitals.
CONTINENTS = {"DE": "EU", "GERMANY": "EU", "UK": "EU", "MT": "EU", "US": "NA", "JP": "AS", "BR": "SA", "ZA": "AF", "AU": "OC", "AQ": "AN"}
NUMBER = r"^[ \t\r\n]*[+-]?([0-9]+(\.[0-9]*)?|\.[0-9]+)([eE][+-]?[0-9]+)?[ \t\r\n]*$"
DATE = r"^[0-9]{4}-[0-9]{2}-[0-9]{2}($|[T ])"
TRUE, FALSE = ("true", "1", "y", "yes"), ("false", "0", "n", "no")
NULL = "<NULL>"


def literal(v):
    if v is None:
        return "NULL"
    if isinstance(v, bool):
        return "true" if v else "false"
    if isinstance(v, (int, float)):
        return repr(v)
    return "'" + str(v).replace("'", "''") + "'"


def sure(condition):
    return f"coalesce({condition}, false)"


def number_of(column):
    return f"CASE WHEN regexp_matches({column}, '{NUMBER}') THEN TRY_CAST(trim({column}, E' \\t\\r\\n') AS DOUBLE) END"


def is_one_of(column, words):
    return f"coalesce(lower(trim({column}, E' \\t\\r\\n')) IN {words}, false)"


def wanted(name, f):
    """A filter or a segment with its texts as the values of the property are spelled."""
    if f.get("type") == "string":
        return dict(f, value=spelled(name, f["value"]))
    if f.get("type") == "stringArray":
        return dict(f, value=[spelled(name, v) for v in f["value"]])
    return f


def spelled(name, text):
    if name in NUMBERS and re.match(NUMBER, text):
        return re.sub(r"\.0$", "", repr(float(text)))
    if (name in BOOLEANS or is_flag(name)) and text.strip().lower() in TRUE + FALSE:
        return "true" if text.strip().lower() in TRUE else "false"
    return text


def is_flag(name):
    group, _, member = name.partition(".")
    return member in FLAGS.get(group, [])


class Reader:
    """The properties and the lifetime events that a request uses."""

    def __init__(self):
        self.reported = {}  # name -> column
        self.usages = []  # conditions on events; column u0, u1, …

    def column(self, name):
        """The expression of a property, text or NULL."""
        if name in OF_LIFE:
            return OF_LIFE[name]
        if is_flag(name):
            return f"CAST({true_text(self.of(name))} AS VARCHAR)"
        if name == "geography.continent":
            cases = " ".join(f"WHEN {literal(c)} THEN {literal(k)}" for c, k in CONTINENTS.items())
            return f"(CASE upper({self.of('geography.country')}) {cases} ELSE {self.of(name)} END)"
        if name in NUMBERS:
            text = f"regexp_replace(CAST({number_of(self.of(name))} AS VARCHAR), '\\.0$', '')"
            return f"coalesce({text}, {self.of(name)})"
        if name in BOOLEANS:
            cases = f"WHEN {is_one_of(self.of(name), TRUE)} THEN 'true' WHEN {is_one_of(self.of(name), FALSE)} THEN 'false'"
            return f"(CASE {cases} ELSE {self.of(name)} END)"
        return self.of(name)

    def of(self, name):
        return self.reported.setdefault(name, f"p{len(self.reported)}")

    def usage(self, condition):
        self.usages.append(condition)
        return f"u{len(self.usages) - 1}"


def holds(column, f):
    """The condition of one filter, or of one segment without its nulls, on a text that may be NULL."""
    kind = f.get("type")
    test = "false" if kind is None else sure(typed(column, kind, f))
    if f.get("includeNull"):
        return f"({test} OR {column} IS NULL)"
    return f"({test})"


def typed(column, kind, f):
    number = number_of(column)
    date = f"CASE WHEN regexp_matches({column}, '{DATE}') THEN TRY_CAST(left({column}, 10) AS DATE) END"
    if kind == "string":
        return f"{column} = {literal(f['value'])}"
    if kind == "stringArray":
        return any_of(f"{column} = {literal(v)}" for v in f["value"])
    if kind == "regex":
        return f"regexp_matches({column}, {literal(f['value'])})"
    if kind == "number":
        return f"({number}) = CAST({f['value']} AS DOUBLE)"
    if kind == "numberRange":
        return within(number, f, lambda v: f"CAST({v} AS DOUBLE)")
    if kind == "date":
        return f"({date}) = DATE {literal(f['value'][:10])}"
    if kind == "dateRange":
        return within(date, f, lambda v: f"DATE {literal(v[:10])}")
    if kind == "boolean":
        return is_one_of(column, TRUE if f["value"] else FALSE)
    raise ValueError(kind)


def within(expression, f, literal):
    parts = [f"({expression}) IS NOT NULL"]
    if f.get("min") is not None:
        parts.append(f"({expression}) >= {literal(f['min'])}")
    if f.get("max") is not None:
        parts.append(f"({expression}) <= {literal(f['max'])}")
    return " AND ".join(parts)


def any_of(conditions):
    return "(" + (" OR ".join(conditions) or "false") + ")"


def all_of(conditions):
    return "(" + (" AND ".join(conditions) or "true") + ")"


def true_text(column):
    """A flag that was never reported is false."""
    return is_one_of(column, TRUE)


def flag(column, want):
    return true_text(column) if want else f"NOT {true_text(column)}"


def flags(reader, name, f):
    return all_of(flag(reader.column(f"{name}.{m}"), f[m]) for m in FLAGS[name] if f.get(m) is not None)


def filters(reader, given):
    """globalFilters: all of them must hold."""
    return all_of(one_filter(reader, name, f) for name, f in (given or {}).items())


def one_filter(reader, name, f):
    if name == "lifetimeEventUsage":
        count = reader.usage(usage_match(f))
        low = f.get("min", 1 if f.get("max") is None else None)
        return all_of(([f"{count} >= {low}"] if low is not None else []) + ([f"{count} <= {f['max']}"] if f.get("max") is not None else []))
    if name in FLAGS:
        return any_of(flags(reader, name, one) for one in (f if isinstance(f, list) else [f]))
    if name in LEVELS:
        return any_of(level_filter(reader, name, level, f) for level in LEVELS[name] if f.get(level) is not None)
    return holds(reader.column(name), wanted(name, f))


def level_filter(reader, name, level, f):
    of = f[level] if isinstance(f[level], dict) else {"value": f[level]}
    if of.get("value") is not None:
        of = dict(of, type=f["type"])
    return holds(reader.column(f"{name}.{level}"), of)


def text_match(column, kind, text):
    if kind == "regex":
        return sure(f"regexp_matches({column}, {literal(text)})")
    return sure(f"{column} = {literal(text)}")


def member_match(m):
    """A member of a combination; category '' is none."""
    name = text_match("ev.name", m.get("nameType"), m["name"])
    if not m.get("category"):
        return f"(ev.category IS NULL AND {name})"
    return f"({text_match('ev.category', m.get('categoryType'), m['category'])} AND {name})"


def usage_match(f):
    return any_of(member_match(m) for m in f["combiArray"]) if "combiArray" in f else member_match(f)


TRACKED = "(ev.name NOT IN ('session_start', 'session_stop'))"


def event_match(e):
    """A requested event, single or combination."""
    if "combiLabel" not in e:
        return member_match({"category": e.get("category"), "name": e["name"]})
    return f"({TRACKED} AND {any_of(member_match(m) for m in e['combiArray'])})"


def flagged(untracked):
    """Leaves out the events (category, name) whose owner does not collect them."""
    return all_of(f"NOT (ev.category IS NOT DISTINCT FROM {literal(c)} AND ev.name = {literal(n)})" for c, n in untracked)


def series(reader, level):
    """A list expression: the series that a unit is in, as structs of label l and
    the position k of its segment, and the series that are there whoever is in them."""
    name, members, fixed = level["property"], [], []
    for k, s in enumerate(level["segments"]):
        if name in FLAGS:
            members.append((flags(reader, name, s), literal(s["segmentLabel"]), k))
            fixed.append((s["segmentLabel"], k))
            continue
        column = reader.column(name)
        if s.get("includeNull"):
            members.append((f"{column} IS NULL", literal(NULL), k))
            fixed.append((NULL, k))
        if s.get("type") is None:
            continue
        test = holds(column, wanted(name, {m: v for m, v in s.items() if m != "includeNull"}))
        if s.get("split"):
            members.append((test, column, k))
        else:
            label = segment_label(s)
            members.append((test, literal(label), k))
            fixed.append((label, k))
    cases = ", ".join(f"CASE WHEN {test} THEN {{'l': {label}, 'k': {k}}} END" for test, label, k in members)
    return f"list_filter([{cases}], lambda x: x IS NOT NULL)", fixed


def segment_label(s):
    if s.get("segmentLabel"):
        return s["segmentLabel"]
    return str(s["value"])
