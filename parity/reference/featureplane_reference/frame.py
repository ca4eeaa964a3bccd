"""``FeatureUpdateFrameV1``: the bytes of ``specs/abi-v1.md``."""

from __future__ import annotations

import struct
from dataclasses import dataclass

MARKER = b"FUFRAME1"
_HEADER = struct.Struct("<8sQIIQQqqII")
_KNOWN_FLAGS = (1 << 14) - 1


class FrameError(ValueError):
    """Bytes that are no frame of the expected schema."""


@dataclass(frozen=True)
class Frame:
    """One frame; masks are plain integers, ``words`` are the raw 64-bit values."""

    schema_hash: int
    symbol_id: int
    seq: int
    source_seq: int
    source_ts_ns: int
    local_ts_ns: int
    epoch: int
    quality_flags: int
    changed_mask: int
    warmup_ready_mask: int
    valid_mask: int
    words: tuple[int, ...]

    def pack(self) -> bytes:
        """The bytes of the frame."""
        count = len(self.words)
        mask_bytes = 8 * mask_words(count)
        parts = [
            _HEADER.pack(
                MARKER,
                self.schema_hash,
                self.symbol_id,
                count,
                self.seq,
                self.source_seq,
                self.source_ts_ns,
                self.local_ts_ns,
                self.epoch,
                self.quality_flags,
            )
        ]
        parts += [
            mask.to_bytes(mask_bytes, "little") for mask in (self.changed_mask, self.warmup_ready_mask, self.valid_mask)
        ]
        parts.append(struct.pack(f"<{count}Q", *self.words))
        return b"".join(parts)

    @classmethod
    def parse(cls, data: bytes, schema_hash: int, count: int) -> Frame:
        """Decode exactly one frame of the schema, or raise :class:`FrameError`."""
        if len(data) < _HEADER.size:
            raise FrameError("shorter than a header")
        marker, found_hash, symbol_id, found_count, *rest = _HEADER.unpack_from(data)
        seq, source_seq, source_ts_ns, local_ts_ns, epoch, quality_flags = rest
        if marker != MARKER:
            raise FrameError(f"marker {marker!r}")
        if found_hash != schema_hash:
            raise FrameError(f"schema hash {found_hash:016x}, expected {schema_hash:016x}")
        if found_count != count:
            raise FrameError(f"{found_count} features, expected {count}")
        if len(data) != frame_len(count):
            raise FrameError(f"{len(data)} bytes, expected {frame_len(count)}")
        if quality_flags & ~_KNOWN_FLAGS:
            raise FrameError(f"unknown quality bits {quality_flags:#x}")
        mask_bytes = 8 * mask_words(count)
        masks = []
        for i in range(3):
            start = _HEADER.size + i * mask_bytes
            mask = int.from_bytes(data[start : start + mask_bytes], "little")
            if mask >> count:
                raise FrameError("mask bits above the last feature")
            masks.append(mask)
        words = struct.unpack_from(f"<{count}Q", data, _HEADER.size + 3 * mask_bytes)
        return cls(
            found_hash, symbol_id, seq, source_seq, source_ts_ns, local_ts_ns, epoch, quality_flags, *masks, words
        )


def mask_words(count: int) -> int:
    """Number of 64-bit words in each mask."""
    return (count + 63) // 64


def frame_len(count: int) -> int:
    """Length in bytes of a frame of ``count`` features."""
    return _HEADER.size + 24 * mask_words(count) + 8 * count
