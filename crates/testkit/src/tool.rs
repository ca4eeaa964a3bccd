//! Programs that tests run when they are there: a browser, Prometheus.

use std::path::{Path, PathBuf};
use std::process::Command;

/// Set where every test has to run: a program that is absent is then a failure, not a skip.
const REQUIRED: &str = "FEATUREPLANE_REQUIRE_TOOLS";

/// A program: where the variable says, else from the path. `None`, with a note, when it is absent.
///
/// # Panics
///
/// Panics when it is absent and `FEATUREPLANE_REQUIRE_TOOLS` is set.
#[must_use]
pub fn tool(variable: &str, name: &str) -> Option<PathBuf> {
    let program = std::env::var_os(variable).map_or_else(|| name.into(), PathBuf::from);
    if Command::new(&program).arg("--version").output().is_ok() {
        return Some(program);
    }
    assert!(std::env::var_os(REQUIRED).is_none(), "{name} is absent; {variable} may name it");
    eprintln!("skipped: {name} is absent ({variable} may name it)");
    None
}

/// A browser without a window.
#[derive(Debug)]
pub struct Browser {
    program: PathBuf,
    folder: PathBuf,
}

impl Browser {
    /// Chromium (`CHROMIUM` may name it) with a profile of its own in a folder; as [`tool`] when absent.
    #[must_use]
    pub fn find(folder: &Path) -> Option<Self> {
        let program = tool("CHROMIUM", "chromium")?;
        Some(Self { program, folder: folder.into() })
    }

    /// A page as it is after its scripts ran for two seconds.
    ///
    /// # Panics
    ///
    /// Panics when the browser fails.
    #[must_use]
    pub fn dom(&self, url: &str) -> String {
        let said = self.run(&["--dump-dom"], url);
        String::from_utf8_lossy(&said).into_owned()
    }

    /// A picture of a page, PNG.
    ///
    /// # Panics
    ///
    /// Panics when the browser fails or writes no picture.
    #[must_use]
    pub fn picture(&self, url: &str, [width, height]: [u32; 2]) -> Vec<u8> {
        let path = self.folder.join("page.png");
        let file = format!("--screenshot={}", path.display());
        self.run(&[&file, &format!("--window-size={width},{height}"), "--hide-scrollbars"], url);
        std::fs::read(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
    }

    fn run(&self, what: &[&str], url: &str) -> Vec<u8> {
        let said = Command::new(&self.program)
            // Its own sandbox needs rights that a container does not have; the pages are ours.
            .args(["--headless", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage"])
            .arg(format!("--user-data-dir={}", self.folder.join("profile").display()))
            .args(["--virtual-time-budget=2000", "--timeout=30000"])
            .args(what)
            .arg(url)
            .output()
            .unwrap_or_else(|error| panic!("{}: {error}", self.program.display()));
        assert!(said.status.success(), "{}", String::from_utf8_lossy(&said.stderr));
        said.stdout
    }
}

/// What a reader sees of the first element of a page whose start tag holds `mark`: its text without
/// tags, and without elements of the same name inside it.
///
/// # Panics
///
/// Panics when the page has no such element.
#[must_use]
pub fn element_text(dom: &str, mark: &str) -> String {
    let at = dom.find(mark).unwrap_or_else(|| panic!("no {mark} in\n{dom}"));
    let start = dom[..at].rfind('<').expect("a mark stands in a tag") + 1;
    let name: String = dom[start..].chars().take_while(char::is_ascii_alphanumeric).collect();
    let inside = at + dom[at..].find('>').expect("a tag has an end") + 1;
    let end = dom[inside..].find(&format!("</{name}>")).expect("an element has an end");
    let mut text = String::new();
    let mut is_tag = false;
    for c in dom[inside..inside + end].chars() {
        match c {
            '<' => is_tag = true,
            '>' if is_tag => {
                is_tag = false;
                text.push(' ');
            }
            c if !is_tag => text.push(c),
            _ => {}
        }
    }
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_absent_program_skips_and_where_it_is_required_fails() {
        const INNER: &str = "FEATUREPLANE_TEST_INNER";
        const ABSENT: &str = "featureplane-absent";
        if std::env::var_os(INNER).is_some() {
            assert_eq!(tool("FEATUREPLANE_TEST_NONE", ABSENT), None);
            return;
        }
        let run = |required: &[(&str, &str)]| {
            Command::new(std::env::current_exe().expect("a test is a program"))
                .args(["an_absent_program_skips_and_where_it_is_required_fails", "--nocapture"])
                .env_remove(REQUIRED)
                .env(INNER, "1")
                .envs(required.iter().copied())
                .output()
                .expect("it runs")
        };
        let skipped = run(&[]);
        assert!(skipped.status.success(), "{skipped:?}");
        assert!(String::from_utf8_lossy(&skipped.stderr).contains("skipped: featureplane-absent"));
        assert!(!run(&[(REQUIRED, "1")]).status.success());
    }

    #[test]
    fn the_text_of_an_element_is_found() {
        let dom = "<p id=\"a\">x</p><td id=\"b\" class=\"c\"><span>A </span>&amp; <b>B</b></td><td>C</td>";
        assert_eq!(element_text(dom, "id=\"b\""), "A &amp; B");
        assert_eq!(element_text(dom, "id=\"a\""), "x");
    }
}
