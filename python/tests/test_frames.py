from __future__ import annotations

import struct
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from conftest import ROOT, write_log

import featureplane as fp
from featureplane import _lib, parity

GOLDEN = ROOT / "parity" / "golden" / "frames.toml"


def golden() -> list[dict[str, Any]]:
    tomllib = pytest.importorskip("tomllib")
    if not GOLDEN.exists():
        pytest.skip(f"no {GOLDEN}")
    return tomllib.loads(GOLDEN.read_text())["frame"]  # type: ignore[no-any-return]


def test_golden_frames_are_decoded_and_damaged_ones_refused() -> None:
    for frame in golden():
        data = bytes.fromhex("".join(frame["hex"]))
        count = len(frame["values"])
        assert _lib.decode_frame(data, frame["schema_hash"], count) == data
        with pytest.raises(fp.SchemaMismatchError):
            _lib.decode_frame(data, "f" * 16, count)
        with pytest.raises(fp.DecodeError, match="length") as caught:
            _lib.decode_frame(data[:-1], frame["schema_hash"], count)
        assert caught.value.offset == 0
        with pytest.raises(fp.DecodeError, match="marker"):
            _lib.decode_frame(b"X" + data[1:], frame["schema_hash"], count)
        with pytest.raises(fp.DecodeError, match="feature_count"):
            _lib.decode_frame(data, frame["schema_hash"], count + 1)


@pytest.mark.parametrize("features", ["core_v1", "lob_shared_v1"])
def test_the_dtype_is_the_layout_of_the_specification(features: str) -> None:
    dtype = fp.frame_dtype(features)
    n = len(fp.describe_set(features)["features"])
    m = -(-n // 64)
    fields = dtype.fields
    assert fields is not None
    assert dtype.itemsize == 64 + 24 * m + 8 * n
    offsets = {name: fields[name][1] for name in fields}
    assert offsets["quality_flags"] == 60
    assert offsets["valid_mask"] == 64 + 16 * m
    assert offsets["values"] == 64 + 24 * m


def test_replay_gives_the_frames_of_extract(log: Path) -> None:
    frames = fp.decode_frames(fp.replay(log), "lob_shared_v1")
    table = fp.extract(log, features="lob_shared_v1")
    assert len(frames) == table.num_rows == 3
    for name in table.column_names[7:]:
        np.testing.assert_array_equal(frames["values"][name], table.to_numpy(name), err_msg=name)
    np.testing.assert_array_equal(frames["source_ts_ns"], table.to_numpy("ts_event").astype(np.int64))
    assert not frames.flags.writeable
    assert frames["marker"][0] == b"FUFRAME1"
    assert "0x" not in repr(fp.decode_frame(fp.replay(log)[:216], "lob_shared_v1")["seq"])


def test_frames_that_do_not_fit_are_refused(log: Path) -> None:
    data = fp.replay(log)
    with pytest.raises(fp.DecodeError):
        fp.decode_frames(data[:-1], "lob_shared_v1")
    with pytest.raises(fp.DecodeError):
        fp.decode_frames(data, "lob_shared_v1", count=2)
    with pytest.raises(fp.SchemaMismatchError):
        fp.decode_frame(data[:216], {"id": "x", "features": [{"family": "mid_spread", "column": "mid"}]})


def test_the_command_writes_the_same_bytes(log: Path, tmp_path: Path) -> None:
    out = tmp_path / "out.bin"
    command = [sys.executable, "-W", "error", "-m", "featureplane.parity"]
    subprocess.run([*command, str(log), str(out)], check=True)
    assert out.read_bytes() == fp.replay(log)
    assert parity.main(["one"]) == 2


def test_a_symbol_id_of_the_log_is_in_the_frames(log: Path) -> None:
    plain = fp.replay(log)
    log.write_text(log.read_text().replace('"symbol_id":0', '"symbol_id":3'))
    data = fp.replay(log)
    assert struct.unpack_from("<I", data, 16) == (3,)
    assert data[:16] + data[20:216] == plain[:16] + plain[20:216]


def test_a_log_of_another_set_is_refused(log: Path) -> None:
    good = fp.describe_set("lob_shared_v1")["schema_hash"]
    log.write_text(log.read_text().replace(good, "0" * 16))
    with pytest.raises(fp.SchemaMismatchError):
        fp.replay(log)
    log.write_text("{}\n")
    with pytest.raises(fp.DecodeError):
        fp.replay(log)


def test_replay_equals_extract_on_a_long_log_and_is_fast(tmp_path: Path) -> None:
    log = tmp_path / "day.ndjson"
    faults = {"gaps": 2, "duplicates": 3, "crossed": 2, "reorders": 2}
    fp.write_synthetic(log, kind="events", seed=3, duration_s=600.0, **faults)  # type: ignore[arg-type]
    with pytest.raises(fp.ConfigError, match="names no feature set"):
        fp.replay(log)
    started = time.perf_counter()
    frames = fp.decode_frames(fp.replay(log, "core_v1"), "core_v1")
    elapsed_s = time.perf_counter() - started
    table = fp.extract(log, features="core_v1")
    assert len(frames) == table.num_rows
    valid = frames["valid_mask"]
    for index, name in enumerate(table.column_names[7:]):
        is_valid = (valid[:, index // 64] >> np.uint64(index % 64)) & np.uint64(1) == 1
        column = table.to_numpy(name)
        np.testing.assert_array_equal(frames["values"][name][is_valid], column[is_valid], err_msg=name)
        if column.dtype.kind == "f":
            assert np.isnan(column[~is_valid]).all()
    assert elapsed_s < 10, f"{table.summary['events']} events in {elapsed_s:.1f} s"


def test_small_packets_are_fast() -> None:
    engine = fp.FeatureEngine("lob_shared_v1", {"X": {"tick_size": "0.1", "lot_size": "0.001"}})
    runs = [["set_bid", [[1000, 5]]], ["set_ask", [[1002, 7]]]]
    engine.process_packet_runs("X", "snapshot", 1, 1, 1, 1, 0, False, runs, (), ())
    started = time.perf_counter()
    for seq in range(2, 20_002):
        engine.process_packet_runs("X", "delta", seq, seq, seq, seq, seq - 1, False, runs, (), ())
    per_second = 20_000 / (time.perf_counter() - started)
    assert per_second > 20_000, per_second  # 100,000 when optimised; this build has assertions on


def test_write_log_is_deterministic(tmp_path: Path) -> None:
    assert write_log(tmp_path / "a").read_bytes() == write_log(tmp_path / "b").read_bytes()
    for name in ("x.gz", "y.gz"):
        fp.write_synthetic(tmp_path / name, seed=5, duration_s=3.0)
    assert (tmp_path / "x.gz").read_bytes() == (tmp_path / "y.gz").read_bytes()
    with pytest.raises(fp.OutputError):
        fp.write_synthetic(tmp_path / "x.gz", duration_s=3.0)
    with pytest.raises(fp.ConfigError):
        fp.write_synthetic(tmp_path / "z.gz", kind="tape")  # type: ignore[arg-type]
