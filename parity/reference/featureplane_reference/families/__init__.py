"""The feature families: one module each."""

from . import (
    depth,
    ema,
    imbalance,
    impact,
    microprice,
    mid_spread,
    ofi_l1,
    returns,
    rolling,
    shock,
    time_of_day,
    top,
    toxicity,
    trades,
)

FAMILIES = {
    "top": top,
    "mid_spread": mid_spread,
    "microprice": microprice,
    "imbalance": imbalance,
    "depth": depth,
    "impact": impact,
    "ofi_l1": ofi_l1,
    "ema": ema,
    "returns": returns,
    "rolling": rolling,
    "shock": shock,
    "time": time_of_day,
    "toxicity": toxicity,
    "trades": trades,
}
