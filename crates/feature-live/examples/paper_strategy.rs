//! A strategy on a thread of its own engine: it names the features that it reads and computes none.
//!
//! `cargo run -p feature-live --example paper_strategy [RECORDING]`; without a recording it trades a
//! synthetic market.

#![allow(clippy::print_stdout, reason = "an example talks to whoever runs it")]
#![cfg_attr(test, allow(clippy::unwrap_used, reason = "a failure here is a failed test"))]

use std::sync::atomic::AtomicBool;
use std::sync::mpsc::{Sender, channel};

use feature_live::{
    Context, Pace, PaperAccount, Plane, Replay, Strategy, StrategyRunner, WorkerOptions, start,
};
use feature_runtime::{FeatureEngine, FeatureValue, built_in_set};
use market_io::synthetic::{SyntheticConfig, SyntheticSource};
use market_io::{OpenOptions, Source};

/// Leans with the queue while the spread is one tick, and stands aside when it is not.
#[derive(Debug)]
struct QueueLean {
    account: PaperAccount,
    result: Sender<PaperAccount>,
}

impl Strategy for QueueLean {
    fn name(&self) -> &'static str {
        "queue lean"
    }

    fn required_feature_set_id(&self) -> Option<&str> {
        Some("core_v1")
    }

    fn required_features(&self) -> Vec<String> {
        ["l1_imbalance", "best_bid", "best_ask"].map(str::to_owned).into()
    }

    fn on_features(&mut self, context: &Context<'_>) {
        let values = [0, 1, 2].map(|index| context.value(index));
        let [Some(imbalance), Some(FeatureValue::I64(bid)), Some(FeatureValue::I64(ask))] = values
        else {
            return;
        };
        let target = match imbalance.as_f64() {
            _ if ask - bid > 1 || !context.quality().is_empty() => 0,
            x if x > 0.6 => 1,
            x if x < -0.6 => -1,
            _ => return,
        };
        self.account.move_to(target, bid, ask);
    }

    fn on_end(&mut self, _engine: &FeatureEngine) {
        // Nobody has to wait for the result.
        let _ = self.result.send(self.account);
    }
}

/// Trades a recording to its end; the account, and the median from packet to frame, ns.
fn trade(source: Box<dyn Source>) -> Result<(PaperAccount, u64), Box<dyn std::error::Error>> {
    let mut replay = Replay::new(vec![source])?;
    let mut engine = FeatureEngine::new(built_in_set("core_v1")?);
    for instrument in replay.instruments() {
        engine.add_symbol(instrument.clone())?;
    }
    let (result, account) = channel();
    let strategy = QueueLean { account: PaperAccount::default(), result };
    let runner = StrategyRunner::new(strategy, engine.feature_set())?;
    let plane = Plane::new(engine).with_stage(Box::new(runner));
    let (mut sender, worker) = start(plane, &WorkerOptions::default())?;
    replay.send_all(&mut sender, Pace::Fastest, &AtomicBool::new(false))?;
    drop(sender);
    let report = worker.join()?;
    Ok((account.recv()?, report.latencies.to_frame.value_at_quantile(0.5)))
}

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let source: Box<dyn Source> = match std::env::args().nth(1) {
        Some(path) => {
            market_io::open(&OpenOptions { inputs: vec![path.into()], ..Default::default() })?
        }
        None => Box::new(SyntheticSource::new(&SyntheticConfig::default())?),
    };
    let (PaperAccount { trades, position, cash_scaled }, ns) = trade(source)?;
    println!("{trades} trades, position {position}, cash {cash_scaled} price units");
    println!("packet to frame: {ns} ns at the median");
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_trades_a_synthetic_market() {
        let source = SyntheticSource::new(&SyntheticConfig::default()).unwrap();
        let (account, ns) = trade(Box::new(source)).unwrap();
        assert!(account.trades > 10 && account.position.abs() <= 1 && ns > 0, "{account:?}");
    }
}
