"""Features by name, for `featureplane.ExtractionConfig`.

Every column of the registry has a function here, named in camel case: ``OfiL1Raw`` is ``ofi_l1_raw``,
``DepthImbalance`` is ``depth_imbalance``. It takes the parameters of the column as keywords, and `alias`,
the name that the column gets in the table. Beside them are the few names that choose a column by their
parameters. No function computes anything: what comes back is an entry of a feature set.

Examples
--------
>>> import featureplane as fp
>>> fp.features.Mid().entry()
{'family': 'mid_spread', 'column': 'mid'}
>>> fp.features.OIB(halflife_bps=25, alias="oib_25bps").column
'weighted_oib'
"""

from __future__ import annotations

from typing import Literal

from featureplane._columns import *  # noqa: F403
from featureplane._feature import Feature as Feature
from featureplane.errors import ConfigError

_LEVELS = {"levels": "depth"}


def GlobalTime() -> Feature:
    """Event and arrival time: columns ``ts_event`` and ``ts_recv``, which every row has anyway.

    Examples
    --------
    >>> GlobalTime()
    Feature(family='', column='', params={}, alias=None)
    """
    return Feature("", "")


def MidPrice(*, alias: str | None = None) -> Feature:
    """Mid price, f64; the same as ``Mid``.

    Examples
    --------
    >>> MidPrice(alias="m").entry()
    {'family': 'mid_spread', 'column': 'mid', 'alias': 'm'}
    """
    return Feature("mid_spread", "mid", alias=alias)


def WeightedDepth(
    *,
    side: Literal["bid", "ask"],
    halflife_bps: int,
    measure: Literal["notional", "qty"] = "notional",
    alias: str | None = None,
) -> Feature:
    """Depth of one side, halved every ``halflife_bps`` from the mid.

    Parameters
    ----------
    side
        ``"bid"`` or ``"ask"``.
    halflife_bps
        Distance from the mid at which a level counts half, bps.
    measure
        What is summed: price times quantity, or quantity.
    alias
        Name of the column.

    Raises
    ------
    ConfigError
        The side is neither.

    Examples
    --------
    >>> WeightedDepth(side="bid", halflife_bps=25).column
    'weighted_bid'
    """
    params = {"halflife_bps": halflife_bps, "measure": measure}
    return Feature("weighted_depth", f"weighted_{_side(side)}", params, alias)


def OIB(*, halflife_bps: int | None = None, depth: int | None = None, alias: str | None = None) -> Feature:
    """Imbalance of bids and asks, -1 to 1.

    Parameters
    ----------
    halflife_bps
        Of the notional of all levels, halved every so many bps from the mid.
    depth
        Or: of the quantities of so many best levels.
    alias
        Name of the column.

    Raises
    ------
    ConfigError
        Both are given, or neither.

    Examples
    --------
    >>> OIB(halflife_bps=25).params
    {'halflife_bps': 25, 'measure': 'notional'}
    >>> OIB(depth=5).column
    'depth_imbalance'
    """
    if _one_of(halflife_bps=halflife_bps, depth=depth) == "depth":
        return Feature("imbalance", "depth_imbalance", {"levels": depth}, alias, _LEVELS)
    params = {"halflife_bps": halflife_bps, "measure": "notional"}
    return Feature("weighted_depth", "weighted_oib", params, alias)


def Depth(
    *,
    side: Literal["bid", "ask"],
    bps: int | None = None,
    depth: int | None = None,
    alias: str | None = None,
) -> Feature:
    """Quantity of one side, i64 scaled as all quantities.

    Parameters
    ----------
    side
        ``"bid"`` or ``"ask"``.
    bps
        Of all levels up to this distance from the mid, inclusive, bps.
    depth
        Or: of so many best levels.
    alias
        Name of the column.

    Raises
    ------
    ConfigError
        The side is neither, or both or none of the others are given.

    Examples
    --------
    >>> Depth(side="bid", bps=100).entry()
    {'family': 'depth', 'column': 'bid_depth_within', 'params': {'bps': 100}}
    """
    column = f"{_side(side)}_depth"
    if _one_of(bps=bps, depth=depth) == "depth":
        return Feature("depth", column, {"levels": depth}, alias, _LEVELS)
    return Feature("depth", f"{column}_within", {"bps": bps}, alias)


def BookImbalance(*, depth: int = 5, alias: str | None = None) -> Feature:
    """Imbalance of the quantities of the best levels, -1 to 1.

    Parameters
    ----------
    depth
        Number of levels of a side.
    alias
        Name of the column.

    Examples
    --------
    >>> BookImbalance(depth=3).entry()["params"]
    {'levels': 3}
    """
    return Feature("imbalance", "depth_imbalance", {"levels": depth}, alias, _LEVELS)


def OFI(*, decay: float = 0.0, alias: str | None = None) -> Feature:
    """Order-flow imbalance at the touch, of the packet, i64 scaled as all quantities.

    Parameters
    ----------
    decay
        0: the raw flow, the only one there is. A flow that fades says over what: ``OfiFlowDecayed`` over
        time, ``OfiMlDecayed`` over levels, ``Ema(of="ofi_l1_raw", ...)`` over packets.
    alias
        Name of the column.

    Raises
    ------
    ConfigError
        The decay is not 0.

    Examples
    --------
    >>> OFI(decay=0.0).column
    'ofi_l1_raw'
    """
    if isinstance(decay, bool) or decay != 0:
        raise ConfigError(
            f"decay: {decay!r} is not 0; a flow that fades is OfiFlowDecayed (over time), "
            "OfiMlDecayed (over levels) or Ema (over packets)"
        )
    return Feature("ofi_l1", "ofi_l1_raw", alias=alias)


def TradeFlow(
    *,
    side: Literal["buy", "sell"] | None = None,
    window_ns: int | None = None,
    alias: str | None = None,
) -> Feature:
    """Quantity that aggressors took, i64 scaled as all quantities.

    Parameters
    ----------
    side
        Who took it; None is bought minus sold.
    window_ns
        Over the last so many ns; None is the trades of the packet alone, which rows of
        `featureplane.triggers.Packet` add up to the volume. For rows on a time grid take a window.
    alias
        Name of the column.

    Raises
    ------
    ConfigError
        The side is neither.

    Examples
    --------
    >>> TradeFlow().column, TradeFlow(side="buy", window_ns=1_000_000_000).column
    ('signed_flow', 'buy_qty_sum')
    """
    if side not in (None, "buy", "sell"):
        raise ConfigError(f"side: {side!r} is none of 'buy', 'sell', None")
    column = "signed_flow" if side is None else f"{side}_qty"
    if window_ns is None:
        return Feature("trades", column, alias=alias)
    return Feature("trades", f"{column}_sum", {"window_ns": window_ns}, alias)


def _side(side: object) -> str:
    if side not in ("bid", "ask"):
        raise ConfigError(f"side: {side!r} is neither 'bid' nor 'ask'")
    return str(side)


def _one_of(**given: object) -> str:
    """Name of the only one that is not None."""
    names = [name for name, value in given.items() if value is not None]
    if len(names) != 1:
        raise ConfigError(f"{' or '.join(given)}: give exactly one of them, not {len(names)}")
    return names[0]
