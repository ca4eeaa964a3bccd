#!/usr/bin/env python3
"""Order-flow imbalance at the touch, summed per packet and per row of an hftbacktest array.

Usage: packet_boundary.py array.npz [tick] [lot]. Needs numpy. docs/explain/packets.md says why the two differ.
"""

import sys
from bisect import bisect_left, insort

import numpy as np

LOCAL, BUY, SELL = 1 << 30, 1 << 29, 1 << 28
DEPTH, CLEAR, SNAPSHOT = 1, 3, 4


class Side:
    """One side of a book in ticks and lots; bids are kept with negative prices, so that best is first."""

    def __init__(self, sign: int) -> None:
        self.sign, self.prices, self.lots = sign, [], {}

    def put(self, ticks: int, lots: int) -> None:
        """Set or delete a level."""
        key = self.sign * ticks
        if lots == 0:
            if self.lots.pop(key, None) is not None:
                del self.prices[bisect_left(self.prices, key)]
        else:
            if key not in self.lots:
                insort(self.prices, key)
            self.lots[key] = lots

    def give_way(self, ticks: int) -> bool:
        """Drop the levels that a quote of the other side has reached; whether there were any."""
        count = 0
        while self.prices and self.prices[0] <= self.sign * ticks:
            del self.lots[self.prices.pop(0)]
            count += 1
        return count > 0

    def clear(self) -> None:
        """Forget everything."""
        self.prices, self.lots = [], {}

    def best(self) -> "tuple[int, int] | None":
        """Signed price (lower is better) and lots of the best level."""
        return (self.prices[0], self.lots[self.prices[0]]) if self.prices else None


def flow(old: "tuple[int, int]", new: "tuple[int, int]") -> int:
    """What arrived at one side of the touch, in lots."""
    if new[0] == old[0]:
        return new[1] - old[1]
    return new[1] if new[0] < old[0] else -old[1]


class Sum:
    """Sum of the flow between the books it is shown."""

    def __init__(self) -> None:
        self.last, self.total = None, 0

    def show(self, bids: Side, asks: Side) -> None:
        """Add what has flowed since the book before."""
        bid, ask = bids.best(), asks.best()
        touch = (bid, ask) if bid and ask else None
        if touch and self.last:
            self.total += flow(self.last[0], bid) - flow(self.last[1], ask)
        self.last = touch

    def reset(self) -> None:
        """Nothing flows across a snapshot."""
        self.last = None


def main() -> None:
    """Read the rows of the local side twice over: by packet and by row."""
    tick, lot = (float(text) for text in (sys.argv[2:4] or ("0.1", "0.001")))
    rows = np.load(sys.argv[1])["data"]
    rows = rows[(rows["ev"] & LOCAL) != 0]
    ends = np.append(np.diff(rows["local_ts"]) != 0, True).tolist()
    kinds, sides = (rows["ev"] & 0xFF).tolist(), (rows["ev"] & (BUY | SELL)).tolist()
    ticks = np.rint(rows["px"] / tick).astype(np.int64).tolist()
    lots = np.rint(rows["qty"] / lot).astype(np.int64).tolist()
    bids, asks = Side(-1), Side(1)
    by_packet, by_row, crossing, packets, new = Sum(), Sum(), 0, 0, False
    for kind, side, price, qty, end in zip(kinds, sides, ticks, lots, ends):
        if kind == CLEAR and not new:
            new = True
            bids.clear()
            asks.clear()
            by_packet.reset()
            by_row.reset()
        elif kind in (DEPTH, SNAPSHOT):
            mine, other = (bids, asks) if side == BUY else (asks, bids)
            mine.put(price, qty)
            crossing += qty > 0 and other.give_way(price)
            if not new:
                by_row.show(bids, asks)
        if end:
            packets, new = packets + 1, False
            by_packet.show(bids, asks)
            if by_row.last is None:
                by_row.show(bids, asks)
    print(f"rows {len(rows)}, packets {packets}")
    print(f"rows that reach the other side of the book: {crossing}")
    print(f"flow by packet: {by_packet.total * lot:.3f}")
    print(f"flow by row:    {by_row.total * lot:.3f}")


if __name__ == "__main__":
    main()
