"""The feature families: one module each."""

from . import (
    depth,
    ema,
    imbalance,
    microprice,
    mid_spread,
    ofi_l1,
    ofi_ml,
    ofi_norm,
    shape,
    time_of_day,
    top,
    weighted_depth,
)

FAMILIES = {
    "top": top,
    "mid_spread": mid_spread,
    "microprice": microprice,
    "imbalance": imbalance,
    "depth": depth,
    "ofi_l1": ofi_l1,
    "ofi_ml": ofi_ml,
    "ofi_norm": ofi_norm,
    "shape": shape,
    "weighted_depth": weighted_depth,
    "ema": ema,
    "time": time_of_day,
}
