//! Two of four validators are lost for good: the operators' order, typed as documented, and the chain goes on.

use std::path::Path;

use mesh30k_ledger::types::{Hash, Height};
use mesh30k_tests::chain::block_id;
use mesh30k_tests::cli::Shell;
use mesh30k_tests::mesh::{RETURN_MAX, TestMesh};
use mesh30k_tests::wait::wait_until;

/// Two validators that are left, and an observer.
const LEFT: [u32; 3] = [1, 2, 5];

#[test]
fn a_lost_majority_is_recovered_by_the_documented_commands() {
    let mut mesh = TestMesh::start(5, 4, 8);
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
    for number in [2, 5] {
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
