from __future__ import annotations

import importlib
import json
import struct
from pathlib import Path

import numpy as np
import pytest

import featureplane as fp
from featureplane import live
from featureplane.live import LatestFrames, Strategy, StrategyRunner

SET = "lob_shared_v1"
SYMBOLS = ["BTCUSDT", "ETHUSDT"]


def up(size: int) -> int:
    return -(-size // 64) * 64


class Table:
    """A writer made from the page of the specification alone."""

    def __init__(self, path: Path, features: str = SET, outputs: tuple[str, ...] = ("p_up",)) -> None:
        described = fp.describe_set(features)
        n = len(described["features"])
        text = json.dumps({"feature_set_id": features, "symbols": SYMBOLS, "outputs": outputs}).encode()
        self.start = up(64 + len(text))
        self.stride = up(32 + 8 * len(outputs) + 64 + 24 * -(-n // 64) + 8 * n)
        self.bytes = bytearray(self.start + self.stride * len(SYMBOLS))
        words = (int(described["schema_hash"], 16), n | 2 << 32, self.stride // 8 | len(outputs) << 32, 1)
        self.bytes[:48] = struct.pack("<8s5Q", b"FPLATES1", *words, len(text))
        self.bytes[64 : 64 + len(text)] = text
        self.path = path
        self.save()

    def save(self) -> Path:
        # In place, as a mapped file changes: a new file would be another table.
        with self.path.open("r+b" if self.path.exists() else "wb") as file:
            file.write(self.bytes)
        return self.path

    def publish(self, symbol: int, frame: bytes, count: int, score: float | None) -> None:
        at = self.start + symbol * self.stride
        head = struct.pack("<3QQd", 2 * count, count, 1_000 + count, score is not None, score or 0.0)
        self.bytes[at : at + len(head) + len(frame)] = head + frame
        self.save()

    def set_word(self, at: int, word: int) -> Path:
        self.bytes[at : at + 8] = struct.pack("<Q", word)
        return self.save()


@pytest.fixture
def frame(engine: fp.FeatureEngine) -> bytes:
    bids, asks = [("1.0", "2")], [("1.1", "3")]
    engine.process_packet("BTCUSDT", kind="snapshot", ts_event=7, seq=1, bids=bids, asks=asks)
    found = engine.frame_bytes("BTCUSDT")
    assert found is not None
    return found


def test_the_latest_frame_of_another_process_is_read(tmp_path: Path, frame: bytes) -> None:
    table = Table(tmp_path / "latest.fp")
    with LatestFrames(table.path, SET) as frames:
        assert frames.symbols == SYMBOLS
        assert frames.read("BTCUSDT") is None
        table.publish(0, frame, 1, 0.75)
        latest = frames.read("BTCUSDT")
        assert latest is not None
        assert latest.frame.tobytes() == frame
        assert (latest.published, latest.published_ns, latest.score("p_up")) == (1, 1_001, 0.75)
        assert latest.frame["values"]["best_bid"] == 10
        assert (latest.value("best_bid"), latest.quality_flags) == (10, 0)
        with pytest.raises(fp.UnknownFeatureError, match="no_such"):
            latest.value("no_such")
        with pytest.raises(fp.UnknownFeatureError, match="p_up"):
            latest.score("p_down")
        table.publish(0, frame, 5, None)
        later = frames.read("BTCUSDT")
        assert later is not None
        assert later.published - latest.published == 4
        assert later.score("p_up") is None
        assert frames.read("ETHUSDT") is None
        assert not frames.is_closed
        table.set_word(32, 2)
        assert frames.is_closed
        with pytest.raises(fp.UnknownSymbolError, match="BTCUSDT, ETHUSDT"):
            frames.read("DOGE")


def test_a_view_is_the_memory_itself(tmp_path: Path, frame: bytes) -> None:
    table = Table(tmp_path / "latest.fp")
    frames = LatestFrames(table.path, SET)
    view = frames.view("BTCUSDT")
    assert view["seq"] == 0
    table.publish(0, frame, 1, None)
    assert view["seq"] == 1
    assert view["values"]["best_bid"] == 10
    with pytest.raises(ValueError, match="read-only"):
        view["seq"] = 2
    assert np.dtype(view.dtype) == fp.frame_dtype(SET)
    with pytest.raises(BufferError):
        frames.close()
    del view
    frames.close()


def test_a_reader_for_another_set_is_refused(tmp_path: Path) -> None:
    table = Table(tmp_path / "latest.fp")
    with pytest.raises(fp.SchemaMismatchError, match=fp.describe_set(SET)["schema_hash"]):
        LatestFrames(table.path, "lob_shared_v2")


@pytest.mark.parametrize(
    ("at", "word", "reason"),
    [(0, 0, "marker"), (16, 16, "sizes"), (24, 8, "sizes"), (40, 3, "text"), (64, 0, "text")],
)
def test_a_broken_table_is_refused(tmp_path: Path, at: int, word: int, reason: str) -> None:
    path = Table(tmp_path / "latest.fp").set_word(at, word)
    with pytest.raises(fp.DecodeError, match=reason):
        LatestFrames(path, SET)


def test_files_that_are_cut_or_absent_are_refused(tmp_path: Path) -> None:
    table = Table(tmp_path / "latest.fp")
    for length, reason in [(0, "empty"), (20, "20 bytes"), (len(table.bytes) - 64, "sizes")]:
        path = tmp_path / "cut.fp"
        path.write_bytes(table.bytes[:length])
        with pytest.raises(fp.DecodeError, match=reason):
            LatestFrames(path, SET)
    with pytest.raises(fp.InputError, match=r"absent\.fp"):
        LatestFrames(tmp_path / "absent.fp", SET)


def test_an_unfinished_frame_is_told(tmp_path: Path, frame: bytes, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(live, "_SLEEPS", 3)
    table = Table(tmp_path / "latest.fp")
    table.publish(0, frame, 1, None)
    table.set_word(table.start, 3)
    with LatestFrames(table.path, SET) as frames, pytest.raises(fp.DecodeError, match="unfinished"):
        frames.read("BTCUSDT")


def test_a_machine_that_reorders_loads_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("platform.machine", lambda: "aarch64")
    table = Table(tmp_path / "latest.fp")
    with LatestFrames(table.path, SET) as frames, pytest.raises(fp.ConfigError, match="aarch64"):
        frames.read("BTCUSDT")


class Sees(Strategy):
    required_features: tuple[str, ...] = ("best_bid",)

    def __init__(self) -> None:
        self.frames: list[bytes] = []

    def on_features(self, view: fp.FeatureView) -> None:
        self.frames.append(view.to_bytes())


def test_a_strategy_sees_the_frames_of_the_replay_in_which_its_feature_changed(tmp_path: Path) -> None:
    log = tmp_path / "log.ndjson"
    fp.write_synthetic(log, kind="events", seed=3, duration_s=10.0, gaps=1, crossed=1)
    strategy = Sees()
    count = StrategyRunner(strategy, SET).run(log)
    plain = fp.decode_frames(fp.replay(log, SET), SET)
    assert len(plain) == count
    bit = np.uint64(1 << [f["name"] for f in fp.describe_set(SET)["features"]].index("best_bid"))
    due = (plain["changed_mask"][:, 0] & bit != 0) | (plain["quality_flags"] != 0)
    due[0] = True
    assert strategy.frames == [record.tobytes() for record in plain[due]]
    assert 10 < len(strategy.frames) < count


def test_a_strategy_that_does_not_fit_is_not_started(engine: fp.FeatureEngine) -> None:
    class Other(Sees):
        required_feature_set_id = "core_v1"

    with pytest.raises(fp.ConfigError, match=r"core_v1.*lob_shared_v1"):
        StrategyRunner(Other(), SET)

    class Lacks(Sees):
        required_features = ("best_bid", "no_such", "nor_this")

    with pytest.raises(fp.UnknownFeatureError, match="no_such, nor_this"):
        StrategyRunner(Lacks(), SET)
    with pytest.raises(fp.SchemaMismatchError):
        StrategyRunner(Sees(), "lob_shared_v2").attach(engine)
    StrategyRunner(Sees(), SET).attach(engine)
    with pytest.raises(NotImplementedError):
        Strategy().on_features(None)  # type: ignore[arg-type]


def test_a_value_that_is_not_defined_is_none(tmp_path: Path, frame: bytes) -> None:
    table = Table(tmp_path / "latest.fp")
    masked = bytearray(frame)
    # The valid mask is the third one behind the header; its bits begin with the first feature.
    masked[64 + 16] &= ~1
    table.publish(0, bytes(masked), 1, None)
    with LatestFrames(table.path, SET) as frames:
        latest = frames.read("BTCUSDT")
        assert latest is not None
        assert (latest.value("best_bid"), latest.value("best_ask")) == (None, 11)


def test_a_strategy_in_a_process_of_its_own_trades(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(str(Path(__file__).resolve().parents[1] / "examples"))
    inside = importlib.import_module("paper_strategy").main()
    seen, missed, trades = importlib.import_module("paper_live").main()
    assert seen > 100
    # A strategy that misses frames changes its mind at most as often.
    assert missed >= 0
    assert 0 < trades <= inside
