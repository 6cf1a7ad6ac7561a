//! A reverse auction from the call for bids to the paid work.

use std::fs;
use std::time::Duration;

use mesh30k_tests::wait::wait_until;
use serde_json::Value;

use crate::people::{People, made, words};

/// How long the auction may take to be closed once its last phase has begun.
const CLOSED_MAX: Duration = Duration::from_secs(90);

fn show(people: &People<'_>, auction: &str) -> Value {
    people.json(&["market", "auction", "show", auction])
}

/// The bids kept beside a key.
fn kept(people: &People<'_>, key: &str) -> usize {
    people.json(&["market", "auction", "kept", "--key", key]).as_array().unwrap().len()
}

/// Operators 1 to 3 bid; nobody sees what.
pub(crate) fn bids_are_sealed(people: &People<'_>) -> String {
    let open = ["market", "auction", "open", "hello", "--max-price", "2", "--key", "alice"];
    let auction = made(&people.json(&[&open[..], &["--bid-seconds", "20", "--open-seconds", "20"]].concat()));
    let bid = |price: &str, key: &str| {
        ["market", "auction", "bid", &auction, "--price", price, "--carbon", "1g", "--key", key].map(str::to_owned)
    };
    for (number, price) in [(1, "0.9"), (2, "0.4"), (3, "0.3")] {
        let said = people.done(&words(&bid(price, &people.operator(number))));
        assert!(said.contains("sealed: final in block") && said.contains("reveal"), "{said}");
    }
    let key = people.operator(1);
    // The bid is kept beside the key, for its owner's eyes.
    let folder = people.mesh.node(1).data_dir.join("keys/bids");
    let file = fs::read_dir(&folder).unwrap().next().unwrap().unwrap().path();
    let text = fs::read_to_string(&file).unwrap();
    let salt = serde_json::from_str::<Value>(&text).unwrap()["salt"].as_str().unwrap().to_owned();
    let shown = people.done(&["market", "auction", "show", &auction]);
    assert!(shown.contains("takes bids, ends in") && shown.contains("sealed"), "{shown}");
    assert!(!shown.contains("0.9") && !shown.contains(&salt), "{shown}");
    assert_eq!(show(people, &auction)["bids"].as_array().unwrap().len(), 3);
    assert!(people.done(&["market", "auction", "list"]).contains(&auction));

    people.misused(&words(&bid("0.8", &key)), "can't be changed");
    people.refused(&words(&bid("0.9", &key)), "bid already");
    assert_eq!(fs::read_to_string(&file).unwrap(), text, "a bid that stands is kept");
    people.misused(&words(&bid("2.1", &people.operator(2))), "2.000000 FTNS");
    people.refused(&words(&bid("1", "alice")), "opener of the auction");
    assert_eq!(kept(people, "alice"), 0, "what the ledger refused is forgotten");
    people.refused(&["market", "auction", "reveal", &auction, "--key", &key], "may be done after");
    people.misused(&["market", "auction", "reveal", &auction, "--key", "bob"], "no bid of this key");
    auction
}

/// Two open their bids, the third one does not.
pub(crate) fn bids_are_opened(people: &People<'_>, auction: &str) {
    for number in [1, 2] {
        let key = people.operator(number);
        assert_eq!(kept(people, &key), 1);
        let said = people.done(&["market", "auction", "reveal", auction, "--wait", "--key", &key]);
        assert!(said.contains("opened: final in block"), "{said}");
        assert_eq!(kept(people, &key), 0, "an opened bid is no secret");
    }
    let bids = show(people, auction)["bids"].clone();
    let prices: Vec<Option<u64>> = bids.as_array().unwrap().iter().map(|bid| bid["opened"]["price"].as_u64()).collect();
    assert_eq!(prices, [Some(400_000), Some(900_000), None], "the best first, the sealed last: {bids}");
    // (0.4 FTNS + a gram at 0.1 FTNS) / (500 thousandths x a half).
    assert_eq!((&bids[0]["confidence_ppm"], &bids[0]["score_uftns"]), (&500_000.into(), &2_000_000.into()), "{bids}");
}

/// The winner alone does the task, for what it bid at most; who hid a bid pays for it.
pub(crate) fn the_best_bid_does_the_work(people: &People<'_>, auction: &str) {
    let closed = wait_until("the auction is closed", CLOSED_MAX, || {
        let shown = show(people, auction);
        if shown["record"]["closed"] == true { Ok(shown) } else { Err(shown.to_string()) }
    });
    assert_eq!(closed["escrow"]["amount_per_part"], 400_000, "{closed}");
    assert!(!people.done(&["market", "auction", "list"]).contains(auction));
    assert!(people.done(&["market", "auction", "list", "--all"]).contains("over, won"));
    let said = people.done(&["market", "auction", "show", auction]);
    assert!(said.contains("won by") && said.contains("0.400000 FTNS") && said.contains("expecting 1"), "{said}");
    let done = people.json(&["task", "work", auction, "hello", "--key", "alice"]);
    let host = done["parts"][0]["host"].as_u64().unwrap();
    assert_eq!(people.number_of(host), 2, "{done}");
    assert_eq!(done["receipts_verified"], 1, "{done}");
    assert_eq!(show(people, auction)["escrow"]["status"], "settled");
    people.misused(&["task", "work", auction, "hello", "--key", "alice"], "paid already");
    assert_eq!(kept(people, &people.operator(3)), 1);
    let reputations = [1, 2, 3].map(|number| people.reputation(&people.operator(number)));
    assert_eq!(
        reputations,
        [500, 500, 480],
        "a part paid: +2, a gram expected of almost nothing: -2; a bid never opened: -20"
    );
    let served = people.json(&["contribution", "standing", &people.operator(2)]);
    let confidence = served["confidence_ppm"].as_u64().unwrap();
    assert!((437_500..440_000).contains(&confidence), "an eighth of what it was is gone: {served}");
    assert_eq!(served["calibrated"]["because"], auction, "{served}");
    let said = people.done(&["contribution", "standing", &people.operator(2)]);
    assert!(said.contains("confidence") && said.contains(auction), "{said}");
}
