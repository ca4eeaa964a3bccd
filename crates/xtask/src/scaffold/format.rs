//! A new input format: decoder, page, and the lines that list it.

use std::path::Path;

use anyhow::Result;

use super::{Changes, camel, check_slug};
use crate::meta::FORMAT_RS;

/// Writes the files of a format whose test fails until its sample is read.
pub(crate) fn lay_out(root: &Path, slug: &str) -> Result<bool> {
    check_slug(slug)?;
    let fill = |template: &str| template.replace("{slug}", slug).replace("{Type}", &camel(slug));
    let mut changes = Changes::default();
    changes.add(
        format!("crates/market-io/src/format/{slug}.rs"),
        fill(include_str!("../../templates/format/source.rs.txt")),
    );
    changes.add(
        format!("specs/inputs/{slug}.md"),
        fill(include_str!("../../templates/format/spec.md.txt")),
    );
    list(&mut changes, root, slug)?;
    changes.write(root)?;
    println!(
        "\nnext: specs/inputs/{slug}.md, a sample in crates/market-io/tests/{slug}/, the decoder, \
         `looks_like`; then\n  cargo xtask gen"
    );
    Ok(true)
}

/// Adds the format to the enum, its names and the dispatch.
fn list(changes: &mut Changes, root: &Path, slug: &str) -> Result<()> {
    let name = camel(slug);
    let mut insert =
        |anchor: &str, line: String| changes.insert_before(root, FORMAT_RS, anchor, &line);
    insert("\nconst SNIFF_BYTES", format!("mod {slug};\n"))?;
    insert("    /// The packet log", format!("    /// One line.\n    {name},\n"))?;
    insert("            Self::Events =>", format!("            Self::{name} => \"{slug}\",\n"))?;
    insert(", events\"", format!(", {slug}"))?;
    let entry = format!("    (Format::{name}, {slug}::looks_like, {slug}::open),\n");
    insert("    (Format::Events,", entry)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::scaffold::tests::Copy;

    #[test]
    fn a_format_is_laid_out_in_a_copy() {
        let copy = Copy::of("format", &[FORMAT_RS.to_owned()]);
        lay_out(copy.root(), "probe_feed").unwrap();
        let list = copy.read(FORMAT_RS);
        for line in [
            "mod probe_feed;\n",
            "    ProbeFeed,\n",
            "Self::ProbeFeed => \"probe_feed\",",
            "probe_feed, events\"",
            "(Format::ProbeFeed, probe_feed::looks_like, probe_feed::open),",
        ] {
            assert!(list.contains(line), "{line}");
        }
        let code = copy.read("crates/market-io/src/format/probe_feed.rs");
        assert!(code.contains("struct ProbeFeed {") && !code.contains("{slug}"), "{code}");
        assert!(copy.read("specs/inputs/probe_feed.md").starts_with("# Input `probe_feed`"));
    }
}
