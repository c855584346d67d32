"""Loads raw lines of events into the DuckDB tables from which reports are computed.

    events(product, seq, client, ms, name, category, value, runtime)
    reported(seq, name, text)      properties in $client of an event; text is NULL where it clears one
    own(seq, name, text)       the event's own properties that are no objects
    users(seq, member, text)   members of $user of an event, a row for each element of a list
    user_attributes(product, client, name, text)   current values that were set for clients outside events: user.NAME, contact.NAME

seq is the order of sending, over all products. Of lines with one random_id,
product and client only the first counts.
"""

import csv
import json
import os
import tempfile
from decimal import ROUND_HALF_EVEN, Context, Decimal

import duckdb

TABLES = """
CREATE TABLE events(product BIGINT, seq BIGINT, client BIGINT, ms BIGINT, name VARCHAR, category VARCHAR,
                    value DECIMAL(38,9), runtime BIGINT);
CREATE TABLE reported(product BIGINT, seq BIGINT, client BIGINT, name VARCHAR, text VARCHAR);
CREATE TABLE own(product BIGINT, seq BIGINT, name VARCHAR, text VARCHAR);
CREATE TABLE users(seq BIGINT, member VARCHAR, text VARCHAR);
CREATE TABLE user_attributes(product BIGINT, client BIGINT, name VARCHAR, text VARCHAR);
"""
NULL = "\\N"


class Number(str):
    """A JSON number with its original text."""


class Raw:
    """The raw events that were sent to Weir, in DuckDB."""

    def __init__(self):
        self.db = duckdb.connect(config={"threads": 1})
        self.db.execute("SET TimeZone = 'UTC'")
        self.db.execute(TABLES)
        self.known, self.seq, self.version = set(), 0, 0
        self.user_attributes = {}  # (product, client as text) -> {name: value}
        self.attribute_names = {}  # product -> names that were ever set

    def add(self, product, lines):
        """Adds lines as sent one after the other; returns how many are not duplicates."""
        rows = {"events": [], "reported": [], "own": [], "users": []}
        before = len(self.known)
        for line in lines:
            e = json.loads(line, parse_float=Number, parse_int=Number)
            self.seq += 1
            key = product, int(e["euid"]), e["random_id"]
            if key in self.known:
                continue
            self.known.add(key)
            self.one(product, e, rows)
        for table, added in rows.items():
            self.copy(table, added)
        self.version += 1
        return len(self.known) - before

    def add_changes(self, product, changes):
        """Applies changes (client, "property" or "contact", operation, values) in the order they were sent."""
        for client, kind, operation, values in changes:
            of = self.user_attributes.setdefault((product, str(client)), {})
            if operation != "delete":
                self.attribute_names.setdefault(product, set()).update(("user." if kind == "property" else "contact.") + name for name in values)
            for name, value in values.items():
                change(of, ("user." if kind == "property" else "contact.") + name, operation, value)
        self.db.execute("DELETE FROM user_attributes")
        self.copy("user_attributes", [(p, c, name, plain(v)) for (p, c), of in self.user_attributes.items() for name, v in of.items() if not isinstance(v, list)])
        self.version += 1

    def one(self, product, e, rows):
        props, seq, client = e.get("properties") or {}, self.seq, int(e["euid"])
        value, runtime = props.get("$value"), props.get("$runtime")
        rows["events"].append((
            product, seq, client, int(e["itime"]), e["event_name"], props.get("$category") or None,
            None if value is None else rounded(value, 9), None if runtime is None else int(rounded(runtime, 3).scaleb(3))))
        for name, v in flat(props.get("$client") or {}):
            rows["reported"].append((product, seq, client, name, plain(v)))
        for member, v in (props.get("$user") or {}).items():
            rows["users"] += [(seq, member, text) for text in (v if isinstance(v, list) else [v])]
        for name, v in props.items():
            if not name.startswith("$") and not isinstance(v, dict):
                rows["own"].append((product, seq, name, plain(v)))

    def copy(self, table, rows):
        if not rows:
            return
        handle, path = tempfile.mkstemp(suffix=".csv")
        try:
            with os.fdopen(handle, "w", newline="", encoding="utf-8") as f:
                out = csv.writer(f, quoting=csv.QUOTE_ALL)
                out.writerows([NULL if v is None else v for v in row] for row in rows)
            self.db.execute(f"""COPY {table} FROM '{path}' (FORMAT csv, HEADER false, DELIMITER ',', QUOTE '"', ESCAPE '"',
                NULLSTR '{NULL}', AUTO_DETECT false, ALLOW_QUOTED_NULLS true)""")
        finally:
            os.unlink(path)

    def rows(self, sql):
        return self.db.execute(sql).fetchall()


def change(of, name, operation, value):
    """set overwrites, increase adds to a number (a missing one is 0), add and remove change a list, delete drops;
    an operation that does not fit the value has no effect."""
    have = of.get(name)
    if operation == "set":
        of[name] = value
    elif operation == "delete":
        of.pop(name, None)
    elif operation == "increase" and (have is None or isinstance(have, (int, Decimal)) and not isinstance(have, bool)):
        of[name] = (have or 0) + value
    elif operation == "add" and (have is None or isinstance(have, list)):
        of[name] = (have or []) + [v for v in dict.fromkeys(value) if v not in (have or [])]
    elif operation == "remove" and isinstance(have, list):
        of[name] = [v for v in have if v not in value]


def rounded(text, digits):
    return Decimal(text).quantize(Decimal(1).scaleb(-digits), ROUND_HALF_EVEN, Context(prec=80))


def flat(reported, prefix=""):
    for name, v in reported.items():
        if isinstance(v, dict):
            yield from flat(v, prefix + name + ".")
        else:
            yield prefix + name, v


def plain(v):
    """The text of a value; None if there is none."""
    if v is None or v in ("", "<NULL>"):
        return None
    if isinstance(v, bool):
        return "true" if v else "false"
    if isinstance(v, list):
        return json.dumps(v, ensure_ascii=False, separators=(",", ":"))
    return str(v)
