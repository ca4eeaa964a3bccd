//! Paths in another process: the Python binding and the Python reference.
//!
//! The tape goes there as a packet log, frames come back as one file of bytes.

use std::path::{Path, PathBuf};
use std::process::Command;

use market_io::EventsWriter;

use crate::error::Error;
use crate::sut::Sut;
use crate::tape::Tape;

/// Files of the Python reference, so that the command can run it wherever it is installed.
#[must_use]
pub fn reference_files() -> &'static [(&'static str, &'static str)] {
    macro_rules! files {
        ($($name:literal),+ $(,)?) => {
            &[$(($name, include_str!(concat!("../reference/featureplane_reference/", $name)))),+]
        };
    }
    files![
        "__init__.py",
        "__main__.py",
        "bars.py",
        "book.py",
        "cases.py",
        "engine.py",
        "families/__init__.py",
        "families/aggressor.py",
        "families/base.py",
        "families/depth.py",
        "families/ema.py",
        "families/imbalance.py",
        "families/impact.py",
        "families/microprice.py",
        "families/mid_spread.py",
        "families/momentum.py",
        "families/ofi_flow.py",
        "families/ofi_l1.py",
        "families/ofi_ml.py",
        "families/ofi_norm.py",
        "families/order_flow_l3.py",
        "families/regime.py",
        "families/returns.py",
        "families/rolling.py",
        "families/shape.py",
        "families/shock.py",
        "families/time_of_day.py",
        "families/top.py",
        "families/toxicity.py",
        "families/trades.py",
        "families/weighted_depth.py",
        "frame.py",
        "model.py",
        "numeric.py",
        "orders.py",
        "packet_log.py",
        "registry.py",
        "rows.py",
        "sequencing.py",
    ]
}

/// A path in a Python process.
#[derive(Debug, Clone)]
pub struct External {
    name: &'static str,
    module: &'static str,
    python: PathBuf,
}

impl External {
    /// The independent reference; needs nothing but a Python interpreter.
    #[must_use]
    pub fn reference(python: &Path) -> Self {
        Self { name: "reference", module: "featureplane_reference", python: python.into() }
    }

    /// The Python package, driven packet by packet; needs it installed for the interpreter.
    #[must_use]
    pub fn binding(python: &Path) -> Self {
        Self { name: "python", module: "featureplane.parity", python: python.into() }
    }
}

impl Sut for External {
    fn name(&self) -> &'static str {
        self.name
    }

    fn run(&mut self, tape: &Tape) -> Result<Vec<u8>, Error> {
        let folder = tempfile::tempdir().map_err(Error::file("temporary folder"))?;
        let package = folder.path().join("featureplane_reference");
        std::fs::create_dir_all(package.join("families")).map_err(Error::file(&package))?;
        for (name, text) in reference_files() {
            let path = package.join(name);
            std::fs::write(&path, text).map_err(Error::file(&path))?;
        }
        let (packets, out) =
            (folder.path().join("packets.ndjson"), folder.path().join("frames.bin"));
        let existing = market_io::sink::Existing::Refuse;
        let mut log = EventsWriter::create(&packets, &tape.instrument, tape.header(), existing)?;
        for packet in &tape.packets {
            log.write(packet)?;
        }
        log.finish()?;
        let mut command = Command::new(&self.python);
        command.arg("-m").arg(self.module).arg(&packets).arg(&out);
        command.env("PYTHONPATH", folder.path()).env("PYTHONDONTWRITEBYTECODE", "1");
        let failed = |message: String| Error::Process {
            path: self.name,
            command: format!("{} -m {}", self.python.display(), self.module),
            message,
        };
        let done = command.output().map_err(|e| failed(e.to_string()))?;
        if !done.status.success() {
            let said = String::from_utf8_lossy(&done.stderr);
            let tail: Vec<_> = said.lines().rev().take(5).collect();
            let tail: Vec<_> = tail.into_iter().rev().collect();
            return Err(failed(format!("{}: {}", done.status, tail.join(" | "))));
        }
        std::fs::read(&out).map_err(Error::file(&out))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_file_of_the_reference_is_carried() {
        let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("reference/featureplane_reference");
        let mut found = Vec::new();
        for folder in ["", "families"] {
            for entry in std::fs::read_dir(root.join(folder)).unwrap() {
                let path = entry.unwrap().path();
                if path.extension().is_some_and(|ending| ending == "py") {
                    let name = path.strip_prefix(&root).unwrap();
                    found.push(name.to_string_lossy().into_owned());
                }
            }
        }
        found.sort();
        let mut carried: Vec<_> = reference_files().iter().map(|(name, _)| *name).collect();
        carried.sort_unstable();
        assert_eq!(carried, found);
    }
}
