"""Order-book features with the same bits in batch, backtest, live and Python.

Examples
--------
>>> import featureplane as fp
>>> table = fp.extract(example_log, features="lob_shared_v1")
>>> table.num_rows
3
"""

from featureplane import features, triggers
from featureplane._extract import extract, extract_to_file
from featureplane._lib import FeatureEngine, FeatureView, __version__
from featureplane._replay import replay
from featureplane._report import report
from featureplane.errors import (
    ConfigError,
    DecodeError,
    FeatureError,
    InputError,
    OutputError,
    SchemaMismatchError,
    UnknownFeatureError,
    UnknownSymbolError,
)
from featureplane.frames import decode_frame, decode_frames, frame_dtype
from featureplane.pipeline import ExtractionConfig, extract_features, extract_to_parquet
from featureplane.quality import QualityFlags
from featureplane.registry import describe_set, feature_columns, feature_sets
from featureplane.synthetic import write_synthetic
from featureplane.table import FeatureTable

__all__ = [
    "ConfigError",
    "DecodeError",
    "ExtractionConfig",
    "FeatureEngine",
    "FeatureError",
    "FeatureTable",
    "FeatureView",
    "InputError",
    "OutputError",
    "QualityFlags",
    "SchemaMismatchError",
    "UnknownFeatureError",
    "UnknownSymbolError",
    "__version__",
    "decode_frame",
    "decode_frames",
    "describe_set",
    "extract",
    "extract_features",
    "extract_to_file",
    "extract_to_parquet",
    "feature_columns",
    "feature_sets",
    "features",
    "frame_dtype",
    "replay",
    "report",
    "triggers",
    "write_synthetic",
]
