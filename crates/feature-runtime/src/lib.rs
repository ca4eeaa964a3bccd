//! FeatureEngine: one book and one kernel per symbol; pull, push and state snapshots.
