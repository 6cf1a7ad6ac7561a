//! A node gets a validator's seat by vote and another one loses its own, while the ledger goes on; that the newcomer's votes count
//! shows once a founder is killed.

use std::time::Duration;

use mesh30k_ledger::keys::SecretKey;
use mesh30k_ledger::ops::{Bond, Choice, Operation, ProposalKind, Propose, SeatChange, Transfer, Vote};
use mesh30k_ledger::records::Duty;
use mesh30k_ledger::types::{NodeId, Uftns};
use mesh30k_node::identity::NodeIdentity;
use mesh30k_testnet::client::ApiClient;
use mesh30k_testnet::wallet::Wallet;
use mesh30k_tests::mesh::{RETURN_MAX, TestMesh};
use mesh30k_tests::wait::wait_until;

const FINAL_MAX: Duration = Duration::from_secs(20);
/// The newcomer; nodes 1 to 4 are the founders.
const NEWCOMER: u32 = 5;

#[test]
fn seats_change_hands_and_the_newcomer_carries_on_for_a_killed_founder() {
    let mut mesh = TestMesh::start(5, 4, 8);
    assert_eq!(role(&mesh, NEWCOMER), "observer");
    let identity = NodeIdentity::load_or_create(&mesh.node(NEWCOMER).data_dir.join("keys")).unwrap();
    bond(&mesh, identity.account());
    let newcomer = mesh.status(NEWCOMER).unwrap().node.unwrap();
    decide(&mesh, 1, SeatChange { node: newcomer, key: Some(identity.validator().public()) });
    wait_role(&mesh, NEWCOMER, "validator");
    mesh.pay(NEWCOMER);

    // Four of five agree: without the newcomer there would be three.
    mesh.kill(2);
    mesh.pay(3);
    mesh.restart(2);
    mesh.wait_level(2, 3);

    decide(&mesh, 3, SeatChange { node: NodeId(1), key: None });
    wait_role(&mesh, 1, "observer");
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

/// The newcomer's operator bonds what a validator has to answer with.
fn bond(mesh: &TestMesh, key: SecretKey) {
    let own = Wallet::open(ApiClient::new(&mesh.node(NEWCOMER).api_url()), key).unwrap();
    let gift = Transfer { to: own.account(), amount: Uftns::ftns(150), memo: String::new() };
    mesh.wallet("alice", 1).execute(Operation::Transfer(gift), FINAL_MAX).unwrap();
    wait_until("the money is seen at the newcomer", FINAL_MAX, || {
        let balance = own.row().map_err(|error| error.to_string())?.balance_uftns;
        if balance >= Uftns::ftns(150) { Ok(()) } else { Err(format!("{balance}")) }
    });
    own.execute(Operation::Bond(Bond { duty: Duty::Validator, amount: Uftns::ftns(100) }), FINAL_MAX).unwrap();
}

fn decide(mesh: &TestMesh, at: u32, change: SeatChange) {
    let alice = mesh.wallet("alice", at);
    let propose = Propose { title: "a seat".into(), kind: ProposalKind::Seat(change) };
    let row = alice.execute(Operation::Propose(propose), FINAL_MAX).unwrap();
    let proposal = row.created.first().unwrap().parse().unwrap();
    for name in ["alice", "bob", "operator"] {
        let vote = Operation::Vote(Vote { proposal, choice: Choice::Yes });
        mesh.wallet(name, at).execute(vote, FINAL_MAX).unwrap();
    }
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
