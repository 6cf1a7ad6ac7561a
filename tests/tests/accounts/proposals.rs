//! Proposals of every kind, from opening to what they do by themselves.

use mesh30k_tests::cli::Shell;
use mesh30k_tests::wait::wait_until;
use serde_json::Value;

use crate::{DUE_MAX, json, made, refused, shown};

/// Opens one of each kind, and everybody who has the weight says yes.
pub(crate) fn open(shell: &Shell) -> Vec<String> {
    let short = ["challenge_ms=2000", "ruling_ms=2000", "unbonding_ms=6000"];
    let propose = [&["gov", "propose", "short times"], &short[..], &["--key", "alice"]].concat();
    let appoint = ["gov", "appoint", "reviewer", "bob", "--key", "alice"];
    let import = ["gov", "import-credits", "2.5kg", "bob", "--source", "Registry X, serial 1-25", "--key", "bob"];
    let opened: Vec<Value> = [&propose[..], &appoint, &import].into_iter().map(|words| json(shell, words)).collect();
    let numbers: Vec<String> = opened.iter().map(|row| made(row).to_owned()).collect();
    for number in &numbers {
        json(shell, &["gov", "vote", number, "yes", "--key", "alice"]);
    }
    let import = shown(shell, &["gov", "show", &numbers[2]]);
    assert!(import.contains("2500000000 ug of carbon credits to") && import.contains("Registry X"), "{import}");
    for (wrong, code) in [
        (["gov", "appoint", "king", "bob", "--key", "alice"].as_slice(), 2),
        (&["gov", "import-credits", "2.5", "bob", "--source", "X", "--key", "alice"], 2),
        (&["gov", "import-credits", "1g", "bob", "--source", "", "--key", "alice"], 4),
    ] {
        assert_eq!(shell.run(wrong).code, Some(code), "{wrong:?}");
    }
    numbers
}

#[track_caller]
fn executed(shell: &Shell, number: &str) {
    wait_until(&format!("proposal {number} is carried out"), DUE_MAX, || {
        let status = json(shell, &["gov", "show", number])["status"].clone();
        if status == "Executed" { Ok(()) } else { Err(status.to_string()) }
    });
}

/// How many reviewers there are, and whether bob is one.
fn reviewers(shell: &Shell) -> (usize, bool) {
    let bob = json(shell, &["key", "show", "bob"])["account"].clone();
    let rows = json(shell, &["gov", "offices"]);
    let reviewers: Vec<&Value> = rows.as_array().unwrap().iter().filter(|row| row["office"] == "reviewer").collect();
    (reviewers.len(), reviewers.iter().any(|row| row["account"] == bob))
}

pub(crate) fn carried_out(shell: &Shell, numbers: &[String]) {
    numbers.iter().for_each(|number| executed(shell, number));
    assert_eq!(reviewers(shell), (4, true), "the three founders and bob");
    let offices = shown(shell, &["gov", "offices"]);
    assert!(offices.contains("guardian") && offices.contains(" UTC"), "{offices}");
    let credits = json(shell, &["carbon", "credits"]);
    assert_eq!(credits["accounts"][0]["held_ug"], 2_500_000_000_u64, "{credits}");
    refused(&shell.run(&["gov", "vote", &numbers[1], "yes", "--key", "bob"]), 4, "Executed");
}

pub(crate) fn dismissed(shell: &Shell) {
    let words = ["gov", "dismiss", "reviewer", "bob", "--title", "bob retires", "--key", "alice"];
    let number = made(&json(shell, &words)).to_owned();
    json(shell, &["gov", "vote", &number, "yes", "--key", "bob"]);
    executed(shell, &number);
    assert_eq!(reviewers(shell), (3, false));
}
