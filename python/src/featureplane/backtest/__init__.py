"""The backtest of a trained model, run twice so that each run checks the other.

The strategy holds one position long, one short, or nothing, as the scores say, and takes the other side of
the book to get there. `over_table` plays it over a table of scores; `featureplane.backtest.hft` plays it in
hftbacktest, which has its own book, orders, latency and fees, and pulls features and scores by packet.
`python -m featureplane.backtest` runs both and writes one page.

Needs the extra ``models``; hftbacktest and Numba only for the second run.
"""

from featureplane.backtest._report import write_report
from featureplane.backtest._rules import Rules, Run, differences, edge, edge_places, next_target
from featureplane.backtest._table import over_table

__all__ = [
    "Rules",
    "Run",
    "differences",
    "edge",
    "edge_places",
    "next_target",
    "over_table",
    "write_report",
]
