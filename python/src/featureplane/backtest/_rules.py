"""What every backtest of a model has in common: the rules, what came of them, and where two runs differ."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeAlias

if TYPE_CHECKING:
    import numpy as np

    Floats: TypeAlias = "np.ndarray[Any, np.dtype[np.float64]]"
    Ints: TypeAlias = "np.ndarray[Any, np.dtype[np.int64]]"

__all__ = ["Rules", "Run", "differences", "edge", "edge_places", "next_target"]


@dataclass(frozen=True)
class Rules:
    """What is traded when, and what it costs.

    Attributes
    ----------
    enter, leave
        The edge (`edge`) beyond which a position is taken, and below which it is given up; ``0 <= leave <=
        enter``.
    quantity
        Size of a position, in units of the base.
    tick_size
        Of the instrument, in units of the quote.
    taker_fee
        Share of the traded value.
    entry_ns, response_ns
        From the decision to the exchange, and from the exchange back; 1 or more.
    collar_ticks
        How far beyond the quote seen an order may trade; what would cost more is not filled.
    start_ns
        Local time before which nothing is sent, UTC ns: the rows that a model was trained on.
    """

    enter: float
    leave: float
    quantity: float
    tick_size: float
    taker_fee: float = 0.0005
    entry_ns: int = 10_000_000
    response_ns: int = 10_000_000
    collar_ticks: int = 1_000
    start_ns: int = 0

    def __post_init__(self) -> None:
        if not 0.0 <= self.leave <= self.enter:
            raise ValueError(f"expected 0 <= leave <= enter, got {self.leave} and {self.enter}")
        if self.quantity <= 0.0 or self.tick_size <= 0.0:
            raise ValueError(f"expected sizes above 0, got {self.quantity} and {self.tick_size}")
        if min(self.entry_ns, self.response_ns) < 1 or self.collar_ticks < 0:
            raise ValueError("expected latencies of 1 ns or more, and a collar of 0 ticks or more")


@dataclass(frozen=True)
class Run:
    """What one backtest did, at every time when packets were received.

    Attributes
    ----------
    name
        Of the way it was run.
    times_ns
        Local time, UTC ns, ascending.
    packets
        Packets seen so far; those of one local time are seen together.
    edges
        The edge then; NaN without a score.
    targets
        The position that was wanted then: -1, 0 or 1.
    equity
        Money, after fees, and the position at the mid, as known then, in units of the quote.
    paid
        Fees so far, as known then, in units of the quote.
    trades
        Number of trades.
    balance, fees
        Money from trades, fees not taken off, and the fees, in units of the quote.
    position
        At the end, in units of the base.
    """

    name: str
    times_ns: Ints
    packets: Ints
    edges: Floats
    targets: Ints
    equity: Floats
    paid: Floats
    trades: int
    balance: float
    fees: float
    position: float

    @property
    def profit(self) -> float:
        """Last equity, in units of the quote."""
        return float(self.equity[-1])


def next_target(edge: float, target: int, enter: float, leave: float) -> int:
    """Position wanted: -1, 0 or 1; what it was without an edge (NaN) and between the thresholds."""
    if edge > enter:
        return 1
    if edge < -enter:
        return -1
    if -leave <= edge <= leave:
        return 0
    # A position is kept until its edge is gone, and given up when the other side has one.
    if (target > 0 and edge < 0.0) or (target < 0 and edge > 0.0):
        return 0
    return target


def edge_places(outputs: tuple[str, ...]) -> tuple[int, int, float]:
    """Place of the score for a rise, of that against it (-1: there is none), and what stands for that.

    A probability of rises that stands alone counts from one half, the score of a regression from 0.

    Raises
    ------
    ValueError
        The model is no regression and has no class ``up``.
    """
    if outputs == ("score",):
        return 0, -1, 0.0
    if "p_up" not in outputs:
        raise ValueError(f"expected a score or a class `up`, the model has {', '.join(outputs)}")
    return outputs.index("p_up"), outputs.index("p_down") if "p_down" in outputs else -1, 0.5


def edge(scores: Any, plus: int, minus: int, base: float) -> float:
    """Score for a rise less that against it, NaN without scores; see `edge_places`."""
    if minus >= 0:
        return float(scores[plus] - scores[minus])
    return float(scores[plus] - base)


def differences(one: Run, other: Run) -> list[str]:
    """Say where two runs of the same model differ: times and packets seen, edges bit for bit, signals.

    Empty when every signal is the same.
    """
    import numpy as np

    if len(one.times_ns) != len(other.times_ns):
        return [f"{one.name} saw packets at {len(one.times_ns)} times, {other.name} at {len(other.times_ns)}"]
    found = []
    for what in ("times_ns", "packets", "edges", "targets"):
        mine, theirs = getattr(one, what).view(np.int64), getattr(other, what).view(np.int64)
        if what == "edges":
            mine, theirs = (np.where(np.isnan(x), 0, x.view(np.int64)) for x in (one.edges, other.edges))
        places = np.flatnonzero(mine != theirs)
        if len(places):
            at = places[0]
            found.append(f"{what} differ at {len(places)} of {len(mine)} times, first at {one.times_ns[at]}: "
                         f"{getattr(one, what)[at]} and {getattr(other, what)[at]}")  # fmt: skip
    return found
