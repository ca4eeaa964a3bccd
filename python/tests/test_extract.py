from __future__ import annotations

import datetime as dt
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import Any

import duckdb
import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from conftest import T0, write_log

import featureplane as fp


@pytest.fixture(scope="module")
def table(recording: Path) -> fp.FeatureTable:
    return fp.extract(recording, features="core_v1")


def test_a_table_says_what_it_is(table: fp.FeatureTable, recording: Path) -> None:
    described = fp.describe_set("core_v1")
    assert len(table) == table.num_rows == table.summary["rows"] > 500
    assert table.num_columns == len(table.column_names) == 7 + len(described["features"])
    assert (table.feature_set_id, table.schema_hash) == ("core_v1", described["schema_hash"])
    assert table.metadata["featureplane.symbol"] == "BTCUSDT"
    assert table.column_metadata("best_bid")["family"] == "top"
    assert table.summary["inputs"] == [str(recording)]
    assert table.summary["quality"]["DUPLICATE_INPUT"] == 3
    assert "BTCUSDT" in repr(table)


def test_polars_reads_it(table: fp.FeatureTable) -> None:
    frame = table.to_polars()
    assert isinstance(frame, pl.DataFrame)
    assert frame.height == table.num_rows
    assert frame.schema["ts_event"] == pl.Datetime("ns", "UTC")
    assert frame.schema["best_bid"] == pl.Int64
    assert frame.schema["mid"] == pl.Float64
    assert frame["symbol"].cast(pl.String).unique().to_list() == ["BTCUSDT"]


def test_pyarrow_reads_it_with_metadata(table: fp.FeatureTable) -> None:
    arrow = pa.table(table)
    assert arrow.equals(table.to_arrow())
    assert arrow.schema.field("ts_event").type == pa.timestamp("ns", "UTC")
    assert arrow.schema.field("symbol").type == pa.dictionary(pa.int32(), pa.string())
    assert not arrow.schema.field("ts_event").nullable
    assert arrow.schema.metadata[b"featureplane.schema_hash"].decode() == table.schema_hash
    assert pa.schema(table).equals(arrow.schema)  # type: ignore[arg-type]


def test_pandas_reads_it(table: fp.FeatureTable) -> None:
    frame = table.to_pandas()
    assert str(frame["ts_event"].dtype) == "datetime64[ns, UTC]"
    assert frame["best_bid"].dtype == np.int64
    backed = table.to_pandas(dtype_backend="pyarrow")
    assert isinstance(backed["best_bid"].dtype, pd.ArrowDtype)


def test_duckdb_reads_it(table: fp.FeatureTable) -> None:
    rows = pa.RecordBatchReader.from_stream(table)
    assert rows is not None
    query = "select count(*), max(best_bid), min(symbol::varchar) from rows"
    result = duckdb.sql(query)
    assert result is not None
    [found] = result.fetchall()
    assert found == (table.num_rows, int(table.to_numpy("best_bid").max()), "BTCUSDT")


def test_all_readers_agree_on_values_and_nulls(recording: Path) -> None:
    table = fp.extract(recording, emit="step:1s")  # ts_recv is null in sampled rows
    frame, arrow = table.to_polars(), table.to_arrow()
    assert frame["ts_recv"].null_count() == arrow["ts_recv"].null_count == table.num_rows
    assert np.isnat(table.to_numpy("ts_recv")).all()
    for name in table.column_names[1:]:
        nulls = frame[name].is_null().to_numpy()
        assert nulls.tolist() == arrow[name].is_null().to_pylist(), name
        values = table.to_numpy(name)
        if name.startswith("ts_"):
            continue
        want = np.array([np.nan if v is None else v for v in arrow[name].to_pylist()])
        np.testing.assert_array_equal(values, want, err_msg=name)


def test_to_numpy_has_the_type_of_the_column(table: fp.FeatureTable) -> None:
    kinds = {"symbol": "O", "ts_event": "M", "seq": "u", "epoch": "u", "best_bid": "i", "mid": "f"}
    for name, kind in kinds.items():
        column = table.to_numpy(name)
        assert (column.dtype.kind, column.shape) == (kind, (table.num_rows,))
    assert table.to_numpy("symbol")[0] == "BTCUSDT"
    with pytest.raises(fp.ConfigError, match="no column"):
        table.to_numpy("nothing")


def test_a_file_holds_the_same_rows(table: fp.FeatureTable, recording: Path, tmp_path: Path) -> None:
    out = tmp_path / "rows.parquet"
    summary = fp.extract_to_file(recording, out, features="core_v1", compression="snappy")
    assert summary["output"] == str(out)
    assert summary["output_bytes"] == out.stat().st_size
    read = pq.read_table(out)
    assert read.num_rows == table.num_rows
    assert pl.DataFrame(read).drop("symbol").equals(table.to_polars().drop("symbol"))
    with pytest.raises(fp.OutputError, match="exists") as caught:
        fp.extract_to_file(recording, out)
    assert isinstance(caught.value, OSError)
    assert caught.value.path == str(out)
    fp.extract_to_file(recording, out, overwrite=True)
    with pytest.raises(fp.OutputError):
        fp.extract_to_file(recording, tmp_path / "rows.xls")
    with pytest.raises(fp.ConfigError, match="compression"):
        fp.extract_to_file(recording, tmp_path / "x.parquet", compression="lz4")  # type: ignore[arg-type]


def test_a_range_is_given_as_ns_text_or_datetime(log: Path) -> None:
    start = T0 + 100_000_000
    moment = dt.datetime.fromtimestamp(T0 // 10**9, dt.timezone.utc) + dt.timedelta(milliseconds=100)
    naive, text = moment.replace(tzinfo=None), moment.isoformat()[:23]
    plain = pd.Timestamp(start, unit="ns")
    tokyo = plain.tz_localize("UTC").tz_convert("Asia/Tokyo")
    for given in (start, str(start), moment, naive, text, plain, tokyo):
        assert fp.extract(log, features="lob_shared_v1", start=given).num_rows == 2, given
    assert fp.extract(log, features="lob_shared_v1", end=start).num_rows == 1
    with pytest.raises(fp.ConfigError, match="time"):
        fp.extract(log, start=1.5)  # type: ignore[arg-type]
    with pytest.raises(fp.ConfigError, match="seconds"):
        fp.extract(log, start=T0 // 10**9)
    with pytest.raises(fp.FeatureError, match="no rows"):
        fp.extract(log, start=T0 + 10**12)


def test_progress_is_told_in_the_calling_thread(recording: Path) -> None:
    calls: list[tuple[Any, ...]] = []

    def note(*told: Any) -> None:
        calls.append((threading.current_thread(), *told))

    table = fp.extract(recording, progress=note)
    assert all(call[0] is threading.current_thread() for call in calls)
    assert all(call[1] == "BTCUSDT" and 0 <= call[2] <= call[3] for call in calls)
    assert not calls or calls[-1][4] <= table.num_rows


def test_an_exception_in_progress_stops_the_call(real: Path) -> None:
    def fail(*_: Any) -> None:
        raise LookupError("enough")

    with pytest.raises(LookupError, match="enough"):
        fp.extract(real, progress=fail)


def test_a_bar_is_shown_when_asked_for(recording: Path, capfd: pytest.CaptureFixture[str]) -> None:
    assert fp.extract(recording, progress=True).num_rows > 500
    capfd.readouterr()


def test_other_threads_run_meanwhile(real: Path) -> None:
    ticks, done = [0], threading.Event()

    def count() -> None:
        while not done.is_set():
            ticks[0] += 1
            time.sleep(0.001)

    counter = threading.Thread(target=count)
    counter.start()
    fp.extract(real)
    done.set()
    counter.join()
    assert ticks[0] > 20


def test_two_extractions_at_once(recording: Path) -> None:
    tables: list[fp.FeatureTable] = []
    threads = [threading.Thread(target=lambda: tables.append(fp.extract(recording))) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    first, second = tables
    assert first.to_polars().equals(second.to_polars())


SCRIPT = """
import sys, time
import featureplane as fp
print("ready", flush=True)
try:
    while True:
        fp.extract_to_file(sys.argv[1:-1], sys.argv[-1], overwrite=True)
except KeyboardInterrupt:
    print("stopped", time.monotonic(), flush=True)
"""


@pytest.mark.parametrize("delay_s", [0.05, 0.4])
def test_ctrl_c_stops_within_a_tenth_of_a_second(recording: Path, tmp_path: Path, delay_s: float) -> None:
    long = tmp_path / "long.gz"
    fp.write_synthetic(long, duration_s=400.0)
    out = tmp_path / "rows.parquet"
    command = [sys.executable, "-c", SCRIPT, str(long), str(out)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as child:
        assert child.stdout is not None
        assert child.stdout.readline() == "ready\n"
        time.sleep(delay_s)
        sent = time.monotonic()
        child.send_signal(signal.SIGINT)
        word, at = child.stdout.readline().split()
        assert word == "stopped"
        # 100 ms is the promise; a shared machine may add scheduling on top.
        assert float(at) - sent < 0.25
        assert child.wait(5) == 0
    assert [path.name for path in tmp_path.iterdir() if path not in (long, out)] == []


def test_several_symbols_follow_each_other(tmp_path: Path) -> None:
    log = write_log(tmp_path / "packets.ndjson")
    table = fp.extract(log, symbol=["BTCUSDT", "BTCUSDT"], features="lob_shared_v1", jobs=2)
    assert table.num_rows == 6
    assert table.summary["rows"] == 6
    assert [part["rows"] for part in table.summaries] == [3, 3]
    with pytest.raises(fp.UnknownSymbolError) as caught:
        fp.extract(log, symbol="ETH")
    assert caught.value.symbol == "ETH"


def test_recorded_data(real: Path) -> None:
    table = fp.extract(real)
    assert table.summary["events"] > 400_000
    assert table.num_rows > 20_000
    sampled = fp.extract(real, emit="step:1s")
    assert 300 < sampled.num_rows < 400
