"""What every feature has, and the view of a frame that it computes from."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field
from typing import Any

from ..book import Book

Value = int | float | None


@dataclass
class View:
    """What a feature sees when a frame is made."""

    book: Book
    now: int  # t_eff of the frame
    last_book_t: int  # t_eff of the last book packet that was applied
    gap_step: bool  # packets are missing before this one (D4)
    ts_event: int  # stamps of the packet as given
    ts_recv: int
    price_unit: int  # 10**price_scale
    qty_unit: int  # 10**qty_scale
    bid: int = 0  # best bid and ask, set on a two-sided or locked book
    bid_qty: int = 0
    ask: int = 0
    ask_qty: int = 0
    frozen: bool = False  # the book is crossed or one-sided
    trades: list[Any] = field(default_factory=list)  # [ticks, lots, aggressor] of the packet
    tick: int = 1  # scaled price of one tick
    lot: int = 1  # scaled quantity of one lot
    shared: dict[Any, Any] = field(default_factory=dict)  # what columns of one frame have in common


class Feature:
    """One column.

    ``value`` is the value of the newest frame on which the feature was not frozen, or ``None`` if
    that value is undefined. ``word`` keeps the last defined value.
    """

    reads = "book"  # or "clock", "trades"
    is_window = False

    def __init__(self, params: dict[str, Any], inputs: dict[str, Feature]) -> None:
        self.params = params
        self.name = ""
        self.dtype = ""
        self.warmup_min_events = 0
        self.warmup_min_ns = 0
        self.reset()

    def reset(self) -> None:
        """Forget everything, as at the start of an epoch."""
        self.value: Value = None
        self.word = 0
        self.steps = 0
        self.stepped = False
        self.clamped = False  # an input was too large in this packet
        self.clear_state()

    def clear_state(self) -> None:
        """Forget the state of the subclass."""

    def advance(self, view: View) -> None:
        """Take one step."""
        self.value = self.compute(view)
        self.stepped = True
        self.steps += 1

    def compute(self, view: View) -> Value:
        """The value after a step."""
        raise NotImplementedError

    def idle(self, view: View) -> None:
        """A frame that is no step and not frozen: the value stays."""

    def break_chain(self) -> None:
        """Packets are missing before this one: nothing may be computed across."""

    def settle(self, view: View) -> None:
        """The packet is over; called on every frame, on frozen books too."""

    def at(self, now: int, last_book_t: int) -> Value:
        """The value of a sampled row, when it is not the value of the last frame."""
        raise NotImplementedError

    resamples = False  # whether `at` is defined


class Derived(Feature):
    """A column over the feature ``of``, which steps when that one does and has a value."""

    def __init__(self, params: dict[str, Any], inputs: dict[str, Feature]) -> None:
        self.source = inputs[params["of"]]
        self.reads = self.source.reads
        super().__init__(params, inputs)

    def advance(self, view: View) -> None:
        self.stepped = self.source.stepped and self.source.value is not None
        if self.stepped:
            self.step(view)
            self.steps += 1
        self.value = self.exported(view.now)

    def step(self, view: View) -> None:
        """Take the value of the source."""
        raise NotImplementedError

    def exported(self, now: int) -> Value:
        """The value of the column at this time."""
        raise NotImplementedError


class Windowed(Derived):
    """A column over the last ``count`` steps of its source, or over those of the last ``window_ns``."""

    is_window = True
    resamples = True

    def __init__(self, params: dict[str, Any], inputs: dict[str, Feature]) -> None:
        self.count, self.window_ns = params.get("count"), params.get("window_ns")
        if (self.count is None) == (self.window_ns is None):
            raise ValueError("a window has either count or window_ns")
        super().__init__(params, inputs)

    def clear_state(self) -> None:
        self.window: deque[tuple[int, int]] = deque()
        self.clear_totals()

    def break_chain(self) -> None:
        if self.count is not None:
            self.clear_state()
            self.steps = 0

    def idle(self, view: View) -> None:
        self.value = self.exported(view.now)

    def at(self, now: int, last_book_t: int) -> Value:
        return self.exported(now)

    def push(self, now: int, entry: int) -> None:
        """Take an entry; a count window lets go of its oldest."""
        self.window.append((now, entry))
        self.add(entry, 1)
        if self.count is not None and len(self.window) > self.count:
            self.add(self.window.popleft()[1], -1)

    def exported(self, now: int) -> Value:
        while self.window_ns is not None and self.window and self.window[0][0] <= now - self.window_ns:
            self.add(self.window.popleft()[1], -1)
        return self.of_window()

    def clear_totals(self) -> None:
        """Set the totals to those of an empty window."""
        raise NotImplementedError

    def add(self, entry: int, sign: int) -> None:
        """Add an entry to the totals, or remove it with sign -1."""
        raise NotImplementedError

    def of_window(self) -> Value:
        """The value of the entries."""
        raise NotImplementedError


@dataclass(frozen=True)
class Column:
    """What the registry says about a column."""

    make: type[Feature]
    dtype: str
    scale: str
    unit: str
    warmup_min_events: int = 1
    warmup_ns_param: str | None = None
    warmup_count_param: str | None = None
    params: dict[str, Any] = field(default_factory=dict)  # defaults; None must be given
    name: str | None = None  # default name; None is the column id
