"""From what users write to what the compiled module takes."""

from __future__ import annotations

import datetime as dt
import json
import os
from collections.abc import Mapping
from decimal import Decimal
from typing import Any, TypeAlias

from featureplane.errors import ConfigError

Features: TypeAlias = "str | os.PathLike[str] | Mapping[str, Any]"
"""Id of a built-in set, path of a ``.json`` file, JSON text, or a mapping of the same shape."""

Time: TypeAlias = "int | str | dt.datetime"
"""UTC ns, ISO text, or a datetime; text and datetimes without a zone are UTC."""

Size: TypeAlias = "str | int | Decimal"
"""A decimal; floats are refused, since they are not exact."""

_EPOCH = dt.datetime(1970, 1, 1, tzinfo=dt.timezone.utc)


def features_text(features: Features) -> str:
    """Id, path or JSON text of a feature set."""
    if isinstance(features, Mapping):
        return json.dumps(features)
    return os.fspath(features)


def time_text(time: Time | None) -> str | None:
    """A time as the compiled module reads it."""
    if time is None or isinstance(time, str):
        return time
    if isinstance(time, dt.datetime):
        aware = time if time.tzinfo is not None else time.replace(tzinfo=dt.timezone.utc)
        passed = aware - _EPOCH
        micros = (passed.days * 86_400 + passed.seconds) * 1_000_000 + passed.microseconds
        # pandas.Timestamp is a datetime with nanoseconds.
        return str(micros * 1_000 + int(getattr(time, "nanosecond", 0)))
    if isinstance(time, int):
        return str(time)
    raise ConfigError(f"time: expected ns, ISO text or datetime, got {type(time).__name__}")


def size_text(size: Size | None, name: str) -> str | None:
    """A tick or lot size as decimal text."""
    if size is None or isinstance(size, str):
        return size
    if isinstance(size, float):
        raise TypeError(f"{name}: a float is not exact, write it as text, for example '0.1'")
    return str(size)
