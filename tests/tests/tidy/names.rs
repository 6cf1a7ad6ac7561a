//! What may stand at the top level, and words that may stand nowhere.

use std::collections::BTreeSet;

use crate::mask::mask;
use crate::tree::Tree;

/// The whole top level; names that start with a dot are free.
const TOP_LEVEL: [&str; 15] = [
    "CHANGELOG.md",
    "Cargo.lock",
    "Cargo.toml",
    "LICENSE-APACHE",
    "LICENSE-MIT",
    "Makefile",
    "README.md",
    "cli",
    "consensus",
    "docs",
    "ledger",
    "node",
    "p2p",
    "testnet",
    "tests",
];

/// Words of work that is not finished. Written in two halves, for this file is checked too.
const LEFTOVERS: [&str; 5] = [
    concat!("TO", "DO"),
    concat!("FIX", "ME"),
    concat!("XX", "X"),
    concat!("dbg", "!("),
    concat!("unimplemented", "!("),
];

/// Names of places that exist only where this was built.
const WORKPLACE: [&str; 5] = [
    concat!("/wo", "rk/"),
    concat!("far", "m-"),
    concat!("issues", " show"),
    concat!("libs", ".md"),
    concat!("../sha", "red/"),
];

/// Anything missing from, or foreign to, the top level.
pub(crate) fn top_level(tree: &Tree) -> Vec<String> {
    let found: BTreeSet<&str> = tree.files.keys().map(|path| path.split('/').next().unwrap_or(path)).collect();
    let wanted = BTreeSet::from(TOP_LEVEL);
    let foreign =
        found.difference(&wanted).filter(|name| !name.starts_with('.')).map(|name| format!("{name}: foreign"));
    foreign.chain(wanted.difference(&found).map(|name| format!("{name}: missing"))).collect()
}

/// Words that say that something was left for later.
pub(crate) fn leftovers(tree: &Tree) -> Vec<String> {
    words(tree, &LEFTOVERS, true)
}

/// Names of the workplace.
pub(crate) fn workplace(tree: &Tree) -> Vec<String> {
    words(tree, &WORKPLACE, false)
}

/// `#[ignore]` with no reason beside it.
pub(crate) fn ignored_without_reason(tree: &Tree) -> Vec<String> {
    let mut breaches = Vec::new();
    for (path, text) in tree.ending(".rs") {
        for (line, code) in mask(text).lines().enumerate() {
            if code.replace(' ', "").contains("#[ignore]") {
                breaches.push(format!("{path}:{}: ignored without a reason", line + 1));
            }
        }
    }
    breaches
}

/// Every line that has one of the words; `whole` asks for a word boundary before it.
fn words(tree: &Tree, banned: &[&str], whole: bool) -> Vec<String> {
    let mut breaches = Vec::new();
    for (path, text) in &tree.files {
        if path == "Cargo.lock" || path.starts_with("LICENSE-") {
            continue;
        }
        for (line, content) in text.lines().enumerate() {
            for word in banned.iter().filter(|word| has_word(content, word, whole)) {
                breaches.push(format!("{path}:{}: {word}", line + 1));
            }
        }
    }
    breaches
}

fn has_word(content: &str, word: &str, whole: bool) -> bool {
    let inside = |c: char| c.is_alphanumeric() || c == '_';
    content.match_indices(word).any(|(at, _)| {
        let opens = word.ends_with('(') || !content[at + word.len()..].starts_with(inside);
        !whole || (!content[..at].ends_with(inside) && opens)
    })
}

#[test]
fn a_foreign_or_missing_entry_is_found() {
    let complete: Vec<(&str, &str)> = TOP_LEVEL.iter().map(|name| (*name, "")).collect();
    crate::passes(top_level, &complete);
    crate::finds(top_level, &[complete.as_slice(), &[("notes/a.md", ""), (".ci/run", "")]].concat(), "notes: foreign");
    crate::finds(top_level, &complete[1..], "CHANGELOG.md: missing");
}

#[test]
fn a_leftover_is_found() {
    for word in LEFTOVERS {
        crate::finds(leftovers, &[("a.rs", &format!("\nlet a = 1; // {word}: later"))], "a.rs:2");
    }
    crate::passes(leftovers, &[("a.rs", concat!("fn a_", "TO", "DO_b() {}"))]);
}

#[test]
fn a_workplace_name_is_found() {
    for word in WORKPLACE {
        crate::finds(workplace, &[("docs/a.md", &format!("see {word}here"))], "docs/a.md:1");
    }
    crate::passes(workplace, &[("docs/a.md", "network/peers, platform-independent")]);
}

#[test]
fn an_ignored_test_without_reason_is_found() {
    let attribute = |reason: &str| format!("#[test]\n#[ignore{reason}]\nfn a() {{}}");
    crate::finds(ignored_without_reason, &[("a.rs", &attribute(""))], "a.rs:2");
    crate::passes(ignored_without_reason, &[("a.rs", &attribute(" = \"needs root\"")), ("b.rs", "// #[ignore]")]);
}
