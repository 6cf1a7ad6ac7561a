//! Nodes in network namespaces of their own, by `tests/netns/run.sh`.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::path::Path;
use std::process::Command;

use mesh30k_tests::program::program;

/// Whether this process may make network namespaces: it makes one.
fn may_make_namespaces() -> bool {
    let name = format!("mesh30k-probe-{}", std::process::id());
    let ip = |action| Command::new("ip").args(["netns", action, &name]).output().is_ok_and(|run| run.status.success());
    ip("add") && ip("del")
}

#[test]
fn a_node_joins_late_and_another_is_cut_off_in_network_namespaces() {
    if !may_make_namespaces() {
        println!("skipped: needs root and ip netns (iproute2)");
        return;
    }
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("netns/run.sh");
    let status = Command::new(script).arg(program()).arg(env!("CARGO_BIN_EXE_netns-helper")).status().unwrap();
    assert!(status.success(), "{status}");
}
