"""The collector against a loopback server that answers as the venues do."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import polars as pl
import pytest
from venues import Venues, serve

import featureplane as fp
from featureplane import collect
from featureplane._collector import Collected, Collector, Pace, Plan, write_features, write_raw_parquet

SYMBOLS = {"binance": "BTC/USDT", "bybit": "BTC/USDT", "kraken": "BTC/USD", "kucoin": "BTC/USDT"}
SIZES = {
    "binance": ("0.01", "0.00001"), "bybit": ("0.01", "0.000001"),
    "kraken": ("0.1", "0.00000001"), "kucoin": ("0.1", "0.00000001"),
}  # fmt: skip

# Connections that ccxt keeps open end with its object, which the collector of garbage may find first.
pytestmark = pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")


def plan(venues: Venues, exchange: str = "binance", **changes: Any) -> Plan:
    options: dict[str, Any] = {"levels": 5, "hz": 20.0, "duration_s": 0.6, "retry_s": 0.05}
    return Plan(exchange, SYMBOLS[exchange], endpoint=venues.url, **(options | changes))


def collected(plan: Plan, out: Path, said: list[str] | None = None) -> tuple[Collected, Path]:
    found = Collector(plan, (lambda _: None) if said is None else said.append).run(out)
    assert found.ndjson is not None
    return found, found.ndjson


@pytest.mark.parametrize("exchange", SYMBOLS)
def test_books_of_a_venue_become_the_table_that_they_say(exchange: str, tmp_path: Path) -> None:
    with serve() as venues:
        found, path = collected(plan(venues, exchange, duration_s=1.8), tmp_path)
    assert found.books == venues.books >= 2
    assert (found.failed, found.tick_size, found.lot_size) == (0, *SIZES[exchange])
    assert [entry.name for entry in tmp_path.iterdir()] == [path.name]
    assert write_raw_parquet(path, tmp_path / "raw.parquet", 5) == found.books
    said = write_features(path, tmp_path / "features.parquet", "l2_linear_v1", found)
    assert (said["rows"], said["rejected"]) == (found.books, []), said
    raw, features = pl.read_parquet(tmp_path / "raw.parquet"), pl.read_parquet(tmp_path / "features.parquet")
    bids, asks = raw["bid_px_1"], raw["ask_px_1"]
    assert features["mid"].to_list() == pytest.approx(((bids + asks) / 2).to_list(), rel=1e-12)
    assert features["spread"].to_list() == pytest.approx((asks - bids).to_list(), abs=1e-9)
    sizes = raw["bid_sz_1"] + raw["ask_sz_1"]
    imbalance = ((raw["bid_sz_1"] - raw["ask_sz_1"]) / sizes).to_list()
    assert features["qi_0"].to_list() == pytest.approx(imbalance)


def test_the_raw_table_has_the_times_and_levels_of_the_lines(tmp_path: Path) -> None:
    with serve() as venues:
        found, path = collected(plan(venues, "kucoin"), tmp_path)
    write_raw_parquet(path, tmp_path / "raw.parquet", 7)
    lines = [json.loads(line) for line in path.read_text().splitlines()]
    raw = pl.read_parquet(tmp_path / "raw.parquet")
    assert raw.columns[:7] == ["ts", "ts_exchange", "nonce", "bid_px_1", "ask_px_1", "bid_sz_1", "ask_sz_1"]
    assert raw["ts"].to_list() == [line["collected_at"] * 1_000_000 for line in lines]
    assert raw["ts_exchange"].to_list() == [line["data"]["timestamp"] * 1_000_000 for line in lines]
    assert raw["nonce"].to_list() == [line["data"]["nonce"] for line in lines]
    assert raw["ask_px_5"].to_list() == [line["data"]["asks"][4][0] for line in lines]
    assert raw["bid_sz_6"].null_count() == found.books, "five levels were kept"


def test_slots_keep_their_grid_and_what_is_missed_is_counted() -> None:
    now = [100.0]
    pace = Pace(4.0, lambda: now[0])
    waits = []
    for spent in [0.0, 0.05, 0.25, 0.6, 0.0]:
        now[0] += spent
        waits.append(pace.wait_s())
        now[0] += waits[-1]
    assert waits == pytest.approx([0.25, 0.2, 0.25, 0.15, 0.25])
    assert pace.skipped == 3
    assert now[0] == pytest.approx(102.0), "on the grid of a quarter of a second"


def test_polls_are_paced_and_the_limit_of_the_venue_wins(tmp_path: Path) -> None:
    with serve() as venues:
        slow, _ = collected(plan(venues, hz=4.0, duration_s=1.1), tmp_path)
        assert slow.books <= 5
        assert slow.books + slow.skipped >= 4
    with serve() as venues:
        limited, _ = collected(plan(venues, "kraken", hz=20.0, duration_s=1.3), tmp_path)
        assert limited.books <= 3, "kraken allows one request per second"
        assert limited.skipped >= 10


FAULTS: list[tuple[int, dict[str, str], str]] = [
    (500, {}, "oops"), (200, {}, "no json"), (200, {}, "{}"), (200, {}, ""), (502, {}, "<html>"),
]  # fmt: skip


@pytest.mark.parametrize("exchange", ["binance", "bybit", "kucoin"])
def test_failed_polls_wait_longer_and_longer_and_leave_no_line(exchange: str, tmp_path: Path) -> None:
    said: list[str] = []
    with serve() as venues:
        venues.faults = list(FAULTS)
        found, path = collected(plan(venues, exchange, duration_s=2.0, retry_most_s=0.2), tmp_path, said)
    assert found.failed == len(FAULTS) == len(said)
    assert [line.rsplit("waiting ")[-1] for line in said] == ["0.1 s", "0.1 s", "0.2 s", "0.2 s", "0.2 s"]
    assert found.books == venues.books == len(path.read_text().splitlines()) > 3


def test_a_venue_that_names_a_time_is_left_alone_for_it(tmp_path: Path) -> None:
    said: list[str] = []
    with serve() as venues:
        venues.faults = [(429, {"Retry-After": "1"}, '{"code":-1003,"msg":"Too many requests."}')]
        start = time.monotonic()
        found, _ = collected(plan(venues, duration_s=1.5), tmp_path, said)
    assert said[0].endswith("waiting 1.0 s")
    assert time.monotonic() - start >= 1.4
    assert 1 <= found.books <= 11


def test_success_starts_the_waiting_anew(tmp_path: Path) -> None:
    said: list[str] = []

    class Flaky(Venues):
        def answer(self, target: str) -> tuple[int, dict[str, str], str]:
            if "depth" in target and len(self.seen) % 3 == 1:
                self.seen.append(target)
                return 500, {}, "oops"
            return super().answer(target)

    with serve(Flaky()) as venues:
        found, _ = collected(plan(venues, duration_s=2.0), tmp_path, said)
    assert len(said) >= 3
    assert all(line.endswith("waiting 0.1 s") for line in said), said
    assert found.books >= 4


def test_what_waiting_does_not_mend_ends_the_collection_and_keeps_the_books(tmp_path: Path) -> None:
    with serve() as venues:
        unknown = Plan("binance", "NO/SUCH", endpoint=venues.url)
        with pytest.raises(fp.InputError, match="BadSymbol"):
            Collector(unknown).run(tmp_path)
        assert list(tmp_path.iterdir()) == []

    class Delisted(Venues):
        def answer(self, target: str) -> tuple[int, dict[str, str], str]:
            if self.books == 3:
                self.seen.append(target)
                return 400, {}, '{"code":-1121,"msg":"Invalid symbol."}'
            return super().answer(target)

    with serve(Delisted()) as venues, pytest.raises(fp.InputError, match="Invalid symbol"):
        Collector(plan(venues)).run(tmp_path)
    (path,) = tmp_path.iterdir()
    assert path.suffix == ".ndjson"
    assert len(path.read_text().splitlines()) == 3


def test_a_collection_without_books_leaves_no_file(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with serve() as venues:
        venues.faults = [(500, {}, "oops")] * 100
        arguments = ["--exchange", "bybit", "--symbol", "BTC/USDT", "--duration", "0.3s"]
        assert collect.main([*arguments, "--out", str(tmp_path), "--endpoint", venues.url]) == 1
    assert list(tmp_path.iterdir()) == []
    assert "no books: 1 polls failed" in capsys.readouterr().err


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_ends_it_with_all_three_files(number: signal.Signals, tmp_path: Path) -> None:
    with serve() as venues:
        command = [
            sys.executable, "-m", "featureplane.collect", "--exchange", "kucoin", "--symbol", "BTC/USDT",
            "--hz", "20", "--levels", "5", "--out", str(tmp_path), "--endpoint", venues.url,
        ]  # fmt: skip
        running = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        until = time.monotonic() + 30.0
        while venues.books < 5 and time.monotonic() < until:
            time.sleep(0.05)
        assert [entry.name.endswith(".ndjson.part") for entry in tmp_path.iterdir()] == [True]
        running.send_signal(number)
        out, err = running.communicate(timeout=30)
    assert (running.returncode, err) == (0, ""), err
    assert sorted("".join(entry.suffixes) for entry in tmp_path.iterdir()) == [
        ".features.parquet", ".ndjson", ".raw.parquet",
    ]  # fmt: skip
    books = len(next(tmp_path.glob("*.ndjson")).read_text().splitlines())
    assert out.startswith(f"{books} books, 0 failed polls")
    assert pl.read_parquet(next(tmp_path.glob("*.features.parquet"))).height == books


@pytest.mark.parametrize("wrong", [
    {"exchange": "nowhere"}, {"levels": 0}, {"levels": 101}, {"hz": 0.0}, {"hz": 1e9}, {"duration_s": 0.0},
])  # fmt: skip
def test_plans_that_cannot_be_kept_are_refused(wrong: dict[str, Any]) -> None:
    right: dict[str, Any] = {"exchange": "binance", "symbol": "BTC/USDT"}
    with pytest.raises(ValueError, match="expected"):
        Plan(**(right | wrong))


def test_misuse_of_the_command_is_said(capsys: pytest.CaptureFixture[str]) -> None:
    for wrong in (["--levels", "0"], ["--duration", "soon"], ["--exchange", "nowhere"]):
        with pytest.raises(SystemExit, match="2"):
            collect.main(["--exchange", "binance", "--symbol", "BTC/USDT", *wrong])
        assert "error:" in capsys.readouterr().err
