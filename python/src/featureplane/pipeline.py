"""Two ways to say what `extract` does: a configured pipeline to Parquet, and a replay from JSON."""

from __future__ import annotations

import datetime as dt
import difflib
import inspect
import json
import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, TypeAlias

from featureplane import features as _names
from featureplane import triggers
from featureplane._convert import Size, Time
from featureplane._extract import Paths, ProgressCallback, extract, extract_to_file
from featureplane._feature import Fault, Feature, camel_case, faults_of, located, refuse, set_text
from featureplane.errors import ConfigError
from featureplane.registry import feature_columns
from featureplane.table import needs

if TYPE_CHECKING:
    import pyarrow

__all__ = ["ExtractionConfig", "extract_features", "extract_to_parquet"]

Micros: TypeAlias = "int | str | dt.datetime"
"""UTC us, ISO text, or a datetime; text and datetimes without a zone are UTC."""

_YEARS_US = range(946_684_800_000_000, 4_102_444_800_000_000)


@dataclass(frozen=True)
class ExtractionConfig:
    """What a pipeline computes, and when it writes a row.

    Parameters
    ----------
    features
        Features in the order of the columns, made by `featureplane.features`.
    trigger
        When a row is written, from `featureplane.triggers`; a row for every packet if not given.
    id
        Id of the feature set, for the metadata of the file; the schema hash does not depend on it.

    Raises
    ------
    ConfigError
        Something is wrong; all faults are listed with their paths.

    Examples
    --------
    >>> import featureplane as fp
    >>> config = fp.ExtractionConfig(
    ...     features=[fp.features.Mid(), fp.features.BookImbalance(depth=5)],
    ...     trigger=fp.triggers.TradeOrTime(sec=1.0),
    ... )
    >>> config.emit
    'trade-or-step:1000000000ns'
    >>> fp.extract(example_log, features=config.feature_set).column_names[7:]
    ['mid', 'depth_imbalance_5']
    """

    features: Sequence[Feature]
    trigger: triggers.Trigger = field(default_factory=triggers.Packet)
    id: str = "extraction_config"

    def __post_init__(self) -> None:
        features: Sequence[object] = () if isinstance(self.features, str) else tuple(self.features)
        right = [(place, made) for place, made in enumerate(features) if isinstance(made, Feature)]
        faults = [
            Fault(place, "", f"{made!r} is not made by featureplane.features")
            for place, made in enumerate(features)
            if not isinstance(made, Feature)
        ]
        faults += faults_of([made for _, made in right], [place for place, _ in right])
        found = located("features", sorted(faults, key=lambda fault: fault.place))
        if not features or (not faults and not any(made.column for _, made in right)):
            found.append("features: no feature is chosen")
        refuse("extraction config", [*found, *_trigger_faults(self.trigger), *_id_faults(self.id)])
        object.__setattr__(self, "features", features)

    @property
    def feature_set(self) -> dict[str, Any]:
        """The feature set, as `extract`, `FeatureEngine` and a ``.json`` file have it."""
        built: dict[str, Any] = json.loads(set_text(self.id, self.features))
        return built

    @property
    def emit(self) -> str:
        """The trigger, as `extract` has it."""
        return self.trigger.emit()


def extract_to_parquet(
    *,
    source: Paths,
    symbol: str | None = None,
    destination: str | os.PathLike[str],
    config: ExtractionConfig,
    compression: Literal["zstd", "snappy", "none"] = "zstd",
    overwrite: bool = False,
    format: str = "auto",
    start: Time | None = None,
    end: Time | None = None,
    tick_size: Size | None = None,
    lot_size: Size | None = None,
    progress: bool | ProgressCallback | None = None,
) -> dict[str, Any]:
    """Compute the features of a config and write them to a Parquet file, in constant memory.

    It is `extract_to_file` with the feature set and the emission of the config: other Python threads run
    meanwhile, and the file appears whole or not at all.

    Parameters
    ----------
    source
        File, files of one stream in order, or a folder of Chronicle segments (``.q``, ``.q.zst``).
    symbol
        Symbol to read; needed when the source holds several.
    destination
        File ending in ``.parquet``.
    config
        Features and trigger.
    compression
        Codec of the pages.
    overwrite
        Replace a file that exists, once the new one is complete.
    format, start, end, tick_size, lot_size, progress
        As for `extract`.

    Returns
    -------
    dict
        What was read, made and refused.

    Raises
    ------
    ConfigError
        The destination does not end in ``.parquet``, the config is none, the folder has no segments.
    OutputError
        The file exists, or the system refused.
    FeatureError
        As `extract`.

    Examples
    --------
    >>> import featureplane as fp
    >>> config = fp.ExtractionConfig(features=[fp.features.MidPrice(), fp.features.OFI(decay=0.0)])
    >>> done = fp.extract_to_parquet(
    ...     source=example_log,
    ...     symbol="BTCUSDT",
    ...     destination=example_folder / "btc.parquet",
    ...     config=config,
    ...     compression="snappy",
    ... )
    >>> done["rows"]
    3
    """
    faults = []
    if Path(destination).suffix != ".parquet":
        faults.append(f"destination: {os.fspath(destination)!r} does not end in .parquet")
    if not isinstance(config, ExtractionConfig):
        faults.append(f"config: expected an ExtractionConfig, got {type(config).__name__}")
    refuse("extract_to_parquet", faults)
    return extract_to_file(
        _segments(source),
        destination,
        compression=compression,
        overwrite=overwrite,
        format=format,
        symbol=symbol,
        features=config.feature_set,
        emit=config.emit,
        start=start,
        end=end,
        tick_size=tick_size,
        lot_size=lot_size,
        progress=progress,
    )


def extract_features(
    updates_path: Paths,
    config_json: str | Sequence[Mapping[str, object]],
    start_ts: Micros | None = None,
    end_ts: Micros | None = None,
    step_us: int = 1_000_000,
    *,
    format: str = "auto",
    symbol: str | None = None,
    tick_size: Size | None = None,
    lot_size: Size | None = None,
    progress: bool | ProgressCallback | None = None,
) -> pyarrow.RecordBatch:
    """Replay updates and return features on a grid of time, as one Arrow batch.

    It is `extract` with ``emit="step:..."``; that call gives sequence numbers and quality flags too.
    Needs the extra ``pyarrow``.

    Parameters
    ----------
    updates_path
        File, or files of one stream in order.
    config_json
        JSON list of objects, or the list itself. ``type`` is a name of `featureplane.features` (``"OIB"``)
        or the id of a column (``"spread_bps"``), ``alias`` the name of the column in the batch; the other
        keys are those that the function takes: ``halflife_bps``, ``bps``, ``side``, ``depth`` and so on.
    start_ts, end_ts
        Range in which rows are made, end exclusive: UTC **us**, ISO text or datetime. The book is built
        from the start of the input all the same.
    step_us
        Distance of rows in us; rows stand at multiples of it since 1970.
    format, symbol, tick_size, lot_size, progress
        As for `extract`. A table of updates in integers does not hold its sizes: give them, or
        prices count ticks.

    Returns
    -------
    pyarrow.RecordBatch
        ``ts`` (``timestamp[us, UTC]``), then one column per feature: the state strictly before ``ts``, null
        where the value is not defined. Integer columns are scaled; the metadata of the field has
        ``divide_by``.

    Raises
    ------
    ConfigError
        The configuration, the range or the step is wrong; all faults are listed with their paths.
    FeatureError
        As `extract`.

    Examples
    --------
    >>> import featureplane as fp
    >>> batch = fp.extract_features(
    ...     example_log,
    ...     '[{"type": "OIB", "halflife_bps": 25, "alias": "oib_25bps"}, {"type": "Spread"}]',
    ...     step_us=100_000,
    ... )
    >>> batch.schema.names, batch.num_rows
    (['ts', 'oib_25bps', 'spread'], 2)
    """
    needs("pyarrow", "extract_features")
    features, faults = _from_json(config_json)
    if isinstance(step_us, bool) or not isinstance(step_us, int) or step_us < 1:
        faults.append(f"step_us: {step_us!r} is not an integer of at least 1")
    times = {"start_ts": start_ts, "end_ts": end_ts}
    faults += [fault for name, time in times.items() for fault in _time_faults(name, time)]
    refuse("extract_features", faults)
    table = extract(
        updates_path,
        format=format,
        symbol=symbol,
        features=json.loads(set_text("extract_features", features)),
        emit=f"step:{step_us}us",
        start=_as_ns(start_ts),
        end=_as_ns(end_ts),
        tick_size=tick_size,
        lot_size=lot_size,
        progress=progress,
    )
    return _batch(table.to_arrow())


def _batch(table: pyarrow.Table) -> pyarrow.RecordBatch:
    import pyarrow as pa

    fixed = ("symbol", "ts_event", "ts_recv", "seq", "epoch", "quality_flags", "warmup_ready")
    times = table.column("ts_event").cast(pa.timestamp("us", tz="UTC"))
    kept = table.drop_columns(list(fixed))
    timed = kept.add_column(0, pa.field("ts", times.type, nullable=False), times)
    [batch] = timed.combine_chunks().to_batches()
    return batch


def _segments(source: Paths) -> Paths:
    if not isinstance(source, str | os.PathLike) or not Path(source).is_dir():
        return source
    found = sorted(path for path in Path(source).iterdir() if path.name.endswith((".q", ".q.zst")))
    if not found:
        raise ConfigError(f"source: {os.fspath(source)!r} is a folder without .q or .q.zst segments")
    return found


def _trigger_faults(trigger: object) -> list[str]:
    if not isinstance(trigger, triggers.Trigger):
        return [f"trigger: {trigger!r} is not made by featureplane.triggers"]
    try:
        trigger.emit()
    except ConfigError as error:
        return [f"trigger.{error}"]
    return []


def _id_faults(name: object) -> list[str]:
    return [] if isinstance(name, str) and name else [f"id: {name!r} is not text of at least one character"]


def _from_json(config: object) -> tuple[list[Feature], list[str]]:
    """Features of a configuration, and everything that is wrong with it."""
    if isinstance(config, str):
        config = _parsed(config)
    if not isinstance(config, Sequence) or isinstance(config, str | bytes) or not config:
        return [], ["config_json: expected a list of at least one object"]
    made: list[Feature] = []
    places: list[int] = []
    faults: list[Fault] = []
    for place, item in enumerate(config):
        feature = _from_item(place, item, faults)
        if feature is not None:
            made.append(feature)
            places.append(place)
    faults += faults_of(made, places)
    found = located("config_json", sorted(faults, key=lambda fault: fault.place))
    if not found and not any(feature.column for feature in made):
        found.append("config_json: no feature is chosen")
    return made, found


class _Repeated(dict[str, object]):
    """An object of JSON that gives a key twice."""

    twice: str


def _parsed(text: str) -> object:
    def unique(pairs: list[tuple[str, object]]) -> dict[str, object]:
        keys = [key for key, _ in pairs]
        repeated = [key for key in dict.fromkeys(keys) if keys.count(key) > 1]
        if not repeated:
            return dict(pairs)
        marked = _Repeated(pairs)
        marked.twice = repeated[0]
        return marked

    try:
        return json.loads(text, object_pairs_hook=unique)
    except (json.JSONDecodeError, RecursionError) as error:
        raise ConfigError(f"config_json: not JSON: {error}") from error


def _from_item(place: int, item: object, faults: list[Fault]) -> Feature | None:
    """One feature; None when it cannot be made, and then a fault says why."""
    if not isinstance(item, Mapping):
        faults.append(Fault(place, "", f"{item!r} is not an object"))
        return None
    if isinstance(item, _Repeated):
        faults.append(Fault(place, item.twice, "given twice"))
    if "type" not in item:
        faults.append(Fault(place, "type", "required"))
        return None
    make = _function(item["type"])
    if make is None:
        faults.append(Fault(place, "type", _unknown_type(item["type"])))
        return None
    known = inspect.signature(make).parameters
    for key in item:
        if key != "type" and key not in known:
            faults.append(Fault(place, str(key), f"unknown; it takes {', '.join(known) or 'no key'}"))
    needed = [key for key, param in known.items() if param.default is param.empty and key not in item]
    faults += [Fault(place, key, "required") for key in needed]
    if needed:
        return None
    try:
        return make(**{key: item[key] for key in known if key in item})
    except ConfigError as error:
        key, _, message = str(error).partition(": ")
        faults.append(Fault(place, key, message))
        return None


def _function(name: object) -> Callable[..., Feature] | None:
    if not isinstance(name, str):
        return None
    if name in {column["column"] for column in feature_columns()}:
        name = camel_case(name)
    found = vars(_names).get(name)
    return found if inspect.isfunction(found) and not name.startswith("_") else None


def _unknown_type(name: object) -> str:
    names = [name for name, thing in vars(_names).items() if inspect.isfunction(thing) and name[0] != "_"]
    nearest = difflib.get_close_matches(str(name), names, n=1)
    hint = f"; did you mean {nearest[0]}?" if nearest else ""
    return f"{name!r} is no name of featureplane.features and no column{hint}"


def _time_faults(name: str, time: object) -> list[str]:
    if time is None or isinstance(time, str | dt.datetime):
        return []
    if isinstance(time, bool) or not isinstance(time, int):
        return [f"{name}: expected us, ISO text or datetime, got {type(time).__name__}"]
    if time not in _YEARS_US:
        return [f"{name}: {time} us is not in the years 2000 to 2100; the unit is us"]
    return []


def _as_ns(time: Micros | None) -> Time | None:
    return time * 1_000 if isinstance(time, int) else time
