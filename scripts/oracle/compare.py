"""Compares two answers to the last digit and to the order of members."""

import json
from decimal import Decimal


def parse(text):
    return json.loads(text, parse_float=Decimal)


def envelope(said, result, more):
    """Where an answer of Weir is not the one wanted."""
    found = differences("result", said.get("result"), result)
    for name, value in {"status": "OK", **more}.items():
        found += differences(name, said.get(name), value)
    found += [f"{name}: is there: {said[name]!r}" for name in said if name not in ("status", "result", *more)]
    return found


def differences(where, said, want):
    """One line for each place that differs."""
    if isinstance(want, dict):
        if not isinstance(said, dict):
            return [f"{where}: {brief(said)}, want {brief(want)}"]
        found = [f"{where}: lacks {k!r}, {brief(v)}" for k, v in want.items() if k not in said]
        found += [f"{where}: has {k!r} too, {brief(v)}" for k, v in said.items() if k not in want]
        if not found and list(said) != list(want):
            found = [f"{where}: order {list(said)}, want {list(want)}"]
        return found + [d for k in want if k in said for d in differences(f"{where}.{k}", said[k], want[k])]
    if isinstance(want, list):
        if not isinstance(said, list):
            return [f"{where}: {brief(said)}, want {brief(want)}"]
        found = [] if len(said) == len(want) else [f"{where}: {len(said)} elements, want {len(want)}"]
        return found + [d for i, (s, w) in enumerate(zip(said, want)) for d in differences(f"{where}.{i}", s, w)]
    return [] if same(said, want) else [f"{where}: {brief(said)}, want {brief(want)}"]


def same(said, want):
    """Numbers are equal as decimals; true is not 1 and "1" is not 1."""
    if isinstance(want, (int, Decimal)) and not isinstance(want, bool):
        return isinstance(said, (int, Decimal)) and not isinstance(said, bool) and said == want
    return type(said) is type(want) and said == want


def brief(v, most=1500):
    text = json.dumps(v, ensure_ascii=False, default=lambda d: float(d) if isinstance(d, Decimal) else str(d))
    return text if len(text) <= most else text[:most] + " …"
