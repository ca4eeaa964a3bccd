//! The state of a rollout in a file that only one may change at a time.

use std::fs::{File, OpenOptions};
use std::io::Write;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use super::{CanaryError, Streak};

const MAX_BYTES: u64 = 1 << 16;

/// How far a feature set is rolled out.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Stage {
    /// It runs beside the old one, and nobody reads it.
    Shadow,
    /// Some strategies read it.
    Canary,
    /// All strategies read it.
    Full,
    /// Nobody reads it any more.
    RolledBack,
}

impl Stage {
    /// The stage after a promotion; the last one, and a rollback, stay as they are.
    #[must_use]
    pub const fn promoted(self) -> Self {
        match self {
            Self::Shadow => Self::Canary,
            Self::Canary | Self::Full => Self::Full,
            Self::RolledBack => Self::RolledBack,
        }
    }
}

impl std::str::FromStr for Stage {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text {
            "shadow" => Ok(Self::Shadow),
            "canary" => Ok(Self::Canary),
            "full" => Ok(Self::Full),
            "rolled_back" => Ok(Self::RolledBack),
            other => {
                let shown = other.escape_default();
                Err(format!("`{shown}` is none of shadow, canary, full, rolled_back"))
            }
        }
    }
}

/// What the file says.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct State {
    /// Grows by one with every change; 0 before the first one.
    pub version: u64,
    /// How far the rollout is.
    pub stage: Stage,
    /// Why it is there.
    pub reason: String,
    /// Streak of evaluations.
    pub streak: Streak,
    /// When it was changed last, UTC ns; 0 before the first change.
    pub changed_ns: i64,
}

/// A state file.
#[derive(Debug, Clone)]
pub struct Rollout {
    path: PathBuf,
}

impl Rollout {
    /// The rollout in a file, which need not exist yet.
    #[must_use]
    pub fn new(path: &Path) -> Self {
        Self { path: path.into() }
    }

    /// The state; a file that does not exist is a rollout in shadow.
    ///
    /// # Errors
    ///
    /// [`CanaryError::File`], [`CanaryError::State`].
    pub fn load(&self) -> Result<State, CanaryError> {
        let size = match std::fs::metadata(&self.path) {
            Ok(found) => found.len(),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
                let reason = "nothing was decided yet".into();
                let streak = Streak::default();
                return Ok(State {
                    version: 0,
                    stage: Stage::Shadow,
                    reason,
                    streak,
                    changed_ns: 0,
                });
            }
            Err(source) => return Err(self.failed(source)),
        };
        if size > MAX_BYTES {
            return Err(self.wrong(format!("{size} bytes; a state has at most {MAX_BYTES}")));
        }
        let text = std::fs::read_to_string(&self.path).map_err(|source| self.failed(source))?;
        serde_json::from_str(&text).map_err(|error| self.wrong(error.to_string()))
    }

    /// Replaces the state if it still has the version `expected`, and gives it the next one.
    ///
    /// # Errors
    ///
    /// [`CanaryError::Conflict`] when it has another version; [`CanaryError::File`],
    /// [`CanaryError::State`].
    pub fn swap(
        &self,
        expected: u64,
        change: impl FnOnce(&mut State),
        now_ns: i64,
    ) -> Result<State, CanaryError> {
        // Held until the end of this function; it goes with the process that holds it.
        let _lock = self.lock()?;
        let mut state = self.load()?;
        if state.version != expected {
            return Err(CanaryError::Conflict { expected, found: state.version });
        }
        change(&mut state);
        (state.version, state.changed_ns) = (expected + 1, now_ns);
        self.store(&state).map_err(|source| self.failed(source))?;
        Ok(state)
    }

    fn lock(&self) -> Result<File, CanaryError> {
        let path = self.beside(".lock");
        let taken = || {
            let file = OpenOptions::new().create(true).truncate(false).write(true).open(&path)?;
            file.lock()?;
            Ok(file)
        };
        taken().map_err(|source| CanaryError::File { path: path.clone(), source })
    }

    fn store(&self, state: &State) -> std::io::Result<()> {
        let temporary = self.beside(".tmp");
        let mut file = File::create(&temporary)?;
        file.write_all(&serde_json::to_vec_pretty(state)?)?;
        file.write_all(b"\n")?;
        file.sync_all()?;
        std::fs::rename(&temporary, &self.path)
    }

    fn beside(&self, ending: &str) -> PathBuf {
        let mut name = self.path.as_os_str().to_owned();
        name.push(ending);
        name.into()
    }

    fn failed(&self, source: std::io::Error) -> CanaryError {
        CanaryError::File { path: self.path.clone(), source }
    }

    fn wrong(&self, message: String) -> CanaryError {
        CanaryError::State { path: self.path.clone(), message }
    }
}
