#!/usr/bin/env python3
"""Asks Weir and DuckDB the same random questions and compares the answers to the last digit.

It shares no code with Weir: it sends generated and real events to a `weir all`
of its own, keeps the raw lines, and computes from these with SQL what every
report must say. The same questions are asked while events lie in the tail,
while more stream in, after commits, after compaction and after a restart.
Exits 1 on any difference and shows each.

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
import load
import pieces
import questions
import world
from events import Generator

GENERATED, REAL = 1000, 1001
SAME = 3  # weight of a phase that asks the same questions as others, of which there are four
BATCHES = 5  # of events that are sent and asked about while others stream in
CUT_AGE = 6  # seconds
FRESH = 1.2  # seconds after which what was acknowledged must be in every answer
PATIENCE = 30  # seconds for owners of shards to be there, or to have caught up
SHOWN = 3  # differences of one report that are printed


def arguments():
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument("--seed", type=int, default=None, help="of events and questions; default: a random one, which is printed")
    p.add_argument("--questions", type=int, default=150, help="asked in each phase")
    p.add_argument("--seconds", type=float, default=0, help="in which to be done asking, of which each phase has its share; 0 is no limit")
    p.add_argument("--report", action="append", help="ask only this one, as often as given")
    p.add_argument("--without", default="", help="comma-separated: what is left out, of groupBy, timeZone, eventProperties in questions, and changes: what /v1/user/… says of clients")
    p.add_argument("--keep", help="folder for data, log and events, which is kept")
    args = p.parse_args()
    args.without = set(filter(None, args.without.split(",")))
    args.seed = args.seed if args.seed is not None else int.from_bytes(os.urandom(3), "big")
    return args


class Tally:
    """How many questions each report was asked, and how they were answered."""

    def __init__(self):
        self.rows = {r: dict.fromkeys(("asked", "equal", "refused", "different"), 0) for r in answers.REPORTS}
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
        self.tally = Tally()
        self.begun = time.monotonic()
        self.known = {}  # (question, state of the raw events, day) -> what it must say
        self.last_line = self.begun
        self.weights = 4 * SAME + BATCHES  # of the phases to come, of which each has its share of the time
        self.broken = 0  # times that something other than an answer went wrong
        self.partial = 0  # answers with Weir-Partial, which were asked for again

    def say(self, text):
        print(f"[{time.monotonic() - self.begun:5.0f} s] {text}", flush=True)

    def phase(self, name, asked, weight=1):
        """Asks questions, as far as the phase's share of the time goes; says how far it is every few seconds."""
        before, done, deadline = self.tally.total("different"), 0, None
        if self.args.seconds:
            left = self.args.seconds - (time.monotonic() - self.begun)
            deadline = time.monotonic() + left * weight / self.weights
        self.weights -= weight
        for q in asked:
            if deadline and time.monotonic() > deadline:
                self.say(f"{name}: no time for {len(asked) - done} of {len(asked)} questions")
                break
            self.one(name, q)
            done += 1
            if time.monotonic() - self.last_line > 10:
                self.last_line = time.monotonic()
                self.say(f"{name}: {done} of {len(asked)}")
        self.say(f"{name}: {done} questions, {self.tally.total('different') - before} differences")

    def today(self, question):
        zone = question.body.get("timeZone") or "UTC"
        try:
            return datetime.datetime.now(zoneinfo.ZoneInfo(zone)).date()
        except zoneinfo.ZoneInfoNotFoundError:
            return datetime.datetime.now(datetime.timezone.utc).date()

    def one(self, phase, q):
        """One question, all of its pages."""
        while True:
            today = self.today(q)
            status, text = self.whole(q)
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
            self.tally.count(q.report, "equal")
            if answer.get("reachedEnd") is not False or q.report != "clientPropertyList":
                return None
            q = questions.Question(q.report, q.product, dict(q.body, startAtClientId=answer["nextClientId"]))

    def whole(self, q):
        """(status, text) of an answer that includes every shard; Weir says when it does not."""
        deadline = time.monotonic() + PATIENCE
        while True:
            begun = time.monotonic()
            status, headers, text = self.weir.ask(q.path, q.sent)
            self.tally.took("Weir", q.report, begun)
            if not headers.get("Weir-Partial"):
                return status, text
            if time.monotonic() > deadline:
                raise world.Failed(f"{q.path}: Weir-Partial: {headers['Weir-Partial']} for {PATIENCE} s")
            self.partial += 1
            time.sleep(0.2)

    def wanted(self, q, today):
        key = json.dumps([q.report, q.product, q.body, self.raw.version, str(today)])
        if key not in self.known:
            begun = time.monotonic()
            self.known[key] = answers.answer(self.raw, q, today, self.flags)
            self.tally.took("DuckDB", q.report, begun)
        return self.known[key]

    def refusal(self, phase, q, status, text):
        reason = compare.parse(text).get("reason", "") if status == 400 else ""
        if status == 400 and reason.startswith(q.refused):
            return self.tally.count(q.report, "refused")
        return self.differs(phase, q, None, f"must be a 400 about {q.refused or 'it'}, is {status} {text[:500]}")

    def differs(self, phase, q, today, what, answer=None, want=None):
        self.tally.count(q.report, "different")
        if self.tally.rows[q.report]["different"] > SHOWN:
            return
        print(f"\nDIFFERENT {phase}: {q.path} (today {today})\n{json.dumps(q.sent, ensure_ascii=False)}\n  {what}")
        if want is not None:
            print(f"Weir:   {compare.brief(answer, 700)}\nDuckDB: {compare.brief({'result': want[0]} | want[1], 700)}\n", flush=True)


def feed(oracle, generator):
    """All that is there at first of the generated product."""
    weir, history = oracle.weir, generator.history()
    new = send(oracle, history)
    oracle.say(f"sent {len(history)} generated events, {new} of them new, of {len(generator.clients)} clients")
    tell_of(oracle, generator.users(400))
    weir.admin("product", "type", "--id", str(GENERATED), "--name", "C02", "--value", "3")
    left_out = [("File", "Save", False, True), (None, "Ping", True, False), ("Edit", "Export", False, False), ("Größe", "Open", True, False)]
    weir.flags(GENERATED, left_out)
    oracle.flags[GENERATED] = {(c, n): {"basic": b, "advanced": a} for c, n, b, a in left_out}


def tell_of(oracle, changes):
    """Reports what is known of clients beside their events."""
    if "changes" not in oracle.args.without:
        oracle.weir.tell(GENERATED, changes)
        oracle.raw.tell(GENERATED, changes)


def send(oracle, lines):
    """Sends lines and keeps them to look into a difference; returns how many of them count."""
    oracle.weir.send(GENERATED, lines)
    with open(os.path.join(oracle.weir.folder, f"sent-{GENERATED}.ndjson"), "a", encoding="utf-8") as f:
        f.writelines(line + "\n" for line in lines)
    return oracle.raw.add(GENERATED, lines)


def real_lines(oracle):
    """The lines of the real product, in two halves; none where the files are not there."""
    packed = os.path.join(world.REAL_DATA, f"product-{REAL}.ndjson.zst")
    if not os.path.exists(packed):
        oracle.say(f"{packed} is not there: asking about generated events alone")
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
        raise world.Failed(f"weir import: exit {importing.returncode}: {errors[-2000:]}")


def real_subject(oracle, product, first):
    """What there is to ask about real events, found in them."""
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


def story(oracle, weir):
    """The story: the same questions in each state that the events can be in."""
    args, raw = oracle.args, oracle.raw
    now = int(time.time() * 1000)
    generator = Generator(args.seed, now)
    today = datetime.datetime.fromtimestamp(now / 1000, datetime.timezone.utc).date()
    feed(oracle, generator)
    subjects = [pieces.generated(GENERATED, today)]
    first, second = real_lines(oracle)
    if first:
        weir.product(REAL, "Real")
        weir.admin("product", "type", "--id", str(REAL), "--name", "C01", "--value", "3")
        finished(weir.importing(REAL, write(oracle, "real-1.ndjson", first)))
        raw.add(REAL, first)
        subjects.append(real_subject(oracle, REAL, today))
        oracle.say(f"imported {len(first)} real events")
    uncollected = {p: {kind: [e for e, f in tracked.items() if not f[kind]] for kind in ("basic", "advanced")} for p, tracked in oracle.flags.items()}
    draw = questions.Questions(args.seed, subjects, uncollected, args.report or list(answers.REPORTS), args.without)
    asked = [draw.next(today) for _ in range(args.questions)]
    time.sleep(FRESH)
    oracle.phase("just imported", asked, weight=SAME)
    stream(oracle, generator, draw, today, second)
    await_commits(oracle)
    oracle.phase("committed", asked, weight=SAME)
    oracle.say(weir.compact())
    oracle.phase("compacted", asked, weight=SAME)
    weir.stop()
    weir.start()
    oracle.say("restarted")
    oracle.phase("restarted", asked, weight=SAME)


def await_commits(oracle):
    """Until every event that was sent is in the lake, or known as a duplicate."""
    deadline = time.monotonic() + CUT_AGE + PATIENCE
    while (committed := oracle.weir.committed()) < oracle.raw.seq:
        if time.monotonic() > deadline:
            raise world.Failed(f"{committed} of {oracle.raw.seq} events are committed {CUT_AGE + PATIENCE} s after the last was sent")
        time.sleep(0.5)


def stream(oracle, generator, draw, today, second):
    """While real events of one product stream in at the back, batches of the other are sent and asked about."""
    importing = None
    if second:
        importing = oracle.weir.importing(REAL, write(oracle, "real-2.ndjson", second), rate=max(500, len(second) // 15))
    everything, draw.subjects = draw.subjects, [s for s in draw.subjects if s.product == GENERATED]
    try:
        for batch in range(BATCHES):
            send(oracle, generator.latest(60))
            tell_of(oracle, generator.users(10))
            time.sleep(FRESH)
            oracle.phase(f"streaming {batch + 1}", [draw.next(today) for _ in range(max(1, oracle.args.questions // BATCHES))])
        if importing:
            finished(importing)
            oracle.raw.add(REAL, second)
            oracle.say(f"streamed {len(second)} real events")
    finally:
        if importing and importing.poll() is None:
            importing.kill()
            importing.wait()
    draw.subjects = everything


def main():
    args = arguments()
    print(f"seed {args.seed}", flush=True)
    folder = args.keep or tempfile.mkdtemp(prefix="weir-oracle-")
    os.makedirs(folder, exist_ok=True)
    weir = world.World(folder, ["--processor.cut-age", f"{CUT_AGE}s", "--processor.compact-every", "1h", "--log.format", "text"])
    oracle = Oracle(args, weir, load.Raw())
    try:
        weir.start()
        story(oracle, weir)
        weir.stop()
    except world.Failed as e:
        print(f"FAILED: {e}", flush=True)
        oracle.broken += 1
    finally:
        weir.kill()
        if not args.keep:
            shutil.rmtree(folder, ignore_errors=True)
    print("\n" + oracle.tally.table())
    passed, failed = oracle.tally.total("equal", "refused"), oracle.tally.total("different") + oracle.broken
    if oracle.partial:
        print(f"{oracle.partial} answers were partial and were asked for again")
    if failed:
        print(f"to see them again: scripts/oracle/run.sh --seed {args.seed} --questions {args.questions}")
    print(f"{passed} passed, {failed} failed")
    sys.exit(1 if failed else 0)


if __name__ == "__main__":
    main()
