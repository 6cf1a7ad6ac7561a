//! The book, the data and the lint files.

use std::collections::BTreeSet;

use crate::tree::Tree;

/// A page of the book that SUMMARY.md does not list, or a listed one that is not there.
pub(crate) fn summary(tree: &Tree) -> Vec<String> {
    let Some(summary) = tree.files.get("docs/SUMMARY.md") else { return vec!["docs/SUMMARY.md: missing".to_owned()] };
    let listed: BTreeSet<String> = summary
        .split("](")
        .skip(1)
        .filter_map(|link| link.split_once(')'))
        .map(|(target, _)| format!("docs/{}", target.trim_start_matches("./")))
        .collect();
    let pages: BTreeSet<String> = tree
        .ending(".md")
        .map(|(path, _)| path.to_owned())
        .filter(|path| path.starts_with("docs/") && path != "docs/SUMMARY.md")
        .collect();
    let unlisted = pages.difference(&listed).map(|page| format!("{page}: not in SUMMARY.md"));
    unlisted.chain(listed.difference(&pages).map(|page| format!("{page}: in SUMMARY.md, but not there"))).collect()
}

/// A relative link in a page that leads to no file.
pub(crate) fn links(tree: &Tree) -> Vec<String> {
    let mut breaches = Vec::new();
    for (path, text) in tree.ending(".md") {
        let folder = path.rsplit_once('/').map_or("", |(folder, _)| folder);
        let targets = text.split("](").skip(1).filter_map(|link| link.split_once(')')).map(|(target, _)| target);
        for target in targets.filter(|target| !target.contains("://") && !target.starts_with('#')) {
            let file = resolve(folder, target.split('#').next().unwrap_or(target));
            if !tree.files.contains_key(&file) {
                breaches.push(format!("{path}: links to {target}, which is not there"));
            }
        }
    }
    breaches
}

/// The path that a relative link means, seen from this folder.
fn resolve(folder: &str, link: &str) -> String {
    let mut parts: Vec<&str> = folder.split('/').filter(|part| !part.is_empty()).collect();
    for part in link.split('/') {
        match part {
            ".." => drop(parts.pop()),
            "." => {}
            name => parts.push(name),
        }
    }
    parts.join("/")
}

/// A folder named `data` without a README.md that names source and licence.
pub(crate) fn data(tree: &Tree) -> Vec<String> {
    let folders: BTreeSet<&str> = tree
        .files
        .keys()
        .filter(|path| !path.ends_with(".rs"))
        .filter_map(|path| path.rsplit_once('/'))
        .map(|(folder, _)| folder)
        .filter(|folder| folder.ends_with("/data"))
        .collect();
    let told = |folder: &str| {
        let text = tree.files.get(&format!("{folder}/README.md")).map(String::as_str).unwrap_or_default();
        text.contains("Source") && text.contains("Licence:")
    };
    folders
        .into_iter()
        .filter(|folder| !told(folder))
        .map(|folder| format!("{folder}: no README.md with Source and Licence"))
        .collect()
}

/// A ban of the top level's clippy file that ledger's lacks: clippy takes the nearest file alone.
pub(crate) fn shared_bans(tree: &Tree) -> Vec<String> {
    let lines = |path: &str| -> BTreeSet<&str> {
        let text = tree.files.get(path).map(String::as_str).unwrap_or_default();
        text.lines().map(str::trim).filter(|line| line.starts_with("{ path")).collect()
    };
    let (top, ledger) = (lines(".clippy.toml"), lines("ledger/.clippy.toml"));
    if top.is_empty() {
        return vec![".clippy.toml: no bans".to_owned()];
    }
    top.difference(&ledger).map(|ban| format!("ledger/.clippy.toml lacks {ban}")).collect()
}

#[test]
fn a_page_outside_the_summary_is_found() {
    let book = ("docs/SUMMARY.md", "# Summary\n- [A](a.md)\n  - [B](./adr/b.md)\n");
    crate::passes(summary, &[book, ("docs/a.md", ""), ("docs/adr/b.md", "")]);
    crate::finds(summary, &[book, ("docs/a.md", ""), ("docs/adr/b.md", ""), ("docs/c.md", "")], "docs/c.md: not in");
    crate::finds(summary, &[book, ("docs/a.md", "")], "docs/adr/b.md: in SUMMARY.md");
}

#[test]
fn a_dead_link_is_found() {
    let page = |link: &str| format!("see [this]({link}) and [that](https://example.org/x)");
    let files = |text: &'static str| [("docs/adr/b.md", ""), ("docs/op/a.md", text)];
    crate::passes(links, &files("[b](../adr/b.md#part), [top](#top), [a](./a.md)"));
    crate::finds(links, &[("docs/op/a.md", &page("../adr/b.md"))], "docs/op/a.md: links to ../adr/b.md");
}

#[test]
fn data_without_source_is_found() {
    crate::passes(
        data,
        &[
            ("a/data/x.csv", ""),
            ("a/data/README.md", "- Source: S\n- Licence: L"),
            ("a/src/data/mod.rs", ""),
            ("a/src/x.csv", ""),
        ],
    );
    crate::finds(data, &[("a/data/x.csv", "")], "a/data");
    crate::finds(data, &[("a/data/x.csv", ""), ("a/data/README.md", "- Source: S")], "a/data");
}

#[test]
fn a_ban_that_is_not_shared_is_found() {
    let ban = "    { path = \"std::a\", reason = \"b\" },\n";
    crate::passes(shared_bans, &[(".clippy.toml", ban), ("ledger/.clippy.toml", ban)]);
    crate::finds(shared_bans, &[(".clippy.toml", ban), ("ledger/.clippy.toml", "")], "std::a");
    crate::finds(shared_bans, &[(".clippy.toml", "")], "no bans");
}
