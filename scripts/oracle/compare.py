"""Compares two answers exactly, including the order of members."""

import json
from decimal import Decimal


def parse(text):
    return json.loads(text, parse_float=Decimal)


def envelope(got, result, more):
    """The differences of an answer of Weir from the expected one."""
    found = differences("result", got.get("result"), result)
    for name, value in {"status": "OK", **more}.items():
        found += differences(name, got.get(name), value)
    found += [f"{name}: unexpected: {got[name]!r}" for name in got if name not in ("status", "result", *more)]
    return found


def differences(where, got, want):
    """One line for each difference."""
    if isinstance(want, dict):
        if not isinstance(got, dict):
            return [f"{where}: {brief(got)}, want {brief(want)}"]
        found = [f"{where}: lacks {k!r}, {brief(v)}" for k, v in want.items() if k not in got]
        found += [f"{where}: unexpected {k!r}, {brief(v)}" for k, v in got.items() if k not in want]
        if not found and list(got) != list(want):
            found = [f"{where}: order {list(got)}, want {list(want)}"]
        return found + [d for k in want if k in got for d in differences(f"{where}.{k}", got[k], want[k])]
    if isinstance(want, list):
        if not isinstance(got, list):
            return [f"{where}: {brief(got)}, want {brief(want)}"]
        found = [] if len(got) == len(want) else [f"{where}: {len(got)} elements, want {len(want)}"]
        return found + [d for i, (s, w) in enumerate(zip(got, want)) for d in differences(f"{where}.{i}", s, w)]
    return [] if same(got, want) else [f"{where}: {brief(got)}, want {brief(want)}"]


def same(got, want):
    """Numbers are equal as decimals; true is not 1 and "1" is not 1."""
    if isinstance(want, (int, Decimal)) and not isinstance(want, bool):
        return isinstance(got, (int, Decimal)) and not isinstance(got, bool) and got == want
    return type(got) is type(want) and got == want


def brief(v, most=1500):
    text = json.dumps(v, ensure_ascii=False, default=lambda d: float(d) if isinstance(d, Decimal) else str(d))
    return text if len(text) <= most else text[:most] + " …"
