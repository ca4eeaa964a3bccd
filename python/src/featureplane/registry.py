"""What there is: feature sets and the columns of feature families."""

from __future__ import annotations

from typing import Any

from featureplane import _lib
from featureplane._convert import Features, features_text

__all__ = ["describe_set", "feature_columns", "feature_sets"]


def feature_sets() -> list[dict[str, Any]]:
    """Return the built-in feature sets: id, schema hash and features.

    Examples
    --------
    >>> [entry["id"] for entry in feature_sets()][:2]
    ['core_v1', 'lob_shared_v1']
    """
    return _lib.built_in_sets()


def feature_columns() -> list[dict[str, Any]]:
    """Return every column of every family: type, scale, unit, warm-up, parameters, definition.

    Examples
    --------
    >>> [entry["column"] for entry in feature_columns() if entry["family"] == "mid_spread"][:2]
    ['mid_price_x2', 'spread_scaled']
    """
    return _lib.families()


def describe_set(features: Features) -> dict[str, Any]:
    """Return id, schema hash and resolved features of a set.

    Raises
    ------
    ConfigError
        The set is wrong; all faults are listed with their path.

    Examples
    --------
    >>> describe_set({"id": "mine", "features": [{"family": "mid_spread", "column": "mid"}]})["id"]
    'mine'
    """
    return _lib.describe_set(features_text(features))
