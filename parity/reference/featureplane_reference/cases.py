"""Hand-worked cases (``parity/cases/*.toml``) and how a run is compared with them."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from .engine import Engine
from .frame import Frame
from .model import Instrument, Packet, flag_names
from .numeric import float_of_word
from .registry import feature_set_from_requests, features_from_canonical
from .rows import Row, RowWriter

_EXPECT_KEYS = {
    *("frame", "seq", "source_seq", "ts", "epoch", "flags"),
    *("values", "approx", "invalid", "held", "ready", "changed"),
}


#: Of the expected value, for ``approx``.
RELATIVE_TOLERANCE = 1e-9


def load(path: Path) -> list[dict[str, Any]]:
    """The cases of one file."""
    import tomllib  # Python 3.11; the reference itself runs on 3.10

    with path.open("rb") as file:
        return tomllib.load(file)["case"]


def load_all(directory: Path) -> Iterator[tuple[str, dict[str, Any]]]:
    """Every case of a directory with its full name."""
    for path in sorted(directory.glob("*.toml")):
        for case in load(path):
            yield f"{path.stem}/{case['name']}", case


def run(case: dict[str, Any]) -> list[str]:
    """Run a case; return what differs."""
    features = features_from_canonical(feature_set_from_requests(case["features"]))
    engine = Engine(Instrument.from_json(case["instrument"]), features)
    rows: list[Row] = []
    if "emit" in case:
        RowWriter(engine, case["emit"], rows.append)
    names = [feature.name for feature in features]
    dtypes = {feature.name: feature.dtype for feature in features}
    wrong = []
    for number, raw in enumerate(case["packets"], start=1):
        frame = engine.push(Packet.from_json(raw))
        wrong += [f"packet {number}: {each}" for each in check_frame(raw["expect"], frame, names, dtypes)]
    if "rows" in case:
        wrong += check_rows(case["rows"], rows, names, dtypes)
    return wrong


def expected_words(values: dict[str, Any], dtypes: dict[str, str]) -> dict[str, Any]:
    """Expected values in comparable form; floats are written as text."""
    return {name: parse_float(value) if dtypes[name] == "f64" else value for name, value in values.items()}


def parse_float(text: str) -> float:
    """Shortest decimal or hexadecimal text of a float."""
    return float.fromhex(text) if "0x" in text else float(text)


def decode(word: int, dtype: str) -> int | float:
    """The value of a word."""
    if dtype == "f64":
        return float_of_word(word)
    return word - (1 << 64) if dtype == "i64" and word >> 63 else word


def check_frame(expect: dict[str, Any], frame: Frame | None, names: list[str], dtypes: dict[str, str]) -> list[str]:
    """What differs between a frame and what a case expects."""
    unknown = set(expect) - _EXPECT_KEYS
    if unknown:
        return [f"unknown keys {sorted(unknown)}"]
    if (frame is not None) != expect["frame"]:
        return [f"frame is {frame}"]
    if frame is None:
        return []
    decoded = {name: decode(frame.words[i], dtypes[name]) for i, name in enumerate(names)}
    valid = [name for i, name in enumerate(names) if frame.valid_mask >> i & 1]
    found: dict[str, Any] = {
        "seq": frame.seq,
        "source_seq": frame.source_seq,
        "ts": frame.source_ts_ns,
        "epoch": frame.epoch,
        "flags": flag_names(frame.quality_flags),
        "values": {name: decoded[name] for name in valid},
        "invalid": [name for name in names if name not in valid],
        "ready": [name for i, name in enumerate(names) if frame.warmup_ready_mask >> i & 1],
        "changed": [name for i, name in enumerate(names) if frame.changed_mask >> i & 1],
    }
    approx = expect.get("approx", {})
    met = {name for name, text in approx.items() if close(found["values"].get(name), text)}
    found["values"] = {name: value for name, value in found["values"].items() if name not in met}
    held = expect.get("held", {})
    found["held"] = {name: decoded[name] for name in held}
    # Flags, values and invalid are always complete; the others are compared when they are given.
    wanted = {"flags": [], "values": {}, "invalid": [], **expect}
    unmet = {name: text for name, text in approx.items() if name not in met}
    wanted["values"] = expected_words({**unmet, **wanted["values"]}, dtypes)
    wanted["held"] = expected_words(held, dtypes)
    return [
        f"{key}: expected {wanted[key]!r}, found {found[key]!r}"
        for key in found
        if key in wanted and wanted[key] != found[key]
    ]


def close(found: Any, text: str) -> bool:
    """Whether a value is a float within the tolerance of the expected one."""
    return isinstance(found, float) and abs(found - parse_float(text)) <= RELATIVE_TOLERANCE * abs(parse_float(text))


def check_rows(expected: list[dict[str, Any]], rows: list[Row], names: list[str], dtypes: dict[str, str]) -> list[str]:
    """What differs between rows and what a case expects; rows are compared completely."""
    wrong = []
    for number, (want, row) in enumerate(zip(expected, rows), start=1):
        values = {name: decode(word, dtypes[name]) for name, word in zip(names, row.words) if word is not None}
        found = {
            "ts_event": row.ts_event,
            "seq": row.seq,
            "epoch": row.epoch,
            "flags": flag_names(row.quality),
            "values": values,
            "invalid": [name for name in names if name not in values],
        }
        wanted = {"flags": [], "invalid": [], "epoch": 0, **want}
        wanted["values"] = expected_words(wanted.get("values", {}), dtypes)
        wrong += [
            f"row {number}: {key}: expected {wanted[key]!r}, found {found[key]!r}"
            for key in found
            if wanted[key] != found[key]
        ]
    if len(expected) != len(rows):
        wrong.append(f"{len(rows)} rows, expected {len(expected)}")
    return wrong
