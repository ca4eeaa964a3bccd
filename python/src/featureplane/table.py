"""Rows in memory, for any reader of Arrow."""

from __future__ import annotations

from types import ModuleType
from typing import TYPE_CHECKING, Any, Literal

if TYPE_CHECKING:
    import numpy
    import pandas
    import polars
    import pyarrow

    from featureplane._lib import RawTable

__all__ = ["FeatureTable"]


class FeatureTable:
    """Feature rows as Arrow batches.

    The table implements the Arrow PyCapsule interface: ``polars.DataFrame(table)``,
    ``pyarrow.table(table)`` and DuckDB take it without a copy. Columns are ``symbol`` (dictionary),
    ``ts_event`` and ``ts_recv`` (``timestamp[ns, UTC]``), ``seq``, ``epoch``, ``quality_flags``,
    ``warmup_ready``, then one column per feature, null where the value is not defined. Integer features
    are scaled: `column_metadata` has ``divide_by``.

    Examples
    --------
    >>> import featureplane as fp
    >>> table = fp.extract(example_log, features="lob_shared_v1")
    >>> table.num_rows, table.column_names[7:10]
    (3, ['best_bid', 'best_ask', 'mid_price_x2'])
    >>> table.to_numpy("best_bid").tolist()
    [618001, 618001, 618002]
    """

    __slots__ = ("_raw",)

    def __init__(self, raw: RawTable) -> None:
        self._raw = raw

    def __arrow_c_stream__(self, requested_schema: object | None = None) -> Any:
        """Return an Arrow C stream capsule."""
        return self._raw.__arrow_c_stream__(requested_schema)

    def __arrow_c_schema__(self) -> Any:
        """Return an Arrow C schema capsule."""
        return self._raw.__arrow_c_schema__()

    @property
    def num_rows(self) -> int:
        """Number of rows."""
        return self._raw.num_rows

    @property
    def num_columns(self) -> int:
        """Number of columns."""
        return len(self._raw.column_names)

    @property
    def column_names(self) -> list[str]:
        """Names of the columns."""
        return self._raw.column_names

    @property
    def bars(self) -> dict[str, FeatureTable]:
        """Bars by duration, in the order in which they were asked for; empty without them.

        Columns: ``symbol``, ``bar_start``, ``duration_ns``, ``complete``, ``open``, ``high``, ``low``,
        ``close`` of the mid, spread, imbalance, order flow, variance and trades (``specs/bars.md``).
        """
        labels = [entry["duration"] for entry in self._raw.summaries()[0]["bars"]]
        tables = ((label, self._raw.bars(label)) for label in labels)
        return {label: FeatureTable(raw) for label, raw in tables if raw is not None}

    @property
    def feature_set_id(self) -> str:
        """Id of the feature set."""
        return self.metadata["featureplane.feature_set_id"]

    @property
    def schema_hash(self) -> str:
        """Schema hash of the feature set, 16 hex digits."""
        return self.metadata["featureplane.schema_hash"]

    @property
    def metadata(self) -> dict[str, str]:
        """What made the table: feature set, instrument, inputs with their hashes, emission.

        With several symbols, only what they have in common.
        """
        return self._raw.metadata

    def column_metadata(self, column: str) -> dict[str, str]:
        """Return the definition of a column: family, unit, scale, ``divide_by``, description."""
        return self._raw.column_metadata(column)

    @property
    def summaries(self) -> list[dict[str, Any]]:
        """What was read, made and refused, one entry per symbol."""
        return self._raw.summaries()

    @property
    def summary(self) -> dict[str, Any]:
        """What was read, made and refused; with several symbols, the sum of the counts."""
        parts = self._raw.summaries()
        if len(parts) == 1:
            return parts[0]
        counts = ("rows", "frames", "packets", "events", "rejected_count", "rounded")
        total: dict[str, Any] = {key: sum(part[key] for part in parts) for key in counts}
        return {"symbols": [part["symbol"] for part in parts], **total}

    def to_arrow(self) -> pyarrow.Table:
        """Return a PyArrow table that shares the buffers."""
        table: pyarrow.Table = needs("pyarrow", "to_arrow").table(self)
        return table

    def to_polars(self) -> polars.DataFrame:
        """Return a Polars frame; missing values are null."""
        frame: polars.DataFrame = needs("polars", "to_polars").DataFrame(self)
        return frame

    def to_pandas(self, *, dtype_backend: Literal["numpy", "pyarrow"] = "numpy") -> pandas.DataFrame:
        """Return a pandas frame.

        Parameters
        ----------
        dtype_backend
            With ``"numpy"``, an integer column with missing values becomes float64; with ``"pyarrow"``
            it stays an integer column with nulls.
        """
        pandas = needs("pandas", "to_pandas")
        table = self.to_arrow()
        if dtype_backend == "pyarrow":
            return table.to_pandas(types_mapper=pandas.ArrowDtype)
        return table.to_pandas()

    def to_numpy(self, column: str) -> numpy.ndarray[Any, Any]:
        """Return one column as an array, shape ``(num_rows,)``.

        Parameters
        ----------
        column
            Name of a column.

        Returns
        -------
        numpy.ndarray
            int64, uint64, uint32, float64, datetime64[ns] (UTC) or object (symbols). Missing values are
            NaN or NaT; an integer column with missing values becomes float64.

        Raises
        ------
        ConfigError
            There is no such column.
        """
        np = needs("numpy", "to_numpy")
        dtype, data, valid = self._raw.column(column)
        if dtype == "O":
            return np.array(data, dtype=object)  # type: ignore[no-any-return]
        values = np.frombuffer(data, dtype=dtype)
        if valid is None:
            return values.copy()  # type: ignore[no-any-return]
        missing = np.frombuffer(valid, dtype=np.uint8) == 0
        if values.dtype.kind == "M":
            return np.where(missing, np.datetime64("NaT", "ns"), values)  # type: ignore[no-any-return]
        return np.where(missing, np.nan, values.astype(np.float64))  # type: ignore[no-any-return]

    def __len__(self) -> int:
        return self.num_rows

    def __repr__(self) -> str:
        symbols = ", ".join(part["symbol"] for part in self._raw.summaries())
        return (
            f"FeatureTable({symbols}: {self.num_rows} rows x {self.num_columns} columns, "
            f"{self.feature_set_id} {self.schema_hash})"
        )


def needs(module: str, method: str) -> ModuleType:
    """Import an optional package, or say which one is missing."""
    import importlib

    try:
        return importlib.import_module(module)
    except ModuleNotFoundError as error:
        message = f"{method} needs {module}: pip install 'featureplane[{module}]'"
        raise ModuleNotFoundError(message, name=error.name) from error
