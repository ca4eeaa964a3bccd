"""The live plane from Python: latest frames of another process, and strategies (``specs/live.md``)."""

from __future__ import annotations

import dataclasses
import json
import mmap
import os
import platform
import struct
import time
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING

from featureplane import _lib, _replay
from featureplane._convert import Features, features_text
from featureplane._lib import FeatureEngine, FeatureView
from featureplane.errors import (
    ConfigError,
    DecodeError,
    InputError,
    SchemaMismatchError,
    UnknownFeatureError,
    UnknownSymbolError,
)
from featureplane.frames import _dtype_of, frame_bytes

if TYPE_CHECKING:
    import numpy

__all__ = ["LatestFrame", "LatestFrames", "Strategy", "StrategyRunner"]

_HEADER = struct.Struct("<8s5Q")
_HEADER_BYTES, _LINE_BYTES, _SLOT_HEADER_BYTES = 64, 64, 32
_CLOSED = 2
# A writer that the system stopped in the middle of a frame is waited for, for a second in all.
_TRIES, _SLEEPS, _SLEEP_S = 64, 10_000, 1e-4
# Only where the processor keeps loads in order is a copy by an interpreter safe without fences.
_ORDERED = {"x86_64", "AMD64", "i686", "x86"}


@dataclasses.dataclass(frozen=True)
class LatestFrame:
    """A consistent copy of what was published last.

    Attributes
    ----------
    frame : numpy.void
        The frame as a record of `featureplane.frame_dtype`.
    published : int
        Frames of the symbol published so far, this one included: the difference between two reads says
        how many were not seen.
    published_ns : int
        When it was published by the writer's clock, UTC ns; 0 when it has none.
    scores : dict of str to float or None
        Scores of the model by name; None when it gave none for this frame.
    """

    frame: numpy.void
    published: int
    published_ns: int
    scores: dict[str, float] | None

    @property
    def quality_flags(self) -> int:
        """Quality bits of the frame."""
        return int(self.frame["quality_flags"])

    def value(self, name: str) -> float | int | None:
        """Return a value by name; None when it is not defined for this frame.

        Raises
        ------
        UnknownFeatureError
            The set has no such feature.
        """
        values = self.frame["values"]
        names = values.dtype.names
        if name not in names:
            raise UnknownFeatureError(f"no feature {name!r} in this frame")
        word, bit = divmod(names.index(name), 64)
        if not int(self.frame["valid_mask"][word]) >> bit & 1:
            return None
        value: float | int = values[name].item()
        return value

    def score(self, name: str) -> float | None:
        """Return a score by name; None when the model gave none for this frame.

        Raises
        ------
        UnknownFeatureError
            The model has no such output.
        """
        if self.scores is None:
            return None
        if name not in self.scores:
            raise UnknownFeatureError(f"no score {name!r}; there are {', '.join(self.scores) or 'none'}")
        return self.scores[name]


class LatestFrames:
    """The latest frame of every symbol, as another process publishes it in a file.

    Needs NumPy.

    Parameters
    ----------
    path
        File that ``featureplane live --latest`` or ``LatestWriter`` in Rust writes.
    features
        Feature set that the reader was written for.

    Raises
    ------
    SchemaMismatchError
        The file is of another feature set.
    DecodeError
        The file is no table of latest frames, or its parts do not fit each other.
    InputError
        The file cannot be read.
    """

    def __init__(self, path: str | os.PathLike[str], features: Features) -> None:
        described = _lib.describe_set(features_text(features))
        self._path = os.fspath(path)
        self._count = len(described["features"])
        self._dtype = _dtype_of(described["canonical_json"])
        try:
            with Path(self._path).open("rb") as file:
                self._map = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
        except OSError as error:
            raise InputError(f"{self._path}: {error.strerror}", path=self._path, errno=error.errno) from error
        except ValueError as error:  # an empty file cannot be mapped
            raise self._broken("it is empty", 0) from error
        try:
            self._parse(described["schema_hash"])
        except BaseException:
            self._map.close()
            raise

    def _broken(self, message: str, offset: int) -> DecodeError:
        text = f"{self._path}: no table of latest frames: {message}"
        return DecodeError(text, path=self._path, offset=offset)

    def _parse(self, schema_hash: str) -> None:
        if len(self._map) < _HEADER_BYTES:
            raise self._broken(f"{len(self._map)} bytes", 0)
        marker, found, counts, slots, _, text_bytes = _HEADER.unpack_from(self._map)
        if marker != b"FPLATES1":
            raise self._broken(f"the marker is {marker!r}", 0)
        if f"{found:016x}" != schema_hash:
            message = f"{self._path}: expected schema {schema_hash}, found {found:016x}"
            raise SchemaMismatchError(message, path=self._path)
        try:
            text = json.loads(self._map[_HEADER_BYTES : _HEADER_BYTES + text_bytes])
            self._symbols: list[str] = list(text["symbols"])
            self._outputs: list[str] = list(text["outputs"])
        except (ValueError, KeyError, TypeError) as error:
            raise self._broken(f"its text: {error}", _HEADER_BYTES) from error
        self._start = _up(_HEADER_BYTES + text_bytes)
        self._frame_at = _SLOT_HEADER_BYTES + 8 * len(self._outputs)
        self._used = self._frame_at + frame_bytes(self._count)
        self._stride = _up(self._used)
        expected = (
            self._count | len(self._symbols) << 32,
            self._stride // 8 | len(self._outputs) << 32,
            self._start + self._stride * len(self._symbols),
        )
        if (counts, slots, len(self._map)) != expected:
            raise self._broken(f"sizes are {(counts, slots, len(self._map))}, expected {expected}", 16)

    @property
    def symbols(self) -> list[str]:
        """Symbols in the order of their ids."""
        return list(self._symbols)

    @property
    def is_closed(self) -> bool:
        """Whether the writer has ended in good order. A writer that was killed has not."""
        return self._word(32) == _CLOSED

    def read(self, symbol: str) -> LatestFrame | None:
        """Return a consistent copy of the latest frame; None before the first one.

        Raises
        ------
        UnknownSymbolError
            The table has no such symbol.
        DecodeError
            The writer ended in the middle of a frame, or the frame is broken.
        ConfigError
            The processor of this machine may reorder loads, so that a copy made by an interpreter
            cannot be trusted.
        """
        import numpy as np

        if platform.machine() not in _ORDERED:
            raise ConfigError(f"latest frames cannot be read from Python on {platform.machine()}")
        at = self._slot(symbol)
        for _ in range(_SLEEPS):
            for _ in range(_TRIES):
                version = self._word(at)
                if version == 0:
                    return None
                words = self._map[at : at + self._used]
                if version % 2 == 0 and self._word(at) == version:
                    break
            else:
                time.sleep(_SLEEP_S)
                continue
            _, published, published_ns, scored = struct.unpack_from("<2QqQ", words)
            scores = struct.unpack_from(f"<{len(self._outputs)}d", words, _SLOT_HEADER_BYTES)
            return LatestFrame(
                np.frombuffer(words, self._dtype, 1, self._frame_at)[0],
                published,
                published_ns,
                dict(zip(self._outputs, scores, strict=True)) if scored else None,
            )
        raise self._broken(f"the frame of {symbol} is unfinished, its writer has ended", at)

    def view(self, symbol: str) -> numpy.void:
        """Return the live memory of the latest frame as a read-only record, without a copy.

        The writer changes it at any time: single fields may be read from it, but only `read` gives
        fields that belong to one frame. While it is in use the table cannot be closed.

        Raises
        ------
        UnknownSymbolError
            The table has no such symbol.
        """
        import numpy as np

        frames = np.frombuffer(self._map, self._dtype, 1, self._slot(symbol) + self._frame_at)
        view: numpy.void = frames[0]
        return view

    def close(self) -> None:
        """Let go of the file."""
        self._map.close()

    def __enter__(self) -> LatestFrames:
        """Return the table."""
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        value: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Let go of the file."""
        self.close()

    def _slot(self, symbol: str) -> int:
        if symbol not in self._symbols:
            known = ", ".join(self._symbols)
            raise UnknownSymbolError(f"unknown symbol {symbol}; known: {known}", symbol=symbol)
        return self._start + self._stride * self._symbols.index(symbol)

    def _word(self, at: int) -> int:
        return int.from_bytes(self._map[at : at + 8], "little")


def _up(size: int) -> int:
    return -(-size // _LINE_BYTES) * _LINE_BYTES


class Strategy:
    """A strategy that consumes features and computes none; subclass it."""

    required_feature_set_id: str | None = None
    """Feature set that it was written for; None takes any set that has its features."""

    required_features: tuple[str, ...] = ()
    """Names of the features that it reads."""

    def on_features(self, view: FeatureView) -> None:
        """See a frame in which a required feature changed, or which carries a quality bit."""
        raise NotImplementedError


class StrategyRunner:
    """Runs a strategy behind an engine.

    Parameters
    ----------
    strategy
        What to run.
    features
        Feature set that it gets.

    Raises
    ------
    ConfigError
        The strategy was written for another set.
    UnknownFeatureError
        The set lacks features that it reads; all of them are named.

    Examples
    --------
    >>> class Counts(Strategy):
    ...     required_features = ("best_bid",)
    ...     seen = 0
    ...     def on_features(self, view):
    ...         self.seen += view.value("best_bid") is not None
    >>> strategy = Counts()
    >>> StrategyRunner(strategy, "lob_shared_v1").run(example_log)
    3
    >>> strategy.seen
    2
    """

    def __init__(self, strategy: Strategy, features: Features) -> None:
        described = _lib.describe_set(features_text(features))
        name, found = type(strategy).__name__, described["id"]
        required = strategy.required_feature_set_id
        if required is not None and required != found:
            raise ConfigError(f"{name} was written for feature set {required}, the engine has {found}")
        there = {feature["name"] for feature in described["features"]}
        missing = [feature for feature in strategy.required_features if feature not in there]
        if missing:
            raise UnknownFeatureError(f"{name} needs {', '.join(missing)}; feature set {found} lacks them")
        self._strategy = strategy
        self._features = features
        self._schema_hash: str = described["schema_hash"]

    def attach(self, engine: FeatureEngine) -> int:
        """Let the strategy see the frames of an engine; return the handle for `unsubscribe`.

        Raises
        ------
        SchemaMismatchError
            The engine has another feature set.
        """
        required = list(self._strategy.required_features)
        return engine.on_features(self._strategy.on_features, required, self._schema_hash)

    def run(self, log: str | os.PathLike[str]) -> int:
        """Run over a packet log to its end; return the number of frames.

        Raises
        ------
        DecodeError
            The file is no packet log; ``path`` and ``line`` say where.
        """
        return sum(1 for _ in _replay.frames(Path(log), self._features, self.attach))
