//! Which crate may know which.

use crate::tree::Tree;

/// Folder, package and the packages of this workspace it may depend on, in tests too.
const CRATES: [(&str, &str, &[&str]); 11] = [
    ("ledger", "mesh30k-ledger", &[]),
    ("p2p", "mesh30k-p2p", &[]),
    ("consensus", "mesh30k-consensus", &["mesh30k-ledger"]),
    ("node/core", "mesh30k-core", &["mesh30k-ledger"]),
    ("node/chain", "mesh30k-chain", &["mesh30k-ledger", "mesh30k-consensus"]),
    ("node", "mesh30k-node", &["mesh30k-ledger", "mesh30k-p2p", "mesh30k-consensus", "mesh30k-core", "mesh30k-chain"]),
    ("testnet/sim", "mesh30k-sim", &["mesh30k-ledger", "mesh30k-core"]),
    ("testnet", "mesh30k-testnet", &["mesh30k-ledger", "mesh30k-p2p", "mesh30k-core", "mesh30k-node", "mesh30k-sim"]),
    ("cli", "mesh30k", &["mesh30k-ledger", "mesh30k-core", "mesh30k-node", "mesh30k-testnet"]),
    (
        "tests",
        "mesh30k-tests",
        &[
            "mesh30k",
            "mesh30k-consensus",
            "mesh30k-core",
            "mesh30k-ledger",
            "mesh30k-node",
            "mesh30k-p2p",
            "mesh30k-sim",
            "mesh30k-testnet",
        ],
    ),
    ("tests/fuzz", "mesh30k-fuzz", &["mesh30k-ledger", "mesh30k-consensus", "mesh30k-core", "mesh30k-chain"]),
];

/// What the deciding crates must build without: folder, dependency.
const TOO_HEAVY: [(&str, &str); 15] = [
    ("ledger", "tokio"),
    ("ledger", "libp2p"),
    ("ledger", "rocksdb"),
    ("node/core", "tokio"),
    ("node/core", "libp2p"),
    ("node/core", "rocksdb"),
    ("node/chain", "tokio"),
    ("node/chain", "libp2p"),
    ("node/chain", "rocksdb"),
    ("consensus", "tokio"),
    ("consensus", "libp2p"),
    ("consensus", "rocksdb"),
    ("testnet/sim", "tokio"),
    ("testnet/sim", "libp2p"),
    ("testnet/sim", "rocksdb"),
];

/// An edge between crates that the table does not have, or a crate that it does not know.
pub(crate) fn direction(tree: &Tree) -> Vec<String> {
    let mut breaches = Vec::new();
    for (path, manifest) in tree.ending("/Cargo.toml") {
        let folder = path.trim_end_matches("/Cargo.toml");
        let Some((_, package, allowed)) = CRATES.iter().find(|(known, _, _)| *known == folder) else {
            breaches
                .push(format!("{folder}: a crate this test does not know; add it with the crates it may depend on"));
            continue;
        };
        if !manifest.contains(&format!("name = \"{package}\"\n")) {
            breaches.push(format!("{folder}: its package is not {package}"));
        }
        for dependency in dependencies(manifest).filter(|dependency| dependency.name.starts_with("mesh30k")) {
            if !allowed.contains(&dependency.name) {
                breaches.push(format!("{package} must not depend on {}", dependency.name));
            }
        }
    }
    breaches
}

/// A heavy dependency of a crate that must build without it; optional ones and those of tests do not count.
pub(crate) fn light_crates(tree: &Tree) -> Vec<String> {
    let mut breaches = Vec::new();
    for (folder, heavy) in TOO_HEAVY {
        let Some(manifest) = tree.files.get(&format!("{folder}/Cargo.toml")) else { continue };
        let pulled = dependencies(manifest).any(|dependency| {
            dependency.name == heavy && !dependency.optional && !dependency.section.starts_with("[dev-")
        });
        let by_default = manifest.lines().any(|line| line.starts_with("default = ") && line.contains(heavy));
        if pulled || by_default {
            breaches.push(format!("{folder} must build without {heavy}"));
        }
    }
    breaches
}

struct Dependency<'a> {
    section: &'a str,
    name: &'a str,
    optional: bool,
}

/// The dependencies of a manifest, of every kind and target.
fn dependencies(manifest: &str) -> impl Iterator<Item = Dependency<'_>> {
    let mut section = "";
    manifest.lines().filter_map(move |line| {
        if line.starts_with('[') {
            section = line;
            return None;
        }
        let (key, value) = line.split_once('=')?;
        let name = key.trim().split('.').next()?;
        section.trim_end_matches(']').ends_with("dependencies").then(|| Dependency {
            section,
            name,
            optional: value.contains("optional = true"),
        })
    })
}

#[test]
fn an_edge_that_points_up_is_found() {
    let manifest = |package: &str, kind: &str, dependency: &str| {
        format!("[package]\nname = \"{package}\"\n\n[{kind}]\n{dependency}\n\n[lints]\nworkspace = true\n")
    };
    let ledger = |kind: &str, dependency: &str| manifest("mesh30k-ledger", kind, dependency);
    for kind in ["dependencies", "dev-dependencies", "target.'cfg(unix)'.dependencies"] {
        crate::finds(direction, &[("ledger/Cargo.toml", &ledger(kind, "mesh30k-p2p.workspace = true"))], "mesh30k-p2p");
    }
    crate::passes(
        direction,
        &[(
            "consensus/Cargo.toml",
            &manifest("mesh30k-consensus", "dependencies", "mesh30k-ledger = { path = \"a\" }"),
        )],
    );
    crate::finds(direction, &[("wallet/Cargo.toml", "[package]\n")], "wallet: a crate this test does not know");
}

#[test]
fn a_heavy_dependency_is_found() {
    let consensus = |text: &str| [("consensus/Cargo.toml", text.to_owned())].map(|(path, text)| (path, text));
    for text in [
        "[dependencies]\nrocksdb.workspace = true\n",
        "[dependencies]\nrocksdb = { workspace = true, optional = true }\n[features]\ndefault = [\"rocksdb\"]\n",
    ] {
        let [(path, text)] = consensus(text);
        crate::finds(light_crates, &[(path, &text)], "consensus must build without rocksdb");
    }
    let [(path, text)] = consensus(
        "[dependencies]\nrocksdb = { workspace = true, optional = true }\n[dev-dependencies]\ntokio = \"1\"\n",
    );
    crate::passes(light_crates, &[(path, &text)]);
}
