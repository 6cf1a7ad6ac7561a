//! Auctions, claims and contributions by the binary, against a small mesh of real processes.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod auctions;
mod claims;
mod contributions;
mod people;

use mesh30k_tests::mesh::TestMesh;

use people::People;

#[test]
fn what_is_bid_claimed_and_contributed_is_paid_as_the_ledger_says() {
    let home = tempfile::tempdir().unwrap();
    let mesh = TestMesh::start(3, 3, 30);
    let people = People::new(home.path(), &mesh);
    let auction = auctions::bids_are_sealed(&people);
    // Meanwhile there is time for something else.
    contributions::attested_work_is_paid(&people);
    auctions::bids_are_opened(&people, &auction);
    auctions::the_best_bid_does_the_work(&people, &auction);
    claims::a_panel_rules_for_the_worker_and_for_the_opener(&people);
    claims::silence_pays(&people);
}
