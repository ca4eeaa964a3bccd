"""Our books of Bitstamp against those of obAnalytics, an R package that reads the same log.

Two and a half hours of 2015-05-01. What differs is named by its cause and counted, so that nothing else can.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator
from decimal import Decimal
from itertools import groupby
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import polars as pl
import pytest
from conftest import DATA

import featureplane as fp

BITSTAMP = DATA / "bitstamp_l3"
LOG = "2015-05-01_part1.log.zst"
SIDES = ("bid", "ask")
BANDS = 20
#: The most levels of a side that one column can reach; the book of this market has up to 92.
LEVELS = 64
#: Rows of the depth file before the first row of the summary, which leaves the first minute out.
UNSUMMED = 160
#: Their depth leaves out the orders that they take for takers.
TAKERS = {"market", "pacman"}

Side = dict[int, int]
Level = tuple[str, int, int]
Ints = npt.NDArray[np.int64]


def table(name: str) -> pl.DataFrame:
    path = BITSTAMP / f"{name}.csv.zst"
    if not path.exists():
        pytest.skip(f"no recorded data at {path}")
    return pl.read_csv(path, infer_schema=False)


def cents(price: str) -> int:
    return int(Decimal(price) * 100)


def milliseconds(seconds: str) -> int:
    return int(Decimal(seconds) * 1000)


def updates() -> list[tuple[int, int, str, int, int]]:
    """Row, time, side, price and new volume of every update of a level, as they made them."""
    return [
        (row, milliseconds(time), side, cents(price), int(volume))
        for row, (time, price, volume, side) in enumerate(table("obanalytics_depth_part1").iter_rows())
    ]


def level_features() -> list[dict[str, Any]]:
    return [
        {"family": "depth", "column": f"{side}_{what}", "params": {"level": level}}
        for side in SIDES
        for what in ("price", "qty")
        for level in range(LEVELS)
    ]


def levels(rows: pl.DataFrame, side: str, what: str) -> Ints:
    """Rows by levels; 0 where there is no level."""
    columns = [rows[f"{side}_{what}_{level}"].fill_null(0).to_numpy() for level in range(LEVELS)]
    return np.stack(columns, axis=1).astype(np.int64)


def kept_updates() -> Iterator[tuple[int, int, str, int, int, int]]:
    """The updates that they keep, and the volume that they then give the best bid.

    A bid at or above the best ask is ignored, and an ask at or below the best bid. The volume of the best
    bid is not looked up again when a better bid comes.
    """
    book: dict[str, Side] = {"bid": {}, "ask": {}}
    bid_volume = 0
    for row, time, side, price, volume in updates():
        bid, ask = max(book["bid"], default=0), min(book["ask"], default=1_000_000)
        if price >= ask if side == "bid" else price <= bid:
            continue
        if volume:
            book[side][price] = volume
        else:
            book[side].pop(price, None)
        if side == "bid" and price == bid:
            bid_volume = book["bid"].get(max(book["bid"], default=0), 0)
        yield row, time, side, price, volume, bid_volume


@pytest.fixture(scope="module")
def summary() -> pl.DataFrame:
    return table("obanalytics_depth_summary_part1")


def test_best_quotes_and_bands_agree_with_obanalytics(summary: pl.DataFrame, tmp_path: Path) -> None:
    """Source: `depthMetrics` of obAnalytics, 26,450 rows, from its own updates of levels.

    Covers best_bid, best_ask, l1_bid_qty, l1_ask_qty, and bid_price, bid_qty, ask_price, ask_qty down to
    level 63, added up over its grid: from the best price to 5 % away in 20 parts of equally many cents.
    """
    tops = ("best_bid", "best_ask", "l1_bid_qty", "l1_ask_qty")
    features: list[dict[str, Any]] = [{"family": "top", "column": name} for name in tops]
    log = tmp_path / "updates.ndjson"
    instrument = {"symbol_id": 0, "symbol": "BTCUSD", "venue": "bitstamp", "price_scale": 2, "qty_scale": 8}
    instrument |= {"tick_scaled": 1, "lot_scaled": 1, "feed": "delta", "sequencing": "arrival"}
    instrument |= {"max_age_ns": 10_000_000_000}
    kept = list(kept_updates())
    with log.open("w") as out:
        print(json.dumps({"featureplane_packets": 1, "instrument": instrument}), file=out)
        for _, time, side, price, volume, _ in kept:
            packet = {"k": "delta", "e": time * 1_000_000, "r": 0, "s": 0, "f": 0, "p": 0, "c": 0, "t": []}
            print(json.dumps({**packet, "runs": [[f"set_{side}", [[price, volume]]]]}), file=out)
    wanted = {"id": "obanalytics", "features": [*features, *level_features()]}
    frames = fp.extract(log, features=wanted, progress=False).to_polars()
    # No frame before the book has two sides; each later update makes one.
    kept = kept[-frames.height :]
    # An ignored update repeats their row: the frame is that of the last update that was kept.
    rows_of = np.array([row for row, *_ in kept])
    at = np.searchsorted(rows_of, np.arange(UNSUMMED, UNSUMMED + summary.height), side="right") - 1
    ours = frames[at.tolist()]
    assert updates_between(rows_of) == 72
    assert summary.height == 26_450

    for side in SIDES:
        assert ours[f"best_{side}"].to_list() == [cents(text) for text in summary[f"best.{side}.price"]], side
    assert ours["l1_ask_qty"].equals(summary["best.ask.vol"].cast(pl.Int64))
    theirs = summary["best.bid.vol"].cast(pl.Int64).to_numpy()
    stale = np.array([bid_volume for *_, bid_volume in kept])[at]
    assert (theirs == stale).all()
    assert (ours["l1_bid_qty"].to_numpy() != theirs).sum() == 14_223

    equal, beyond = 0, 0
    for side, sign in (("bid", -1), ("ask", 1)):
        prices, volumes = levels(ours, side, "price"), levels(ours, side, "qty")
        best = prices[:, :1]
        length = np.abs(np.rint(best * (1 + sign * 0.05)).astype(np.int64) - best) + 1
        band = np.where(prices > 0, BANDS * ((prices - best) * sign) // length, BANDS)
        for k in range(BANDS):
            got = np.where(band == k, volumes, 0).sum(axis=1)
            want = summary[f"{side}.vol{25 * (k + 1)}bps"].cast(pl.Int64).to_numpy()
            # Level 63 is the last that we have: what lies behind it belongs to its band or to later ones.
            seen = band[:, -1] > k
            assert (got[seen] == want[seen]).all(), (side, k)
            equal, beyond = equal + int(seen.sum()), beyond + int((~seen).sum())
    assert (equal, beyond) == (970_412, 87_588)


def updates_between(rows: Ints) -> int:
    """Rows that are missing between the first and the last."""
    return int(rows[-1] - rows[0]) + 1 - len(rows)


class Ledger:
    """Our book and theirs, order by order, from the messages of the log alone.

    They differ for three causes. *rounding*: they cut a product of floats off at 1e-8, which loses one unit
    of many an amount. *taker*: they leave an order out that they find to be a taker, looking ahead to what
    becomes of it. *swapped*: the log tells of a deletion before the order was made; they put the two right,
    while a book that cannot look ahead keeps the order, as after a deletion that was lost.
    """

    def __init__(self, messages: list[tuple[int, str, dict[str, Any]]]) -> None:
        events = table("obanalytics_events_part1").select("id", "type").unique()
        self.takers = {int(order) for order, kind in events.iter_rows() if kind in TAKERS}
        made = {m["id"] for _, kind, m in messages if kind == "order_created"}
        first: dict[int, str] = {}
        for _, kind, message in messages:
            first.setdefault(message["id"], kind)
        self.swapped = {order for order in made if first[order] == "order_deleted"}
        self.orders: tuple[dict[int, Level], dict[int, Level]] = ({}, {})
        self.books: tuple[dict[str, Side], dict[str, Side]] = ({s: {} for s in SIDES}, {s: {} for s in SIDES})

    def take(self, kind: str, message: dict[str, Any]) -> None:
        """Apply one message to both."""
        order, is_here = message["id"], kind != "order_deleted"
        side, price = SIDES[message["order_type"]], cents(message["price"])
        exact = int(Decimal(message["amount"]) * 100_000_000)
        cut = int(float(message["amount"]) * 100_000_000)
        self.put(0, order, (side, price, exact if is_here else 0))
        if order not in self.takers:
            self.put(1, order, (side, price, cut if is_here != (order in self.swapped) else 0))

    def put(self, whose: int, order: int, new: Level) -> None:
        """Replace an order."""
        old = self.orders[whose].pop(order, (new[0], new[1], 0))
        for sign, (side, price, volume) in ((-1, old), (1, new)):
            book = self.books[whose][side]
            book[price] = book.get(price, 0) + sign * volume
            if not book[price]:
                del book[price]
        if new[2]:
            self.orders[whose][order] = new

    def causes(self) -> set[str]:
        """Why the two differ now."""
        ours, theirs = self.orders
        differ = {o for o in ours.keys() | theirs.keys() if ours.get(o) != theirs.get(o)}
        return {
            "swapped" if o in self.swapped else "taker" if o in self.takers else "rounding" for o in differ
        }


def messages_of_orders() -> list[tuple[int, str, dict[str, Any]]]:
    """Time, kind and content of the messages that tell of orders."""
    path = BITSTAMP / LOG
    if not path.exists():
        pytest.skip(f"no recorded data at {path}")
    # A separator that no line holds, so that a line is one column.
    lines = pl.read_csv(path, has_header=False, separator="\x01", quote_char=None).to_series()
    parts = (line.split(" ", 2) for line in lines)
    kinds = {"order_created", "order_changed", "order_deleted"}
    return [(int(time), kind, json.loads(text)) for time, kind, text in parts if kind in kinds]


def test_books_of_orders_agree_with_obanalytics() -> None:
    """Source: `priceLevelVolume` of obAnalytics over the messages that our book of orders is made from.

    Covers bid_price, bid_qty, ask_price and ask_qty down to level 63 after each of 27,183 milliseconds with
    messages: they are those of a second book in a few lines of Python, order for order, and that book is
    theirs but for three causes.
    """
    messages = messages_of_orders()
    ledger = Ledger(messages)
    assert len(ledger.swapped) == 2
    wanted = {"id": "l3", "features": level_features()}
    rows = fp.extract(BITSTAMP / LOG, features=wanted, progress=False).to_polars()
    rows = rows.group_by("ts_event", maintain_order=True).last()
    row_at = {time: row for row, time in enumerate(rows["ts_event"].dt.timestamp("ms"))}
    ours = {side: (levels(rows, side, "price"), levels(rows, side, "qty")) for side in SIDES}

    theirs: dict[str, Side] = {side: {} for side in SIDES}
    changes = {time: list(group) for time, group in groupby(updates(), key=lambda update: update[1])}
    counts: Counter[str] = Counter()
    for time, group in groupby(messages, key=lambda message: message[0]):
        for _, kind, message in group:
            ledger.take(kind, message)
        for _, _, side, price, volume in changes.pop(time, ()):
            theirs[side][price] = volume
            if not volume:
                del theirs[side][price]
        assert ledger.books[1] == theirs, time
        for cause in ledger.causes() or {"none"}:
            counts[cause] += 1
        book = ledger.books[0]
        if not book["bid"] or not book["ask"] or max(book["bid"]) > min(book["ask"]):
            counts["frozen"] += 1
            assert time not in row_at or not any(ours[side][0][row_at[time]].any() for side in SIDES), time
            continue
        for side in SIDES:
            want = sorted(book[side].items(), reverse=side == "bid")[:LEVELS]
            prices, volumes = (values[row_at[time]] for values in ours[side])
            got = list(zip(prices.tolist(), volumes.tolist(), strict=True))
            assert got == want + [(0, 0)] * (LEVELS - len(want)), (time, side)
        counts["compared"] += 1
    assert not changes
    assert counts == {
        "compared": 26_739,
        "frozen": 444,
        "none": 144,
        "rounding": 27_022,
        "swapped": 16_302,
        "taker": 1_639,
    }
