//! What an account can do beyond paying, by the binary against a small mesh of real processes: later and many payments, stake, a
//! claim that it answers for, a new key, the hash of a file; and proposals beyond parameters.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod keys;
mod payments;
mod proposals;
mod stake;

use std::time::Duration;

use mesh30k_tests::cli::{Answer, Shell};
use mesh30k_tests::mesh::TestMesh;
use serde_json::Value;

/// How long what falls due on the ledger may take to be seen.
const DUE_MAX: Duration = Duration::from_secs(30);

/// What a command answers a program.
#[track_caller]
fn json(shell: &Shell, words: &[&str]) -> Value {
    let words: Vec<&str> = words.iter().copied().chain(["--json"]).collect();
    let answer = shell.run(&words);
    assert_eq!(answer.code, Some(0), "{words:?}: {answer:?}");
    serde_json::from_str(&answer.stdout).unwrap()
}

/// What a command answers a person; it is printed, to be looked at.
#[track_caller]
fn shown(shell: &Shell, words: &[&str]) -> String {
    let answer = shell.run(words);
    assert_eq!(answer.code, Some(0), "{words:?}: {answer:?}");
    println!("$ mesh30k {}\n{}", words.join(" "), answer.stdout);
    answer.stdout
}

#[track_caller]
fn refused(answer: &Answer, code: i32, part: &str) {
    let is_told = answer.code == Some(code) && answer.stderr.contains(part);
    assert!(is_told, "code {code} and `{part}` are wanted: {answer:?}");
    println!("{}", answer.stderr);
}

fn made(row: &Value) -> &str {
    row["created"][0].as_str().unwrap_or_else(|| panic!("nothing was made: {row}"))
}

/// Free balance in uFTNS.
fn balance(shell: &Shell, account: &str) -> u64 {
    json(shell, &["ledger", "balance", account])["balance_uftns"].as_u64().unwrap()
}

#[test]
fn an_account_pays_answers_votes_and_changes_its_key() {
    let home = tempfile::tempdir().unwrap();
    let mesh = TestMesh::start(3, 3, 30);
    let shell = Shell::of(home.path(), &mesh);
    let before = stake::nobody_answers_with_anything(&shell);
    let open = proposals::open(&shell);
    payments::many_at_once(&shell, home.path());
    keys::a_file_is_what_it_was(&shell, home.path(), &mesh);
    // From here on no deposit of a proposal comes back between two balances.
    proposals::carried_out(&shell, &open);
    payments::later_and_called_off(&shell);
    stake::a_seller_answers_for_a_claim(&shell, &before);
    stake::what_is_asked_back_answers_on(&shell, &mesh);
    keys::a_new_key_for_an_old_account(&shell);
    keys::interrupted_anywhere_it_goes_on(&shell, &mesh);
    proposals::dismissed(&shell);
    stake::two_votes_cost_a_validator_its_bond(&shell, &mesh, home.path());
}
