//! Many payments at once, payments to come.

use std::fs;
use std::path::Path;

use mesh30k_tests::cli::Shell;
use mesh30k_tests::wait::wait_until;

use crate::{DUE_MAX, balance, json, made, refused, shown};

/// A file with a mistake pays nobody; one without pays all.
pub(crate) fn many_at_once(shell: &Shell, home: &Path) {
    let file = home.join("wages.csv");
    let path = file.to_str().unwrap();
    let (bob, operator) = (balance(shell, "bob"), balance(shell, "operator"));
    fs::write(&file, "to,amount\nbob,12.5\nbobb,1\noperator,1.2345678\n").unwrap();
    let pay = ["ledger", "pay", path, "--from", "alice"];
    let wrong = shell.run(&pay);
    refused(&wrong, 2, "line 4: amount `1.2345678` has more than six decimals");
    fs::write(&file, "to,amount\nbob,12.5\nbobb,1\n").unwrap();
    refused(&shell.run(&pay), 2, "line 3: there is no key named bobb");
    fs::write(&file, "to,amount\nbob,12.5\noperator,900000000\n").unwrap();
    refused(&shell.run(&pay), 4, "");
    assert_eq!((balance(shell, "bob"), balance(shell, "operator")), (bob, operator));

    fs::write(&file, "to,amount\nbob,12.5\n\noperator,0.25\nbob,1\n").unwrap();
    let plan = shown(shell, &[&pay[..], &["--dry-run"]].concat());
    assert!(plan.contains("13.750000 FTNS in 3 payments; nothing was paid"), "{plan}");
    assert_eq!(balance(shell, "bob"), bob);
    let paid = shown(shell, &pay);
    assert!(paid.contains("paid 13.750000 FTNS in 3 payments"), "{paid}");
    assert_eq!((balance(shell, "bob"), balance(shell, "operator")), (bob + 13_500_000, operator + 250_000));
    fs::write(&file, r#"{"to":"bob","amount":"0.5"}"#).unwrap();
    json(shell, &pay);
    assert_eq!(balance(shell, "bob"), bob + 14_000_000);
    refused(&shell.run(&["ledger", "pay", "nowhere.csv", "--from", "alice"]), 1, "nowhere.csv");
}

/// Set aside at once, paid at its time by nobody's hand; what is called off comes back.
pub(crate) fn later_and_called_off(shell: &Shell) {
    let (alice, bob) = (balance(shell, "alice"), balance(shell, "bob"));
    let send = ["ledger", "send", "3", "bob", "--from", "alice", "--memo", "rent"];
    let soon = json(shell, &[&send[..], &["--at", "+4s"]].concat());
    let said = shown(shell, &[&send[..], &["--at", "2027-06-01T08:00Z", "--every", "4w", "--times", "12"]].concat());
    assert!(said.contains("12 times 3.000000 FTNS, every 28 d, the first to") && said.contains("2027-06-01 08:00"));
    assert!(balance(shell, "alice") < alice - 39_000_000, "set aside with it");
    let rows = json(shell, &["ledger", "schedule", "list", "bob"]);
    let rent = rows.as_array().unwrap().iter().find(|row| row["record"]["left"] == 12).expect("the long one");
    let rent = rent["schedule"].as_str().unwrap();
    let list = shown(shell, &["ledger", "schedule", "list"]);
    assert!(list.contains(rent) && list.contains("28 d") && list.contains("rent"), "{list}");
    assert_eq!(json(shell, &["ledger", "schedule", "list", "operator"]).as_array().unwrap().len(), 0);

    wait_until("bob is paid at its time", DUE_MAX, || match balance(shell, "bob") {
        paid if paid == bob + 3_000_000 => Ok(()),
        other => Err(other.to_string()),
    });
    assert!(!shown(shell, &["ledger", "schedule", "list"]).contains(made(&soon)), "paid is paid");
    refused(&shell.run(&["ledger", "schedule", "cancel", rent, "--key", "bob"]), 4, "belongs to");
    let before = balance(shell, "alice");
    shown(shell, &["ledger", "schedule", "cancel", rent, "--key", "alice"]);
    let returned = balance(shell, "alice") - before;
    assert!((35_990_000..36_000_000).contains(&returned), "36 FTNS less a fee came back: {returned}");
    let list = shown(shell, &["ledger", "schedule", "list"]);
    assert!(list.contains("No payment is to come"), "{list}");
    for wrong in [["--at", "tomorrow"].as_slice(), &["--every", "1d"], &["--at", "+1d", "--every", "1d"]] {
        assert_eq!(shell.run(&[&send[..], wrong].concat()).code, Some(2), "{wrong:?}");
    }
    let past = shell.run(&[&send[..], &["--at", "2020-01-01T00:00Z"]].concat());
    refused(&past, 2, "2020-01-01 00:00 UTC is past");
}
