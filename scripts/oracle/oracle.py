#!/usr/bin/env python3
"""Sends the same random requests for reports and event counts to Weir and DuckDB and compares the answers exactly.

It shares no code with Weir. It starts its own `weir all`, sends it generated and real
events, keeps the raw lines, and computes from them by SQL what every report must
return. It sends the same requests while events are in the tail, while more stream in,
after commits, after compaction and after a restart. It exits with 1 if any answer
differs, and prints the differences.

usage: oracle.py [--seed N] [--questions N] [--seconds N] [--report NAME]... [--keep DIR]
"""

import argparse
import datetime
import json
import os
import shutil
import sys
import tempfile
import time
import zoneinfo

import answers
import compare
import counts
import load
import pieces
import questions
import server
from events import Generator, encode

GENERATED, REAL, COUNTED = 1000, 1001, 1002
SAME = 3  # weight of each of the four phases that send the same requests
BATCHES = 5  # of events that are sent and queried while others stream in
CUT_AGE = 6  # seconds
FRESH = 1.2  # seconds after which an acknowledged event must be in every answer
TIMEOUT = 30  # seconds to wait for owners of shards to start or catch up
SHOWN = 3  # number of differences printed for each report


def arguments():
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument("--seed", type=int, default=None, help="of events and questions; default: a random one, which is printed")
    p.add_argument("--questions", type=int, default=150, help="requests in each phase")
    p.add_argument("--seconds", type=float, default=0, help="total time of all phases, divided among them; 0 means no limit")
    p.add_argument("--report", action="append", help="request only this report, or event-counts; may be repeated")
    p.add_argument("--without", default="", help="comma-separated features to leave out: groupBy, timeZone, eventProperties, changes (properties and contacts sent to /v1/user/…)")
    p.add_argument("--keep", help="folder for data, log and events; it is not deleted")
    args = p.parse_args()
    args.without = set(filter(None, args.without.split(",")))
    args.seed = args.seed if args.seed is not None else int.from_bytes(os.urandom(3), "big")
    return args


class Counts:
    """Counts requests and outcomes by report."""

    def __init__(self):
        self.rows = {r: dict.fromkeys(("asked", "equal", "refused", "different"), 0) for r in (*answers.REPORTS, counts.NAME)}
        self.times = {}  # (side, report) -> seconds of each answer

    def took(self, side, report, begun):
        self.times.setdefault((side, report), []).append(time.monotonic() - begun)

    def mean(self, side, report):
        times = self.times.get((side, report), [])
        return 1000 * sum(times) / max(1, len(times))

    def count(self, report, how):
        self.rows[report]["asked"] += 1
        self.rows[report][how] += 1

    def table(self):
        columns = ("asked", "equal", "refused", "different")
        width = max(map(len, self.rows))
        lines = [f"{'report':{width}}" + "".join(f"{c:>10}" for c in columns + ("weir ms", "duckdb ms"))]
        for r, of in self.rows.items():
            if of["asked"]:
                lines.append(f"{r:{width}}" + "".join(f"{of[c]:>10}" for c in columns) + "".join(f"{self.mean(s, r):>10.0f}" for s in ("Weir", "DuckDB")))
        return "\n".join(lines)

    def total(self, *columns):
        return sum(of[c] for of in self.rows.values() for c in columns)


class Oracle:
    def __init__(self, args, weir, raw):
        self.args, self.weir, self.raw = args, weir, raw
        self.flags = {}
        self.counts = Counts()
        self.started = time.monotonic()
        self.known = {}  # (question, state of the raw events, day) -> the expected answer
        self.last_line = self.started
        self.weights = 4 * SAME + BATCHES  # sum over the remaining phases, which share the remaining time
        self.broken = 0  # failures other than a wrong answer
        self.partial = 0  # answers with Weir-Partial, which were requested again
        self.counted_events = None  # generates the events of COUNTED

    def reports(self):
        """The reports to ask for; none if event counts alone are wanted."""
        return [r for r in self.args.report or answers.REPORTS if r != counts.NAME]

    def counted(self):
        """Whether event counts are asked for."""
        return not self.args.report or counts.NAME in self.args.report

    def log(self, text):
        print(f"[{time.monotonic() - self.started:5.0f} s] {text}", flush=True)

    def phase(self, name, asked, weight=1):
        """Sends requests until the phase's share of the time is used up; logs its progress."""
        before, done, deadline = self.counts.total("different"), 0, None
        if self.args.seconds:
            left = self.args.seconds - (time.monotonic() - self.started)
            deadline = time.monotonic() + left * weight / self.weights
        self.weights -= weight
        for q in asked:
            if deadline and time.monotonic() > deadline:
                self.log(f"{name}: no time for {len(asked) - done} of {len(asked)} questions")
                break
            self.check(name, q)
            done += 1
            if time.monotonic() - self.last_line > 10:
                self.last_line = time.monotonic()
                self.log(f"{name}: {done} of {len(asked)}")
        self.log(f"{name}: {done} questions, {self.counts.total('different') - before} differences")

    def today(self, question):
        zone = question.body.get("timeZone") or "UTC"
        try:
            return datetime.datetime.now(zoneinfo.ZoneInfo(zone)).date()
        except zoneinfo.ZoneInfoNotFoundError:
            return datetime.datetime.now(datetime.timezone.utc).date()

    def check(self, phase, q):
        """Checks one request and all of its pages."""
        if q.report == counts.NAME:
            return self.check_counts(phase, q)
        while True:
            today = self.today(q)
            status, text = self.complete_answer(q)
            if self.today(q) != today:
                continue  # the day changed: which one the answer used is unknown
            if q.refused is not None:
                return self.refusal(phase, q, status, text)
            if status != 200:
                return self.differs(phase, q, today, f"{status} {text}")
            answer = compare.parse(text)
            want = self.wanted(q, today)
            found = compare.envelope(answer, *want)
            if found:
                return self.differs(phase, q, today, "\n  ".join(found[:12]), answer, want)
            self.counts.count(q.report, "equal")
            if answer.get("reachedEnd") is not False or q.report != "clientPropertyList":
                return None
            q = questions.Question(q.report, q.product, dict(q.body, startAtClientId=answer["nextClientId"]))

    def check_counts(self, phase, q):
        """Checks one question for event counts, which does not depend on today."""
        status, text = self.complete_answer(q)
        if status != 200:
            return self.differs(phase, q, None, f"{status} {text}")
        begun = time.monotonic()
        answer, want = compare.parse(text), counts.answer(self.raw, q)
        self.counts.took("DuckDB", q.report, begun)
        if found := compare.differences("answer", answer, want):
            return self.differs(phase, q, None, "\n  ".join(found[:12]))
        return self.counts.count(q.report, "equal")

    def complete_answer(self, q):
        """(status, text) of an answer that includes every shard; repeats the request while it is partial."""
        deadline = time.monotonic() + TIMEOUT
        while True:
            begun = time.monotonic()
            status, headers, text = self.weir.ask(q.path, q.sent, token=getattr(q, "token", None))
            self.counts.took("Weir", q.report, begun)
            if not headers.get("Weir-Partial"):
                return status, text
            if time.monotonic() > deadline:
                raise server.Failed(f"{q.path}: Weir-Partial: {headers['Weir-Partial']} for {TIMEOUT} s")
            self.partial += 1
            time.sleep(0.2)

    def wanted(self, q, today):
        key = json.dumps([q.report, q.product, q.body, self.raw.version, str(today)])
        if key not in self.known:
            begun = time.monotonic()
            self.known[key] = answers.answer(self.raw, q, today, self.flags)
            self.counts.took("DuckDB", q.report, begun)
        return self.known[key]

    def refusal(self, phase, q, status, text):
        reason = compare.parse(text).get("reason", "") if status == 400 else ""
        if status == 400 and reason.startswith(q.refused):
            return self.counts.count(q.report, "refused")
        return self.differs(phase, q, None, f"must be a 400 about {q.refused or 'it'}, is {status} {text[:500]}")

    def differs(self, phase, q, today, what, answer=None, want=None):
        self.counts.count(q.report, "different")
        if self.counts.rows[q.report]["different"] > SHOWN:
            return
        print(f"\nDIFFERENT {phase}: {q.path} (today {today})\n{json.dumps(q.sent, ensure_ascii=False)}\n  {what}")
        if want is not None:
            print(f"Weir:   {compare.brief(answer, 700)}\nDuckDB: {compare.brief({'result': want[0]} | want[1], 700)}\n", flush=True)


def send_initial_events(oracle, generator):
    """Sends the events and changes of the generated product that exist before the first phase."""
    weir, history = oracle.weir, generator.history()
    new = send(oracle, history)
    oracle.log(f"sent {len(history)} generated events, {new} of them new, of {len(generator.clients)} clients")
    send_changes(oracle, generator.users(400))
    weir.admin("product", "type", "--id", str(GENERATED), "--name", "C02", "--value", "3")
    left_out = [("File", "Save", False, True), (None, "Ping", True, False), ("Edit", "Export", False, False), ("Größe", "Open", True, False)]
    weir.flags(GENERATED, left_out)
    oracle.flags[GENERATED] = {(c, n): {"basic": b, "advanced": a} for c, n, b, a in left_out}


def send_changes(oracle, changes):
    """Sends changes of properties and contacts."""
    if "changes" not in oracle.args.without:
        oracle.weir.send_changes(GENERATED, changes)
        oracle.raw.add_changes(GENERATED, changes)


def send(oracle, lines):
    """Sends lines, and keeps them for investigating a difference; returns how many are not duplicates."""
    oracle.weir.send(GENERATED, lines)
    with open(os.path.join(oracle.weir.folder, f"sent-{GENERATED}.ndjson"), "a", encoding="utf-8") as f:
        f.writelines(line + "\n" for line in lines)
    return oracle.raw.add(GENERATED, lines)


def real_lines(oracle):
    """The lines of the real product, in two halves; empty if the files do not exist."""
    packed = os.path.join(server.REAL_DATA, f"product-{REAL}.ndjson.zst")
    if not os.path.exists(packed):
        oracle.log(f"{packed} does not exist: using only generated events")
        return [], []
    lines = [r[0] for r in oracle.raw.rows(f"SELECT json FROM read_ndjson_objects('{packed}', compression='zstd')")]
    lines = [line if isinstance(line, str) else json.dumps(line) for line in lines]
    return lines[:len(lines) // 2], lines[len(lines) // 2:]


def write(oracle, name, lines):
    path = os.path.join(oracle.weir.folder, name)
    with open(path, "w", encoding="utf-8") as f:
        f.writelines(line + "\n" for line in lines)
    return path


def finished(importing):
    _, errors = importing.communicate()
    if importing.returncode != 0:
        raise server.Failed(f"weir import: exit {importing.returncode}: {errors[-2000:]}")


def real_events_subject(oracle, product, first):
    """The names and values in the real events that requests can use."""
    rows = oracle.raw.rows
    (low, high), = rows(f"SELECT CAST(make_timestamp(min(ms) * 1000) AS DATE), CAST(make_timestamp(max(ms) * 1000) AS DATE) FROM events WHERE product = {product}")
    values = {}
    for name, text in rows(f"SELECT name, text FROM reported WHERE product = {product} AND text IS NOT NULL GROUP BY ALL ORDER BY name, count(*) DESC, text"):
        if len(values.setdefault(name, [])) < 30:
            values[name].append(text)
    own = {}
    for name, text in rows(f"SELECT name, text FROM own WHERE product = {product} AND text IS NOT NULL GROUP BY ALL ORDER BY name, count(*) DESC, text"):
        if len(own.setdefault(name, [])) < 30:
            own[name].append(text)
    events = [(c or "", n) for c, n in rows(f"""SELECT category, name FROM events WHERE product = {product}
        AND name NOT IN ('session_start', 'session_stop') GROUP BY ALL ORDER BY count(*) DESC, 1, 2 LIMIT 40""")]
    return pieces.Subject(product, low, min(high, first), values, events, own, groups=["C01", "machineId"], deep=True)


def run_phases(oracle, weir):
    """Sends the same requests in each state that the events can be in."""
    args, raw = oracle.args, oracle.raw
    now = int(time.time() * 1000)
    generator = Generator(args.seed, now)
    today = datetime.datetime.fromtimestamp(now / 1000, datetime.timezone.utc).date()
    send_initial_events(oracle, generator)
    subjects = [pieces.generated(GENERATED, today)]
    if oracle.counted():
        weir.product(COUNTED, "Counted")
        oracle.counted_events = counts.Events(args.seed, now)
        send_counted(oracle, 3000)
    first, second = real_lines(oracle)
    if first:
        weir.product(REAL, "Real")
        weir.admin("product", "type", "--id", str(REAL), "--name", "C01", "--value", "3")
        finished(weir.importing(REAL, write(oracle, "real-1.ndjson", first)))
        raw.add(REAL, first)
        subjects.append(real_events_subject(oracle, REAL, today))
        oracle.log(f"imported {len(first)} real events")
    draw = Draw(oracle, questions.Questions(args.seed, subjects, oracle.reports(), args.without), today, now)
    asked = draw.some(args.questions)
    time.sleep(FRESH)
    oracle.phase("just imported", asked, weight=SAME)
    stream(oracle, generator, draw, second)
    await_commits(oracle)
    oracle.phase("committed", asked, weight=SAME)
    oracle.log(weir.compact())
    oracle.phase("compacted", asked, weight=SAME)
    weir.stop()
    weir.start()
    oracle.log("restarted")
    oracle.phase("restarted", asked, weight=SAME)


def await_commits(oracle):
    """Waits until every sent event is in the lake or known as a duplicate."""
    deadline = time.monotonic() + CUT_AGE + TIMEOUT
    while (committed := oracle.weir.committed()) < oracle.raw.seq:
        if time.monotonic() > deadline:
            raise server.Failed(f"{committed} of {oracle.raw.seq} events are committed {CUT_AGE + TIMEOUT} s after the last was sent")
        time.sleep(0.5)


class Draw:
    """Draws questions of both kinds: one for event counts after two for reports."""

    def __init__(self, oracle, reports, today, now):
        self.reports, self.today, self.counted = reports, today, None
        if oracle.counted():
            weir = oracle.weir
            made = weir.admin("token", "create", "--account", weir.demo["account_id"], "--product", str(COUNTED), "--name", "counted")
            scopes = [(made["token"], [COUNTED]), (weir.demo["token"], [GENERATED, REAL, COUNTED])]
            self.counted = counts.Questions(oracle.args.seed, now, scopes)

    def some(self, n):
        out = []
        for i in range(n):
            if self.reports.reports:
                out.append(self.reports.next(self.today))
            if self.counted and (i % 2 or not self.reports.reports):
                out.append(self.counted.next())
        return out


def send_counted(oracle, n):
    """Sends events of the product that is counted."""
    if not oracle.counted():
        return
    lines = [encode(line) for line in oracle.counted_events.next(n)]
    oracle.weir.send(COUNTED, lines)
    oracle.raw.add(COUNTED, lines)


def stream(oracle, generator, draw, second):
    """Sends and queries batches of one product while real events of the other stream in."""
    importing = None
    if second:
        importing = oracle.weir.importing(REAL, write(oracle, "real-2.ndjson", second), rate=max(500, len(second) // 15))
    reports, counted = draw.reports, draw.counted
    everything, reports.subjects = reports.subjects, [s for s in reports.subjects if s.product == GENERATED]
    if importing and counted:
        scopes, counted.scopes = counted.scopes, counted.scopes[:1]
    try:
        for batch in range(BATCHES):
            send(oracle, generator.latest(60))
            send_changes(oracle, generator.users(10))
            send_counted(oracle, 60)
            time.sleep(FRESH)
            oracle.phase(f"streaming {batch + 1}", draw.some(max(2, oracle.args.questions // BATCHES)))
        if importing:
            finished(importing)
            oracle.raw.add(REAL, second)
            oracle.log(f"streamed {len(second)} real events")
    finally:
        if importing and importing.poll() is None:
            importing.kill()
            importing.wait()
    reports.subjects = everything
    if importing and counted:
        counted.scopes = scopes


def main():
    args = arguments()
    print(f"seed {args.seed}", flush=True)
    folder = args.keep or tempfile.mkdtemp(prefix="weir-oracle-")
    os.makedirs(folder, exist_ok=True)
    weir = server.Server(folder, ["--processor.cut-age", f"{CUT_AGE}s", "--processor.compact-every", "1h", "--query.lookback", "0", "--log.format", "text"])
    oracle = Oracle(args, weir, load.Raw())
    try:
        weir.start()
        run_phases(oracle, weir)
        weir.stop()
    except server.Failed as e:
        print(f"FAILED: {e}", flush=True)
        oracle.broken += 1
    finally:
        weir.kill()
        if not args.keep:
            shutil.rmtree(folder, ignore_errors=True)
    print("\n" + oracle.counts.table())
    passed, failed = oracle.counts.total("equal", "refused"), oracle.counts.total("different") + oracle.broken
    if oracle.partial:
        print(f"{oracle.partial} answers were partial and were requested again")
    if failed:
        print(f"to reproduce: scripts/oracle/run.sh --seed {args.seed} --questions {args.questions}")
    print(f"{passed} passed, {failed} failed")
    sys.exit(1 if failed else 0)


if __name__ == "__main__":
    main()
