//! A part that was done and not paid: claimed by its host, disputed, ruled on, paid by silence.

use std::time::Duration;

use mesh30k_ledger::ops::{Bond, Operation};
use mesh30k_ledger::records::Duty;
use mesh30k_ledger::types::Uftns;
use mesh30k_tests::wait::wait_until;
use serde_json::Value;

use crate::people::{People, made, words};

/// How long one transaction of the test's own may take.
const FINAL_MAX: Duration = Duration::from_secs(20);
/// How long what falls due on the ledger may take to be carried out.
const DUE_MAX: Duration = Duration::from_secs(60);

/// A part that was done and not paid.
struct Unpaid {
    escrow: String,
    /// Number of the node that did it, and its operator's key.
    host: u32,
    key: String,
}

fn unpaid(people: &People<'_>, input: &str) -> Unpaid {
    let file = people.home.join("input.txt");
    std::fs::write(&file, input).unwrap();
    let input = ["--input", file.to_str().unwrap()];
    let opened = people.json(&[&["task", "open", "hello", "--key", "alice"][..], &input].concat());
    let escrow = opened["escrow"].as_str().unwrap().to_owned();
    let work = ["task", "work", &escrow, "hello", "--unpaid", "--key", "alice"];
    people.misused(&["task", "work", &escrow, "carbon_aggregate", "--unpaid", "--key", "alice"], "pays for");
    let done = people.json(&[&work[..], &input].concat());
    let host = people.number_of(done[0]["answer"]["host"].as_u64().unwrap());
    Unpaid { escrow, host, key: people.operator(host) }
}

/// The words of the claim on the only part, to the host's own node, which remembers its receipt.
fn claim(people: &People<'_>, unpaid: &Unpaid, key: &str) -> Vec<String> {
    let api = people.mesh.node(unpaid.host).api_url();
    ["market", "claim", "part", &unpaid.escrow, "0", "--key", key, "--api", &api].map(str::to_owned).to_vec()
}

fn bond(people: &People<'_>, host: u32) {
    // One part in ten is ever looked at: ten times the price of a part answers for the other nine. A claim that is refused takes a
    // tenth of it.
    let op = Operation::Bond(Bond { duty: Duty::Host, amount: Uftns::ftns(20) });
    people.operators_wallet(host).execute(op, FINAL_MAX).unwrap();
}

fn record(people: &People<'_>, escrow: &str) -> Value {
    people.json(&["market", "claim", "show", escrow])["claims"][0]["record"].clone()
}

/// The others, once the lot was drawn.
fn panel(people: &People<'_>, unpaid: &Unpaid) -> Vec<String> {
    let drawn = wait_until("a panel is drawn", DUE_MAX, || {
        let record = record(people, &unpaid.escrow);
        if record["panel"].as_array().is_some_and(|panel| !panel.is_empty()) {
            Ok(record)
        } else {
            Err(record.to_string())
        }
    });
    let others = people.mesh.others(unpaid.host);
    assert_eq!(
        drawn["panel"].as_array().unwrap().len(),
        others.len(),
        "all who are neither opener nor worker: {drawn}"
    );
    others.into_iter().map(|number| people.operator(number)).collect()
}

fn dispute(people: &People<'_>, escrow: &str) {
    people.refused(&["market", "claim", "dispute", escrow, "--key", "bob"], "belongs to");
    people.done(&["market", "claim", "dispute", escrow, "--key", "alice"]);
    people.refused(&["market", "claim", "dispute", escrow, "--key", "alice"], "disputed or decided already");
}

pub(crate) fn a_panel_rules_for_the_worker_and_for_the_opener(people: &People<'_>) {
    let first = unpaid(people, "one");
    people.refused(&words(&claim(people, &first, &first.key)), "bonded as host");
    people.mesh.numbers().into_iter().for_each(|number| bond(people, number));
    people.refused(&words(&claim(people, &first, "bob")), "belongs to");
    let elsewhere = ["market", "claim", "part", &first.escrow, "7", "--key", &first.key];
    people.misused(&elsewhere, "remembers no receipt of part 7");
    people.done(&words(&claim(people, &first, &first.key)));
    assert!(people.done(&["market", "claim", "list"]).contains("may be disputed"));
    assert!(people.done(&["market", "claim", "show", &first.escrow]).contains("unless its opener disputes it"));
    dispute(people, &first.escrow);
    let reviewers = panel(people, &first);
    let rule = |unpaid: &Unpaid, ruling: &str, key: &str| {
        ["market", "claim", "rule", &unpaid.escrow, ruling, "--key", key].map(str::to_owned).to_vec()
    };
    people.refused(&words(&rule(&first, "pay", &first.key)), "was not drawn");
    let (before, reputation) = (people.balance(&first.key), people.reputation(&first.key));
    for key in &reviewers {
        assert!(people.done(&["market", "claim", "list", "--panel", key]).contains(&first.escrow));
        people.done(&words(&rule(&first, "pay", key)));
        assert!(!people.done(&["market", "claim", "list", "--panel", key]).contains(&first.escrow));
    }
    assert_eq!(record(people, &first.escrow)["status"], "paid");
    let said = people.done(&["market", "claim", "show", &first.escrow]);
    assert!(said.contains("1 of 1 parts paid") && said.contains("ruled for the worker"), "{said}");
    // The part's price, and alice's bond of 1 FTNS.
    assert!(people.balance(&first.key) > before + 1_000_000);
    assert_eq!(people.reputation(&first.key), reputation + 2);

    let second = unpaid(people, "two");
    people.done(&words(&claim(people, &second, &second.key)));
    dispute(people, &second.escrow);
    let reputation = people.reputation(&second.key);
    for key in panel(people, &second) {
        people.done(&words(&rule(&second, "refuse", &key)));
    }
    assert_eq!(record(people, &second.escrow)["status"], "refused");
    assert_eq!(people.reputation(&second.key), reputation - 100);
    people.refused(&words(&claim(people, &second, &second.key)), "claimed already");
}

/// Who neither pays nor disputes has agreed.
pub(crate) fn silence_pays(people: &People<'_>) {
    let proposed = people.json(&["gov", "propose", "a second to dispute", "challenge_ms=1000", "--key", "alice"]);
    let proposal = made(&proposed);
    for key in ["alice", "bob"] {
        people.done(&["gov", "vote", &proposal, "yes", "--key", key]);
    }
    wait_until("the vote is carried out", DUE_MAX, || {
        let shown = people.json(&["gov", "show", &proposal]);
        if shown["status"] == "Executed" { Ok(()) } else { Err(shown.to_string()) }
    });
    let third = unpaid(people, "three");
    let before = people.balance(&third.key);
    people.done(&words(&claim(people, &third, &third.key)));
    wait_until("the claim nobody disputed is paid", DUE_MAX, || {
        let record = record(people, &third.escrow);
        if record["status"] == "paid" { Ok(()) } else { Err(record.to_string()) }
    });
    assert!(people.balance(&third.key) > before);
    assert!(people.done(&["market", "claim", "list"]).contains("No claim is undecided"));
}
