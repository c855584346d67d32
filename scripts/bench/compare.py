"""Runs the reports of BenchmarkReports in DuckDB on the same Parquet files.

    compare.py FOLDER

FOLDER/manifest.json, written by the benchmark, lists the data files of the rollups
and every request with Weir's answer and times. Rows that Weir fetched from the owners
of shards, because they are not committed, are in separate Parquet files for DuckDB.
Both must give the same answers. A table shows the median times and the ratio of
Weir's to DuckDB's.
"""

import json
import sys
import time
from decimal import Decimal
from pathlib import Path
from statistics import median

import duckdb

from questions import REPORTS, Question

ANSWERS = 5  # runs that the median is taken of
THREADS = 2


def connect(tables):
    con = duckdb.connect(config={"threads": THREADS})
    con.execute("SET TimeZone = 'UTC'")
    for name, files in tables.items():
        of = ", ".join(f"'{f}'" for f in files["lake"] + (files["tail"] or []))
        con.execute(f"CREATE VIEW {name} AS SELECT * FROM read_parquet([{of}], hive_partitioning = false) WHERE product_id = 1")
    return con


def answer(con, request, today):
    """The answer, and the milliseconds that its SQL took."""
    spent = 0

    def ask(sql):
        nonlocal spent
        start = time.perf_counter()
        rows = con.execute(sql).fetchall()
        spent += time.perf_counter() - start
        return rows

    result = REPORTS[request["report"]](Question(request["body"], today), ask)
    return result, spent * 1000


def differences(got, want, at="result"):
    """Yields the differences between the answers of DuckDB and Weir."""
    if isinstance(want, dict) and isinstance(got, dict):
        for key in want.keys() | got.keys():
            if key not in want or key not in got:
                yield f"{at}.{key}: only {'DuckDB' if key in got else 'Weir'} has it"
            else:
                yield from differences(got[key], want[key], f"{at}.{key}")
    elif isinstance(want, list) and isinstance(got, list):
        if len(want) != len(got):
            yield f"{at}: DuckDB has {len(got)} elements, Weir {len(want)}"
        for i, (g, w) in enumerate(zip(got, want)):
            yield from differences(g, w, f"{at}.{i}")
    elif isinstance(got, bool) != isinstance(want, bool) or got != want:
        yield f"{at}: DuckDB has {got}, Weir {want}"


def main(folder):
    manifest = json.loads((Path(folder) / "manifest.json").read_text(), parse_float=Decimal)
    con = connect(manifest["tables"])
    print(f"{manifest['clientDays']:,} client-days; milliseconds, medians; DuckDB {duckdb.__version__} with {THREADS} threads, SQL only")
    print(f"{'report':42} {'variant':22} {'filtered':8} {'Weir':>8} {'DuckDB':>8} {'ratio':>6}")
    wrong, slower = 0, 0
    for q in manifest["questions"]:
        result, _ = answer(con, q, manifest["today"])
        for line in list(differences(result, q["result"]))[:5]:
            wrong += 1
            print(f"  NOT EQUAL {q['report']} {q['variant']}: {line}")
        theirs = median(answer(con, q, manifest["today"])[1] for _ in range(ANSWERS))
        ours = float(median(q["ms"]))
        slower += ours > theirs
        filtered = "yes" if q["filtered"] else "no"
        print(f"{q['report']:42} {q['variant']:22} {filtered:8} {ours:8.0f} {theirs:8.0f} {ours / theirs:6.2f}", flush=True)
    if wrong:
        sys.exit("DuckDB's answers differ from Weir's")
    print(f"all answers are equal; Weir is slower in {slower} of {len(manifest['questions'])}")


if __name__ == "__main__":
    main(*sys.argv[1:])
