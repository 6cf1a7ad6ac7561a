//! What accounts answer with, and the claim of a seller whose buyer says nothing.

use std::fs;
use std::path::Path;

use mesh30k_ledger::finality::{Phase, Vote};
use mesh30k_ledger::ops::ProveEquivocation;
use mesh30k_ledger::types::{Epoch, Hash, Height, Round};
use mesh30k_node::identity::NodeIdentity;
use mesh30k_tests::cli::Shell;
use mesh30k_tests::mesh::TestMesh;
use mesh30k_tests::wait::wait_until;

use crate::{DUE_MAX, balance, json, made, refused, shown};

/// An order of 2 FTNS, whose claim needs ten times as much.
pub(crate) struct Ordered {
    order: String,
}

/// Before anybody bonded: nothing is listed, and the documented claim is refused with what it needs.
pub(crate) fn nobody_answers_with_anything(shell: &Shell) -> Ordered {
    assert!(shown(shell, &["stake", "list"]).contains("Nobody answers"));
    let alice = shown(shell, &["stake", "show", "alice"]);
    assert!(alice.contains("answers with nothing") && alice.contains("another 7 d"), "{alice}");
    let content = Hash::of(b"rain of Kenya").to_string();
    json(shell, &["market", "publish", &content, "--key", "alice"]);
    let offer = ["market", "offer", "data", "rain", "--price", "2", "--content", &content, "--key", "alice"];
    let listed = json(shell, &offer);
    let words = ["market", "order", made(&listed), "--max-price", "2", "--key", "bob"];
    let order = made(&json(shell, &words)).to_owned();
    refused(
        &shell.run(&["market", "claim", "delivery", &order, "--key", "alice"]),
        4,
        "20.000000 FTNS bonded as host are needed",
    );
    Ordered { order }
}

/// As docs/operating/market.md has it: bond, claim, wait out the challenge, be paid.
pub(crate) fn a_seller_answers_for_a_claim(shell: &Shell, ordered: &Ordered) {
    let claim = ["market", "claim", "delivery", &ordered.order, "--key", "alice"];
    shown(shell, &["stake", "add", "19", "--duty", "host", "--key", "alice"]);
    refused(&shell.run(&claim), 4, "19.000000 FTNS are");
    let added = shown(shell, &["stake", "add", "1", "--duty", "host", "--key", "alice"]);
    assert!(added.contains("20.000000 FTNS as host in all"), "{added}");
    shown(shell, &claim);
    let earned = balance(shell, "alice");
    wait_until("the claim is paid when nobody disputed it", DUE_MAX, || {
        let status = json(shell, &["market", "status", &ordered.order]);
        if status["order"]["paid_parts"] == 1 { Ok(()) } else { Err(status.to_string()) }
    });
    assert_eq!(balance(shell, "alice") - earned, 1_980_000, "the price less the market's hundredth");
    refused(&shell.run(&claim), 4, "");
}

/// What is on its way out is shown with its time and comes free by itself; nodes are named by their number.
pub(crate) fn what_is_asked_back_answers_on(shell: &Shell, mesh: &TestMesh) {
    let stake = |verb, amount, key| ["stake", verb, amount, "--duty", "host", "--key", key];
    refused(&shell.run(&stake("withdraw", "21", "alice")), 4, "20.000000 FTNS are");
    let back = shown(shell, &stake("withdraw", "5", "alice"));
    assert!(back.contains("answers as host until 20") && back.contains(", in "), "{back}");
    let alice = shown(shell, &["stake", "show", "alice"]);
    assert!(alice.contains("15.000000 FTNS") && alice.contains("free at"), "{alice}");
    wait_until("it is free", DUE_MAX, || {
        let record = json(shell, &["stake", "show", "alice"])["record"].clone();
        if record["unbonding"].as_array().unwrap().is_empty() { Ok(()) } else { Err(record.to_string()) }
    });
    assert_eq!(json(shell, &["stake", "show", "alice"])["record"]["bonded"]["host"], 15_000_000);

    let key = mesh.node(1).data_dir.join("keys/account.key");
    shown(shell, &stake("add", "7", key.to_str().unwrap()));
    let number = format!("node:{}", mesh.status(1).unwrap().node.unwrap());
    let node = shown(shell, &["stake", "show", &number]);
    assert!(node.contains("7.000000 FTNS") && node.contains("node 1"), "{node}");
    let list = shown(shell, &["stake", "list"]);
    assert!(list.contains("7.000000 FTNS") && list.contains("15.000000 FTNS"), "{list}");
    refused(&shell.run(&["stake", "show", "node:99"]), 4, "node 99 is not on the ledger");
    assert_eq!(shell.run(&["stake", "add", "1", "--duty", "cook", "--key", "alice"]).code, Some(2));
}

/// Node 3 signs two votes at one height, as no honest validator does; whoever shows them is paid from its bond.
pub(crate) fn two_votes_cost_a_validator_its_bond(shell: &Shell, mesh: &TestMesh, home: &Path) {
    let keys = mesh.node(3).data_dir.join("keys");
    let account = keys.join("account.key");
    shown(shell, &["stake", "add", "50", "--duty", "validator", "--key", account.to_str().unwrap()]);
    let identity = NodeIdentity::load_or_create(&keys).unwrap();
    let validator = mesh.status(3).unwrap().node.unwrap();
    let signed = |block: &[u8]| {
        let vote = Vote {
            phase: Phase::First,
            context: *mesh.wallet("operator", 1).context(),
            epoch: Epoch(0),
            round: Round(0),
            height: Height(1_000_000),
            block: Hash::of(block),
            parent: Hash::of(b"parent"),
            commitment: Hash::of(b"commitment"),
            lock: None,
            validator,
        };
        vote.sign(&identity.validator())
    };
    let file = home.join("votes.json");
    let prove = ["stake", "prove", file.to_str().unwrap(), "--key", "operator"];
    let write = |first, second| {
        fs::write(&file, serde_json::to_vec(&ProveEquivocation { first, second }).unwrap()).unwrap();
    };
    write(signed(b"one"), signed(b"one"));
    refused(&shell.run(&prove), 4, "the votes say the same");
    write(signed(b"one"), signed(b"other"));
    let punished = shown(shell, &prove);
    // A tenth of the bond, a twentieth of that as a reward.
    assert!(punished.contains("5.000000 FTNS taken") && punished.contains("0.250000 FTNS of it"), "{punished}");
    let node = shown(shell, &["stake", "show", &format!("node:{validator}")]);
    assert!(node.contains("45.000000 FTNS") && node.contains("5.000000 FTNS lost as penalties"), "{node}");
    write(signed(b"one"), signed(b"a third"));
    refused(&shell.run(&prove), 4, "was punished");
    fs::write(&file, "{}").unwrap();
    refused(&shell.run(&prove), 2, "neither two votes");
}
