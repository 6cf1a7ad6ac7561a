//! A contribution from its claim to its pay, and what is known of an account afterwards.

use std::fs;

use mesh30k_ledger::types::Hash;

use crate::people::People;

pub(crate) fn attested_work_is_paid(people: &People<'_>) {
    let paper = people.home.join("paper.txt");
    fs::write(&paper, "rain of Kenya, explained").unwrap();
    let (paper, content) = (paper.to_str().unwrap(), Hash::of(b"rain of Kenya, explained").to_string());
    people.done(&["market", "publish", &content, "--price", "1", "--key", "alice"]);
    people.refused(&["market", "rate-content", &content, "4", "--key", "bob"], "purchase by");
    people.done(&["market", "buy", &content, "--max-price", "1", "--key", "bob"]);
    people.misused(&["market", "rate-content", &content, "6", "--key", "bob"], "6");
    people.done(&["market", "rate-content", &content, "4", "--key", "bob"]);
    people.refused(&["market", "rate-content", &content, "5", "--key", "bob"], "rated the content already");

    let claim = ["contribution", "claim", "research", paper, "25", "--key", "alice"];
    let said = people.done(&claim);
    assert!(said.contains(&content), "the file's hash is the evidence: {said}");
    people.refused(&claim, "claimed already");
    people.misused(&["contribution", "claim", "charm", paper, "25", "--key", "alice"], "charm");
    people.misused(&["contribution", "claim", "data", "nothing", "25", "--key", "alice"], "neither a hash");
    let (first, second) = (people.operator(1), people.operator(2));
    people.refused(&["contribution", "attest", &content, "--key", "bob"], "is no reviewer");
    let said = people.done(&["contribution", "attest", paper, "--key", &first]);
    assert!(said.contains("attested by 1"), "{said}");
    assert!(people.done(&["contribution", "list"]).contains("not yet, 1 of 2 words"));
    people.refused(&["contribution", "attest", &content, "--key", &first], "attested the contribution already");
    people.done(&["contribution", "attest", &content, "--key", &second]);

    // Bob's use is an impact of 1,000; of 250,000 ppm it brings 1,000 / 101,000, so 2,475 ppm of 25 FTNS on top.
    let paid = 25_000_000 + 25_000_000_u64 * 2_475 / 1_000_000;
    let shown = people.json(&["contribution", "show", &content]);
    assert_eq!(shown["record"]["paid"], paid, "{shown}");
    let listed = people.json(&["contribution", "list", "--of", "alice"]);
    assert_eq!(listed["contributions"].as_array().unwrap().len(), 1, "{listed}");
    let research = listed["shares"].as_array().unwrap().iter().find(|row| row["kind"] == "research").unwrap();
    assert_eq!((&research["share"], &research["paid"]), (&150_000_000.into(), &paid.into()), "15 % of 1,000 FTNS");
    assert_eq!(people.json(&["contribution", "list", "--of", "bob"])["contributions"].as_array().unwrap().len(), 0);

    let alice = people.json(&["contribution", "standing", "alice"]);
    let own = &alice["contents"][0];
    assert_eq!((&own["impact"], &own["bonus_ppm"]), (&1_000.into(), &2_475.into()), "{alice}");
    assert_eq!(own["impact_by_kind"]["uses"], 1_000, "{alice}");
    assert_eq!((&own["record"]["uses"], &own["record"]["stars"]), (&1.into(), &4.into()), "{alice}");
    let said = people.done(&["contribution", "standing", "alice"]);
    assert!(said.contains("never changed") && said.contains("4.0") && said.contains("research"), "{said}");
    let offices = people.done(&["contribution", "standing", &first]);
    assert!(["oracle", "reviewer", "guardian"].iter().all(|office| offices.contains(office)), "{offices}");
    let missing = people.run(&["contribution", "show", &Hash::ZERO.to_string()]);
    assert!(missing.code == Some(4) && missing.stderr.contains("no contribution"), "{missing:?}");
}
