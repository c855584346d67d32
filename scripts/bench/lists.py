"""lists.py DATA URL: the same questions to a running `weir all` over HTTP and to DuckDB on the live Parquet files of its
table of events, 2 threads, hot. Prints the best of 5 in ms, the ratio, and whether the answers agree; exits with 1
where they do not. DATA is a folder that history.sh --keep left: product 1004, its user and its token."""
import datetime
import json
import os
import pathlib
import sqlite3
import sys
import time
import urllib.error
import urllib.request
from http.cookiejar import CookieJar

import duckdb
import fastavro

data, url = pathlib.Path(sys.argv[1]).resolve(), sys.argv[2]
PASSWORD = "correct horse battery"


def local(uri):
    return uri.replace("s3://", f"{data}/objects/")


def live_files(table):
    """Paths of the data files of the table's newest snapshot."""
    db = sqlite3.connect(f"file:{data}/weir.db?mode=ro", uri=True)
    (at,) = db.execute("SELECT metadata_location FROM iceberg_tables WHERE table_name = ?", [table]).fetchone()
    meta = json.load(open(local(at)))
    snap = next(s for s in meta["snapshots"] if s["snapshot-id"] == meta["current-snapshot-id"])
    out = []
    for m in fastavro.reader(open(local(snap["manifest-list"]), "rb")):
        entries = fastavro.reader(open(local(m["manifest_path"]), "rb"))
        out += [local(e["data_file"]["file_path"]) for e in entries if e["status"] != 2]
    return out


web = urllib.request.build_opener(urllib.request.HTTPCookieProcessor(CookieJar()))
token = json.load(open(data / "bench-token.json"))["token"]


def post(path, body, **headers):
    """Returns the status and the decoded answer."""
    request = urllib.request.Request(url + path, json.dumps(body).encode(), {"Content-Type": "application/json", **headers})
    try:
        with web.open(request) as response:
            return response.status, json.load(response)
    except urllib.error.HTTPError as e:
        return e.code, e.read()[:200]


web.open(url + "/v3/request-csrf")
status, answer = post("/v3/auth/web", {"userName": "bench@example.org", "password": PASSWORD})
assert status == 200, answer
for table in ("events", "client_days", "event_days", "clients"):
    files = live_files(table)
    print(f"{table}: {len(files)} live data files, {sum(map(os.path.getsize, files)) / 1e6:.0f} MB")
duck = duckdb.connect()
duck.execute("SET threads=2; SET memory_limit='4GB'; SET TimeZone='UTC'")
T = f"read_parquet({live_files('events')!r}) WHERE product_id = 1004"
lo, hi = duck.execute(f"SELECT min(time)::DATE, max(time)::DATE FROM {T}").fetchone()
busy = duck.execute(f"SELECT client_id FROM {T} GROUP BY 1 ORDER BY count(*) DESC, 1 LIMIT 1").fetchone()[0]
quiet = duck.execute(f"SELECT client_id FROM {T} GROUP BY 1 HAVING count(*) BETWEEN 80 AND 120 ORDER BY 1 LIMIT 1").fetchone()[0]
mid = lo + (hi - lo) // 2
last = min(mid + datetime.timedelta(days=90), hi)
realm = duck.execute(f"""SELECT "user"::JSON->>'$.realm[0]' FROM {T} AND "user" IS NOT NULL LIMIT 1""").fetchone()


def report(path, **body):
    return lambda: post(f"/v3/reporting/{path}/1004", body)


def events(**body):
    return lambda: post("/analytics/api/v1/events", {"startDate": str(lo), **body}, Authorization="Bearer " + token)


def uses(client):
    body = {"refId": str(client), "from": "2000-01-01T00:00:00.000Z", "until": "2100-01-01T00:00:00.000Z"}
    return lambda: post("/api/v3/business/report/event/user", body, Authorization="Bearer " + token)


def page(n):
    return {"page": n, "perPage": 200}


def of_page(r):
    """Times of a page, and the ids of all rows but those that share the time of its first or last (ties may be cut anywhere)."""
    return scanned([(e["datetime"], e["randomId"]) for e in r["results"]])


def scanned(rows):
    return [r[0] for r in rows], sorted(r[1] for r in rows if rows[-1][0] < r[0] < rows[0][0])


def events_table(r):
    return sorted((c["category"] or "", n, e["eventUsage"]["cumulativeUsageCount"]) for c in r["result"] for n, e in c["categoryEventsData"].items())


ALL = f"SELECT epoch_ms(time), random_id, * EXCLUDE (time, random_id) FROM {T}"
USES = f"SELECT count(*) FILTER (session_id IS NULL) + count(DISTINCT session_id) FROM {T}"
DAYS = {"startDate": str(lo), "stopDate": str(hi)}
SOME = {"startDate": str(mid), "stopDate": str(last)}
SESSIONS = "('session_start', 'session_stop')"
QUESTIONS = [
    ("active clients per day, all", report("generic/dateRange", **DAYS, dateSplit="day", clientStatus=["active"]),
     f"SELECT time::DATE, count(DISTINCT client_id) FROM {T} GROUP BY 1",
     lambda r: sum(v["active"] for v in r["result"].values()), lambda rows: sum(n for _, n in rows)),
    ("active clients per day, 3 months", report("generic/dateRange", **SOME, dateSplit="day", clientStatus=["active"]),
     f"SELECT time::DATE, count(DISTINCT client_id) FROM {T} AND time >= '{mid}' AND time < DATE '{last}' + 1 GROUP BY 1",
     lambda r: sum(v["active"] for v in r["result"].values()), lambda rows: sum(n for _, n in rows)),
    ("events table", report("eventTracking/basic/dataTable", **DAYS),
     f"SELECT category, name, count(*), count(DISTINCT client_id) FROM {T} AND name NOT IN {SESSIONS} GROUP BY 1, 2",
     events_table, lambda rows: sorted((c or "", n, k) for c, n, k, _ in rows)),
    ("latest page of all", events(paging=page(1)), f"{ALL} ORDER BY time DESC LIMIT 200", of_page, scanned),
    ("page 1000 of all", events(paging=page(1000)), f"{ALL} ORDER BY time DESC LIMIT 200 OFFSET 199800", of_page, scanned),
    ("count of one name", events(filters={"name": ["exception"]}, paging={"page": 1, "perPage": 1}),
     f"SELECT count(*) FROM {T} AND name = 'exception'", lambda r: r["paging"]["totalCount"], lambda rows: rows[0][0]),
    ("uses of the busiest client", uses(busy), f"{USES} AND client_id = {busy}", len, lambda rows: rows[0][0]),
    ("uses of a client with about 100 events", uses(quiet), f"{USES} AND client_id = {quiet}", len, lambda rows: rows[0][0]),
]
if realm:
    QUESTIONS.append(("latest page of one realm", events(filters={"user": {"realm": [realm[0]]}}, paging=page(1)),
                      f"""{ALL} AND "user" LIKE '%"realm":["{realm[0]}"]%' ORDER BY time DESC LIMIT 200""", of_page, scanned))


def best(ask, times=5):
    ask()
    took = []
    for _ in range(times):
        began = time.perf_counter()
        answer = ask()
        took.append(time.perf_counter() - began)
    return min(took) * 1000, answer


different = 0
print(f"{'question':40}{'Weir ms':>9}{'DuckDB ms':>10}  ratio")
for name, ask, sql, ours, theirs in QUESTIONS:
    mine, (status, answer) = best(ask)
    others, rows = best(lambda: duck.execute(sql).fetchall())
    verdict = "same"
    if status != 200 or ours(answer) != theirs(rows):
        different += 1
        verdict = f"DIFFERENT: {status} {str(answer)[:100]}"
    print(f"{name:40}{mine:9.1f}{others:10.1f}  {mine / others:5.2f}  {verdict}", flush=True)
sys.exit(different > 0)
