//! A sink whose batches are encoded and written on a thread of its own, beside the thread that makes
//! them.

use std::panic::resume_unwind;
use std::sync::mpsc::{SyncSender, sync_channel};
use std::thread::JoinHandle;

use arrow_array::RecordBatch;

use super::error::SinkError;
use super::{Finished, TableSink};

/// Batches that wait while one is being written: memory stays bounded, and a slow disk slows down
/// whoever makes the batches.
const WAITING: usize = 1;

/// Lets a sink work beside the caller; what it writes is the same.
///
/// An error of the sink comes from the next call. Dropping the sink waits for its thread, so that a
/// partial file is gone afterwards.
#[must_use]
pub fn in_background(sink: Box<dyn TableSink>) -> Box<dyn TableSink> {
    Box::new(Background { state: Some(State::Idle(sink)) })
}

struct Background {
    /// `None` after an error.
    state: Option<State>,
}

enum State {
    /// Before the first batch.
    Idle(Box<dyn TableSink>),
    Working(Worker),
}

impl Background {
    fn take_state(&mut self) -> State {
        self.state.take().expect("Invariant: a sink is of no further use after an error")
    }
}

/// The thread that owns the sink; it gives the sink back when no more batches come.
struct Worker {
    batches: Option<SyncSender<RecordBatch>>,
    thread: Option<JoinHandle<Result<Box<dyn TableSink>, SinkError>>>,
}

impl Worker {
    fn start(mut sink: Box<dyn TableSink>) -> Self {
        let (batches, waiting) = sync_channel::<RecordBatch>(WAITING);
        let thread = std::thread::spawn(move || {
            waiting.iter().try_for_each(|batch| sink.write(&batch)).map(|()| sink)
        });
        Self { batches: Some(batches), thread: Some(thread) }
    }

    /// Waits until everything is written.
    fn stop(mut self) -> Result<Box<dyn TableSink>, SinkError> {
        self.batches = None;
        let thread = self.thread.take().expect("Invariant: a worker is stopped once");
        thread.join().unwrap_or_else(|panic| resume_unwind(panic))
    }
}

impl Drop for Worker {
    fn drop(&mut self) {
        self.batches = None;
        // Whoever drops a worker has an error already, and a panic has been printed.
        self.thread.take().map(JoinHandle::join);
    }
}

impl TableSink for Background {
    fn write(&mut self, batch: &RecordBatch) -> Result<(), SinkError> {
        let worker = match self.take_state() {
            State::Idle(sink) => Worker::start(sink),
            State::Working(worker) => worker,
        };
        let sender = worker.batches.as_ref().expect("Invariant: a worker is stopped once");
        if sender.send(batch.clone()).is_err() {
            // Only an error ends the thread before the last batch.
            return worker.stop().map(|_| ());
        }
        self.state = Some(State::Working(worker));
        Ok(())
    }

    fn finish(mut self: Box<Self>) -> Result<Finished, SinkError> {
        match self.take_state() {
            State::Idle(sink) => sink.finish(),
            State::Working(worker) => worker.stop()?.finish(),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::sync::atomic::{AtomicBool, Ordering};

    use super::super::{ColumnKind, ColumnSpec, MemorySink, RowBatchBuilder, TableSpec};
    use super::*;

    fn batch(rows: u64) -> RecordBatch {
        let spec = TableSpec::new([ColumnSpec::new("n", ColumnKind::U64)]);
        let mut builder = RowBatchBuilder::new(&spec, 64, &[]);
        (0..rows).for_each(|n| builder.push_row(&[n], &[1]));
        builder.finish()
    }

    /// Fails at its second batch, and says when it is gone.
    struct Failing {
        batches: u32,
        is_gone: Arc<AtomicBool>,
    }

    impl TableSink for Failing {
        fn write(&mut self, _: &RecordBatch) -> Result<(), SinkError> {
            self.batches += 1;
            if self.batches == 2 {
                let source = std::io::Error::other("full");
                return Err(SinkError::Io { path: "x".into(), operation: "writing", source });
            }
            Ok(())
        }

        fn finish(self: Box<Self>) -> Result<Finished, SinkError> {
            Ok(Finished { path: "x".into(), rows: 0, bytes: 0 })
        }
    }

    impl Drop for Failing {
        fn drop(&mut self) {
            self.is_gone.store(true, Ordering::SeqCst);
        }
    }

    fn failing() -> (Box<dyn TableSink>, Arc<AtomicBool>) {
        let is_gone = Arc::new(AtomicBool::new(false));
        let sink = Failing { batches: 0, is_gone: is_gone.clone() };
        (in_background(Box::new(sink)), is_gone)
    }

    #[test]
    fn batches_arrive_in_their_order() {
        let spec = TableSpec::new([ColumnSpec::new("n", ColumnKind::U64)]);
        let sink = MemorySink::new(&spec);
        let batches = sink.batches();
        let mut sink = in_background(Box::new(sink));
        for rows in 1..=20 {
            sink.write(&batch(rows)).unwrap();
        }
        assert_eq!(sink.finish().unwrap().rows, 210);
        let rows: Vec<usize> = batches.take().iter().map(RecordBatch::num_rows).collect();
        assert_eq!(rows, (1..=20).collect::<Vec<_>>());
    }

    #[test]
    fn an_error_comes_from_a_later_batch_or_from_the_end() {
        let (mut sink, is_gone) = failing();
        let failed = (0..10).find_map(|_| sink.write(&batch(1)).err());
        assert!(matches!(failed, Some(SinkError::Io { operation: "writing", .. })));
        assert!(is_gone.load(Ordering::SeqCst));
        let (mut sink, is_gone) = failing();
        (0..2).for_each(|_| sink.write(&batch(1)).unwrap());
        assert!(matches!(sink.finish(), Err(SinkError::Io { operation: "writing", .. })));
        assert!(is_gone.load(Ordering::SeqCst));
    }

    #[test]
    fn a_dropped_sink_is_gone_when_the_drop_returns() {
        let (mut sink, is_gone) = failing();
        sink.write(&batch(1)).unwrap();
        drop(sink);
        assert!(is_gone.load(Ordering::SeqCst));
    }
}
