"""From descriptions of features to features."""

from __future__ import annotations

import json
from typing import Any

from .families import FAMILIES
from .families.base import Column, Feature
from .families.ema import span_alpha
from .numeric import word_of_float


class SetError(ValueError):
    """A feature set that this reference does not implement."""


def column_of(family: str, column: str) -> Column:
    """The registry entry of a column."""
    if family not in FAMILIES:
        raise SetError(f"unknown family {family!r}")
    if column not in FAMILIES[family].COLUMNS:
        raise SetError(f"unknown column {column!r} of family {family!r}")
    return FAMILIES[family].COLUMNS[column]


def feature_from_canonical(raw: dict[str, Any], inputs: dict[str, Feature]) -> Feature:
    """A feature from its object in the canonical JSON; ``inputs`` are the features before it."""
    column = column_of(raw["family"], raw["column"])
    rev = FAMILIES[raw["family"]].REV[raw["column"]]
    if raw["rev"] != rev:
        raise SetError(f"{raw['name']}: revision {raw['rev']}, the reference implements {rev}")
    if raw["dtype"] != column.dtype:
        raise SetError(f"{raw['name']}: dtype {raw['dtype']}, the reference has {column.dtype}")
    feature = column.make(raw["params"], inputs)
    check_alpha_bits(raw)
    feature.name = raw["name"]
    feature.dtype = column.dtype
    feature.warmup_min_events = raw["warmup_min_events"]
    feature.warmup_min_ns = raw["warmup_min_ns"]
    return feature


def check_alpha_bits(raw: dict[str, Any]) -> None:
    """The weight that the schema states must be the weight that the reference computes."""
    stated = raw["params"].get("alpha_bits", raw.get("alpha_bits"))
    if stated is None:
        return
    ours = f"{word_of_float(span_alpha(raw['params']['span'])):016x}"
    if stated != ours:
        raise SetError(f"{raw['name']}: alpha_bits {stated}, the reference has {ours}")


def features_from_canonical(feature_set: dict[str, Any]) -> list[Feature]:
    """All features of a canonical set, in order."""
    if feature_set["abi"] != 1 or feature_set["numeric"] != 1:
        raise SetError("only abi 1 with numeric 1 is implemented")
    inputs: dict[str, Feature] = {}
    for raw in feature_set["features"]:
        if raw["name"] in inputs:
            raise SetError(f"two features are called {raw['name']!r}")
        inputs[raw["name"]] = feature_from_canonical(raw, inputs)
    return list(inputs.values())


def feature_set_from_requests(requests: list[dict[str, Any]]) -> dict[str, Any]:
    """Resolve ``{family, column, params, alias}`` requests to a canonical set."""
    features: list[dict[str, Any]] = []
    for request in requests:
        features.append(resolve(request, {each["name"]: each for each in features}))
    return {"abi": 1, "numeric": 1, "features": features}


def resolve(request: dict[str, Any], earlier: dict[str, dict[str, Any]]) -> dict[str, Any]:
    """One request with its defaults filled in."""
    family, column_id = request["family"], request["column"]
    column = column_of(family, column_id)
    params = {**column.params, **request.get("params", {})}
    missing = [key for key, value in params.items() if value is None]
    if missing:
        raise SetError(f"{column_id}: parameter {missing[0]!r} is missing")
    default_name = column_id if column.name is None else column.name.format(**params, length=length_text(params))
    scale = column.scale
    if scale == "input":
        scale = earlier[params["of"]]["scale"]
    feature = {
        "name": request.get("alias", default_name),
        "family": family,
        "column": column_id,
        "rev": FAMILIES[family].REV[column_id],
        "dtype": column.dtype,
        "scale": scale,
        "unit": column.unit,
        "warmup_min_events": column.warmup_min_events
        + params.get(column.warmup_count_param, 0)
        + params.get("warmup_steps", 0),
        "warmup_min_ns": params.get(column.warmup_ns_param, 0),
        "source": "",
        "params": dict(sorted(params.items())),
    }
    return feature


def length_text(params: dict[str, Any]) -> str:
    """The part of a default name that says over how much: a number of steps, or a time with its unit."""
    steps = params.get("span", params.get("count"))
    return f"{params.get('tau_ns', params.get('window_ns'))}ns" if steps is None else str(steps)


def canonical_text(feature_set: dict[str, Any]) -> str:
    """The one line that the schema hash is taken of; the order of keys is kept."""
    return json.dumps(feature_set, separators=(",", ":"), ensure_ascii=False)
