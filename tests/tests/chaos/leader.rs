//! The leading validator is killed under load, later every node at once.

use std::time::Duration;

use mesh30k_ledger::types::{Height, NodeId};
use mesh30k_tests::chain::block;
use mesh30k_tests::history::Acknowledged;
use mesh30k_tests::load::Load;
use mesh30k_tests::mesh::TestMesh;
use mesh30k_tests::wait::{Stopwatch, wait_since};

/// Time until the ledger goes on without its leader.
const NEW_BLOCK_MAX: Duration = Duration::from_secs(3);
/// Time for some payments of the load, whatever else the machine does.
const PAYMENTS_MAX: Duration = Duration::from_secs(60);

#[test]
fn kill_of_the_leader_and_then_of_everybody_loses_no_acknowledged_payment() {
    let mut mesh = TestMesh::start(5, 4, 60);
    let leader = mesh.leader();
    let survivors = mesh.others(leader);
    let observer = 5;
    // Alice talks to the leader itself and must turn elsewhere; bob's node lives on until everybody is killed.
    let alices: Vec<u32> = [&[leader], &survivors[..]].concat();
    let bobs: Vec<u32> = [&[observer], &survivors[..]].concat();
    let load = Load::start(vec![mesh.client("alice", "bob", &alices), mesh.client("bob", "alice", &bobs)]);
    load.wait_for_more(40, PAYMENTS_MAX);

    mesh.kill(leader);
    let killed = Stopwatch::start();
    let before = survivors.iter().map(|number| mesh.height(*number)).max().unwrap();
    wait_for_block_of_another(&mesh, killed, &survivors, before, NodeId(u64::from(leader)));
    load.wait_for_more(40, PAYMENTS_MAX);

    mesh.restart(leader);
    mesh.wait_level(leader, survivors[0]);
    load.wait_for_more(40, PAYMENTS_MAX);

    // Now nobody is left to remember anything that is not on a disk.
    for number in mesh.numbers() {
        mesh.kill(number);
    }
    load.nodes_died();
    for number in mesh.numbers() {
        mesh.restart(number);
    }
    let history = load.finish();

    let chain = mesh.wait_same_chain();
    assert!(
        history.count(Acknowledged::Ordered) >= 120,
        "{} payments were ordered",
        history.count(Acknowledged::Ordered)
    );
    for number in mesh.numbers() {
        let breaches = history.breaches(&chain, &mesh.balances(number, &["alice", "bob"]));
        assert!(breaches.is_empty(), "on node {number}: {} breaches:\n{}", breaches.len(), breaches.join("\n"));
    }
    mesh.pay(observer);
}

/// A block above `before` that the killed validator did not propose: a block it had under way proves nothing.
fn wait_for_block_of_another(mesh: &TestMesh, killed: Stopwatch, nodes: &[u32], before: Height, killed_node: NodeId) {
    wait_since(killed, "a final block of a new leader", NEW_BLOCK_MAX, || {
        let (mut tip, mut is_new) = (before, false);
        for number in nodes {
            let height = mesh.status(*number).map_err(|error| error.to_string())?.final_height;
            for height in (before.0 + 1..=height.0).map(Height) {
                let row = block(&mesh.api(*number), height).map_err(|error| error.to_string())?;
                is_new |= row.proposer != killed_node;
            }
            tip = tip.max(height);
        }
        if is_new { Ok(()) } else { Err(format!("block {tip} is the last, {before} was when it was killed")) }
    });
}
