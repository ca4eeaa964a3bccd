"""Independent reference of the feature kernel: scalar Python on integers, standard library only.

Written from ``specs/``; it shares no code with the Rust kernel and must give the same bits.
"""

from .engine import Engine
from .model import Instrument, Packet
from .registry import feature_from_canonical, feature_set_from_requests

__all__ = ["Engine", "Instrument", "Packet", "feature_from_canonical", "feature_set_from_requests"]
