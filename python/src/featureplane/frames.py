"""`FeatureUpdateFrameV1` as NumPy records (``specs/abi-v1.md``)."""

from __future__ import annotations

import functools
import json
from typing import TYPE_CHECKING, Any

from featureplane import _lib
from featureplane._convert import Features, features_text
from featureplane.errors import DecodeError

if TYPE_CHECKING:
    import numpy

__all__ = ["decode_frame", "decode_frames", "frame_bytes", "frame_dtype"]

_HEADER = (
    ("marker", "S8", 0),
    ("schema_hash", "<u8", 8),
    ("symbol_id", "<u4", 16),
    ("feature_count", "<u4", 20),
    ("seq", "<u8", 24),
    ("source_seq", "<u8", 32),
    ("source_ts_ns", "<i8", 40),
    ("local_ts_ns", "<i8", 48),
    ("epoch", "<u4", 56),
    ("quality_flags", "<u4", 60),
)
_TYPES = {"i64": "<i8", "f64": "<f8", "u32": "<u4"}


def frame_bytes(feature_count: int) -> int:
    """Return the length of a frame in bytes.

    Examples
    --------
    >>> frame_bytes(16)
    216
    """
    return 64 + 24 * -(-feature_count // 64) + 8 * feature_count


def frame_dtype(features: Features) -> numpy.dtype[numpy.void]:
    """Return the NumPy type of one frame of a feature set.

    Header fields have the names of the specification, the masks are arrays of uint64, and ``values`` has
    one field per feature. An array of this type over a file of frames needs no copy.

    Parameters
    ----------
    features
        Feature set, as for `extract`.

    Examples
    --------
    >>> frame_dtype("lob_shared_v1").itemsize
    216
    >>> frame_dtype("lob_shared_v1")["values"].names[:2]
    ('best_bid', 'best_ask')
    """
    described = _lib.describe_set(features_text(features))
    return _dtype_of(described["canonical_json"])


def decode_frame(data: bytes, features: Features) -> numpy.void:
    """Check the bytes of one frame and return it as a read-only record.

    Raises
    ------
    SchemaMismatchError
        The frame is of another feature set.
    DecodeError
        Marker, count, length, quality bits or masks are wrong; ``offset`` says where.
    """
    frame: numpy.void = decode_frames(data, features, count=1)[0]
    return frame


def decode_frames(
    data: bytes, features: Features, count: int | None = None
) -> numpy.ndarray[Any, numpy.dtype[numpy.void]]:
    """Check the bytes of frames that follow each other and return them as read-only records.

    Parameters
    ----------
    data
        Bytes of the frames.
    features
        Feature set, as for `extract`.
    count
        Number of frames that must be there; None takes as many as there are.

    Raises
    ------
    SchemaMismatchError, DecodeError
        As `decode_frame`.
    """
    import numpy as np

    described = _lib.describe_set(features_text(features))
    feature_count = len(described["features"])
    size = frame_bytes(feature_count)
    expected = max(len(data) // size, 1) if count is None else count
    if count is None and len(data) % size:
        raise DecodeError(f"{len(data)} bytes are no whole number of frames of {size}", offset=len(data))
    if count != 1:
        if len(data) != expected * size:
            raise DecodeError(f"expected {expected} frames of {size} bytes, found {len(data)}")
        for index in range(expected):
            part = data[index * size : (index + 1) * size]
            _lib.decode_frame(part, described["schema_hash"], feature_count)
    else:
        _lib.decode_frame(data, described["schema_hash"], feature_count)
    return np.frombuffer(data, dtype=_dtype_of(described["canonical_json"]))


@functools.lru_cache(maxsize=64)
def _dtype_of(canonical_json: str) -> numpy.dtype[numpy.void]:
    import numpy as np

    features = json.loads(canonical_json)["features"]
    n, m = len(features), -(-len(features) // 64)
    values = np.dtype(
        {
            "names": [feature["name"] for feature in features],
            "formats": [_TYPES[feature["dtype"]] for feature in features],
            "offsets": [8 * index for index in range(n)],
            "itemsize": 8 * n,
        }
    )
    fields: list[tuple[str, Any, int]] = list(_HEADER)
    for index, mask in enumerate(("changed_mask", "warmup_ready_mask", "valid_mask")):
        fields.append((mask, ("<u8", (m,)), 64 + 8 * m * index))
    fields.append(("values", values, 64 + 24 * m))
    names, formats, offsets = (list(column) for column in zip(*fields, strict=True))
    return np.dtype({"names": names, "formats": formats, "offsets": offsets, "itemsize": frame_bytes(n)})


def _values_of(data: bytes, canonical_json: str) -> numpy.void:
    """Return the values of a frame that the engine made."""
    import numpy as np

    values: numpy.void = np.frombuffer(data, dtype=_dtype_of(canonical_json))["values"][0]
    return values
