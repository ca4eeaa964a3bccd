from __future__ import annotations

import gzip
import pickle
import re
from pathlib import Path

import pytest
from conftest import ROOT

import featureplane as fp
from featureplane import errors

CRATES = ROOT / "crates"
ENUMS = {
    "JobError": "feature-extract/src/error.rs",
    "EngineError": "feature-runtime/src/error.rs",
    "ModelError": "feature-infer/src/error.rs",
    "KernelError": "feature-kernel/src/error.rs",
    "BookError": "lob-engine/src/error.rs",
    "InputError": "market-io/src/error.rs",
    "SinkError": "market-io/src/sink/error.rs",
    "WriteError": "market-io/src/write.rs",
}


@pytest.mark.parametrize("alias", ENUMS)
def test_every_variant_of_every_error_is_mapped(alias: str) -> None:
    text = (CRATES / ENUMS[alias]).read_text()
    body = re.search(r"pub enum \w*Error \{\n(.*?)\n\}", text, re.DOTALL)
    assert body is not None
    variants = re.findall(r"^    ([A-Z]\w+)(?: \{|\(|,)", body[1], re.MULTILINE)
    assert variants
    mapping = (CRATES / "feature-py/src/errors.rs").read_text()
    assert [name for name in variants if f"{alias}::{name}" not in mapping] == []


def test_every_class_is_exported_and_derives_from_the_base() -> None:
    for name in errors.__all__:
        assert issubclass(getattr(fp, name), fp.FeatureError)
    assert issubclass(fp.ConfigError, ValueError)
    assert issubclass(fp.DecodeError, ValueError)
    assert issubclass(fp.UnknownSymbolError, KeyError)
    assert issubclass(fp.UnknownFeatureError, KeyError)
    assert issubclass(fp.InputError, OSError)
    assert issubclass(fp.OutputError, OSError)


def test_an_error_survives_pickling() -> None:
    error = fp.DecodeError("bad", path="a", line=3, offset=17, symbol="S")
    again = pickle.loads(pickle.dumps(error))
    assert (str(again), again.path, again.line, again.offset, again.symbol) == ("bad", "a", 3, 17, "S")


def test_a_missing_file(tmp_path: Path) -> None:
    path = tmp_path / "nothing.gz"
    with pytest.raises(fp.InputError, match="No such file") as caught:
        fp.extract(path)
    assert (caught.value.path, caught.value.errno) == (str(path), 2)


def test_a_wrong_feature_set_lists_every_fault() -> None:
    entries = [{"family": "nothing", "column": "x"}, {"family": "mid_spread", "column": "x"}]
    with pytest.raises(fp.ConfigError) as caught:
        fp.describe_set({"id": "mine", "features": entries})
    assert "features[0].family" in str(caught.value)
    assert "features[1].column" in str(caught.value)
    with pytest.raises(fp.ConfigError, match="built in: core_v1"):
        fp.describe_set("core_v9")
    with pytest.raises(fp.ConfigError, match="line 1"):
        fp.describe_set("{")


def test_a_file_of_no_format_and_an_empty_one(tmp_path: Path) -> None:
    path = tmp_path / "x.bin"
    path.write_bytes(b"hello")
    with pytest.raises(fp.DecodeError, match="unknown format") as caught:
        fp.extract(path)
    assert caught.value.path == str(path)
    path.write_bytes(b"")
    with pytest.raises(fp.DecodeError, match="empty"):
        fp.extract(path)


def test_a_damaged_line_is_named(log: Path) -> None:
    lines = log.read_text().splitlines(keepends=True)
    log.write_text("".join([*lines[:2], '{"k":"delta"}\n', *lines[2:]]))
    with pytest.raises(fp.DecodeError) as caught:
        fp.extract(log, features="lob_shared_v1")
    error = caught.value
    assert (error.path, error.line, error.offset) == (str(log), 3, len(lines[0]) + len(lines[1]))
    with pytest.raises(fp.DecodeError, match="line 3"):
        fp.replay(log)


def test_a_truncated_gzip_is_named(recording: Path, tmp_path: Path) -> None:
    path = tmp_path / "cut.gz"
    path.write_bytes(recording.read_bytes()[:-1000])
    with pytest.raises(fp.DecodeError, match="truncated") as caught:
        fp.extract(path)
    assert caught.value.offset is not None
    assert gzip.open(recording).read(1)  # noqa: SIM115


def test_wrong_options(recording: Path) -> None:
    with pytest.raises(fp.ConfigError, match="format"):
        fp.extract(recording, format="tape")
    with pytest.raises(fp.ConfigError, match="emit"):
        fp.extract(recording, emit="daily")
    with pytest.raises(fp.ConfigError, match="no input"):
        fp.extract([])
    with pytest.raises(TypeError, match="float"):
        fp.extract(recording, tick_size=0.1)  # type: ignore[arg-type]
    with pytest.raises(fp.UnknownSymbolError):
        fp.extract(recording, symbol="ETHUSDT")
    with pytest.raises(fp.ConfigError, match="range"):
        fp.extract(recording, start="2025-01-02", end="2025-01-01")
