from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

import featureplane as fp
from featureplane.hftbacktest import FeatureAsset

ROOT = Path(__file__).parents[2]
RECORDED = ROOT.parent / "shared" / "data" / "hftbacktest"


def stock_settings(asset: Any) -> Any:
    """The same models for every test."""
    return (
        asset.linear_asset(1.0)
        .constant_order_latency(10_000_000, 10_000_000)
        .risk_adverse_queue_model()
        .no_partial_fill_exchange()
        .trading_value_fee_model(-0.00005, 0.0007)
        .tick_size(0.1)
        .lot_size(0.001)
    )


def new_asset(data: Any) -> FeatureAsset:
    return stock_settings(FeatureAsset().data(data))


@pytest.fixture(scope="session")
def synthetic(tmp_path_factory: pytest.TempPathFactory) -> str:
    path = tmp_path_factory.mktemp("synthetic") / "day.npz"
    fp.write_synthetic(path, kind="hftbacktest", seed=3, duration_s=30.0, gaps=2, crossed=2)
    return str(path)


@pytest.fixture(scope="session")
def recorded() -> str:
    path = RECORDED / "usdm_btcusdt_20240808.npz"
    if not path.is_file():
        pytest.skip("../shared/data is absent")
    return str(path)


@pytest.fixture(scope="session")
def converted(tmp_path_factory: pytest.TempPathFactory) -> str:
    """Two raw days as one array with update ids."""
    days = [RECORDED.parent / "binance" / f"usdm_btcusdt_202407{day}.gz" for day in (18, 19)]
    if not all(day.is_file() for day in days):
        pytest.skip("../shared/data is absent")
    out = tmp_path_factory.mktemp("converted") / "days.npz"
    command = [
        sys.executable,
        "-m",
        "featureplane",
        "convert",
        "--to",
        "hftbacktest",
        "--local-offset",
        "auto",
    ]
    subprocess.run([*command, "--input", *days, "--out", out], check=True, stdout=subprocess.DEVNULL)
    return str(out)


@pytest.fixture(params=["synthetic", "recorded", "converted"])
def array_file(request: pytest.FixtureRequest) -> str:
    return request.getfixturevalue(request.param)
