//! What oracles, reviewers and guardians say of carbon, and what it moves: the operators of the nodes hold every office.

use std::time::Duration;

use mesh30k_ledger::types::Hash;
use mesh30k_tests::cli::{Answer, Shell};
use mesh30k_tests::mesh::TestMesh;
use mesh30k_tests::wait::wait_until;
use serde_json::Value;

/// How long what falls due on the ledger may take to be carried out.
const DUE_MAX: Duration = Duration::from_secs(30);

struct Cast<'a> {
    shell: &'a Shell,
    operators: Vec<String>,
}

impl Cast<'_> {
    fn run(&self, words: &str) -> Answer {
        self.shell.run(&words.split(' ').collect::<Vec<_>>())
    }

    #[track_caller]
    fn done(&self, words: &str) -> String {
        let answer = self.run(words);
        assert_eq!(answer.code, Some(0), "{words}: {answer:?}");
        answer.stdout
    }

    #[track_caller]
    fn json(&self, words: &str) -> Value {
        serde_json::from_str(&self.done(&format!("{words} --json"))).unwrap()
    }

    #[track_caller]
    fn fails(&self, code: i32, words: &str, part: &str) {
        let answer = self.run(words);
        assert!(answer.code == Some(code) && answer.stderr.contains(part), "`{part}` is not in {words}: {answer:?}");
    }

    /// The same words by the first operators, until enough have said them.
    fn by_operators(&self, count: usize, words: &str) -> Vec<String> {
        self.operators.iter().take(count).map(|key| self.done(&format!("{words} --key {key}"))).collect()
    }

    /// What an account has of the one capability it has any of.
    fn quota(&self, account: &str, field: &str) -> u64 {
        self.json(&format!("quota show {account}"))[0]["record"][field].as_u64().unwrap()
    }

    fn opened(&self, words: &str) -> String {
        self.json(words)["escrow"].as_str().unwrap().to_owned()
    }
}

pub(crate) fn words_of_officers_count(shell: &Shell, mesh: &TestMesh) {
    let key = |number: &u32| mesh.node(*number).data_dir.join("keys/account.key").to_str().unwrap().to_owned();
    let cast = Cast { shell, operators: mesh.numbers().iter().map(key).collect() };
    oracles_bring_an_intensity_in_force(&cast);
    a_saving_is_credited(&cast);
    an_emergency_lends_quota_until_it_is_lifted(&cast);
}

fn oracles_bring_an_intensity_in_force(cast: &Cast<'_>) {
    cast.fails(4, "carbon report-intensity US 395.2 --key alice", "is no oracle");
    cast.fails(2, "carbon report-intensity US 2000.001 --key alice", "0 to 2000");
    let said = cast.by_operators(3, "carbon report-intensity US 395.2");
    assert!(said[0].contains("1 fresh reports for US, 410390 mg/kWh"), "two more are needed: {said:?}");
    assert!(said[2].contains("3 fresh reports for US, 395200 mg/kWh"), "{said:?}");
    let shown = cast.done("carbon intensity US");
    assert!(shown.contains("live: median of 3 oracles") && shown.contains("395.2"), "{shown}");
}

fn a_saving_is_credited(cast: &Cast<'_>) {
    let evidence = Hash::of(b"a receipt against its baseline");
    cast.fails(
        2,
        &format!("carbon saving claim {evidence} --baseline 2kg --actual 2kg --key alice"),
        "nothing was saved",
    );
    cast.done(&format!("carbon saving claim {evidence} --baseline 5kg --actual 2kg --key alice"));
    cast.fails(4, &format!("carbon saving attest {evidence} --key bob"), "is no reviewer");
    assert!(cast.done("carbon saving list").contains("0 of 2 words"));
    let said = cast.by_operators(2, &format!("carbon saving attest {evidence}"));
    assert!(said[1].contains("3000000000 ug of credits issued"), "{said:?}");
    assert!(cast.done("carbon saving list").contains("credited"));
    cast.done("carbon retire 1kg --key alice");
    let credits = cast.json("carbon credits");
    assert_eq!(
        (&credits["totals"]["issued_ug"], &credits["totals"]["retired_ug"]),
        (&3_000_000_000_u64.into(), &1_000_000_000.into())
    );
}

/// Alice's quota works for luxury until bob, where the flood is, draws on it.
fn an_emergency_lends_quota_until_it_is_lifted(cast: &Cast<'_>) {
    let offered = cast.json(&format!("quota offer 100 --price 0.5 --key {}", cast.operators[0]));
    cast.done(&format!("quota take {} --key alice", offered["created"][0].as_str().unwrap()));
    let luxury = cast.opened("task open hello --purpose luxury --key alice");
    cast.done(&format!("quota reserve {luxury} 80 --key alice"));
    let rescue = cast.opened("task open hello --key bob");
    let draw = format!("quota draw {rescue} 50 --key bob");
    cast.fails(4, &draw, "does not count as disaster response");
    assert!(cast.done(&format!("carbon purpose show {rescue}")).contains("general-research"));
    cast.done(&format!("carbon purpose declare {rescue} disaster-response --key bob"));
    cast.fails(4, &format!("carbon purpose declare {rescue} luxury --key bob"), "declared already");
    cast.fails(4, &draw, "none is in force in BD");

    cast.fails(4, "carbon signal BD flood --key alice", "is no oracle");
    cast.fails(2, "carbon signal BD flood --hours 200 --key alice", "200");
    let said = cast.by_operators(2, "carbon signal BD flood --hours 48");
    assert!(said[0].contains("1 of 2 signals alike") && said[1].contains("in force until"), "{said:?}");
    let said = cast.done(&draw);
    assert!(said.contains("50 units of quota of 1 less urgent tasks"), "{said}");
    assert_eq!((cast.quota("bob", "drawn"), cast.quota("alice", "yielded")), (50, 50));
    let shown = cast.done("carbon emergency");
    assert!(
        shown.contains("BD: flood in force") && shown.contains(&format!("50 from task {luxury} of alice")),
        "{shown}"
    );

    // Reviewers find that it was no rescue: the quota goes back, and bob pays for the word.
    let said = cast.by_operators(2, &format!("carbon purpose reclassify {rescue} luxury"));
    assert!(said[1].contains("counts as luxury") && said[1].contains("pays"), "{said:?}");
    let shown = cast.done(&format!("carbon purpose show {rescue}"));
    assert!(shown.contains("bob declared disaster-response") && shown.contains("put it too high"), "{shown}");
    wait_until("the quota is given back", DUE_MAX, || {
        match (cast.quota("bob", "drawn"), cast.quota("alice", "yielded")) {
            (0, 0) => Ok(()),
            held => Err(format!("{held:?}")),
        }
    });

    // A true one keeps it for as long as the emergency lasts, and does its work with it.
    let rescue = cast.opened("task open hello --purpose disaster-response --key bob");
    cast.done(&format!("quota draw {rescue} 30 --key bob"));
    let said = cast.by_operators(2, "carbon signal BD --lift");
    assert!(said[1].contains("none is in force"), "{said:?}");
    assert!(cast.done("carbon emergency").contains("No climate emergency is in force"));
    wait_until("the rest is given back", DUE_MAX, || match cast.quota("alice", "yielded") {
        0 => Ok(()),
        held => Err(held.to_string()),
    });
    cast.done(&format!("task work {rescue} hello --key bob"));
}
