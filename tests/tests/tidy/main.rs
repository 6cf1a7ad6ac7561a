//! The house rules a compiler does not know, checked over the whole tree. Every rule is shown a planted breach as well, so
//! that a rule that finds nothing any more fails. Needs nothing but std:
//! `CARGO_MANIFEST_DIR=$PWD/tests rustc --edition 2024 --test tests/tests/tidy/main.rs -o /tmp/tidy && /tmp/tidy`.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod dependencies;
mod documents;
mod mask;
mod modules;
mod names;
mod size;
mod tree;

use tree::Tree;

/// A rule: the whole tree in, one sentence for each breach out.
type Rule = fn(&Tree) -> Vec<String>;

/// Fails with every breach the repository has of one rule.
fn hold(rule: Rule) {
    let tree = Tree::of_repository();
    assert!(tree.files.len() > 50, "the walk found almost nothing: {} files", tree.files.len());
    let breaches = rule(&tree);
    assert!(breaches.is_empty(), "{} breaches:\n{}", breaches.len(), breaches.join("\n"));
}

/// Fails unless the rule finds exactly one breach in a tree of these files and names `named` in it.
fn finds(rule: Rule, files: &[(&str, &str)], named: &str) {
    let breaches = rule(&Tree::of(files));
    assert!(breaches.len() == 1 && breaches[0].contains(named), "wanted one breach naming {named}, got {breaches:?}");
}

/// Fails when the rule finds anything in a tree of these files.
fn passes(rule: Rule, files: &[(&str, &str)]) {
    let breaches = rule(&Tree::of(files));
    assert!(breaches.is_empty(), "wanted no breach, got {breaches:?}");
}

#[test]
fn the_top_level_is_as_listed() {
    hold(names::top_level);
}

#[test]
fn files_are_short() {
    hold(size::files);
}

#[test]
fn functions_are_short() {
    hold(size::functions);
}

#[test]
fn dependencies_point_down() {
    hold(dependencies::direction);
}

#[test]
fn light_crates_stay_light() {
    hold(dependencies::light_crates);
}

#[test]
fn nothing_is_left_for_later() {
    hold(names::leftovers);
}

#[test]
fn nothing_names_the_workplace() {
    hold(names::workplace);
}

#[test]
fn ignored_tests_say_why() {
    hold(names::ignored_without_reason);
}

#[test]
fn no_file_is_dead() {
    hold(modules::dead_files);
}

#[test]
fn the_summary_lists_every_page() {
    hold(documents::summary);
}

#[test]
fn links_lead_somewhere() {
    hold(documents::links);
}

#[test]
fn data_has_source_and_licence() {
    hold(documents::data);
}

#[test]
fn the_clippy_files_share_their_bans() {
    hold(documents::shared_bans);
}
