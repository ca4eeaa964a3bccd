//! A new feature family: kernel file, spec page, reference, cases, and the lines that list it.

use std::path::Path;

use anyhow::{Result, ensure};

use super::{Changes, camel, check_slug};

const KERNEL: &str = "crates/feature-kernel/src";
const REFERENCE: &str = "parity/reference/featureplane_reference/families";

/// Writes the files of a family whose tests fail until it is written.
pub(crate) fn lay_out(root: &Path, slug: &str, columns: &[String]) -> Result<bool> {
    check_slug(slug)?;
    for column in columns {
        check_slug(column)?;
        ensure!(
            crate::meta::columns().all(|(_, known)| known.id != column),
            "column id `{column}` is taken"
        );
    }
    let mut changes = Changes::default();
    changes.add(
        format!("{KERNEL}/features/{slug}.rs"),
        kernel(include_str!("../../templates/feature/family.rs.txt"), slug, columns),
    );
    changes.add(
        format!("specs/features/{slug}.md"),
        spec(include_str!("../../templates/feature/spec.md.txt"), slug, columns),
    );
    changes.add(
        format!("{REFERENCE}/{slug}.py"),
        reference(include_str!("../../templates/feature/reference.py.txt"), slug, columns),
    );
    let cases = include_str!("../../templates/feature/cases.toml.txt").replace("{slug}", slug);
    changes.add(format!("parity/cases/{slug}.toml"), cases);
    list(&mut changes, root, slug)?;
    changes.write(root)?;
    println!(
        "\nnext: specs/features/{slug}.md, then the cases, the reference and the kernel; then\n  \
         cargo xtask gen && cargo xtask golden --accept {slug}"
    );
    Ok(true)
}

/// Adds the family to the lists of modules and families.
fn list(changes: &mut Changes, root: &Path, slug: &str) -> Result<()> {
    let features = format!("{KERNEL}/features.rs");
    changes.insert_sorted(root, &features, "pub mod ", &format!("pub mod {slug};"))?;
    let bundle = "parity/src/external.rs";
    let file = format!("        \"families/{slug}.py\",");
    changes.insert_sorted(root, bundle, "        \"families/", &file)?;
    let registry = format!("{KERNEL}/registry.rs");
    let line = format!("    {} = crate::features::{slug}::{},\n", camel(slug), camel(slug));
    // Families over columns stand last.
    changes.insert_before(root, &registry, "    Ema = ", &line)?;
    let init = format!("{REFERENCE}/__init__.py");
    let import = format!("from . import {slug}\n\nFAMILIES = {{\n    \"{slug}\": {slug},\n");
    changes.edit(root, &init, |text| {
        text.contains("\nFAMILIES = {\n").then(|| text.replacen("FAMILIES = {\n", &import, 1))
    })
}

fn each(columns: &[String], line: impl Fn(&str) -> String) -> String {
    columns.iter().map(|column| line(column)).collect::<Vec<_>>().join("\n")
}

fn kernel(template: &str, slug: &str, columns: &[String]) -> String {
    let metas = each(columns, |id| {
        format!(
            "            l1_column(\"{id}\", Dtype::I64, Scale::None, \"unit\", \"One line.\"),"
        )
    });
    let list: Vec<_> = columns.iter().map(|id| format!("Column::{}", camel(id))).collect();
    template
        .replace("{variants}", &each(columns, |id| format!("    {},", camel(id))))
        .replace("{metas}", &metas)
        .replace("{count}", &columns.len().to_string())
        .replace("{list}", &list.join(", "))
        .replace(
            "{arms}",
            &each(columns, |id| {
                format!("                Column::{} => slots.i64(slot, 0),", camel(id))
            }),
        )
        .replace("{slug}", slug)
        .replace("{Type}", &camel(slug))
}

fn spec(template: &str, slug: &str, columns: &[String]) -> String {
    template
        .replace("{rows}", &each(columns, |id| format!("| {id} | i64 | | | | | 1 event |")))
        .replace("{slug}", slug)
}

fn reference(template: &str, slug: &str, columns: &[String]) -> String {
    let revs: Vec<_> = columns.iter().map(|id| format!("\"{id}\": 1")).collect();
    let type_name = camel(slug);
    template
        .replace("{revs}", &revs.join(", "))
        .replace(
            "{columns}",
            &each(columns, |id| {
                format!("    \"{id}\": Column({type_name}, \"i64\", \"none\", \"unit\"),")
            }),
        )
        .replace("{slug}", slug)
        .replace("{Type}", &type_name)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::scaffold::tests::{Copy, lists};

    #[test]
    fn a_family_is_laid_out_in_a_copy() {
        let copy = Copy::of("feature", &lists(KERNEL, REFERENCE));
        let columns = ["probe_a".to_owned(), "probe_b".to_owned()];
        lay_out(copy.root(), "probe", &columns).unwrap();
        let kernel = copy.read(&format!("{KERNEL}/features/probe.rs"));
        assert!(kernel.contains("const COLUMNS: [Column; 2] = [Column::ProbeA, Column::ProbeB];"));
        assert!(!kernel.contains("{slug}") && !kernel.contains("{Type}"), "{kernel}");
        let registry = copy.read(&format!("{KERNEL}/registry.rs"));
        let place = |text: &str| registry.find(text).unwrap();
        assert!(place("Probe = crate::features::probe::Probe,") < place("Ema = ema::Ema,"));
        assert!(
            copy.read(&format!("{KERNEL}/features.rs"))
                .contains("order_flow_l3;\npub mod probe;\n")
        );
        assert!(copy.read("parity/src/external.rs").contains("families/probe.py\",\n"));
        let reference = copy.read(&format!("{REFERENCE}/probe.py"));
        assert!(reference.contains("REV = {\"probe_a\": 1, \"probe_b\": 1}"), "{reference}");
        assert!(copy.read(&format!("{REFERENCE}/__init__.py")).contains("\"probe\": probe,"));
        let again = lay_out(copy.root(), "probe", &columns).unwrap_err().to_string();
        assert!(again.ends_with("exists"), "{again}");
    }

    #[test]
    fn a_taken_column_id_is_refused() {
        let error = lay_out(Path::new("."), "probe", &["mid".into()]).unwrap_err();
        assert_eq!(error.to_string(), "column id `mid` is taken");
    }
}
