from __future__ import annotations

import gc
import sys
import threading
import weakref
from decimal import Decimal
from typing import Any

import numpy as np
import pytest
from conftest import T0

import featureplane as fp

S = "BTCUSDT"


def book(engine: fp.FeatureEngine, **more: Any) -> bool:
    return engine.process_packet(
        S, kind="snapshot", ts_event=T0, seq=1, bids=[(618_001, 696)], asks=[(618_003, 12)], **more
    )


def delta(engine: fp.FeatureEngine, seq: int, qty: int = 5) -> bool:
    return engine.process_packet(S, ts_event=T0 + seq * 1000, seq=seq, bids=[(618_001, qty)])


def test_values_are_pulled_by_name_and_by_index(engine: fp.FeatureEngine) -> None:
    assert engine.get_feature(S, "spread_scaled") is None
    assert engine.get_feature_view(S) is None
    assert engine.frame_bytes(S) is None
    assert book(engine)
    assert engine.get_feature(S, "spread_scaled") == 2
    assert engine.get_feature(S, 0) == 618_001
    assert engine.get_feature_set_id() == "lob_shared_v1"
    assert engine.schema_hash == fp.describe_set("lob_shared_v1")["schema_hash"]
    assert engine.feature_names[0] == "best_bid"
    assert engine.symbols == [S]


@pytest.mark.parametrize(
    "bids",
    [
        [(618_001, 696)],
        [["61800.1", "0.696"]],
        [(Decimal("61800.10"), Decimal("0.696"))],
        (pair for pair in [(618_001, 696)]),
        np.array([[618_001, 696]], dtype=np.int64),
        np.array([[618_001, 696]], dtype=np.int32),
        np.asfortranarray(np.array([[618_001, 696], [618_000, 0]], dtype=np.int64)),
        [(np.int64(618_001), np.int32(696))],
    ],
)
def test_every_way_to_write_levels_gives_the_same_frame(engine: fp.FeatureEngine, bids: Any) -> None:
    assert engine.process_packet(S, kind="snapshot", ts_event=T0, seq=1, bids=bids, asks=[(618_003, 12)])
    other = fp.FeatureEngine("lob_shared_v1", {S: {"tick_size": "0.1", "lot_size": "0.001"}})
    book(other)
    assert engine.frame_bytes(S) == other.frame_bytes(S)


def test_floats_are_refused_with_a_reason(engine: fp.FeatureEngine) -> None:
    with pytest.raises(TypeError, match="float is not exact"):
        engine.process_packet(S, ts_event=T0, bids=[(61800.1, 1)])  # type: ignore[list-item]
    with pytest.raises(TypeError, match="integers"):
        engine.process_packet(S, ts_event=T0, bids=np.array([[61800.1, 1.0]]))
    with pytest.raises(TypeError, match="float is not exact"):
        fp.FeatureEngine("core_v1", {S: {"tick_size": 0.1, "lot_size": "1"}})


def test_prices_off_the_grid_and_unknown_words_are_refused(engine: fp.FeatureEngine) -> None:
    with pytest.raises(fp.ConfigError, match="not a multiple"):
        engine.process_packet(S, ts_event=T0, bids=[("61800.15", 1)])
    with pytest.raises(fp.ConfigError, match="kind"):
        engine.process_packet(S, ts_event=T0, kind="diff")
    with pytest.raises(fp.ConfigError, match="side"):
        engine.process_packet(S, ts_event=T0, trades=[(1, 1, "bid")])
    with pytest.raises(fp.ConfigError, match="positive"):
        engine.process_packet(S, ts_event=T0, trades=[(1, 0, "buy")])
    with pytest.raises(fp.ConfigError, match="no content"):
        engine.process_packet(S, ts_event=T0, kind="reset", bids=[(1, 1)])
    with pytest.raises(fp.ConfigError, match="shape"):
        engine.process_packet(S, ts_event=T0, bids=np.zeros((2, 3), dtype=np.int64))
    with pytest.raises(TypeError, match="pair"):
        engine.process_packet(S, ts_event=T0, bids=[(1,)])
    with pytest.raises(TypeError, match="fields"):
        engine.process_packet(S, ts_event=T0, bids=[(1, 2, 3)])
    assert engine.counters(S)["applied"] == 0


@pytest.mark.parametrize(
    ("settings", "text"),
    [
        ({}, "tick_size"),
        ({"tick_size": "0.1"}, "tick_size"),
        ({"tick_size": "x", "lot_size": "1"}, "tick size"),
        ({"tick_size": "1", "lot_size": "1", "feed": "l2"}, "feed"),
        ({"tick_size": "1", "lot_size": "1", "sequencing": "l2"}, "sequencing"),
        ({"tick_size": "1", "lot_size": "1", "tick": 1}, "unknown setting tick"),
        ({"price_scale": 19, "tick_scaled": 1, "qty_scale": 0, "lot_scaled": 1}, "0 to 18"),
        ({"price_scale": 1, "tick_scaled": 0, "qty_scale": 0, "lot_scaled": 1}, "at least 1"),
    ],
)
def test_wrong_settings_name_the_fault(settings: dict[str, Any], text: str) -> None:
    with pytest.raises(fp.ConfigError, match=text):
        fp.FeatureEngine("core_v1", {S: settings})


def test_a_set_is_given_as_id_text_dict_or_path(tmp_path: Any) -> None:
    text = '{"id": "mine", "features": [{"family": "mid_spread", "column": "mid"}]}'
    path = tmp_path / "mine.json"
    path.write_text(text)
    spec = {"id": "mine", "features": [{"family": "mid_spread", "column": "mid"}]}
    for given in (text, path, str(path), spec):
        engine = fp.FeatureEngine(given, {})
        assert (engine.get_feature_set_id(), engine.feature_names) == ("mine", ["mid"])
    with pytest.raises(fp.ConfigError, match=r"features\[0\]\.column"):
        fp.FeatureEngine({"id": "x", "features": [{"family": "mid_spread", "column": "middle"}]}, {})


def test_a_view_is_a_copy(engine: fp.FeatureEngine) -> None:
    book(engine, ts_recv=T0 + 5)
    view = engine.get_feature_view(S, now_ns=T0 + 100)
    assert view is not None
    before = view.to_bytes()
    delta(engine, 2)
    assert view.to_bytes() == before != engine.frame_bytes(S)
    assert (view.symbol, view.symbol_id, view.seq, view.source_seq, view.epoch) == (S, 0, 1, 1, 0)
    assert (view.source_ts_ns, view.local_ts_ns, view.age_ns) == (T0, T0 + 5, 100)
    assert view.quality_flags == 0
    assert view.value("best_bid") == view.value(0) == view.as_dict()["best_bid"] == 618_001
    assert view.is_changed("best_bid")
    assert view.is_valid("best_bid")
    assert isinstance(view.is_ready(), bool)
    assert view.words[0] == 618_001
    assert view.words.readonly
    assert view.values["best_bid"] == 618_001
    with pytest.raises(ValueError, match="read-only"):
        view.values["best_bid"] = 1
    with pytest.raises(fp.UnknownFeatureError):
        view.value("best_bit")
    with pytest.raises(fp.UnknownFeatureError):
        view.value(-1)
    with pytest.raises(TypeError):
        view.value(1.5)  # type: ignore[arg-type]


def test_clears_remove_a_side_or_up_to_a_price(engine: fp.FeatureEngine) -> None:
    bids = [(618_001, 1), (618_000, 2), (617_999, 3)]
    engine.process_packet(S, kind="snapshot", ts_event=T0, seq=1, bids=bids, asks=[(618_003, 12)])
    engine.process_packet(S, ts_event=T0 + 1, seq=2, clear_bids="61800.0")
    assert engine.get_feature(S, "best_bid") == 617_999
    engine.process_packet(S, ts_event=T0 + 2, seq=3, clear_bids=True, bids=[(617_000, 1)])
    assert engine.get_feature(S, "best_bid") == 617_000


def test_callbacks_get_views_of_frames_that_matter(engine: fp.FeatureEngine) -> None:
    seen: list[tuple[str, int]] = []
    asks = engine.on_features(lambda view: seen.append(("ask", view.seq)), features=["best_ask"])
    bids = engine.on_features(lambda view: seen.append(("bid", view.seq)), ["l1_bid_qty"])
    assert asks != bids
    book(engine)
    delta(engine, 2)
    assert seen == [("ask", 1), ("bid", 1), ("bid", 2)]
    assert engine.unsubscribe(bids)
    assert not engine.unsubscribe(bids)
    delta(engine, 3, qty=9)
    assert len(seen) == 3
    with pytest.raises(fp.SchemaMismatchError):
        engine.on_features(print, schema_hash="0" * 16)
    with pytest.raises(fp.UnknownFeatureError):
        engine.on_features(print, features=["nothing"])


def test_an_exception_in_a_callback_comes_once_after_the_packet(
    engine: fp.FeatureEngine, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(view: fp.FeatureView) -> None:
        raise RuntimeError(f"frame {view.seq}")

    later: list[int] = []
    unraised: list[Any] = []
    monkeypatch.setattr(sys, "unraisablehook", unraised.append)
    first = engine.on_features(fail)
    second = engine.on_features(fail)
    engine.on_features(lambda view: later.append(view.seq))
    with pytest.raises(RuntimeError, match="frame 1"):
        book(engine)
    assert later == [1]
    assert len(unraised) == 1
    assert engine.get_feature(S, "best_bid") == 618_001
    engine.unsubscribe(first)
    engine.unsubscribe(second)
    assert delta(engine, 2)


def test_a_callback_may_not_use_the_engine(engine: fp.FeatureEngine) -> None:
    errors: list[str] = []

    def reenter(_: fp.FeatureView) -> None:
        for call in (lambda: delta(engine, 9), lambda: engine.get_feature(S, 0), engine.snapshot):
            with pytest.raises(fp.FeatureError, match="callback") as caught:
                call()
            errors.append(str(caught.value))

    engine.on_features(reenter)
    assert book(engine)
    assert len(errors) == 3
    assert engine.get_feature(S, "best_bid") == 618_001


def test_another_thread_waits_for_callbacks(engine: fp.FeatureEngine) -> None:
    entered, go = threading.Event(), threading.Event()
    got: list[Any] = []

    def hold(_: fp.FeatureView) -> None:
        entered.set()
        assert go.wait(5)

    engine.on_features(hold)
    worker = threading.Thread(target=book, args=(engine,))
    worker.start()
    assert entered.wait(5)
    reader = threading.Thread(target=lambda: got.append(engine.get_feature(S, "best_bid")))
    reader.start()
    reader.join(0.05)
    assert not got
    go.set()
    worker.join(5)
    reader.join(5)
    assert got == [618_001]


def test_snapshot_and_restore_continue_bit_for_bit(engine: fp.FeatureEngine) -> None:
    book(engine)
    delta(engine, 2)
    state = engine.snapshot()
    delta(engine, 3, qty=8)
    expected = engine.frame_bytes(S)
    other = fp.FeatureEngine("lob_shared_v1", {S: {"tick_size": "0.1", "lot_size": "0.001"}})
    other.restore(state)
    assert other.snapshot() == state
    delta(other, 3, qty=8)
    assert other.frame_bytes(S) == expected
    with pytest.raises(fp.DecodeError):
        other.restore(state[:-1])
    with pytest.raises(fp.DecodeError):
        other.restore(b"")
    foreign = fp.FeatureEngine("core_v1", {S: {"tick_size": "0.1", "lot_size": "0.001"}})
    with pytest.raises(fp.SchemaMismatchError):
        foreign.restore(state)


def test_reset_starts_a_new_epoch(engine: fp.FeatureEngine) -> None:
    book(engine)
    engine.reset(S)
    assert engine.get_feature_view(S) is None
    book(engine)
    view = engine.get_feature_view(S)
    assert view is not None
    assert (view.epoch, view.seq) == (1, 1)
    assert fp.QualityFlags(view.quality_flags) & fp.QualityFlags.STATE_RESET
    assert engine.counters(S)["resets"] == 1


def test_an_unknown_symbol_is_a_key_error(engine: fp.FeatureEngine) -> None:
    with pytest.raises(KeyError) as caught:
        engine.process_packet("ETH", ts_event=T0)
    assert isinstance(caught.value, fp.UnknownSymbolError)
    assert caught.value.symbol == "ETH"
    assert str(caught.value) == "unknown symbol ETH; known: BTCUSDT"


def test_integers_out_of_range_are_refused(engine: fp.FeatureEngine) -> None:
    with pytest.raises(OverflowError):
        engine.process_packet(S, ts_event=2**63)
    with pytest.raises(OverflowError):
        engine.process_packet(S, ts_event=T0, bids=[(2**70, 1)])


def test_a_cycle_through_a_callback_is_collected() -> None:
    class Strategy:
        def __init__(self) -> None:
            self.engine = fp.FeatureEngine("core_v1", {S: {"tick_size": "1", "lot_size": "1"}})
            self.engine.on_features(self.take)

        def take(self, view: fp.FeatureView) -> None: ...

    strategy = weakref.ref(Strategy())
    gc.collect()
    assert strategy() is None


def test_memory_does_not_grow(engine: fp.FeatureEngine) -> None:
    views: list[Any] = [None]

    def keep(view: fp.FeatureView) -> None:
        views[0] = view.as_dict()

    engine.on_features(keep)
    book(engine)
    sizes = []
    seq = 2
    for _ in range(5):
        for _ in range(20_000):
            delta(engine, seq, qty=seq % 1_000 + 1)
            seq += 1
        with open("/proc/self/statm") as statm:  # noqa: PTH123
            sizes.append(int(statm.read().split()[1]) * 4096)
    assert sizes[-1] - sizes[1] < 2_000_000, sizes
