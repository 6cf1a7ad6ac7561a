//! A node gets a validator's seat by vote and another one loses its own, while the ledger goes on; that the newcomer's votes count
//! shows once a founder is killed.

use std::path::Path;

use mesh30k_tests::cli::Shell;
use mesh30k_tests::mesh::{RETURN_MAX, TestMesh};
use mesh30k_tests::wait::wait_until;
use serde_json::Value;

/// The newcomer; nodes 1 to 4 are the founders.
const NEWCOMER: u32 = 5;

#[test]
fn seats_change_hands_and_the_newcomer_carries_on_for_a_killed_founder() {
    let mut mesh = TestMesh::start(5, 4, 8);
    let home = tempfile::tempdir().unwrap();
    let shell = Shell::of(home.path(), &mesh);
    assert_eq!(role(&mesh, NEWCOMER), "observer");
    let config = mesh.node(NEWCOMER).config.display().to_string();
    let identity = json(&shell, &["node", "identity", "--config", &config]);
    let newcomer = mesh.status(NEWCOMER).unwrap().node.unwrap().to_string();
    let seat = ["gov", "seat", &newcomer, identity["validator_key"].as_str().unwrap()];
    decide(&shell, &seat);
    let reason = wait_until("a node that has bonded nothing gets no seat", RETURN_MAX, || {
        let said = json(&shell, &["gov", "show", "1"]);
        if said["status"] == "Failed" { Ok(said["reason"].as_str().unwrap().to_owned()) } else { Err(said.to_string()) }
    });
    assert!(reason.contains("100.000000 FTNS bonded as validator are needed"), "{reason}");
    let account_key = mesh.node(NEWCOMER).data_dir.join("keys/account.key").display().to_string();
    json(&shell, &["ledger", "send", "150", identity["account"].as_str().unwrap(), "--from", "alice"]);
    json(&shell, &["stake", "add", "100", "--duty", "validator", "--key", &account_key]);
    decide(&shell, &seat);
    wait_role(&mesh, NEWCOMER, "validator");
    mesh.pay(NEWCOMER);

    // Four of five agree: without the newcomer there would be three.
    mesh.kill(2);
    mesh.pay(3);
    mesh.restart(2);
    mesh.wait_level(2, 3);

    decide(&shell, &["gov", "unseat", "1"]);
    wait_role(&mesh, 1, "observer");
    let set = json(&shell, &["gov", "validators"]);
    let nodes: Vec<_> = set["validators"].as_array().unwrap().iter().map(|seat| seat["node"].clone()).collect();
    assert_eq!((&set["epoch"], &set["quorum"], nodes.len()), (&2.into(), &3.into(), 4), "{set}");
    receipt_holds(&mesh, &shell, home.path());
    assert!(!nodes.contains(&1.into()) && shell.run(&["gov", "validators"]).stdout.contains(&newcomer), "{set}");
    // Transactions that come in at whoever lost its seat find their way all the same.
    mesh.pay(1);
    mesh.kill(1);
    mesh.pay(NEWCOMER);
    mesh.restart(1);
    mesh.wait_level(1, NEWCOMER);
    assert_eq!(role(&mesh, 1), "observer", "and stays one");

    // A validator that was not there from the beginning finds its place again.
    mesh.kill(NEWCOMER);
    mesh.pay(3);
    mesh.restart(NEWCOMER);
    mesh.wait_level(NEWCOMER, 3);
    assert_eq!(role(&mesh, NEWCOMER), "validator");
    let _ = mesh.wait_same_chain();
}

/// Proposed by alice, and voted for by everybody who owns something.
fn decide(shell: &Shell, change: &[&str]) {
    let opened = json(shell, &[change, &["--key", "alice"]].concat());
    let proposal = opened["created"][0].as_str().unwrap();
    for name in ["alice", "bob", "operator"] {
        json(shell, &["gov", "vote", proposal, "yes", "--key", name]);
    }
}

#[track_caller]
fn json(shell: &Shell, words: &[&str]) -> Value {
    let answer = shell.run(&[words, &["--json"]].concat());
    assert_eq!(answer.code, Some(0), "{words:?}: {answer:?}");
    serde_json::from_str(&answer.stdout).unwrap()
}

/// A payment certified by the second set after the founders is proven with nothing but the genesis.
fn receipt_holds(mesh: &TestMesh, shell: &Shell, home: &Path) {
    let paid = json(shell, &["ledger", "send", "1", "bob", "--from", "alice"]);
    let receipt = shell.run(&["ledger", "receipt", paid["id"].as_str().unwrap()]);
    std::fs::write(home.join("receipt.json"), receipt.stdout).unwrap();
    let genesis = mesh.layout().genesis_file().display().to_string();
    let verified = shell.run(&["ledger", "verify", "receipt.json", "--genesis", &genesis]);
    assert_eq!(verified.code, Some(0), "{verified:?}");
    assert!(verified.stdout.contains("validators changed 2 times since the genesis"), "{verified:?}");
}

fn role(mesh: &TestMesh, number: u32) -> String {
    mesh.status(number).unwrap().role
}

#[track_caller]
fn wait_role(mesh: &TestMesh, number: u32, wanted: &str) {
    wait_until(&format!("node {number} is {wanted}"), RETURN_MAX, || {
        let found = mesh.status(number).map_err(|error| error.to_string())?.role;
        if found == wanted { Ok(()) } else { Err(found) }
    });
}
