//! The ledger of a node that is gone goes on as a file: whoever begins with it holds its history and answers for it.

use std::fs;
use std::path::{Path, PathBuf};

use mesh30k_node::api::types::{Status, TransactionRow};
use mesh30k_testnet::process::NodeProcess;
use mesh30k_tests::cli::Shell;
use mesh30k_tests::mesh::{RETURN_MAX, TestMesh};
use mesh30k_tests::program::program;
use mesh30k_tests::wait::wait_until;

/// An observer; nodes 1 to 4 are the founders.
const GONE: u32 = 5;

#[test]
fn a_new_node_begins_with_the_history_of_one_that_is_gone() {
    let mut mesh = TestMesh::start(5, 4, 8);
    let home = tempfile::tempdir().unwrap();
    let shell = Shell::of(home.path(), &mesh);
    let paid: serde_json::Value =
        serde_json::from_str(&ok(&shell, &["ledger", "send", "1", "bob", "--from", "alice", "--json"])).unwrap();
    let id = paid["id"].as_str().unwrap().to_owned();
    mesh.pay(1);
    mesh.wait_level(GONE, 1);
    let api = mesh.node(GONE).api_url();
    let receipt = ok(&shell, &["ledger", "receipt", &id, "--api", &api]);
    let alice = mesh.account("alice").to_string();
    let history = format!("/v1/accounts/{alice}/history?limit=1000");
    let before: Vec<TransactionRow> = mesh.api(GONE).get(&history).unwrap();
    mesh.kill(GONE);

    let (old, new) = (mesh.node(GONE).config.clone(), another(&mesh, home.path()));
    let said = ok(&shell, &["ledger", "export", "ledger.jsonl", "--config", text(&old)]);
    assert!(said.contains("blocks 1 to ") && said.contains("written to ledger.jsonl"), "{said}");
    refused(&shell, home.path(), &new);
    ok(&shell, &["ledger", "import", "ledger.jsonl", "--config", text(&new)]);
    ok(&shell, &["ledger", "export", "again.jsonl", "--config", text(&new)]);
    let file = |name: &str| fs::read(home.path().join(name)).unwrap();
    assert!(file("again.jsonl") == file("ledger.jsonl"), "the second file is another one");
    for (config, name) in [(&old, "old.journal"), (&new, "new.journal")] {
        ok(&shell, &["ledger", "journal", name, "--config", text(config)]);
    }
    assert!(file("old.journal") == file("new.journal"), "the journals differ");
    ok(&shell, &["ledger", "export", "state.jsonl", "--state-only", "--config", text(&new)]);
    assert!(file("state.jsonl").len() < file("ledger.jsonl").len());

    let arguments = ["node", "run", "--config", text(&new)].map(str::to_owned);
    let _node = NodeProcess::start("the new node", &program(), &arguments, &home.path().join("new.log")).unwrap();
    wait_until("the new node answers", RETURN_MAX, || {
        mesh.api(GONE).get::<Status>("/v1/status").map(|_| ()).map_err(|error| error.to_string())
    });
    assert_eq!(ok(&shell, &["ledger", "receipt", &id, "--api", &api]), receipt);
    let after: Vec<TransactionRow> = mesh.api(GONE).get(&history).unwrap();
    let ids = |rows: &[TransactionRow]| rows.iter().map(|row| (row.id, row.height)).collect::<Vec<_>>();
    // What was paid meanwhile comes first.
    assert!(ids(&after).ends_with(&ids(&before)), "{after:?}");
    mesh.pay(1);
    let newest = mesh.status(1).unwrap().final_height;
    let block = |number| mesh.api(number).get::<serde_json::Value>(&format!("/v1/blocks/{newest}"));
    let wanted = block(1).unwrap();
    wait_until("the new node follows", RETURN_MAX, || match block(GONE) {
        Ok(found) if found == wanted => Ok(()),
        Ok(found) => Err(found.to_string()),
        Err(error) => Err(error.to_string()),
    });
}

/// A line that was changed is refused with its number, a file that is cut short as well, and the node stays as it was.
fn refused(shell: &Shell, home: &Path, new: &Path) {
    let whole = fs::read_to_string(home.join("ledger.jsonl")).unwrap();
    let cut = &whole[..whole.len() / 2];
    let changed = whole.replacen("{\"block\":2,", "{\"block\":3,", 1);
    for (file, why) in [(cut, "the file is cut short"), (changed.as_str(), "line 3, block 2, is refused")] {
        fs::write(home.join("other.jsonl"), file).unwrap();
        let answer = shell.run(&["ledger", "import", "other.jsonl", "--config", text(new)]);
        assert!(answer.code != Some(0) && answer.stderr.contains(why), "{answer:?}");
        let none = shell.run(&["ledger", "export", "none.jsonl", "--config", text(new)]);
        assert!(none.code != Some(0) && none.stderr.contains("no block is final here yet"), "{none:?}");
    }
}

/// The configuration of a node in the place of the one that is gone, with a folder and keys of its own.
fn another(mesh: &TestMesh, home: &Path) -> PathBuf {
    let gone = mesh.node(GONE);
    let config = fs::read_to_string(&gone.config).unwrap();
    let other = config.replace(text(&gone.data_dir), text(&home.join("data")));
    assert_ne!(other, config);
    let path = home.join("new.toml");
    fs::write(&path, other).unwrap();
    path
}

#[track_caller]
fn ok(shell: &Shell, arguments: &[&str]) -> String {
    let answer = shell.run(arguments);
    assert_eq!(answer.code, Some(0), "{arguments:?}: {answer:?}");
    answer.stdout
}

fn text(path: &Path) -> &str {
    path.to_str().unwrap()
}
