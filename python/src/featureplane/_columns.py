"""A function for every column of the registry, made when the package is imported."""

from featureplane import _feature

globals().update(_feature.column_functions())
