//! A new key for an account, stopped at every step; and what is proven of a file.

use std::fs;
use std::path::Path;

use mesh30k_ledger::key_policy::KeyPolicy;
use mesh30k_ledger::keys::PublicKey;
use mesh30k_ledger::ops::{Operation, RotateKey};
use mesh30k_node::keystore::{KeyName, Keystore, Passphrase};
use mesh30k_tests::cli::Shell;
use mesh30k_tests::mesh::TestMesh;
use serde_json::Value;

use crate::{DUE_MAX, balance, json, refused, shown};

/// The key file of alice changes, her account, money and name do not; nothing is lost on the way.
pub(crate) fn a_new_key_for_an_old_account(shell: &Shell) {
    let before = json(shell, &["key", "show", "alice"]);
    shown(shell, &["key", "rotate", "alice"]);
    let after = json(shell, &["key", "show", "alice"]);
    assert_eq!(before["account"], after["account"]);
    assert_ne!(before["public_key"], after["public_key"]);
    let old = format!("alice-was-{}", &before["public_key"].as_str().unwrap()[..8]);
    let list = shown(shell, &["key", "list"]);
    assert!(list.contains(&old), "{list}");
    assert_eq!(json(shell, &["key", "show", &old])["public_key"], before["public_key"]);
    // The new key spends, the old one does not, and both names mean the same receiver.
    let bob = balance(shell, "bob");
    json(shell, &["ledger", "send", "1", "bob", "--from", "alice"]);
    assert_eq!(balance(shell, "bob"), bob + 1_000_000);
    refused(&shell.run(&["ledger", "send", "1", "bob", "--from", &old]), 4, "key");
    refused(&shell.run(&["key", "rotate", &old]), 4, "other keys");
    // Once more, so that the account follows from neither key.
    json(shell, &["key", "rotate", "alice"]);
    json(shell, &["ledger", "send", "1", "alice", "--from", "bob"]);
    json(shell, &["ledger", "send", "1", "bob", "--from", "alice"]);
    refused(&shell.run(&["key", "rotate", "operator"]), 4, "an operator's");
    refused(&shell.run(&["key", "rotate", "bobb"]), 1, "did you mean bob?");
}

/// What a rotation leaves that ended after its new key was made, and after the ledger was told.
pub(crate) fn interrupted_anywhere_it_goes_on(shell: &Shell, mesh: &TestMesh) {
    let layout = mesh.layout();
    let text = fs::read_to_string(layout.passphrase_file()).unwrap();
    let (store, name) = (Keystore::new(layout.keys_dir()), "bob".parse::<KeyName>().unwrap());
    let next = || {
        let lock = store.lock_rotation().unwrap();
        store.next(&lock, &name, &Passphrase::new(text.trim()).unwrap()).unwrap().public()
    };
    let public = |row: &Value| row["public_key"].as_str().unwrap().to_owned();
    let waiting = next();
    // The old key goes on signing, and says that it is being replaced.
    let sent = shell.run(&["ledger", "send", "1", "alice", "--from", "bob"]);
    assert!(sent.code == Some(0) && sent.stderr.contains("key rotate bob"), "{sent:?}");
    let lock = store.lock_rotation().unwrap();
    refused(&shell.run(&["key", "rotate", "bob"]), 1, "another process");
    drop(lock);
    let done = json(shell, &["key", "rotate", "bob"]);
    assert_eq!(public(&done), hex::encode(waiting), "the key that was made is the one that is used");
    assert!(done["height"].is_u64(), "{done}");

    let told = next();
    let rotate = RotateKey::Account(KeyPolicy::single(PublicKey(told)));
    let opened = store.unlock(&name, &Passphrase::new(text.trim()).unwrap()).unwrap();
    let key = mesh30k_ledger::keys::SecretKey::from_seed(*opened.seed());
    let wallet = mesh30k_testnet::wallet::Wallet::of_account(mesh.api(2), key, opened.account()).unwrap();
    let row = wallet.execute(Operation::RotateKey(rotate), std::time::Duration::from_secs(4)).unwrap();
    mesh30k_tests::wait::wait_until("node 1 knows", DUE_MAX, || {
        let height = mesh.height(1);
        if Some(height) >= row.height { Ok(()) } else { Err(height.to_string()) }
    });
    refused(&shell.run(&["ledger", "send", "1", "alice", "--from", "bob"]), 4, "key rotate bob");
    let done = json(shell, &["key", "rotate", "bob"]);
    assert_eq!((public(&done), &done["height"]), (hex::encode(told), &Value::Null), "the ledger was not told twice");
    json(shell, &["ledger", "send", "1", "alice", "--from", "bob"]);
    assert_eq!(store.list().unwrap().iter().filter(|entry| entry.name.as_str().starts_with("bob")).count(), 3);
}

/// The proof holds offline, for the same bytes only.
pub(crate) fn a_file_is_what_it_was(shell: &Shell, home: &Path, mesh: &TestMesh) {
    let (file, genesis) = (home.join("report.txt"), mesh.layout().genesis_file());
    let path = file.to_str().unwrap();
    fs::write(&file, "The mesh was ready at T.").unwrap();
    let check = ["ledger", "anchor", "--check", path];
    refused(&shell.run(&check), 1, "report.txt.anchor.json");
    let done = shown(shell, &["ledger", "anchor", path, "--key", "alice"]);
    assert!(done.contains("final in block") && done.contains("report.txt.anchor.json"), "{done}");
    assert!(shown(shell, &check).contains("report.txt is what it was at 20"));
    refused(&shell.run(&["ledger", "anchor", path, "--key", "alice"]), 2, "is there already");
    // Nobody is asked: the shell knows no node.
    let alone = Shell::new(home);
    let offline = [&check[..], &["--genesis", genesis.to_str().unwrap()]].concat();
    let proven = json(&alone, &offline);
    assert_eq!(proven["account"], json(shell, &["key", "show", "alice"])["account"], "{proven}");
    fs::write(&file, "The mesh was ready at T!").unwrap();
    refused(&alone.run(&offline), 4, "the file was changed");
    // The receipt of something else proves nothing of a file.
    let sent = json(shell, &["ledger", "send", "1", "bob", "--from", "alice"]);
    let receipt = shell.run(&["ledger", "receipt", sent["id"].as_str().unwrap()]).stdout;
    let proof = home.join("other.json");
    fs::write(&proof, receipt).unwrap();
    let other = [&offline[..], &["--proof", proof.to_str().unwrap()]].concat();
    refused(&alone.run(&other), 4, "the receipt of something else");
    assert_eq!(shell.run(&["ledger", "anchor", path]).code, Some(2), "neither a key nor --check");
}
