"""Polls order books of one venue through ccxt into a file that the input format ``ccxt`` reads.

A venue is a remote machine: it answers late, refuses, and answers nonsense. A poll that fails leaves no line
and makes the next one wait longer; everything else ends the collection with what was collected kept.
"""

from __future__ import annotations

import importlib
import json
import os
import re
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime, timezone
from decimal import Decimal
from pathlib import Path
from typing import Any, TextIO

from featureplane._convert import Features
from featureplane._extract import extract_to_file
from featureplane.errors import InputError, OutputError

__all__ = ["VENUES", "Collected", "Collector", "Pace", "Plan", "write_features", "write_raw_parquet"]

# Only spot books are polled, and derivatives would be most of what a list of markets transfers.
_SPOT = {"fetchMarkets": {"types": ["spot"]}}
VENUES: dict[str, dict[str, Any]] = {
    "kucoin": {"fetchMarkets": {"types": ["spot"], "fetchTickersFees": False}},
    "kraken": {},
    "bybit": _SPOT,
    "binance": _SPOT,
}
"""Names of the venues, with the options of ccxt that they need."""

_TIMEOUT_MS = 10_000
_MOST_LEVELS = 100
# What the caller's stop may cost: the longest sleep in one piece.
_SLICE_S = 0.05


@dataclass(frozen=True)
class Plan:
    """What to collect.

    Attributes
    ----------
    exchange, symbol
        A name of `VENUES` and a symbol as ccxt writes it: ``BTC/USDT``.
    levels
        Levels of each side that are kept, 1 to 100.
    hz
        Polls per second that are aimed at; what the venue allows is never exceeded.
    duration_s
        Seconds until the collection ends by itself; None goes on until it is stopped.
    endpoint
        ``scheme://host`` of another machine that speaks the venue's protocol; None asks the venue.
    retry_s, retry_most_s
        Seconds to wait after a failed poll, doubled with every further one up to the second number.
    """

    exchange: str
    symbol: str
    levels: int = 20
    hz: float = 3.0
    duration_s: float | None = None
    endpoint: str | None = None
    retry_s: float = 1.0
    retry_most_s: float = 60.0

    def __post_init__(self) -> None:
        if self.exchange not in VENUES:
            raise ValueError(f"expected an exchange of {', '.join(VENUES)}, got {self.exchange}")
        if not 1 <= self.levels <= _MOST_LEVELS:
            raise ValueError(f"expected 1 to {_MOST_LEVELS} levels, got {self.levels}")
        if not 0.0 < self.hz <= 100.0:
            raise ValueError(f"expected a rate above 0 and up to 100 Hz, got {self.hz}")
        if self.duration_s is not None and self.duration_s <= 0.0:
            raise ValueError(f"expected a duration above 0 s, got {self.duration_s}")


@dataclass
class Collected:
    """What came of it.

    Attributes
    ----------
    books
        Lines written.
    failed
        Polls that gave no book.
    skipped
        Polls that were due while another one was under way or waited.
    tick_size, lot_size
        Sizes of the market as the venue states them, decimal text; None where it states none.
    ndjson
        The file; None when there was no book.
    """

    tick_size: str | None
    lot_size: str | None
    books: int = 0
    failed: int = 0
    skipped: int = 0
    ndjson: Path | None = None


class Pace:
    """Slots on a fixed grid: a slow answer costs slots, it moves none and none are caught up."""

    def __init__(self, hz: float, clock: Callable[[], float] = time.monotonic) -> None:
        self._period, self._clock = 1.0 / hz, clock
        self._start, self._slot = clock(), 0
        self.skipped = 0

    def wait_s(self) -> float:
        """Seconds until the next slot; slots that are over count as skipped."""
        elapsed = self._clock() - self._start
        following = max(self._slot + 1, int(elapsed / self._period) + 1)
        self.skipped += following - self._slot - 1
        self._slot = following
        return max(0.0, following * self._period - elapsed)


@dataclass
class Collector:
    """One collection; `stop` may be called from a signal handler.

    Attributes
    ----------
    say
        Called with a line of text about each failed poll.
    """

    plan: Plan
    say: Callable[[str], object] = field(default=lambda _line: None)
    _stopped: bool = False

    def stop(self) -> None:
        """End after the poll under way."""
        self._stopped = True

    def run(self, directory: str | os.PathLike[str]) -> Collected:
        """Collect into ``<exchange>_<symbol>_<start>.ndjson`` of a directory, until the end or `stop`.

        Until it is complete the file ends in ``.part``.

        Raises
        ------
        InputError
            The venue does not know the symbol, or cannot be asked in a way that waiting mends.
        OutputError
            The file cannot be written.
        """
        ccxt: Any = importlib.import_module("ccxt")
        venue = _venue(ccxt, self.plan)
        try:
            market = _market(venue, self.plan.symbol)
        except (ccxt.BaseError, *_NONSENSE) as error:
            raise InputError(f"{self.plan.exchange}: {_short(error)}") from error
        precision = market["precision"]
        found = Collected(_decimal(precision["price"]), _decimal(precision["amount"]))
        start = datetime.now(timezone.utc).strftime("%Y%m%dT%H%M%SZ")
        name = re.sub(r"[^A-Za-z0-9]+", "-", self.plan.symbol)
        path = Path(directory) / f"{self.plan.exchange}_{name}_{start}.ndjson"
        part = path.with_name(path.name + ".part")
        try:
            with _settled(part, path, found) as file:
                self._poll_all(ccxt, venue, file, found)
        except InputError:
            raise
        except OSError as error:
            raise OutputError(f"{part}: {error}", path=str(part)) from error
        return found

    def _poll_all(self, ccxt: Any, venue: Any, file: TextIO, found: Collected) -> None:
        end = None if self.plan.duration_s is None else time.monotonic() + self.plan.duration_s
        pace, failures = Pace(self.plan.hz), 0
        while not self._stopped and (end is None or time.monotonic() < end):
            try:
                line = _line(venue, self.plan)
                failures, wait_s = 0, 0.0
            except (ccxt.BaseError, *_NONSENSE) as error:
                if not _may_pass(ccxt, error):
                    raise InputError(f"{self.plan.exchange}: {_short(error)}") from error
                line, failures = None, failures + 1
                wait_s = _retry_s(self.plan, failures, venue)
                self.say(f"{self.plan.exchange}: {_short(error)}; waiting {wait_s:.1f} s")
            if line is not None:
                file.write(line)
                file.flush()
                found.books += 1
            found.failed += line is None
            self._sleep(wait_s, end)
            self._sleep(pace.wait_s(), end)
            found.skipped = pace.skipped

    def _sleep(self, wait_s: float, end: float | None) -> None:
        # A handler may only set a flag: an event's lock may be the one that the interrupted code holds.
        until = time.monotonic() + wait_s
        until = until if end is None else min(until, end)
        while not self._stopped and (left := until - time.monotonic()) > 0.0:
            time.sleep(min(left, _SLICE_S))


# What ccxt raises by accident when an answer has not the shape that it expects.
_NONSENSE = (AttributeError, IndexError, KeyError, TypeError, ValueError)


def _may_pass(ccxt: Any, error: Exception) -> bool:
    # The bare class is a complaint that ccxt does not know; its subclasses are those that it does.
    passing = (ccxt.NetworkError, ccxt.BadResponse, *_NONSENSE)
    return isinstance(error, passing) or type(error) is ccxt.ExchangeError


def _venue(ccxt: Any, plan: Plan) -> Any:
    venue = getattr(ccxt, plan.exchange)({"timeout": _TIMEOUT_MS, "enableRateLimit": True})
    for name, value in VENUES[plan.exchange].items():
        venue.options[name] = value
    # Networks of deposits, which nothing here asks for.
    venue.has["fetchCurrencies"] = False
    if plan.endpoint is not None:
        venue.urls["api"] = _moved(venue.urls["api"], plan.endpoint.rstrip("/"))
    return venue


def _moved(urls: Any, endpoint: str) -> Any:
    if isinstance(urls, dict):
        return {name: _moved(each, endpoint) for name, each in urls.items()}
    return re.sub(r"^https?://[^/]+", endpoint, urls)


def _market(venue: Any, symbol: str) -> Any:
    venue.load_markets()
    return venue.market(symbol)


def _line(venue: Any, plan: Plan) -> str:
    # Twenty and a hundred are the depths that all four venues serve.
    book = venue.fetch_order_book(plan.symbol, 20 if plan.levels <= 20 else _MOST_LEVELS)
    bids, asks = ([[level[0], level[1]] for level in book[side][: plan.levels]] for side in ("bids", "asks"))
    if not bids and not asks:
        raise ValueError("an answer without a book")
    fields = {
        "type": "orderbook",
        "exchange": plan.exchange,
        "symbol": plan.symbol,
        "collected_at": time.time_ns() // 1_000_000,
        "data": {"bids": bids, "asks": asks, "timestamp": book["timestamp"], "nonce": book["nonce"]},
    }
    return json.dumps(fields, separators=(",", ":"), allow_nan=False) + "\n"


def _retry_s(plan: Plan, failures: int, venue: Any) -> float:
    wait_s = min(plan.retry_s * 2.0 ** min(failures - 1, 30), plan.retry_most_s)
    headers = {name.lower(): value for name, value in (venue.last_response_headers or {}).items()}
    asked = str(headers.get("retry-after", ""))
    return max(wait_s, float(asked)) if asked.isdecimal() else wait_s


@contextmanager
def _settled(part: Path, path: Path, found: Collected) -> Iterator[TextIO]:
    """Open the unfinished file; however the block ends, what is in it becomes the finished one."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with part.open("x", encoding="utf-8") as file:
        try:
            yield file
        finally:
            file.flush()
            os.fsync(file.fileno())
            if found.books == 0:
                part.unlink()
            else:
                found.ndjson = part.replace(path)


def _decimal(size: float | None) -> str | None:
    # A float whose shortest text is the decimal that the venue sent.
    return None if size is None else format(Decimal(repr(float(size))).normalize(), "f")


def _short(error: Exception) -> str:
    text = " ".join(f"{type(error).__name__}: {error}".split())
    return text if len(text) <= 200 else text[:197] + "..."


def write_raw_parquet(ndjson: Path, path: Path, levels: int) -> int:
    """Write the collected levels as a Parquet table, one row per book, and return their number.

    Columns: ``ts`` (local time, UTC ns), ``ts_exchange`` (UTC ns, null when the venue states none), ``nonce``
    (null when there is none), then ``bid_px_i``, ``ask_px_i``, ``bid_sz_i``, ``ask_sz_i`` for each level
    from 1, null where the side is shorter.
    """
    import polars as pl

    types: dict[str, Any] = {"ts": pl.Int64, "ts_exchange": pl.Int64, "nonce": pl.Int64}
    names = ("bid_px", "ask_px", "bid_sz", "ask_sz")
    types |= {f"{name}_{level}": pl.Float64 for level in range(1, levels + 1) for name in names}
    table = pl.DataFrame(list(_rows(ndjson, levels)), schema=types, orient="row")
    part = path.with_name(path.name + ".part")
    table.write_parquet(part)
    part.replace(path)
    return table.height


def _rows(ndjson: Path, levels: int) -> Iterator[tuple[float | int | None, ...]]:
    with ndjson.open(encoding="utf-8") as lines:
        for line in lines:
            found = json.loads(line)
            book = found["data"]
            stated = book["timestamp"]
            event = None if stated is None else stated * 1_000_000
            row: list[float | int | None] = [found["collected_at"] * 1_000_000, event, book["nonce"]]
            for level in range(levels):
                bid, ask = (side[level] if level < len(side) else (None, None)
                            for side in (book["bids"], book["asks"]))  # fmt: skip
                row += [bid[0], ask[0], bid[1], ask[1]]
            yield tuple(row)


def write_features(ndjson: Path, path: Path, features: Features, found: Collected) -> dict[str, Any]:
    """Write the features of what was collected; returns what was read and made.

    The sizes are those that the venue stated.
    """
    return extract_to_file(
        ndjson, path, format="ccxt", features=features, overwrite=True,
        tick_size=found.tick_size, lot_size=found.lot_size,
    )  # fmt: skip
