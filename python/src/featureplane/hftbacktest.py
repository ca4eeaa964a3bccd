"""Features beside the stock wheel of hftbacktest, in strategies that numba compiles.

Needs ``hftbacktest`` and ``numba`` (``pip install hftbacktest``); nothing else of this package does.

Examples
--------
A strategy asks for features by index, after one call per wake::

    from numba import njit
    from hftbacktest import HashMapMarketDepthBacktest
    from featureplane.hftbacktest import FeatureAsset, advance

    asset = (FeatureAsset().data("btcusdt_20240808.npz").linear_asset(1.0)
             .constant_order_latency(10_000_000, 10_000_000).risk_adverse_queue_model()
             .no_partial_fill_exchange().trading_value_fee_model(-0.00005, 0.0007)
             .tick_size(0.1).lot_size(0.001))
    hbt = HashMapMarketDepthBacktest([asset])
    feed = asset.features("core_v1")
    MICROPRICE = feed.index("microprice")

    @njit
    def algo(hbt, handle, values):
        while hbt.elapse(100_000_000) == 0:
            advance(handle, hbt.current_timestamp)
            fair = values[MICROPRICE]

    algo(hbt, feed.handle, feed.values)
    feed.check()
"""

# pyright: reportMissingImports=false, reportMissingModuleSource=false, reportAttributeAccessIssue=false

from __future__ import annotations

import ctypes
import os
from collections.abc import Sequence
from decimal import Decimal
from typing import Any

import llvmlite.binding
import numba
import numpy as np
from hftbacktest import BacktestAsset
from numba import types

from featureplane import _lib
from featureplane._convert import Features, features_text
from featureplane.errors import ConfigError

__all__ = [
    "END",
    "EPOCH",
    "FRAMES",
    "LOCAL_TS",
    "QUALITY",
    "SEQ",
    "SOURCE_SEQ",
    "SOURCE_TS",
    "FeatureAsset",
    "FeatureFeed",
    "FeatureMatrix",
    "advance",
    "get_feature",
    "is_set",
    "lookup",
]

FRAMES, SEQ, SOURCE_SEQ, SOURCE_TS, LOCAL_TS, EPOCH, QUALITY = range(7)
"""Places of :attr:`FeatureFeed.header`."""

END = np.iinfo(np.int64).max
"""The time to advance to when the backtest is over: its clock stops before the last packet."""

# By name instead of by address, so that strategies can be cached.
llvmlite.binding.load_library_permanently(_lib.__file__)

advance = types.ExternalFunction("featureplane_advance", types.int64(types.intp, types.int64))
"""``advance(handle, now)``: take every packet received up to ``now``; the number of frames made.

Negative after an error, which :meth:`FeatureFeed.check` raises. For compiled functions only.
"""

get_feature = types.ExternalFunction(
    "featureplane_get_feature", types.float64(types.intp, types.int64, types.int64)
)
"""``get_feature(handle, now, index)``: advance, then one value; NaN where it is not defined."""


@numba.njit(cache=True)
def is_set(mask: Any, index: int) -> bool:
    """Whether the bit of a feature is set in a mask."""
    return bool((mask[index >> 6] >> np.uint64(index & 63)) & np.uint64(1))


@numba.njit(cache=True)
def lookup(times: Any, now: int, row: int) -> int:
    """Row of a :class:`FeatureMatrix` that holds at ``now``; -1 before the first.

    ``row`` is the answer of the call before (-1 at first): the search goes on from there.
    """
    while row + 1 < len(times) and times[row + 1] <= now:
        row += 1
    return row


class FeatureMatrix:
    """Every frame of an asset, for runs that repeat the same data.

    Attributes
    ----------
    times
        Local time of each frame, ns.
    values
        One row per frame, one column per feature; NaN where a value is not defined.
    names
        Names of the columns.
    """

    def __init__(self, times: Any, values: Any, names: Sequence[str]) -> None:
        self.times = times
        self.values = values
        self.names = tuple(names)

    def index(self, name: str) -> int:
        """Column of a feature."""
        return _index(self.names, name)


class FeatureFeed:
    """Features of one asset, up to the time that the strategy names.

    Pass :attr:`handle` and the arrays to the compiled strategy and keep this object until it returns. The
    arrays are views: :func:`advance` changes what they show.

    Attributes
    ----------
    handle
        What :func:`advance` takes.
    values
        Value of every feature; NaN where it is not defined. Integers as floats, exact up to 2^53.
    valid, ready
        Masks for :func:`is_set`: the value is defined; it has seen enough packets and time.
    header
        Number of frames so far, and of the last one: see :data:`FRAMES` and its neighbours.
    names
        Names of the features in order.
    scores
        Scores of the model, if the feed has one, for the last frame of each :func:`advance`; NaN where there
        is none.
    outputs
        Names of the scores in order.
    """

    def __init__(
        self, raw: _lib.RawReplay, keep: Sequence[Any], model: str | os.PathLike[str] | None = None
    ) -> None:
        self._raw = raw
        self._keep = tuple(keep)
        self.names: tuple[str, ...] = tuple(raw.names())
        self.handle, values, valid, ready, header = raw.addresses()
        words = -(-len(self.names) // 64)
        self.values = _view(values, ctypes.c_double, len(self.names))
        self.valid = _view(valid, ctypes.c_uint64, words)
        self.ready = _view(ready, ctypes.c_uint64, words)
        self.header = _view(header, ctypes.c_int64, 7)
        self.scores: Any = np.zeros(0)
        self.outputs: tuple[str, ...] = ()
        if model is not None:
            scores, outputs = raw.score_with(os.fspath(model))
            self.scores, self.outputs = _view(scores, ctypes.c_double, len(outputs)), tuple(outputs)

    def index(self, name: str) -> int:
        """Place of a feature in :attr:`values`."""
        return _index(self.names, name)

    def output(self, name: str) -> int:
        """Place of a score in :attr:`scores`."""
        if name not in self.outputs:
            raise ConfigError(f"no score `{name}`; there are {', '.join(self.outputs) or 'none'}")
        return self.outputs.index(name)

    def advance(self, now: int) -> int:
        """Take every packet received up to a time, outside compiled code."""
        return self._raw.advance(now)

    def check(self) -> None:
        """Raise what stopped the features, if anything did."""
        self._raw.check()


def _view(address: int, kind: Any, length: int) -> Any:
    view = np.ctypeslib.as_array(ctypes.cast(address, ctypes.POINTER(kind)), (length,))
    view.flags.writeable = False
    return view


def _index(names: Sequence[str], name: str) -> int:
    if name not in names:
        raise ConfigError(f"no feature `{name}`; there are {', '.join(names)}")
    return list(names).index(name)


def _decimal(size: float) -> str:
    # The shortest text of a float is the decimal that was meant.
    return format(Decimal(repr(float(size))), "f")


class FeatureAsset(BacktestAsset):
    """The stock asset, which also remembers what its features need.

    Everything is set once, with the stock methods; files and arrays are read where they are.
    """

    def __init__(self) -> None:
        super().__init__()
        self._inputs: list[Any] = []
        self._initial: Any = None
        self._sizes: dict[str, str] = {}
        self._latency_offset = 0

    def add_file(self, data: str) -> FeatureAsset:
        """Add a file of rows."""
        self._inputs.append(os.fspath(data))
        super().add_file(data)
        return self

    def add_data(self, data: Any) -> FeatureAsset:
        """Add an array of rows."""
        self._inputs.append(data)
        super().add_data(data)
        return self

    def initial_snapshot(self, data: Any) -> FeatureAsset:
        """Start from a book: a file or an array."""
        self._initial = data
        super().initial_snapshot(data)
        return self

    def tick_size(self, tick_size: float) -> FeatureAsset:
        """Set the tick size."""
        self._sizes["tick_size"] = _decimal(tick_size)
        super().tick_size(tick_size)
        return self

    def lot_size(self, lot_size: float) -> FeatureAsset:
        """Set the lot size."""
        self._sizes["lot_size"] = _decimal(lot_size)
        super().lot_size(lot_size)
        return self

    def latency_offset(self, latency_offset: int) -> FeatureAsset:
        """Shift local times."""
        self._latency_offset = latency_offset
        super().latency_offset(latency_offset)
        return self

    def features(
        self,
        features: Features = "core_v1",
        *,
        symbol: str = "asset",
        model: str | os.PathLike[str] | None = None,
    ) -> FeatureFeed:
        """Features of this asset, and scores of a model over them, to be pulled while a backtest runs.

        A model of other columns is refused with `SchemaMismatchError`. Call it after the backtest was
        built: hftbacktest applies a latency offset to the user's own array when it builds. One feed is for
        one run.
        """
        raw, keep = self._replay(features, symbol)
        return FeatureFeed(raw, keep, model)

    def precompute(self, features: Features = "core_v1", *, symbol: str = "asset") -> FeatureMatrix:
        """Every frame of this asset at once, for :func:`lookup`.

        Replayed data does not react to orders, so the table holds for every strategy.
        """
        raw, _ = self._replay(features, symbol)
        names = raw.names()
        times, values = raw.rest()
        table = np.frombuffer(values, np.float64).reshape(-1, len(names))
        return FeatureMatrix(np.frombuffer(times, np.int64), table, names)

    def _replay(self, features: Features, symbol: str) -> tuple[_lib.RawReplay, list[Any]]:
        for name in ("tick_size", "lot_size"):
            if name not in self._sizes:
                raise ConfigError(f"{name} was not set")
        if not self._inputs:
            raise ConfigError("no data was set")
        keep = [*self._inputs, self._initial]
        # hftbacktest shifts an array where it lies, so that only files are left to shift.
        is_file = isinstance(self._inputs[0], str)
        raw = _lib.RawReplay(
            features_text(features),
            symbol,
            self._sizes["tick_size"],
            self._sizes["lot_size"],
            [_where(each) for each in self._inputs],
            None if self._initial is None else _where(self._initial),
            self._latency_offset if is_file else 0,
        )
        return raw, keep


def _where(rows: Any) -> str | tuple[int, int]:
    if isinstance(rows, str):
        return rows
    if rows.dtype.itemsize != 64 or rows.ndim != 1 or not rows.flags.c_contiguous:
        raise ConfigError(f"expected a contiguous array of 64-byte rows, got {rows.dtype}")
    return rows.ctypes.data, len(rows)
