//! `featureplane rollout`: how far a feature set is rolled out, and who changed that.

use std::path::Path;

use feature_live::canary::{AuditLog, Rollout, RolloutStage, State, Streak};
use serde_json::json;

use super::canary::now_ns;
use crate::args::{RolloutCommand, RolloutFiles};
use crate::exit::{DONE, Usage};
use crate::print;

/// Shows or changes a rollout.
pub(crate) fn run(command: &RolloutCommand) -> anyhow::Result<u8> {
    match command {
        RolloutCommand::Status(files) => status(files),
        RolloutCommand::Set(set) => {
            let stage = set.stage.parse().map_err(|e| Usage(format!("--stage: {e}")))?;
            change(&set.files, "set", set.expect, stage, &set.reason)
        }
        RolloutCommand::Rollback(back) => {
            let version = Rollout::new(&back.files.state).load()?.version;
            change(&back.files, "rollback", version, RolloutStage::RolledBack, &back.reason)
        }
    }
}

fn status(files: &RolloutFiles) -> anyhow::Result<u8> {
    let state = Rollout::new(&files.state).load()?;
    let entries = files.audit.as_deref().map(entries).transpose()?;
    if files.json {
        print::json(&json!({ "rollout": state, "audit_entries": entries }))?;
    } else {
        show(&state);
        if let Some(entries) = entries {
            print::line(format_args!(
                "{entries} entries in the log, each sealed with the one before"
            ));
        }
    }
    Ok(DONE)
}

fn entries(audit: &Path) -> anyhow::Result<usize> {
    Ok(AuditLog::new(audit).entries()?.len())
}

fn change(
    files: &RolloutFiles,
    action: &str,
    expected: u64,
    stage: RolloutStage,
    reason: &str,
) -> anyhow::Result<u8> {
    let change = |state: &mut State| {
        state.stage = stage;
        state.reason = reason.into();
        state.streak = Streak::default();
    };
    let state = Rollout::new(&files.state).swap(expected, change, now_ns())?;
    if let Some(audit) = &files.audit {
        AuditLog::new(audit).append(state.changed_ns, action, json!(state))?;
    }
    if files.json {
        print::json(&state)?;
    } else {
        show(&state);
    }
    Ok(DONE)
}

/// The state for people.
pub(super) fn show(state: &State) {
    print::line(format_args!(
        "rollout: {:?}, version {}: {}",
        state.stage, state.version, state.reason
    ));
}
