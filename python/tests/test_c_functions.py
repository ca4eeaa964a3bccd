"""The functions that compiled strategies call by address, called by address."""

from __future__ import annotations

import ctypes
import math
from pathlib import Path

import pytest

import featureplane as fp
from featureplane import _lib

NO_HANDLE, FOREVER = -3, 2**62


@pytest.fixture
def functions() -> ctypes.CDLL:
    loaded = ctypes.CDLL(_lib.__file__)
    loaded.featureplane_advance.argtypes = (ctypes.c_void_p, ctypes.c_int64)
    loaded.featureplane_advance.restype = ctypes.c_int64
    loaded.featureplane_get_feature.argtypes = (ctypes.c_void_p, ctypes.c_int64, ctypes.c_int64)
    loaded.featureplane_get_feature.restype = ctypes.c_double
    return loaded


def test_no_handle_is_told(functions: ctypes.CDLL) -> None:
    assert functions.featureplane_advance(None, FOREVER) == NO_HANDLE
    assert math.isnan(functions.featureplane_get_feature(None, FOREVER, 0))


def test_a_handle_answers_for_every_index_and_time(functions: ctypes.CDLL, tmp_path: Path) -> None:
    path = tmp_path / "market.npz"
    fp.write_synthetic(path, kind="hftbacktest", duration_s=2)
    replay = _lib.RawReplay("lob_shared_v1", "SYN", "0.1", "0.001", [str(path)], None, 0)
    handle = replay.addresses()[0]
    assert functions.featureplane_advance(handle, -FOREVER) == 0
    assert math.isnan(functions.featureplane_get_feature(handle, -FOREVER, 0))
    frames = functions.featureplane_advance(handle, FOREVER)
    assert frames > 10
    assert functions.featureplane_advance(handle, FOREVER) == 0
    bid, ask = (functions.featureplane_get_feature(handle, FOREVER, index) for index in (0, 1))
    assert 0 < bid < ask
    for index in (16, 17, -1, 2**62, -(2**63)):
        assert math.isnan(functions.featureplane_get_feature(handle, FOREVER, index))
