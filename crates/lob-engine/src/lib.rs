//! Events to book: integer ladders, sequencing, gaps, snapshots.
