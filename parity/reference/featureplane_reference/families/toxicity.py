"""Reference of family ``toxicity``: how one-sided trading is. Spec: ``specs/features/toxicity.md``."""

from __future__ import annotations

from ..numeric import ratio, round_half_even
from .aggressor import Aggressors
from .base import Column, Feature, Value, View

REV = {"vpin": 1, "toxicity_ema": 1, "toxicity_ema_x1000": 1}


class Signed(Feature):
    """A column over the trades whose side is known."""

    reads = "trades"

    def clear_state(self) -> None:
        self.aggressors = Aggressors()
        self.start_anew()
        self.value = self.exported()

    def break_chain(self) -> None:
        self.aggressors.forget()
        self.start_anew()
        self.steps = 0

    def settle(self, view: View) -> None:
        self.aggressors.settle(view)

    def advance(self, view: View) -> None:
        before = self.steps
        for trade in view.trades:
            sign, confidence = self.aggressors.sign(trade, view.tick)
            if sign:
                self.take(trade[1] * view.lot, sign, confidence)
        self.stepped = self.steps > before
        self.value = self.exported()

    def idle(self, view: View) -> None:
        self.value = self.exported()

    def start_anew(self) -> None:
        """Forget the trades."""
        raise NotImplementedError

    def take(self, qty: int, sign: int, confidence: int) -> None:
        """Take a trade."""
        raise NotImplementedError

    def exported(self) -> Value:
        """The value after the trades so far."""
        raise NotImplementedError


class Vpin(Signed):
    """Imbalance of the last complete buckets; steps are completed buckets."""

    def start_anew(self) -> None:
        self.open = {1: 0, -1: 0}
        self.complete: list[int] = []

    def take(self, qty: int, sign: int, confidence: int) -> None:
        size = self.params["bucket_scaled"]
        whole, rest = divmod(sum(self.open.values()) + qty, size)
        self.steps += whole
        if whole == 0:
            self.open[sign] += qty
            return
        room = size - sum(self.open.values())
        self.open[sign] += room
        self.complete.append(abs(self.open[1] - self.open[-1]))
        self.complete += [size] * min(whole - 1, self.params["buckets"])
        self.open = {sign: rest, -sign: 0}
        del self.complete[: -self.params["buckets"]]

    def exported(self) -> Value:
        return ratio(sum(self.complete), len(self.complete) * self.params["bucket_scaled"])


class ToxicityEma(Signed):
    """Average signed over average volume; steps are trades."""

    def start_anew(self) -> None:
        self.signed = self.whole = 0.0

    def take(self, qty: int, sign: int, confidence: int) -> None:
        a = 2.0 / float(self.params["trades"])
        volume = float(qty) * (float(confidence) / 1000.0)
        self.signed = self.signed + a * (sign * volume - self.signed)
        self.whole = self.whole + a * (volume - self.whole)
        self.steps += 1

    def exported(self) -> Value:
        return min(1.0, abs(self.signed) / self.whole) if self.steps else None


class ToxicityEmaX1000(ToxicityEma):
    """The same in thousandths."""

    def exported(self) -> int:
        if self.steps < self.params["trades"] or self.whole < 1.0:
            return 0
        return round_half_even(min(1.0, abs(self.signed) / self.whole) * 1000.0)


def _ema(make: type[Feature], name: str, dtype: str, scale: str, unit: str) -> Column:
    return Column(
        make,
        dtype,
        scale,
        unit,
        warmup_min_events=0,
        warmup_count_param="trades",
        params={"trades": 50},
        name=f"{name}_{{trades}}",
    )


COLUMNS = {
    "vpin": Column(
        Vpin,
        "f64",
        "none",
        "ratio",
        warmup_min_events=0,
        warmup_count_param="buckets",
        params={"bucket_scaled": None, "buckets": 50},
        name="vpin_{bucket_scaled}_{buckets}",
    ),
    "toxicity_ema": _ema(ToxicityEma, "toxicity_ema", "f64", "none", "ratio"),
    "toxicity_ema_x1000": _ema(ToxicityEmaX1000, "toxicity_ema_x1000", "i64", "1000", "thousandths"),
}
