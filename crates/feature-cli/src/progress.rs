//! Progress bars on a terminal, and Ctrl-C.

use std::collections::BTreeMap;
use std::io::IsTerminal;
use std::ops::ControlFlow;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use feature_extract::Observer;
use indicatif::{MultiProgress, ProgressBar, ProgressStyle};

static INTERRUPTED: AtomicBool = AtomicBool::new(false);

/// Whether a job asks for [`INTERRUPTED`] from time to time.
static WATCHED: AtomicBool = AtomicBool::new(false);

/// One bar per symbol on standard error, if it is a terminal; stops the jobs after Ctrl-C.
pub(crate) struct Bars {
    bars: Option<(MultiProgress, Mutex<BTreeMap<String, ProgressBar>>)>,
}

impl Bars {
    /// Bars, or none when output is for scripts.
    pub(crate) fn new(quiet: bool) -> Self {
        // A second handler cannot be set, which only tests in one process would notice.
        let _ = ctrlc::set_handler(interrupt);
        WATCHED.store(true, Ordering::Relaxed);
        let show = !quiet && std::io::stderr().is_terminal();
        Self { bars: show.then(|| (MultiProgress::new(), Mutex::new(BTreeMap::new()))) }
    }

    /// Removes the bars.
    pub(crate) fn clear(&self) {
        if let Some((group, _)) = &self.bars {
            let _ = group.clear();
        }
    }
}

impl Drop for Bars {
    fn drop(&mut self) {
        WATCHED.store(false, Ordering::SeqCst);
    }
}

/// The flag that Ctrl-C sets, for a command that looks at it itself and then ends in good order.
pub(crate) fn interruption() -> &'static AtomicBool {
    let _ = ctrlc::set_handler(interrupt);
    WATCHED.store(true, Ordering::SeqCst);
    &INTERRUPTED
}

/// The same flag, which is set after a time too.
pub(crate) fn interruption_after(limit: Option<Duration>) -> &'static AtomicBool {
    if let Some(limit) = limit {
        std::thread::spawn(move || {
            std::thread::sleep(limit);
            INTERRUPTED.store(true, Ordering::SeqCst);
        });
    }
    interruption()
}

/// Whether Ctrl-C came while jobs were watched, which the last of them may have been too late to see.
pub(crate) fn is_interrupted() -> bool {
    INTERRUPTED.load(Ordering::SeqCst)
}

/// Jobs end by themselves and remove what they wrote; anything else is ended here.
#[expect(clippy::exit, reason = "a handler has no caller to return to")]
fn interrupt() {
    INTERRUPTED.store(true, Ordering::SeqCst);
    if !WATCHED.load(Ordering::SeqCst) {
        std::process::exit(crate::exit::INTERRUPTED.into());
    }
}

impl Observer for Bars {
    fn progress(&self, symbol: &str, read: u64, total: u64, rows: u64) -> ControlFlow<()> {
        if let Some((group, bars)) = &self.bars
            && let Ok(mut bars) = bars.lock()
        {
            let bar = bars.entry(symbol.to_owned()).or_insert_with(|| {
                let template =
                    "{prefix} {bar:32} {bytes}/{total_bytes} {bytes_per_sec} eta {eta} {msg}";
                let bar = group.add(ProgressBar::new(total));
                if let Ok(style) = ProgressStyle::with_template(template) {
                    bar.set_style(style);
                }
                bar.with_prefix(symbol.to_owned())
            });
            bar.set_position(read);
            bar.set_message(format!("{rows} rows"));
        }
        if INTERRUPTED.load(Ordering::Relaxed) {
            return ControlFlow::Break(());
        }
        ControlFlow::Continue(())
    }
}
