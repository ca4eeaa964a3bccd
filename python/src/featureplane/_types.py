"""Types of arguments, for annotations."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from decimal import Decimal
from typing import TYPE_CHECKING, Any, TypeAlias

if TYPE_CHECKING:
    import numpy

Number: TypeAlias = int | str | Decimal
"""Ticks or lots as int; text and Decimal are prices or quantities and are converted exactly."""

Levels: TypeAlias = "Iterable[Sequence[Number]] | numpy.ndarray[Any, numpy.dtype[numpy.integer[Any]]]"
"""Pairs of price and quantity, or an integer array of shape (N, 2) of ticks and lots."""

Orders: TypeAlias = Iterable[Sequence[Number]]
"""Operation, id, side, price and quantity of order events."""

Trades: TypeAlias = Iterable[Sequence[Number | None]]
"""Price, quantity and the side that took liquidity: ``"buy"``, ``"sell"`` or None."""
