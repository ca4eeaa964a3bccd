"""Reference of family ``ema``: exponential averages of other columns. Spec: ``specs/features/ema.md``."""

from __future__ import annotations

from typing import Any

from ..numeric import clamp_i64, det_exp, round_half_even
from .base import Column, Derived, Feature, View

REV = {"ema": 1, "ema_rounded": 1}


def span_alpha(span: int) -> float:
    """``a`` of an average over ``span`` steps."""
    return 2.0 / float(span + 1)


class Ema(Derived):
    """The average of the feature ``of``."""

    def __init__(self, params: dict[str, Any], inputs: dict[str, Feature]) -> None:
        self.span = params.get("span")
        self.tau_ns = params.get("tau_ns")
        if (self.span is None) == (self.tau_ns is None):
            raise ValueError("an EMA has either span or tau_ns")
        if params["form"] not in ("delta", "weighted"):
            raise ValueError(f"unknown EMA form {params['form']!r}")
        if params["seed"] not in ("first", "zero"):
            raise ValueError(f"unknown EMA seed {params['seed']!r}")
        super().__init__(params, inputs)

    def clear_state(self) -> None:
        self.state = 0.0
        self.last_t = 0

    def input(self) -> float:
        """The input column as a float; an integer column saturates as in its frame."""
        value = self.source.value
        return float(clamp_i64(value)) if isinstance(value, int) else value + 0.0

    def step(self, view: View) -> None:
        """Average in the input."""
        x, now = self.input(), view.now
        first = self.steps == 0
        if first and self.params["seed"] == "first":
            self.state = x
        else:
            a = self.alpha(first, now)
            if self.params["form"] == "delta":
                self.state = self.state + a * (x - self.state)
            else:
                self.state = (1.0 - a) * self.state + a * x
        self.last_t = now

    def alpha(self, first: bool, now: int) -> float:
        """The weight of this step."""
        if self.span is not None:
            return span_alpha(self.span)
        if first:
            return 1.0
        return 1.0 - det_exp(-(float(now - self.last_t) / float(self.tau_ns)))

    def exported(self, now: int) -> int | float | None:
        return self.state if self.steps else None


class EmaRounded(Ema):
    """The average rounded to an integer of the scale of its input."""

    def exported(self, now: int) -> int | None:
        return round_half_even(self.state) if self.steps else None


_PARAMS = {"of": None, "form": "delta", "seed": "first", "warmup_steps": 2}

COLUMNS = {
    "ema": Column(
        Ema,
        "f64",
        "none",
        "as input",
        warmup_min_events=0,
        warmup_ns_param="tau_ns",
        params=_PARAMS,
        name="ema_{of}_{length}",
    ),
    "ema_rounded": Column(
        EmaRounded,
        "i64",
        "input",
        "as input",
        warmup_min_events=0,
        warmup_ns_param="tau_ns",
        params=_PARAMS,
        name="ema_rounded_{of}_{length}",
    ),
}
