"""The feature families: one module each."""

from . import (
    depth,
    ema,
    imbalance,
    microprice,
    mid_spread,
    momentum,
    ofi_flow,
    ofi_l1,
    ofi_ml,
    ofi_norm,
    order_flow_l3,
    regime,
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
    "regime": regime,
    "momentum": momentum,
    "ofi_flow": ofi_flow,
    "order_flow_l3": order_flow_l3,
    "ema": ema,
    "time": time_of_day,
}
