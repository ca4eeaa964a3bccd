"""Reference of family ``shock``: extremes and signs of other columns. Spec: ``specs/features/shock.md``."""

from __future__ import annotations

from ..numeric import clamp_i64, ratio
from .base import Column, Feature, Value, View, Windowed

REV = {"shock_count": 1, "sign_persistence": 1}


class Share(Windowed):
    """A window of answers, 1 for yes."""

    def clear_totals(self) -> None:
        self.yes = 0

    def add(self, entry: int, sign: int) -> None:
        self.yes += sign * entry

    def input(self) -> float:
        """The input as it stands in the frame."""
        value = self.source.value
        assert value is not None
        return float(clamp_i64(value)) if isinstance(value, int) else value


class ShockCount(Share):
    """Steps at which the input was beyond the threshold."""

    def step(self, view: View) -> None:
        x, threshold = self.input(), float(self.params["threshold_ppm"]) / 1e6
        beyond = {"above": x > threshold, "below": x < -threshold, "either": abs(x) > threshold}
        self.push(view.now, int(beyond[self.params["side"]]))

    def of_window(self) -> int:
        return self.yes


class SignPersistence(Share):
    """Share of the steps at which the input kept its sign."""

    def clear_state(self) -> None:
        super().clear_state()
        self.last: int | None = None

    def break_chain(self) -> None:
        super().break_chain()
        self.last = None

    def step(self, view: View) -> None:
        x = self.input()
        last, self.last = self.last, (x > 0.0) - (x < 0.0)
        if last is not None:
            self.push(view.now, int(last == self.last))

    def of_window(self) -> Value:
        return ratio(self.yes, len(self.window))


def _column(make: type[Feature], dtype: str, unit: str, events: int, params: dict[str, object], name: str) -> Column:
    return Column(
        make,
        dtype,
        "none",
        unit,
        warmup_min_events=events,
        warmup_ns_param="window_ns",
        warmup_count_param="count",
        params={"of": None, **params},
        name=name,
    )


COLUMNS = {
    "shock_count": _column(
        ShockCount,
        "i64",
        "steps",
        0,
        {"side": "above", "threshold_ppm": None},
        "shock_count_{of}_{side}_{threshold_ppm}_{length}",
    ),
    "sign_persistence": _column(SignPersistence, "f64", "ratio", 1, {}, "sign_persistence_{of}_{length}"),
}
