"""Feeds of orders through the Python package."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest
from conftest import DATA, INSTRUMENT, T0

import featureplane as fp

FEATURES = {
    "id": "orders",
    "features": [
        {"family": "top", "column": "best_bid"},
        {"family": "top", "column": "l1_bid_qty"},
        {"family": "order_flow_l3", "column": "best_bid_orders"},
        {"family": "order_flow_l3", "column": "best_ask_orders"},
    ],
}


@pytest.fixture
def book() -> fp.FeatureEngine:
    settings = {"tick_size": "0.1", "lot_size": "0.001", "sequencing": "arrival"}
    return fp.FeatureEngine(FEATURES, {"BTCUSDT": settings})


def flags(book: fp.FeatureEngine) -> int:
    view = book.get_feature_view("BTCUSDT")
    assert view is not None
    return view.quality_flags


def test_levels_are_the_sums_of_their_orders(book: fp.FeatureEngine) -> None:
    orders: list[tuple[str | int, ...]] = [("add", 1, "bid", 1000, 5)]
    orders += [("add", 2, "bid", "100.0", "0.007"), ("add", 3, "ask", 1001, 4)]
    assert book.process_packet("BTCUSDT", ts_event=T0, kind="snapshot", orders=orders)
    assert [book.get_feature("BTCUSDT", i) for i in range(4)] == [1000, 12, 2, 1]
    assert book.process_packet("BTCUSDT", ts_event=T0 + 1, orders=[("fill", 1, "bid", 1000, 2)])
    assert [book.get_feature("BTCUSDT", i) for i in range(4)] == [1000, 10, 2, 1]
    # Quantity 0 is all that is left; a modified order that rises goes to the end of its queue.
    changes = [("cancel", 2, "bid", 1000, 0), ("modify", 1, "bid", 1000, 9)]
    assert book.process_packet("BTCUSDT", ts_event=T0 + 2, orders=changes)
    assert [book.get_feature("BTCUSDT", i) for i in range(4)] == [1000, 9, 1, 1]
    assert not flags(book) & fp.QualityFlags.UNVERIFIED_BOOK
    # Nobody knows this order: the book may be wrong from here on.
    assert book.process_packet("BTCUSDT", ts_event=T0 + 3, orders=[("cancel", 99, "ask", 1001, 1)])
    assert flags(book) & fp.QualityFlags.UNVERIFIED_BOOK


def test_wrong_order_events_are_refused(book: fp.FeatureEngine) -> None:
    wrong: list[tuple[tuple[str | int, ...], str]] = [
        (("remove", 1, "bid", 1000, 5), "`remove` is none of add, modify, cancel, fill"),
        (("add", 1, "buy", 1000, 5), "`buy` is none of bid, ask"),
        (("add", 1, "bid", "100.05", 5), "not a multiple"),
    ]
    for event, text in wrong:
        with pytest.raises(fp.ConfigError, match=text):
            book.process_packet("BTCUSDT", ts_event=T0, orders=[event])
    with pytest.raises(TypeError, match="an order event is"):
        book.process_packet("BTCUSDT", ts_event=T0, orders=[("add", 1, "bid", 1000)])
    with pytest.raises(OverflowError):
        book.process_packet("BTCUSDT", ts_event=T0, orders=[("add", -1, "bid", 1000, 5)])
    with pytest.raises(fp.ConfigError, match="has no content"):
        book.process_packet("BTCUSDT", ts_event=T0, kind="reset", orders=[("add", 1, "bid", 1000, 5)])
    assert book.get_feature_view("BTCUSDT") is None


def test_a_log_of_orders_is_replayed(tmp_path: Path) -> None:
    log = tmp_path / "orders.ndjson"
    instrument = {**INSTRUMENT, "sequencing": "arrival"}
    packet = {"k": "delta", "e": T0, "r": 0, "s": 0, "f": 0, "p": 0, "c": 0, "runs": [], "t": []}
    orders = [["add", 1, "bid", 1000, 5], ["add", 2, "ask", 1001, 4]]
    lines = [{"featureplane_packets": 1, "instrument": instrument}, {**packet, "o": orders}]
    lines.append({**packet, "e": T0 + 1, "o": [["add", 2**64 - 1, "bid", 1000, 3]]})
    log.write_text("".join(json.dumps(line) + "\n" for line in lines))
    frames = fp.decode_frames(fp.replay(log, FEATURES), FEATURES)
    assert frames["values"]["best_bid_orders"].tolist() == [1, 2]
    assert frames["values"]["l1_bid_qty"].tolist() == [5, 8]
    table = fp.extract(log, features=FEATURES, progress=False).to_polars()
    assert table["best_bid_orders"].to_list() == [1, 2]


def test_lobster_messages_give_the_same_frames_packet_by_packet(tmp_path: Path) -> None:
    messages = DATA / "lobster" / "GOOG_2012-06-21_34200000_57600000_message_1.csv.zst"
    if not messages.exists():
        pytest.skip(f"no recorded data at {messages}")
    log = tmp_path / "goog.ndjson"
    command = ["convert", "--to", "events", "--input", str(messages), "--out", str(log)]
    subprocess.run([sys.executable, "-m", "featureplane", *command], check=True, capture_output=True)
    frames = fp.decode_frames(fp.replay(log, FEATURES), FEATURES)
    table = fp.extract(messages, features=FEATURES, progress=False).to_polars()
    assert len(frames) == table.height > 40_000
    for index, name in enumerate(("best_bid", "l1_bid_qty", "best_bid_orders", "best_ask_orders")):
        valid = frames["valid_mask"][:, 0] >> index & 1 == 1
        assert frames["values"][name][valid].tolist() == table[name].drop_nulls().to_list(), name
