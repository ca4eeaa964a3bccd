"""One feature of a set, how it is made, and where its faults are."""

from __future__ import annotations

import inspect
import json
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from featureplane import _lib
from featureplane.errors import ConfigError

_FAULT = re.compile(r"^  features(?:\[(\d+)\])?(?:\.params)?\.?([\w.]*): (.*)$")
_OTHER = re.compile(r"(?<= taken by )features\[(\d+)\]")


@dataclass(frozen=True)
class Feature:
    """An entry of a feature set; `featureplane.features` makes them.

    Attributes
    ----------
    family, column
        Family and column of the registry; empty when every row has it anyway (`GlobalTime`).
    params
        Parameters that were given; absent ones take the defaults of the registry.
    alias
        Name of the column in the table; None takes the default name.
    """

    family: str
    column: str
    params: Mapping[str, object] = field(default_factory=dict)
    alias: str | None = None
    #: Parameters that were given under another name: what the registry calls them, and that name.
    given_as: Mapping[str, str] = field(default_factory=dict, repr=False, compare=False)

    def entry(self) -> dict[str, Any]:
        """Return the entry as the JSON of a feature set has it.

        Examples
        --------
        >>> import featureplane as fp
        >>> fp.features.DepthImbalance(levels=3).entry()
        {'family': 'imbalance', 'column': 'depth_imbalance', 'params': {'levels': 3}}
        """
        entry: dict[str, Any] = {"family": self.family, "column": self.column}
        if self.params:
            entry["params"] = dict(self.params)
        return entry if self.alias is None else entry | {"alias": self.alias}


class Fault(NamedTuple):
    """One thing that is wrong with the feature at a place of a list; -1 is the list itself."""

    place: int
    key: str
    message: str


def column_functions() -> dict[str, Callable[..., Feature]]:
    """Return a function for every column of the registry, by its name in camel case."""
    return {camel_case(column["column"]): _function(column) for column in _lib.families()}


def camel_case(column: str) -> str:
    """Return the name of the function of a column: ``OfiL1Raw`` for ``ofi_l1_raw``."""
    return "".join(part.capitalize() for part in column.split("_"))


def _function(column: Mapping[str, Any]) -> Callable[..., Feature]:
    keyword = inspect.Parameter.KEYWORD_ONLY
    params = [
        inspect.Parameter(
            param["key"], keyword, default=keyword_default(param), annotation=_annotation(param)
        )
        for param in column["params"]
    ]
    alias = inspect.Parameter("alias", keyword, default=None, annotation="str | None")
    signature = inspect.Signature([*params, alias], return_annotation="Feature")

    def make(**given: object) -> Feature:
        bound = signature.bind(**given).arguments
        name = bound.pop("alias", None)
        params = {key: value for key, value in bound.items() if value is not None}
        return Feature(column["family"], column["column"], params, name)

    make.__name__ = make.__qualname__ = camel_case(column["column"])
    make.__module__ = "featureplane.features"
    make.__doc__ = "{doc} Family {family}, {dtype}, {unit}.".format_map(column)
    make.__signature__ = signature  # type: ignore[attr-defined]
    return make


def keyword_default(param: Mapping[str, Any]) -> object:
    """Return the default of a parameter of the registry, as a signature has it."""
    return inspect.Parameter.empty if param["required"] else param.get("default")


def _annotation(param: Mapping[str, Any]) -> str:
    if param["kind"] == "choice":
        return f"Literal[{', '.join(map(repr, param['choices']))}]"
    plain = "int" if param["kind"] == "int" else "str"
    is_one_of_two = not param["required"] and param.get("default") is None
    return f"{plain} | None" if is_one_of_two else plain


def faults_of(features: Sequence[Feature], places: Sequence[int]) -> list[Fault]:
    """Return what is wrong with the features of a set.

    Parameters
    ----------
    features
        Features in the order of the set.
    places
        Where each of them stands in the list that the user wrote.
    """
    faults: list[Fault] = []
    sound: list[tuple[int, Feature]] = []
    for place, feature in zip(places, features, strict=True):
        found = list(_wrong_types(place, feature))
        faults += found
        if not found and feature.column:
            sound.append((place, feature))
    return sorted([*faults, *_faults_of_engine(sound)], key=lambda fault: fault.place)


def _wrong_types(place: int, feature: Feature) -> list[Fault]:
    """Faults that JSON would hide or could not carry."""
    wrong = [
        Fault(place, feature.given_as.get(key, key), f"{value!r} is neither an integer nor text")
        for key, value in feature.params.items()
        if isinstance(value, bool) or not isinstance(value, int | str)
    ]
    if feature.alias is not None and not isinstance(feature.alias, str):
        wrong.append(Fault(place, "alias", f"{feature.alias!r} is not text"))
    return wrong


def _faults_of_engine(placed: Sequence[tuple[int, Feature]]) -> list[Fault]:
    if not placed:
        return []
    try:
        _lib.describe_set(set_text("config", [feature for _, feature in placed]))
    except ConfigError as error:
        lines = [_FAULT.match(line) for line in str(error).splitlines()[1:]]
        if not lines or None in lines:
            raise
        return [_placed(line, placed) for line in lines if line is not None]
    return []


def _placed(line: re.Match[str], placed: Sequence[tuple[int, Feature]]) -> Fault:
    if line[1] is None:
        return Fault(-1, "", line[3])
    place, feature = placed[int(line[1])]
    # The engine counts what it was given, the user what he wrote.
    message = _OTHER.sub(lambda other: f"entry {placed[int(other[1])][0]}", line[3])
    return Fault(place, feature.given_as.get(line[2], line[2]), message)


def set_text(name: str, features: Sequence[Feature]) -> str:
    """Return the JSON of a feature set."""
    return json.dumps({"id": name, "features": [f.entry() for f in features if f.column]})


def refuse(what: str, faults: Sequence[str]) -> None:
    """Raise one error for all faults, if there are any."""
    if faults:
        listed = "".join(f"\n  {fault}" for fault in faults)
        raise ConfigError(f"{what} has {len(faults)} fault(s):{listed}")


def located(prefix: str, faults: Sequence[Fault]) -> list[str]:
    """Return faults with their paths: ``features[3].halflife_bps: required``."""

    def path(fault: Fault) -> str:
        entry = prefix if fault.place < 0 else f"{prefix}[{fault.place}]"
        return f"{entry}.{fault.key}" if fault.key else entry

    return [f"{path(fault)}: {fault.message}" for fault in faults]
