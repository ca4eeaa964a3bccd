"""Who took liquidity in a trade. Spec: ``specs/features/trades.md``."""

from __future__ import annotations

from typing import Any

from .base import View


class Aggressors:
    """Signs trades one after the other."""

    def __init__(self) -> None:
        self.forget()

    def forget(self) -> None:
        """Packets are missing: neither the quotes nor the last prices tell anything."""
        self.quotes: tuple[int, int] | None = None
        self.last: int | None = None
        self.direction = 0

    def settle(self, view: View) -> None:
        """The quotes after a packet are those that the trades of the next one met."""
        self.quotes = None if view.frozen else (view.bid, view.ask)

    def sign(self, trade: list[Any], tick: int) -> tuple[int, int]:
        """Sign of a trade and confidence in thousandths; (0, 0) when nothing tells."""
        ticks, _, aggressor = trade
        if self.last is not None and ticks != self.last:
            self.direction = 1 if ticks > self.last else -1
        self.last = ticks
        if aggressor in ("buy", "sell"):
            return (1 if aggressor == "buy" else -1), 1000
        if self.quotes is not None:
            (bid, ask), price = self.quotes, ticks * tick
            above, below = price - bid, ask - price  # distances from the quotes
            if above != below:
                sure = 1000 if above <= 0 or below <= 0 else 800
                return (1 if above > below else -1), sure
        return self.direction, 500 if self.direction else 0
