from __future__ import annotations

import doctest
import importlib
import pkgutil
import subprocess
import sys
from pathlib import Path

import pytest
from conftest import ROOT, write_log

import featureplane as fp
from featureplane import _ids, _lib

# What needs another environment has its tests there (`make hftbacktest`).
MODULES = ["featureplane", *(f"featureplane.{m.name}" for m in pkgutil.iter_modules(fp.__path__))]
MODULES.remove("featureplane.hftbacktest")

BARE = """
import sys

class Refuse:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in {"numpy", "polars", "pandas", "pyarrow", "duckdb", "tqdm"}:
            raise ModuleNotFoundError(f"No module named {name!r}", name=name)

sys.meta_path.insert(0, Refuse())
import featureplane as fp

table = fp.extract(sys.argv[1], features="lob_shared_v1", progress=True)
assert table.num_rows == 3
assert table.__arrow_c_stream__() is not None
engine = fp.FeatureEngine("lob_shared_v1", {"S": {"tick_size": "1", "lot_size": "1"}})
assert engine.process_packet("S", kind="snapshot", ts_event=1, bids=[(1, 2)], asks=[(3, 4)])
view = engine.get_feature_view("S")
assert view.words.tolist()[:2] == [1, 3] and len(view.to_bytes()) == 216
assert len(fp.replay(sys.argv[1])) == 3 * 216
config = fp.ExtractionConfig([fp.features.Mid()])
out = sys.argv[1] + ".parquet"
assert fp.extract_to_parquet(source=sys.argv[1], destination=out, config=config)["rows"] == 3
replay = lambda: fp.extract_features("nowhere", [])
frames = [(table.to_polars, "polars"), (table.to_pandas, "pandas"), (table.to_arrow, "pyarrow")]
for call, extra in [*frames, (replay, "pyarrow")]:
    try:
        call()
    except ModuleNotFoundError as error:
        assert f"featureplane[{extra}]" in str(error), error
    else:
        raise AssertionError(call)
"""


def test_nothing_but_the_standard_library_is_needed(log: Path) -> None:
    subprocess.run([sys.executable, "-W", "error", "-c", BARE, str(log)], check=True)


def test_importing_is_lazy() -> None:
    code = "import sys, featureplane; print([m for m in ('numpy', 'polars', 'pandas') if m in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True)
    assert done.stdout.strip() == "[]"


@pytest.mark.parametrize("name", MODULES)
def test_examples_run(name: str, tmp_path: Path) -> None:
    module = importlib.import_module(name)
    log = write_log(tmp_path / "packets.ndjson")
    names = {"example_log": log, "example_folder": tmp_path}
    finder = doctest.DocTestFinder(exclude_empty=True)
    runner = doctest.DocTestRunner(optionflags=doctest.NORMALIZE_WHITESPACE)
    for test in finder.find(module, extraglobs=names):
        runner.run(test)
    assert runner.failures == 0


def test_examples_of_compiled_classes_run() -> None:
    runner = doctest.DocTestRunner()
    example = doctest.DocTestParser().get_doctest(
        _lib.FeatureEngine.__doc__ or "", {}, "FeatureEngine", None, None
    )
    assert len(example.examples) >= 4
    assert runner.run(example).failed == 0


def test_every_public_name_has_a_docstring() -> None:
    for name in fp.__all__:
        thing = getattr(fp, name)
        if callable(thing):
            assert thing.__doc__, name
    for kind in (fp.FeatureEngine, fp.FeatureView):
        for name in vars(kind):
            if not name.startswith("_"):
                assert getattr(kind, name).__doc__, f"{kind.__name__}.{name}"


def test_the_registry_is_listed() -> None:
    assert [entry["id"] for entry in fp.feature_sets()] == list(_ids.FEATURE_SET_IDS)
    columns = fp.feature_columns()
    assert {entry["family"] for entry in columns} == set(_ids.FAMILY_IDS)
    for entry in columns:
        assert entry["dtype"] in {"i64", "f64", "u32"}
        assert entry["doc"]
        assert entry["unit"]


def test_quality_flags_are_those_of_the_library() -> None:
    text = (ROOT / "crates/market-model/src/quality.rs").read_text()
    for flag in fp.QualityFlags:
        bit = flag.value.bit_length() - 1
        assert f"const {flag.name} = 1 << {bit};" in text
    assert text.count("const ") - 2 == len(fp.QualityFlags)


def test_views_and_engines_cannot_be_made_by_hand() -> None:
    with pytest.raises(TypeError):
        fp.FeatureView()


@pytest.mark.parametrize("name", sorted(path.name for path in (ROOT / "python/examples").glob("*.py")))
def test_example_scripts_run(name: str) -> None:
    script = ROOT / "python/examples" / name
    done = subprocess.run([sys.executable, "-W", "error", script], check=True, capture_output=True, text=True)
    assert done.stdout


@pytest.mark.parametrize("module", ["_lib", "_columns"])
def test_the_stub_is_that_of_the_module(module: str) -> None:
    """Names and signatures only; `tools/check_stubs.py` compares every byte of one, but has to build."""
    pytest.importorskip("mypy")
    command = [sys.executable, "-m", "mypy.stubtest", f"featureplane.{module}"]
    done = subprocess.run(command, capture_output=True, text=True, cwd=ROOT / "python/src")
    assert done.returncode == 0, done.stdout + done.stderr
