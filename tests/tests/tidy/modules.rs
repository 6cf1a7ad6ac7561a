//! Source files that nothing compiles.

use std::collections::BTreeSet;

use crate::mask::mask;
use crate::tree::Tree;

/// A `.rs` file that no crate root reaches through `mod` declarations.
pub(crate) fn dead_files(tree: &Tree) -> Vec<String> {
    let mut alive = BTreeSet::new();
    let mut open: Vec<String> =
        tree.ending(".rs").map(|(path, _)| path.to_owned()).filter(|path| is_root(path, tree)).collect();
    while let Some(path) = open.pop() {
        if let Some(text) = tree.files.get(&path) {
            open.extend(children(&path, text, is_root(&path, tree)));
            alive.insert(path);
        }
    }
    let dead = tree.ending(".rs").filter(|(path, _)| !alive.contains(*path));
    dead.map(|(path, _)| format!("{path}: no crate has it as a module")).collect()
}

/// Whether cargo compiles this file as the root of a crate.
fn is_root(path: &str, tree: &Tree) -> bool {
    let (folder, name) = path.rsplit_once('/').unwrap_or(("", path));
    let is_package = |folder: &str| tree.files.contains_key(&format!("{folder}/Cargo.toml"));
    let of_package = |end: &str| folder.strip_suffix(end).is_some_and(is_package);
    if of_package("/src") && (name == "lib.rs" || name == "main.rs") || is_package(folder) && name == "build.rs" {
        return true;
    }
    ["/src/bin", "/tests", "/benches", "/examples"].iter().any(|kind| {
        let in_folder = name == "main.rs"
            && folder.rsplit_once('/').is_some_and(|(parent, _)| parent.strip_suffix(kind).is_some_and(is_package));
        of_package(kind) || in_folder
    })
}

/// The files a source file may mean by its `mod name;` declarations.
fn children(path: &str, text: &str, root: bool) -> Vec<String> {
    let (folder, name) = path.rsplit_once('/').unwrap_or(("", path));
    let stem = name.trim_end_matches(".rs");
    let home = if root || stem == "mod" { folder.to_owned() } else { format!("{folder}/{stem}") };
    let masked = mask(text);
    let mut found = Vec::new();
    let mut given_path = None;
    for (code, raw) in masked.lines().zip(text.lines()) {
        if code.trim_start().starts_with("#[path") {
            given_path = raw.split('"').nth(1);
        }
        let declaration = code.rsplit(']').next().unwrap_or(code).trim();
        let Some(module) = declaration.strip_suffix(';').and_then(|words| words.split_whitespace().last()) else {
            continue;
        };
        let is_module =
            declaration.starts_with("mod ") || declaration.starts_with("pub") && declaration.contains(" mod ");
        if is_module {
            match given_path.take() {
                Some(given) => found.push(format!("{folder}/{given}")),
                None => found.extend([format!("{home}/{module}.rs"), format!("{home}/{module}/mod.rs")]),
            }
        }
    }
    found
}

#[test]
fn a_dead_file_is_found() {
    let alive = [
        ("a/Cargo.toml", ""),
        ("a/src/lib.rs", "mod b;\npub(crate) mod c;\n#[cfg(test)]\nmod given;\n"),
        ("a/src/b.rs", "pub mod d;"),
        ("a/src/b/d.rs", ""),
        ("a/src/c/mod.rs", "#[path = \"odd.rs\"]\nmod e;"),
        ("a/src/c/odd.rs", ""),
        ("a/src/given.rs", ""),
        ("a/tests/one.rs", ""),
        ("a/tests/two/main.rs", "mod help;"),
        ("a/tests/two/help.rs", ""),
    ];
    crate::passes(dead_files, &alive);
    crate::finds(dead_files, &[alive.as_slice(), &[("a/src/d.rs", "")]].concat(), "a/src/d.rs");
    crate::finds(dead_files, &[("a/Cargo.toml", ""), ("a/src/lib.rs", "// mod b;"), ("a/src/b.rs", "")], "a/src/b.rs");
}
