"""Quality bits of a frame and of a row."""

from __future__ import annotations

import enum

__all__ = ["QualityFlags"]


class QualityFlags(enum.IntFlag):
    """What a consumer must know about a frame; 0 is clean.

    Examples
    --------
    >>> QualityFlags(0x11)
    <QualityFlags.GAP_DETECTED|PARTIAL_FEATURES: 17>
    """

    GAP_DETECTED = 1 << 0
    """Updates are missing before this packet."""
    STATE_RESET = 1 << 1
    """All state was cleared before this packet."""
    STALE_INPUT = 1 << 2
    """The packet arrived more than `max_age_ns` after the event."""
    OUT_OF_ORDER_INPUT = 1 << 3
    """Late packets were dropped since the last frame."""
    PARTIAL_FEATURES = 1 << 4
    """Some values are held from an earlier frame."""
    DUPLICATE_INPUT = 1 << 5
    """Repeated packets were dropped since the last frame."""
    CROSSED_BOOK = 1 << 6
    """Best bid above best ask."""
    LOCKED_BOOK = 1 << 7
    """Best bid equal to best ask."""
    ONE_SIDED_BOOK = 1 << 8
    """A side of the book is empty."""
    REJECTED_INPUT = 1 << 9
    """Events were refused since the last frame."""
    TS_ANOMALY = 1 << 10
    """A source time went backward, was missing, or lay in the far future."""
    SATURATED = 1 << 11
    """A value was clamped to the range of its type."""
    UNVERIFIED_BOOK = 1 << 12
    """No snapshot has confirmed the book yet, or the feed has no sequence."""
    CHECKSUM_MISMATCH = 1 << 13
    """The venue's checksum did not match the book."""
