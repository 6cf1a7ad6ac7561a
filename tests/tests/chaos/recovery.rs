//! Two of four validators are lost for good: the operators' order, typed as documented, and the chain goes on.

use std::path::Path;

use mesh30k_ledger::types::{Hash, Height};
use mesh30k_tests::chain::{block, block_id};
use mesh30k_tests::cli::Shell;
use mesh30k_tests::mesh::{RETURN_MAX, TestMesh};
use mesh30k_tests::wait::wait_until;

/// An observer that is away all the while, and that nobody tells of the order.
const AWAY: u32 = 6;
/// Two validators that are left, and an observer.
const LEFT: [u32; 3] = [1, 2, 5];

#[test]
fn a_lost_majority_is_recovered_by_the_documented_commands() {
    let mut mesh = TestMesh::start(6, 4, 8);
    mesh.kill(AWAY);
    mesh.pay(1);
    mesh.kill(3);
    mesh.kill(4);
    // The two that are left come to the same final block, and nothing more becomes final.
    let heights = |mesh: &TestMesh| LEFT.map(|number| mesh.height(number));
    let mut last = (heights(&mesh), 0);
    let stuck = wait_until("the chain stands still", RETURN_MAX, || {
        let now = heights(&mesh);
        last = if now == last.0 { (now, last.1 + 1) } else { (now, 0) };
        // So many looks without a block, where an idle chain makes one every five seconds.
        if last.1 >= 300 && now.iter().all(|height| *height == now[0]) { Ok(now[0]) } else { Err(format!("{last:?}")) }
    });
    let before = ids(&mesh, 1, stuck);
    for number in LEFT {
        mesh.kill(number);
    }

    let home = tempfile::tempdir().unwrap();
    let shell = Shell::new(home.path());
    let config = |number: u32| mesh.node(number).config.display().to_string();
    for number in [1, 2] {
        let out = format!("node-{number}.json");
        let said = ok(&shell, &["node", "recover", "state", "--config", &config(number), "--out", &out]);
        assert!(said.contains(&format!("node {number} stands on final block")), "{said}");
    }
    let none = shell.run(&["node", "recover", "state", "--config", &config(5), "--out", "node-5.json"]);
    assert!(none.code != Some(0) && none.stderr.contains("is no validator"), "{none:?}");

    let statements = ["--statement", "node-1.json", "--statement", "node-2.json", "--out", "order.json"];
    ok(&shell, &[&["node", "recover", "order", "--config", &config(1)][..], &statements].concat());
    let unsigned = shell.run(&["node", "recover", "apply", "order.json", "--config", &config(1)]);
    assert!(
        unsigned.code != Some(0) && unsigned.stderr.contains("0 operators signed validly, 1 are needed"),
        "{unsigned:?}"
    );
    let (keys, passphrase) = (text(&mesh.layout().keys_dir()), text(&mesh.layout().passphrase_file()));
    ok(&shell, &["node", "recover", "sign", "order.json", "--keys", &keys, "--passphrase-file", &passphrase]);
    for number in LEFT {
        let said = ok(&shell, &["node", "recover", "apply", "order.json", "--config", &config(number)]);
        assert!(said.contains("in epoch 1, round 1"), "{said}");
    }

    for number in LEFT {
        mesh.restart(number);
    }
    wait_until("node 1 answers", RETURN_MAX, || mesh.status(1).map(|_| ()).map_err(|error| error.to_string()));
    mesh.pay(1);
    assert!(mesh.height(1) > stuck);
    assert_eq!(ids(&mesh, 1, stuck), before, "the same history");
    proofs_hold(&mesh, &shell, stuck);
    mesh.restart(AWAY);
    for number in [2, 5, AWAY] {
        wait_until("it answers", RETURN_MAX, || mesh.status(number).map(|_| ()).map_err(|error| error.to_string()));
        mesh.wait_level(number, 1);
    }

    // The lost ones were only away: of an old round, in which they are two of four.
    mesh.restart(3);
    mesh.restart(4);
    mesh.pay(2);
    for number in [3, 4] {
        wait_until("it answers", RETURN_MAX, || mesh.status(number).map(|_| ()).map_err(|error| error.to_string()));
        // What is final there is final everywhere: one history, as far as they go.
        let height = mesh.height(number);
        assert_eq!(block_id(&mesh.api(number), height).unwrap(), block_id(&mesh.api(1), height).unwrap());
    }
}

/// Who holds the genesis and nothing else is proven what happened before and after, and what an account holds now.
fn proofs_hold(mesh: &TestMesh, shell: &Shell, stuck: Height) {
    let genesis = text(&mesh.layout().genesis_file());
    let api = mesh.node(1).api_url();
    let verify = |file: &str| ok(shell, &["ledger", "verify", file, "--genesis", &genesis]);
    let before = first_transaction(mesh, 1, stuck).expect("a payment before");
    let after = first_transaction(mesh, stuck.0 + 1, mesh.height(1)).expect("a payment after");
    let receipt = |id: Hash, file: &str| {
        let answer = ok(shell, &["ledger", "receipt", &id.to_string(), "--api", &api]);
        std::fs::write(shell.home().join(file), answer).unwrap();
        verify(file)
    };
    let old = receipt(before, "before.json");
    assert!(old.contains("(epoch 0)") && !old.contains("validators changed"), "{old}");
    let new = receipt(after, "after.json");
    let handed = "validators changed once since the genesis";
    assert!(new.contains("certified by nodes 1, 2 of validators 1, 2 (epoch 1)") && new.contains(handed), "{new}");
    let bob = mesh.account("bob").to_string();
    ok(shell, &["ledger", "prove", &bob, "--out", "bob.json", "--api", &api]);
    let held = verify("bob.json");
    assert!(held.contains(&format!("account {bob} holds")) && held.contains(handed), "{held}");

    // Without the order, or with one that no operator signed, the new validators are strangers.
    let proof: serde_json::Value =
        serde_json::from_slice(&std::fs::read(shell.home().join("bob.json")).unwrap()).unwrap();
    for (path, empty) in [("/handovers", "bare.json"), ("/handovers/0/restart/signatures", "unsigned.json")] {
        let mut changed = proof.clone();
        *changed.pointer_mut(path).unwrap() = serde_json::json!([]);
        std::fs::write(shell.home().join(empty), changed.to_string()).unwrap();
        let refused = shell.run(&["ledger", "verify", empty, "--genesis", &genesis]);
        assert!(refused.code == Some(1) && refused.stderr.contains("the proof of state proves nothing"), "{refused:?}");
    }
}

/// The first transaction in these blocks of node 1.
fn first_transaction(mesh: &TestMesh, from: u64, to: Height) -> Option<Hash> {
    let mut blocks = (from..=to.0).map(|height| block(&mesh.api(1), Height(height)).unwrap());
    blocks.find_map(|block| block.transactions.first().copied())
}

fn ids(mesh: &TestMesh, number: u32, to: Height) -> Vec<Hash> {
    (1..=to.0).map(|height| block_id(&mesh.api(number), Height(height)).unwrap()).collect()
}

#[track_caller]
fn ok(shell: &Shell, arguments: &[&str]) -> String {
    let answer = shell.run(arguments);
    assert_eq!(answer.code, Some(0), "{arguments:?}: {answer:?}");
    answer.stdout
}

fn text(path: &Path) -> String {
    path.display().to_string()
}
