//! Sources (bytes to packets) and sinks (rows to files).
