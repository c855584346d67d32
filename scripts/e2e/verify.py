#!/usr/bin/env python3
"""Compares Weir's Iceberg tables with expected totals, through pyiceberg and DuckDB.

It shares no code with Weir: pyiceberg finds the live data files of each table
through the SQL catalog, DuckDB counts in them. Every figure is asked twice:
of `events`, and of the rollups.

usage: verify.py --catalog URI --s3 ENDPOINT EXPECTED.json [--compacted]

The S3 keys come from AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY. EXPECTED.json
has the shape of loadgen's --expected: product id -> totals, by_name, by_event,
by_year, new_by_year, one_client. Exits 1 and names each figure that differs.
"""

import argparse
import collections
import json
import os
import sys

import duckdb
from pyiceberg.catalog.sql import SqlCatalog


def arguments():
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument("--catalog", required=True, help="SQLAlchemy URI of the catalog's database")
    p.add_argument("--catalog-name", default="weir")
    p.add_argument("--s3", required=True, help="endpoint of the object store, http://host:port")
    p.add_argument("--region", default="us-east-1")
    p.add_argument("--compacted", action="store_true", help="at most one data file per shard and partition")
    p.add_argument("expected")
    return p.parse_args()


class Lake:
    """The tables as DuckDB views over what pyiceberg scans."""

    def __init__(self, args):
        self.catalog = SqlCatalog(
            args.catalog_name,
            uri=args.catalog,
            **{
                "s3.endpoint": args.s3,
                "s3.region": args.region,
                "s3.access-key-id": os.environ["AWS_ACCESS_KEY_ID"],
                "s3.secret-access-key": os.environ["AWS_SECRET_ACCESS_KEY"],
                "s3.force-virtual-addressing": False,
            },
        )
        self.db = duckdb.connect()
        self.db.execute("SET TimeZone = 'UTC'")
        self.tables = {}
        for name in ("events", "client_days", "event_days", "clients", "client_changes", "dead_letters"):
            self.tables[name] = self.catalog.load_table(("weir", name))
            self.db.register(name, self.tables[name].scan().to_arrow())

    def rows(self, sql, *params):
        return self.db.execute(sql, params).fetchall()

    def files_per_slot(self, name):
        """How many live data files each (partition, shard) has."""
        slots = collections.Counter()
        table = self.tables[name]
        shard = table.schema().find_field("shard").field_id
        for task in table.scan().plan_files():
            lower = int.from_bytes(task.file.lower_bounds[shard], "little", signed=True)
            upper = int.from_bytes(task.file.upper_bounds[shard], "little", signed=True)
            if lower != upper:
                sys.exit(f"{name}: {task.file.file_path} holds rows of shards {lower} to {upper}")
            slots[str(task.file.partition), lower] += 1
        return slots


def figures_of_events(lake, product):
    """What `events` says, in the shape of EXPECTED."""
    one = lambda sql: lake.rows(sql, product)
    totals = one("""SELECT count(*), count(DISTINCT client_id), count(DISTINCT random_id),
        min(epoch_ms(time)), max(epoch_ms(time)), count(*) FILTER (name = 'session_start'),
        coalesce(sum(runtime_ms) FILTER (name = 'session_stop'), 0) / 1000, coalesce(sum(value), 0),
        count(DISTINCT (client_id, time::DATE)) FROM events WHERE product_id = ?""")[0]
    names = ("events", "clients", "ids", "min_itime", "max_itime", "sessions", "runtime_s", "value_sum", "client_days")
    return {
        "totals": dict(zip(names, totals)),
        "by_name": one("SELECT name, count(*), count(DISTINCT client_id) FROM events WHERE product_id = ? GROUP BY 1"),
        "by_event": one("""SELECT name, category, count(*), count(DISTINCT client_id), coalesce(sum(value), 0)
            FROM events WHERE product_id = ? GROUP BY 1, 2"""),
        "by_year": one("""SELECT year(time), count(*), count(DISTINCT client_id)
            FROM events WHERE product_id = ? GROUP BY 1"""),
        "new_by_year": one("""SELECT year(first), count(*) FROM
            (SELECT min(time) AS first FROM events WHERE product_id = ? GROUP BY client_id) GROUP BY 1"""),
    }


def figures_of_rollups(lake, product):
    """What the rollups say, in the same shape; ids, itimes and names by client have no rollup of their own."""
    one = lambda sql: lake.rows(sql, product)
    days = one("""SELECT sum(events), count(DISTINCT client_id), sum(sessions), sum(runtime_ms) / 1000,
        count(DISTINCT (client_id, day)), min(epoch_ms(first_time)), max(epoch_ms(last_time))
        FROM client_days WHERE product_id = ?""")[0]
    value = one("SELECT coalesce(sum(value_sum), 0) FROM event_days WHERE product_id = ?")[0][0]
    lifetime = one("SELECT sum(events), count(DISTINCT client_id), sum(sessions), sum(runtime_ms) / 1000 FROM clients WHERE product_id = ?")[0]
    return {
        "totals": {"events": days[0], "clients": days[1], "sessions": days[2], "runtime_s": days[3],
                   "client_days": days[4], "min_itime": days[5], "max_itime": days[6], "value_sum": value},
        "lifetime": {"events": lifetime[0], "clients": lifetime[1], "sessions": lifetime[2], "runtime_s": lifetime[3]},
        "by_name": one("SELECT name, sum(count), count(DISTINCT client_id) FROM event_days WHERE product_id = ? GROUP BY 1"),
        "by_event": one("""SELECT name, category, sum(count), count(DISTINCT client_id), coalesce(sum(value_sum), 0)
            FROM event_days WHERE product_id = ? GROUP BY 1, 2"""),
        "by_year": one("SELECT year(day), sum(events), count(DISTINCT client_id) FROM client_days WHERE product_id = ? GROUP BY 1"),
        "new_by_year": one("""SELECT year(first), count(*) FROM
            (SELECT min(install_day) AS first FROM clients WHERE product_id = ? GROUP BY client_id) GROUP BY 1"""),
    }


def rows_as_dict(rows, keys):
    return {tuple(r[:keys]): tuple(int(v) if v == int(v) else float(v) for v in r[keys:]) for r in rows}


def differences(where, got, want):
    """Names each figure of `got` that is not the one of `want`."""
    totals = dict(want["totals"])
    found = [f"{where}.totals.{k}: {v}, want {totals[k]}" for k, v in got["totals"].items() if v != totals[k]]
    for k, v in got.get("lifetime", {}).items():
        if v != totals[k]:
            found.append(f"{where}.lifetime.{k}: {v}, want {totals[k]}")
    for group, keys in (("by_name", 1), ("by_event", 2), ("by_year", 1), ("new_by_year", 1)):
        expected = rows_as_dict([tuple(r.values()) for r in want[group]], keys)
        actual = rows_as_dict(got[group], keys)
        for key in sorted(set(expected) | set(actual), key=str):
            if expected.get(key) != actual.get(key):
                found.append(f"{where}.{group}{key}: {actual.get(key)}, want {expected.get(key)}")
    return found


def one_client(lake, product, want):
    got = lake.rows("""SELECT count(*), min(epoch_ms(time)), max(epoch_ms(time)) FROM events
        WHERE product_id = ? AND client_id = ?""", product, int(want["euid"]))[0]
    expected = (want["n"], want["first_itime"], want["last_itime"])
    return [] if got == expected else [f"{product}.one_client {want['euid']}: {got}, want {expected}"]


def main():
    args = arguments()
    with open(args.expected, encoding="utf-8") as f:
        expected = json.load(f)
    lake = Lake(args)
    found = []
    for product, want in expected.items():
        found += differences(f"{product}.events", figures_of_events(lake, int(product)), want)
        found += differences(f"{product}.rollups", figures_of_rollups(lake, int(product)), want)
        found += one_client(lake, int(product), want["one_client"])
    if args.compacted:
        for name in lake.tables:
            found += [f"{name}: {n} data files in {slot}, want at most 1"
                      for slot, n in lake.files_per_slot(name).items() if n > 1]
    for line in found:
        print(line, file=sys.stderr)
    if found:
        sys.exit(f"{len(found)} figures differ")
    rows = lake.rows("SELECT count(*) FROM events")[0][0]
    print(f"every figure of {len(expected)} products is right: {rows} rows in events")


if __name__ == "__main__":
    main()
