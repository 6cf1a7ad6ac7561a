//! Mistakes that need no mesh to be noticed.

use std::fs;
use std::net::TcpListener;

use mesh30k_tests::cli::{Answer, Shell};

fn says(answer: &Answer, code: i32, parts: &[&str]) {
    assert_eq!(answer.code, Some(code), "{answer:?}");
    for part in parts {
        assert!(answer.stderr.contains(part), "`{part}` is not in: {}", answer.stderr);
    }
    assert!(!answer.stderr.contains("panicked"), "{}", answer.stderr);
}

#[test]
fn an_unknown_key_of_the_configuration_is_refused_with_the_one_that_was_meant() {
    let home = tempfile::tempdir().unwrap();
    let config = home.path().join("config.toml");
    fs::write(&config, "[agents]\ncuont = 5\n").unwrap();
    let shell = Shell::new(home.path());
    let answer = shell.run(&["node", "run", "--config", config.to_str().unwrap()]);
    says(&answer, 1, &["config.toml", "unknown key agents.cuont", "did you mean agents.count?"]);
    let answer = Shell::new(home.path()).with("MESH30K_AGENTS_CUONT", "5").run(&["node", "config"]);
    says(&answer, 1, &["MESH30K_AGENTS_CUONT", "did you mean"]);
}

#[test]
fn wrong_usage_ends_with_2() {
    let home = tempfile::tempdir().unwrap();
    let shell = Shell::new(home.path());
    says(&shell.run(&["ledger", "blance"]), 2, &["blance", "balance"]);
    says(&shell.run(&["mesh", "agents", "--class", "Z"]), 2, &["Z"]);
    says(&shell.run(&["testnet", "up", "--nodes", "many"]), 2, &["many"]);
    // Understood, but nobody to ask.
    says(&shell.run(&["mesh", "status"]), 2, &["testnet up", "--api"]);
}

#[test]
fn a_node_that_does_not_answer_ends_with_3() {
    let home = tempfile::tempdir().unwrap();
    // Taken and released: nobody else gets it so soon.
    let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let api = format!("http://127.0.0.1:{port}");
    let answer = Shell::new(home.path()).run(&["mesh", "status", "--api", &api]);
    says(&answer, 3, &[&api, "testnet up"]);
}

#[test]
fn a_wrong_passphrase_opens_nothing() {
    let home = tempfile::tempdir().unwrap();
    let keys = home.path().join("keys");
    let keys = keys.to_str().unwrap();
    let right = Shell::new(home.path()).with("MESH30K_PASSPHRASE", "correct horse battery");
    assert_eq!(right.run(&["key", "new", "alice", "--keys", keys]).code, Some(0));
    let shown = right.run(&["key", "show", "alice", "--keys", keys, "--json"]).stdout;
    let shown: serde_json::Value = serde_json::from_str(&shown).unwrap();
    let account = shown["account"].as_str().unwrap();
    // The key is opened before anybody is asked: nobody listens at port 1.
    let send = ["ledger", "send", "1", account, "--from", "alice", "--keys", keys, "--api", "http://127.0.0.1:1"];
    says(&right.run(&send), 3, &["no node answers"]);
    let wrong = Shell::new(home.path()).with("MESH30K_PASSPHRASE", "incorrect horse battery");
    says(&wrong.run(&send), 1, &["wrong passphrase for key alice"]);
    let none = Shell::new(home.path());
    says(&none.run(&send), 2, &["a passphrase is needed", "MESH30K_PASSPHRASE"]);
    let typo = ["ledger", "send", "1", account, "--from", "alcie", "--keys", keys, "--api", "http://127.0.0.1:1"];
    says(&wrong.run(&typo), 1, &["there is no key named alcie", "did you mean alice?"]);
}
