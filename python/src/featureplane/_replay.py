"""Packet logs through `FeatureEngine`: the Python path of the parity check.

The log is read here, in Python, so that no compiled reader can hide a difference.
"""

from __future__ import annotations

import gzip
import json
import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import IO, Any

from featureplane._convert import Features, features_text
from featureplane._lib import FeatureEngine
from featureplane.errors import ConfigError, DecodeError, SchemaMismatchError

__all__ = ["frames", "replay"]


def replay(path: str | os.PathLike[str], features: Features | None = None) -> bytes:
    """Return the frames of a packet log, one after the other, as an engine makes them packet by packet.

    Parameters
    ----------
    path
        Packet log, plain or gzip.
    features
        Feature set; None takes the one of the log.

    Returns
    -------
    bytes
        `FeatureUpdateFrameV1` frames; `decode_frames` makes records of them.

    Raises
    ------
    DecodeError
        The file is no packet log; ``path`` and ``line`` say where.
    ConfigError
        The log names no feature set and none is given.
    SchemaMismatchError
        The feature set of the log has changed since it was written.

    Examples
    --------
    >>> import featureplane as fp
    >>> len(fp.replay(example_log, "lob_shared_v1")) // 216
    3
    """
    return b"".join(frames(Path(path), features))


def frames(
    path: Path, features: Features | None, attach: Callable[[FeatureEngine], object] | None = None
) -> Iterator[bytes]:
    """Yield the frames of a packet log; `attach` is called with the engine before the first packet."""
    with _open(path) as lines:
        header = _json(path, 1, lines.readline())
        engine, symbol = _engine(path, header, features)
        if attach is not None:
            attach(engine)
        process, frame_bytes = engine.process_packet_runs, engine.frame_bytes
        loads = json.loads
        for number, line in enumerate(lines, start=2):
            if not line.strip():
                continue
            try:
                packet = loads(line)
                kind, e, r, s, f, p = (packet[key] for key in "kersfp")
                orders = packet.pop("o", ())
                if len(packet) != 9 or packet["c"] not in (0, 1):
                    raise ValueError("a packet has the keys k, e, r, s, f, p, c, runs, t and perhaps o")
                c = packet["c"] == 1
                made = process(symbol, kind, e, r, s, f, p, c, packet["runs"], orders, packet["t"])
            except (ValueError, KeyError, TypeError, OverflowError) as error:
                message = f"{path}: line {number}: {type(error).__name__}: {error}"
                raise DecodeError(message, path=str(path), line=number, symbol=symbol) from error
            if made:
                frame = frame_bytes(symbol)
                if frame is not None:
                    yield frame


def _engine(path: Path, header: Any, features: Features | None) -> tuple[FeatureEngine, str]:
    """Build the engine that the header describes."""
    if not isinstance(header, dict) or header.get("featureplane_packets") != 1:
        raise DecodeError(f"{path}: no packet log of version 1", path=str(path), line=1)
    settings = dict(header["instrument"])
    symbol_id, symbol = settings.pop("symbol_id", 0), settings.pop("symbol", "") or "SYMBOL"
    # An engine numbers its symbols from 0; others stand before this one.
    symbols = {f"{symbol}#{other}": settings for other in range(symbol_id)} | {symbol: settings}
    if features is not None:
        return FeatureEngine(features_text(features), symbols), symbol
    given = header.get("feature_set_json")
    if given is None:
        raise ConfigError(f"{path}: the log names no feature set; give one", path=str(path), line=1)
    engine = FeatureEngine(given if isinstance(given, str) else json.dumps(given), symbols)
    if engine.schema_hash != header["schema_hash"]:
        raise SchemaMismatchError(
            f"{path}: the log is of feature set {header['schema_hash']}, "
            f"this version makes {engine.schema_hash} of it",
            path=str(path),
            line=1,
        )
    return engine, symbol


def _open(path: Path) -> IO[str]:
    with path.open("rb") as probe:
        packed = probe.read(2) == b"\x1f\x8b"
    return gzip.open(path, "rt", encoding="utf-8") if packed else path.open(encoding="utf-8")


def _json(path: Path, number: int, line: str) -> Any:
    try:
        return json.loads(line)
    except ValueError as error:
        message = f"{path}: line {number}: {error}"
        raise DecodeError(message, path=str(path), line=number) from error
