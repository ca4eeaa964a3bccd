"""When `featureplane.extract_to_parquet` writes a row.

Examples
--------
>>> import featureplane as fp
>>> fp.triggers.TradeOrTime(sec=0.25).emit()
'trade-or-step:250000000ns'
"""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal
from typing import TypeAlias

from featureplane.errors import ConfigError

__all__ = ["Packet", "Time", "Trade", "TradeOrTime", "Trigger"]


@dataclass(frozen=True)
class Packet:
    """A row for every packet: every tick.

    Examples
    --------
    >>> Packet().emit()
    'packet'
    """

    def emit(self) -> str:
        """Return the emission as `featureplane.extract` takes it."""
        return "packet"


@dataclass(frozen=True)
class Trade:
    """A row for every packet that holds a trade.

    Examples
    --------
    >>> Trade().emit()
    'trade'
    """

    def emit(self) -> str:
        """Return the emission as `featureplane.extract` takes it."""
        return "trade"


@dataclass(frozen=True)
class Time:
    """A row for every step of UTC, with the state strictly before it.

    Parameters
    ----------
    sec
        Length of the step in s, above 0, a whole number of ns as it is written.

    Examples
    --------
    >>> Time(sec=1.0).emit()
    'step:1000000000ns'
    """

    sec: float | Decimal

    def emit(self) -> str:
        """Return the emission as `featureplane.extract` takes it.

        Raises
        ------
        ConfigError
            The step is no positive, whole number of ns.
        """
        return f"step:{_step_ns(self.sec)}ns"


@dataclass(frozen=True)
class TradeOrTime:
    """The rows of `Trade` and of `Time`.

    Parameters
    ----------
    sec
        As for `Time`.

    Examples
    --------
    >>> TradeOrTime(sec=1.0).emit()
    'trade-or-step:1000000000ns'
    """

    sec: float | Decimal

    def emit(self) -> str:
        """Return the emission as `featureplane.extract` takes it.

        Raises
        ------
        ConfigError
            The step is no positive, whole number of ns.
        """
        return f"trade-or-step:{_step_ns(self.sec)}ns"


Trigger: TypeAlias = Packet | Trade | Time | TradeOrTime
"""Any of them."""


def _step_ns(sec: object) -> int:
    if isinstance(sec, bool) or not isinstance(sec, int | float | Decimal):
        raise ConfigError(f"sec: {sec!r} is not a number of seconds")
    # The shortest decimal of a float is what its writer meant: 0.1 is 100 ms.
    seconds = Decimal(str(sec))
    if not seconds.is_finite() or not 0 < seconds <= 1_000_000_000:
        raise ConfigError(f"sec: {sec!r} is not above 0 and at most 1e9")
    step_ns = seconds * 1_000_000_000
    if step_ns != int(step_ns):
        raise ConfigError(f"sec: {sec!r} is not a whole number of ns")
    return int(step_ns)
