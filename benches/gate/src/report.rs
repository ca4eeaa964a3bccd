//! The table: on the terminal and as CSV.

use std::fmt::Write as _;
use std::path::Path;
use std::process::Command;

use anyhow::Result;

/// Which side of a target is good.
#[derive(Clone, Copy)]
pub enum Target {
    /// At least gate and moonshot.
    AtLeast(f64, f64),
    /// At most gate and moonshot.
    AtMost(f64, f64),
    /// For information.
    None,
}

/// One line of the table.
pub struct Row {
    /// Figure, e.g. `Q1`.
    pub figure: &'static str,
    /// What is measured.
    pub what: String,
    /// Our number with its unit.
    pub ours: String,
    /// The peer's number with its unit.
    pub peer: String,
    /// What the target is about.
    pub value: f64,
    /// The target.
    pub target: Target,
}

impl Row {
    fn cells(&self) -> [String; 8] {
        let (gate, moonshot, met) = match self.target {
            Target::AtLeast(gate, moon) => (
                format!(">= {gate}"),
                format!(">= {moon}"),
                word(self.value >= gate, self.value >= moon),
            ),
            Target::AtMost(gate, moon) => (
                format!("<= {gate}"),
                format!("<= {moon}"),
                word(self.value <= gate, self.value <= moon),
            ),
            Target::None => (String::new(), String::new(), "-"),
        };
        [
            self.figure.into(),
            self.what.clone(),
            self.ours.clone(),
            self.peer.clone(),
            format!("{:.2}", self.value),
            gate,
            moonshot,
            met.into(),
        ]
    }
}

fn word(gate: bool, moonshot: bool) -> &'static str {
    match (gate, moonshot) {
        (_, true) => "moonshot",
        (true, false) => "met",
        (false, false) => "NOT MET",
    }
}

const HEADER: [&str; 8] = ["figure", "what", "ours", "peer", "value", "gate", "moonshot", "met"];

/// Prints the table.
pub fn print(rows: &[Row]) {
    let mut lines = vec![HEADER.map(String::from)];
    lines.extend(rows.iter().map(Row::cells));
    let width =
        |column: usize| lines.iter().map(|line| line[column].chars().count()).max().unwrap_or(0);
    let widths: Vec<usize> = (0..HEADER.len()).map(width).collect();
    for line in &lines {
        let mut text = String::new();
        for (cell, width) in line.iter().zip(&widths) {
            let _ = write!(text, "{cell:<width$}  ");
        }
        println!("{}", text.trim_end());
    }
}

/// Writes the table as CSV, with the machine in front.
///
/// # Errors
///
/// When the file cannot be written.
pub fn write_csv(path: &Path, rows: &[Row], tape: &str) -> Result<()> {
    let mut text = format!(
        "# tape: {tape}\n# compiler: {}\n# cpu: {}\n# commit: {}\n{}\n",
        first_line("rustc", &["--version"]),
        cpu(),
        first_line("git", &["rev-parse", "--short", "HEAD"]),
        HEADER.join(",")
    );
    for row in rows {
        let cells = row.cells().map(|cell| format!("\"{}\"", cell.replace('"', "'")));
        writeln!(text, "{}", cells.join(","))?;
    }
    if let Some(folder) = path.parent() {
        std::fs::create_dir_all(folder)?;
    }
    Ok(std::fs::write(path, text)?)
}

/// Model and number of processors.
#[must_use]
pub fn cpu() -> String {
    let text = std::fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let model = text.lines().find_map(|line| line.strip_prefix("model name"));
    let model = model.map_or("unknown", |rest| rest.trim_start_matches([' ', '\t', ':']));
    let cores = std::thread::available_parallelism().map_or(0, std::num::NonZero::get);
    format!("{model}, {cores} cores, shared")
}

fn first_line(program: &str, args: &[&str]) -> String {
    let output = Command::new(program).args(args).output().map(|o| o.stdout).unwrap_or_default();
    String::from_utf8_lossy(&output).lines().next().unwrap_or("unknown").to_owned()
}
