"""Raw lines of events into DuckDB tables: what reports are computed from.

    events(product, seq, client, ms, name, category, value, runtime)
    said(seq, name, text)      what $client of an event says; text is NULL where it clears
    own(seq, name, text)       the event's own properties that are no objects or lists

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
CREATE TABLE said(product BIGINT, seq BIGINT, client BIGINT, name VARCHAR, text VARCHAR);
CREATE TABLE own(product BIGINT, seq BIGINT, name VARCHAR, text VARCHAR);
"""
NULL = "\\N"


class Number(str):
    """A JSON number as it was written."""


class Raw:
    """The raw events that Weir was sent, and DuckDB to ask them with."""

    def __init__(self):
        self.db = duckdb.connect(config={"threads": 1})
        self.db.execute("SET TimeZone = 'UTC'")
        self.db.execute(TABLES)
        self.known, self.seq, self.version = set(), 0, 0

    def add(self, product, lines):
        """Adds lines as sent one after the other; returns how many counted."""
        rows = {"events": [], "said": [], "own": []}
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

    def one(self, product, e, rows):
        props, seq, client = e.get("properties") or {}, self.seq, int(e["euid"])
        value, runtime = props.get("$value"), props.get("$runtime")
        rows["events"].append((
            product, seq, client, int(e["itime"]), e["event_name"], props.get("$category") or None,
            None if value is None else rounded(value, 9), None if runtime is None else int(rounded(runtime, 3).scaleb(3))))
        for name, v in flat(props.get("$client") or {}):
            rows["said"].append((product, seq, client, name, plain(v)))
        for name, v in props.items():
            if not name.startswith("$") and not isinstance(v, (dict, list)):
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


def rounded(text, digits):
    return Decimal(text).quantize(Decimal(1).scaleb(-digits), ROUND_HALF_EVEN, Context(prec=80))


def flat(said, prefix=""):
    for name, v in said.items():
        if isinstance(v, dict):
            yield from flat(v, prefix + name + ".")
        else:
            yield prefix + name, v


def plain(v):
    """The text of a value; None where there is none."""
    if v is None or v in ("", "<NULL>"):
        return None
    if isinstance(v, bool):
        return "true" if v else "false"
    return str(v)
