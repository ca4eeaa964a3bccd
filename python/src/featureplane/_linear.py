"""Linear models in scalar Python: the file, its checks, and the reference scorer.

Every operation is written out in the order of ``specs/model-file.md``, on Python floats, so that scores
equal the compiled scorer's bit for bit.
"""

from __future__ import annotations

import bisect
import json
import math
import os
import re
import struct
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any, Literal, TypeAlias, cast

from featureplane.errors import DecodeError, SchemaMismatchError

__all__ = ["Calibration", "LinearModel", "Link", "TestVector", "load_model", "read_weights", "write_weights"]

Link: TypeAlias = Literal["identity", "logistic", "softmax"]

TestVector: TypeAlias = "tuple[tuple[float, ...], tuple[float, ...]]"
"""Inputs and the scores that belong to them."""

_VERSION = 1
_FIELDS = {
    "featureplane_model", "kind", "link", "feature_set_id", "schema_hash", "features", "classes",
    "intercepts", "weights", "calibration", "training", "test_vectors", "checksum",
}  # fmt: skip


@dataclass(frozen=True)
class Calibration:
    """What makes probabilities of scores; the default changes nothing.

    Attributes
    ----------
    slope, offset
        Of every sum, before the link.
    knots
        A curve through ``(score, calibrated score)`` after the link, flat beyond its ends: scores rise,
        values do not fall. None, or two and more.
    """

    slope: float = 1.0
    offset: float = 0.0
    knots: tuple[tuple[float, float], ...] = ()

    def curve(self, score: float) -> float:
        """Return the calibrated score; the score itself without knots."""
        knots = self.knots
        if not knots:
            return score
        after = bisect.bisect_right(knots, score, key=lambda knot: knot[0])
        if after == 0:
            return knots[0][1] + 0.0
        if after == len(knots):
            return knots[-1][1] + 0.0
        (x0, y0), (x1, y1) = knots[after - 1], knots[after]
        value = y0 + (y1 - y0) * ((score - x0) / (x1 - x0))
        return y1 + 0.0 if value > y1 else value + 0.0


@dataclass(frozen=True)
class LinearModel:
    """One weighted sum per class over the columns of one feature set, in the order of the set.

    Attributes
    ----------
    link
        ``identity`` (a regression), ``logistic`` (two classes) or ``softmax`` (two or more).
    feature_set_id, schema_hash, features
        What it was trained on; all columns of the set, in order.
    classes
        Labels; empty for a regression.
    intercepts, weights
        One number and one row per output, for inputs in units (not in ticks); the scaler is folded in.
    calibration
        Fitted on rows of its own; see `featureplane.models.fit_calibration`.
    training
        ``(from_ns, to_ns, rows)``, UTC ns; zeros when unknown.
    test_vectors
        Inputs with their scores, which every reader checks.
    """

    link: Link
    feature_set_id: str
    schema_hash: str
    features: tuple[str, ...]
    classes: tuple[str, ...]
    intercepts: tuple[float, ...]
    weights: tuple[tuple[float, ...], ...]
    calibration: Calibration = Calibration()
    training: tuple[int, int, int] = (0, 0, 0)
    test_vectors: tuple[TestVector, ...] = ()

    def __post_init__(self) -> None:
        _check_shape(self)

    @property
    def outputs(self) -> tuple[str, ...]:
        """Names of the scores: ``score`` for a regression, ``p_<class>`` for probabilities."""
        if self.link == "identity":
            return ("score",)
        labels = self.classes[1:] if self.link == "logistic" else self.classes
        return tuple(f"p_{label}" for label in labels)

    @property
    def checksum(self) -> str:
        """FNV-1a over everything that changes a score, 16 hex digits."""
        lines = ["linear", self.link, self.feature_set_id, self.schema_hash]
        lines += [f"feature {name}" for name in self.features]
        lines += [f"class {label}" for label in self.classes]
        numbers = [*self.intercepts, *(w for row in self.weights for w in row)]
        numbers += [self.calibration.slope, self.calibration.offset]
        numbers += [x for knot in self.calibration.knots for x in knot]
        lines += [struct.pack(">d", x).hex() for x in numbers]
        return fnv1a("\n".join(lines))

    def score(self, inputs: Sequence[float | None]) -> tuple[float, ...] | None:
        """Return one score per output, None when an input is None or a sum is not finite.

        Parameters
        ----------
        inputs
            One number per feature, in units, in the order of `features`.

        Raises
        ------
        SchemaMismatchError
            The number of inputs is another one.
        """
        if len(inputs) != len(self.features):
            raise SchemaMismatchError(f"the model has {len(self.features)} inputs, got {len(inputs)}")
        sums: list[float] = []
        for intercept, weights in zip(self.intercepts, self.weights, strict=True):
            total = intercept
            for weight, x in zip(weights, inputs, strict=True):
                if x is None:
                    return None
                total = total + weight * float(x)
            sums.append(self.calibration.slope * total + self.calibration.offset + 0.0)
        if not all(math.isfinite(z) for z in sums):
            return None
        return tuple(map(self.calibration.curve, _LINKS[self.link](sums)))

    def require(self, feature_set_id: str, schema_hash: str, features: Sequence[str]) -> None:
        """Refuse columns that are not those of the training.

        Raises
        ------
        SchemaMismatchError
            Number, order or definitions differ; both sides are named.
        """
        mine, theirs = f"(set `{self.feature_set_id}`)", f"the feature set `{feature_set_id}`"
        if len(features) != len(self.features):
            raise SchemaMismatchError(
                f"the model has {len(self.features)} inputs {mine}, {theirs} has {len(features)} features"
            )
        for index, (have, want) in enumerate(zip(features, self.features, strict=True)):
            if have != want:
                raise SchemaMismatchError(
                    f"input {index} of the model {mine} is `{want}`, feature {index} of {theirs} is `{have}`"
                )
        if schema_hash != self.schema_hash:
            raise SchemaMismatchError(
                f"the model was trained on schema {self.schema_hash} {mine}, {theirs} has {schema_hash}"
            )

    def to_json(self) -> str:
        """Return the text of a model file; numbers read back to the same bits."""
        start, end, rows = self.training
        fields = {
            "featureplane_model": _VERSION,
            "kind": "linear",
            "link": self.link,
            "feature_set_id": self.feature_set_id,
            "schema_hash": self.schema_hash,
            "features": self.features,
            "classes": self.classes,
            "intercepts": self.intercepts,
            "weights": self.weights,
            "calibration": asdict(self.calibration),
            "training": {"from_ns": start, "to_ns": end, "rows": rows},
            "test_vectors": [{"inputs": x, "scores": y} for x, y in self.test_vectors],
            "checksum": self.checksum,
        }
        return json.dumps(fields, indent=2, allow_nan=False) + "\n"


def fnv1a(text: str) -> str:
    """Checksum of a text: FNV-1a of its UTF-8, 64 bits as 16 hex digits."""
    value = 0xCBF29CE484222325
    for byte in text.encode():
        value = ((value ^ byte) * 0x100000001B3) & 0xFFFFFFFFFFFFFFFF
    return f"{value:016x}"


def load_model(path: str | os.PathLike[str]) -> LinearModel:
    """Read and check a model file.

    Raises
    ------
    DecodeError
        It is no model file, was changed, or does not give the scores of its test vectors.
    """
    name = os.fspath(path)
    try:
        raw = json.loads(Path(path).read_text(encoding="utf-8"))
        model = _from_fields(raw)
    except (KeyError, TypeError, ValueError) as error:
        raise DecodeError(f"model {name}: {error}", path=name) from error
    if raw["checksum"] != model.checksum:
        message = f"model {name}: the checksum is {raw['checksum']}, the contents give {model.checksum}"
        raise DecodeError(message, path=name)
    if not model.test_vectors:
        raise DecodeError(f"model {name}: test_vectors: expected 1 or more, found none", path=name)
    for index, (inputs, want) in enumerate(model.test_vectors):
        have = model.score(inputs)
        if have is None or _bits(have) != _bits(want):
            message = f"model {name}: test_vectors[{index}]: the trainer has {want}, this model gives {have}"
            raise DecodeError(message, path=name)
    return model


def read_weights(path: str | os.PathLike[str]) -> tuple[float, list[float]]:
    """Read plain weights: the bias, then the weights. Nothing says which columns they belong to.

    Raises
    ------
    DecodeError
        A line is no finite number, or the count is another one.
    """
    name = os.fspath(path)
    lines = [line.strip() for line in Path(path).read_text(encoding="utf-8").rstrip().split("\n")]
    for line, text in enumerate(lines, start=1):
        good = text.isdecimal() if line == 2 else _is_finite(text)
        if not good:
            raise DecodeError(f"weights, line {line}: `{text}` is no number", path=name, line=line)
    if len(lines) < 2 or int(lines[1]) != len(lines) - 2:
        raise DecodeError(f"weights, line 2: expected {len(lines) - 2} weights", path=name, line=2)
    return float(lines[0]), [float(text) for text in lines[2:]]


def write_weights(path: str | os.PathLike[str], model: LinearModel) -> None:
    """Write the bias and the weights of a model with one uncalibrated row.

    Raises
    ------
    ValueError
        The model has several rows or a calibration, which the text cannot hold.
    """
    if len(model.weights) != 1 or model.calibration != Calibration():
        raise ValueError("plain weights hold one uncalibrated row")
    lines = [repr(model.intercepts[0]), str(len(model.features)), *map(repr, model.weights[0])]
    Path(path).write_text("\n".join(lines) + "\n", encoding="utf-8")


def _is_finite(text: str) -> bool:
    try:
        return math.isfinite(float(text))
    except ValueError:
        return False


def _bits(numbers: Sequence[float]) -> list[bytes]:
    return [struct.pack("<d", x) for x in numbers]


def _numbers(raw: Any) -> tuple[float, ...]:
    numbers = tuple(float(x) for x in raw)
    if not all(map(math.isfinite, numbers)):
        raise ValueError("a number is not finite")
    return numbers


def _from_fields(raw: Mapping[str, Any]) -> LinearModel:
    if set(raw) != _FIELDS:
        raise ValueError(f"fields {sorted(set(raw) ^ _FIELDS)} are missing or unknown")
    if (raw["featureplane_model"], raw["kind"]) != (_VERSION, "linear"):
        found = f"{raw['kind']}, version {raw['featureplane_model']}"
        raise ValueError(f"expected linear, version {_VERSION}; found {found}")
    training = raw["training"]
    return LinearModel(
        link=cast(Link, raw["link"]),
        feature_set_id=raw["feature_set_id"],
        schema_hash=raw["schema_hash"],
        features=tuple(raw["features"]),
        classes=tuple(raw["classes"]),
        intercepts=_numbers(raw["intercepts"]),
        weights=tuple(_numbers(row) for row in raw["weights"]),
        calibration=_calibration(raw["calibration"]),
        training=(training["from_ns"], training["to_ns"], training["rows"]),
        test_vectors=tuple((_numbers(v["inputs"]), _numbers(v["scores"])) for v in raw["test_vectors"]),
    )


def _calibration(raw: Mapping[str, Any]) -> Calibration:
    if set(raw) != {"slope", "offset", "knots"}:
        raise ValueError(f"calibration: expected slope, offset and knots, found {sorted(raw)}")
    slope, offset = _numbers((raw["slope"], raw["offset"]))
    knots = tuple(_numbers(knot) for knot in raw["knots"])
    if any(len(knot) != 2 for knot in knots):
        raise ValueError("calibration.knots: expected pairs of score and value")
    return Calibration(slope, offset, tuple((knot[0], knot[1]) for knot in knots))


def _check_knots(link: Link, knots: tuple[tuple[float, float], ...]) -> None:
    if link == "softmax" and knots:
        raise ValueError(f"calibration.knots: expected none for `softmax`, found {len(knots)}")
    if len(knots) == 1:
        raise ValueError("calibration.knots[0]: expected 2 knots or none")
    for index, ((x0, y0), (x1, y1)) in enumerate(pairwise(knots), start=1):
        if x1 <= x0 or y1 < y0:
            raise ValueError(f"calibration.knots[{index}]: expected a rising curve, found {(x1, y1)}")
    for index, (_, y) in enumerate(knots):
        if link == "logistic" and not 0.0 <= y <= 1.0:
            raise ValueError(f"calibration.knots[{index}]: expected a probability, found {y}")


def _check_shape(model: LinearModel) -> None:
    if model.link not in _LINKS:
        raise ValueError(f"link: expected one of {', '.join(_LINKS)}, found `{model.link}`")
    if not re.fullmatch("[0-9a-f]{16}", model.schema_hash):
        raise ValueError(f"schema_hash: expected 16 hex digits, found `{model.schema_hash}`")
    classes = len(model.classes)
    fits = {"identity": classes == 0, "logistic": classes == 2, "softmax": classes >= 2}[model.link]
    distinct = len(set(model.classes)) == classes
    if not fits or not distinct or not all(re.fullmatch(r"[A-Za-z0-9_+.\-]+", c) for c in model.classes):
        raise ValueError(f"classes: {list(model.classes)} do not fit `{model.link}`")
    rows, width = len(model.outputs), len(model.features)
    if width == 0 or len(model.intercepts) != rows or [len(row) for row in model.weights] != [width] * rows:
        raise ValueError(f"expected {rows} intercepts and {rows} rows of {width} weights")
    _check_knots(model.link, model.calibration.knots)


def _logistic(sums: list[float]) -> tuple[float, ...]:
    z = sums[0]
    e = _exp(-abs(z))
    return (1.0 / (1.0 + e) if z >= 0.0 else e / (1.0 + e),)


def _softmax(sums: list[float]) -> tuple[float, ...]:
    largest = max(sums)
    parts = [_exp(z - largest) for z in sums]
    total = 0.0
    for part in parts:
        total = total + part
    return tuple(part / total for part in parts)


_LINKS: dict[Link, Callable[[list[float]], tuple[float, ...]]] = {
    "identity": lambda sums: tuple(sums),
    "logistic": _logistic,
    "softmax": _softmax,
}

# Port of `exp` of the `libm` crate 0.2.16 for x <= 0, which is FreeBSD's e_exp.c:
# Copyright (C) 2004 by Sun Microsystems, Inc. All rights reserved. Permission to use, copy, modify,
# and distribute this software is freely granted, provided that this notice is preserved.

_LN2HI = 6.93147180369123816490e-01
_LN2LO = 1.90821492927058770002e-10
_INVLN2 = 1.44269504088896338700e00
_P1 = 1.66666666666666019037e-01
_P2 = -2.77777777770155933842e-03
_P3 = 6.61375632143793436117e-05
_P4 = -1.65339022054652515390e-06
_P5 = 4.13813679705723846039e-08


def _exp(x: float) -> float:
    """``e^x`` for x <= 0 from plain IEEE operations; `math.exp` differs by machine."""
    if x < -745.13321910194110842:
        return 0.0
    # The published algorithm compares the high 32 bits of |x| with these constants.
    high = (struct.unpack("<Q", struct.pack("<d", x))[0] >> 32) & 0x7FFFFFFF
    k, hi, lo = 0, x, 0.0
    if high > 0x3FD62E42:  # |x| > 0.5 ln2
        k = int(_INVLN2 * x - 0.5) if high >= 0x3FF0A2B2 else -1
        hi, lo = x - float(k) * _LN2HI, float(k) * _LN2LO
        x = hi - lo
    elif high <= 0x3E300000:  # |x| <= 2**-28
        return 1.0 + x
    xx = x * x
    c = x - xx * (_P1 + xx * (_P2 + xx * (_P3 + xx * (_P4 + xx * _P5))))
    y = 1.0 + (x * c / (2.0 - c) - lo + hi)
    if k < -1022:
        # 2**-969 keeps a normal y normal, so that only the last product rounds.
        return y * 2.0**-969 * math.ldexp(1.0, k + 969)
    return y * math.ldexp(1.0, k)
