//! Market and quota by the binary against a small mesh of real processes.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use mesh30k_ledger::types::Hash;
use mesh30k_tests::cli::{Answer, Shell};
use mesh30k_tests::mesh::TestMesh;
use serde_json::Value;

fn json(shell: &Shell, words: &[&str]) -> Value {
    let words: Vec<&str> = words.iter().copied().chain(["--json"]).collect();
    let answer = shell.run(&words);
    assert_eq!(answer.code, Some(0), "{words:?}: {answer:?}");
    serde_json::from_str(&answer.stdout).unwrap()
}

fn made(row: &Value) -> &str {
    row["created"][0].as_str().unwrap_or_else(|| panic!("nothing was made: {row}"))
}

fn refused(answer: &Answer, part: &str) {
    assert!(answer.code != Some(0) && answer.stderr.contains(part), "`{part}` is not in: {answer:?}");
}

#[test]
fn content_is_published_listed_ordered_accepted_and_rated() {
    let home = tempfile::tempdir().unwrap();
    let mesh = TestMesh::start(3, 3, 30);
    let shell = Shell::of(home.path(), &mesh);
    let content = Hash::of(b"rain of Kenya").to_string();
    let offer = ["market", "offer", "data", "rain of Kenya", "--price", "2", "--content", &content, "--key", "alice"];
    refused(&shell.run(&offer), "content");
    json(&shell, &["market", "publish", &content, "--royalty-ppm", "50000", "--key", "alice"]);
    refused(&shell.run(&["market", "publish", &content, "--royalty-ppm", "200001", "--key", "alice"]), "200000");
    let listed = json(&shell, &offer);
    let listing = made(&listed);
    let list = shell.run(&["market", "list"]).stdout;
    assert!(list.contains(listing) && list.contains("rain of Kenya"), "{list}");

    let order = |price: &str| shell.run(&["market", "order", listing, "--max-price", price, "--key", "bob", "--json"]);
    refused(&order("1.9"), "price");
    let ordered: Value = serde_json::from_str(&order("2").stdout).unwrap();
    let order = made(&ordered);
    let locked = json(&shell, &["market", "status", order]);
    assert_eq!(
        (&locked["escrow"]["locked"], &locked["order"]["paid_parts"]),
        (&2_000_000.into(), &0.into()),
        "{locked}"
    );
    refused(&shell.run(&["market", "rate", order, "5", "--key", "bob"]), "payment of order");
    json(&shell, &["market", "accept", order, "--key", "bob"]);
    json(&shell, &["market", "rate", order, "5", "--key", "bob"]);
    refused(&shell.run(&["market", "rate", order, "5", "--key", "bob"]), "rated");
    let shown = json(&shell, &["market", "show", listing]);
    let record = &shown["record"];
    assert_eq!((&record["stars"], &record["ratings"], &record["open_orders"]), (&5.into(), &1.into(), &0.into()));
    let known = json(&shell, &["market", "content", &content]);
    assert_eq!(
        (&known["uses"], &known["downloads"]),
        (&0.into(), &1.into()),
        "what was ordered is a download: {known}"
    );
    assert_eq!(known["royalty_ppm"], 50_000, "{known}");
    refused(&shell.run(&["market", "collect", &content, "--key", "bob"]), "collected");

    refused(&shell.run(&["market", "change", listing, "--price", "1", "--key", "bob"]), "belongs to");
    assert_eq!(shell.run(&["market", "change", listing, "--key", "alice"]).code, Some(2), "nothing to change");
    json(&shell, &["market", "change", listing, "--price", "1.5", "--title", "rain", "--key", "alice"]);
    let changed = json(&shell, &["market", "show", listing])["record"]["terms"].clone();
    assert_eq!((&changed["title"], &changed["price"]), (&"rain".into(), &1_500_000.into()), "{changed}");
    assert_eq!(changed["until"], record["terms"]["until"], "the rest stays");

    json(&shell, &["market", "withdraw", listing, "--key", "alice"]);
    assert!(!shell.run(&["market", "list"]).stdout.contains(listing));
    assert!(shell.run(&["market", "list", "--all"]).stdout.contains(listing));
    refused(&shell.run(&["market", "show", order]), "no listing");
    assert_eq!(shell.run(&["market", "offer", "house", "x", "--price", "1", "--key", "alice"]).code, Some(2));

    assert!(shell.run(&["quota", "show", "alice"]).stdout.contains("has no quota"));
    assert_eq!(json(&shell, &["quota", "list"]), Value::Array(Vec::new()));
    refused(&shell.run(&["quota", "take", &content, "--key", "alice"]), "offer");
    refused(&shell.run(&["quota", "offer", "1", "--price", "1", "--key", "alice"]), "quota");
    a_nodes_owner_sells_its_work(&mesh, &shell);
}

/// With the key in the node's data folder, which nothing locks.
fn a_nodes_owner_sells_its_work(mesh: &TestMesh, shell: &Shell) {
    let key = mesh.node(1).data_dir.join("keys/account.key");
    let key = key.to_str().unwrap();
    let terms = ["market", "offer", "compute", "a quiet machine", "--price", "0.01", "--capability", "compute"];
    refused(&shell.run(&[&terms[..], &["--key", "alice"]].concat()), "node");
    let listed = json(shell, &[&terms[..], &["--key", key]].concat());
    let offered = json(shell, &["quota", "offer", "100", "--price", "0.5", "--key", key]);
    json(shell, &["quota", "take", made(&offered), "--key", "bob"]);
    assert!(shell.run(&["quota", "show", "bob"]).stdout.contains("100"));
    let (task, module) = (Hash::of(b"task").to_string(), Hash::of(b"module").to_string());
    let ordered = json(
        shell,
        &[
            "market",
            "order",
            made(&listed),
            "--max-price",
            "0.01",
            "--task",
            &task,
            "--module",
            &module,
            "--key",
            "bob",
        ],
    );
    let locked = json(shell, &["market", "status", made(&ordered)]);
    // Ten times the carbon of ten units is set aside by itself; Bob is in the access list and pays no premium.
    assert_eq!(locked["escrow"]["locked"], 10_500, "{locked}");
    // What it earned is its owner's to spend.
    json(shell, &["ledger", "send", "0.5", key, "--from", "alice"]);
    json(shell, &["ledger", "send", "0.25", "bob", "--from", key]);
}
