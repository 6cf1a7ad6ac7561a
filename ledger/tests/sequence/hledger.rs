//! The journal as hledger reads it, a program of others: it takes every entry, and finds the balances that the ledger has.

use mesh30k_ledger::records::Totals;
use std::collections::BTreeMap;
use std::io::{ErrorKind, Write as _};
use std::process::{Command, Stdio};

use crate::driver::Driver;

/// Set to 1 where hledger cannot be had: then this is not tested, and whoever set it says so.
const WITHOUT: &str = "MESH30K_WITHOUT_HLEDGER";

/// What hledger prints about a journal; nothing where the machine has no hledger and it was agreed to do without.
fn hledger(journal: &str, arguments: &[&str]) -> Option<String> {
    let mut command = Command::new("hledger");
    command.args(["-f", "-"]).args(arguments).env("LC_ALL", "C.UTF-8");
    let spawned = command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn();
    let mut child = match spawned {
        Ok(child) => child,
        Err(error) if error.kind() == ErrorKind::NotFound => {
            let agreed = std::env::var(WITHOUT).is_ok_and(|value| value == "1");
            assert!(
                agreed,
                "hledger is not installed, so nothing shows that others can read the journal; run .tools/setup.sh --tests \
                 (or apt-get install hledger), or set {WITHOUT}=1 to do without this test"
            );
            eprintln!("NOT TESTED: whether hledger reads the journal, for {WITHOUT}=1 and it is not installed");
            return None;
        }
        Err(error) => panic!("hledger cannot be started: {error}"),
    };
    child.stdin.take().unwrap().write_all(journal.as_bytes()).unwrap();
    let output = child.wait_with_output().unwrap();
    assert!(output.status.success(), "hledger {arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
    Some(String::from_utf8(output.stdout).unwrap())
}

/// `"assets:free:ftns1..","-12.500000 FTNS"` as a name and uFTNS.
fn row(line: &str) -> (&str, i128) {
    let (name, amount) = line.trim_matches('"').split_once("\",\"").unwrap();
    let number = amount.strip_suffix(" FTNS").unwrap_or(amount);
    let (whole, decimals) = number.split_once('.').unwrap_or((number, ""));
    assert!(decimals.len() <= 6, "{line}");
    (name, format!("{whole}{decimals:0<6}").parse().unwrap())
}

fn sums(totals: &Totals) -> [(&'static str, i128); 8] {
    [
        ("assets:locked:escrows", totals.escrows),
        ("assets:locked:deposits", totals.deposits),
        ("assets:locked:dividends", totals.dividends),
        ("assets:pools:carbon", totals.carbon_pool),
        ("assets:pools:access", totals.access_fund),
        ("assets:pools:treasury", totals.treasury),
        ("expenses:burned", totals.burned),
        ("equity:minted", totals.minted),
    ]
    .map(|(name, sum)| (name, if name == "equity:minted" { -i128::from(sum.0) } else { i128::from(sum.0) }))
}

#[test]
fn hledger_takes_the_journal_and_finds_the_ledgers_balances() {
    let mut driver = Driver::new(6);
    driver.keep_journal();
    driver.run(2_000, 2_000, |_| {});
    let Some(_) = hledger(driver.journal(), &["check"]) else { return };
    let printed = hledger(driver.journal(), &["balance", "--flat", "--no-total", "--empty", "-O", "csv"]).unwrap();
    let mut found: BTreeMap<&str, i128> = printed.lines().skip(1).map(row).collect();
    assert!(found.len() > crate::driver::PEOPLE, "{} accounts", found.len());
    assert_eq!(found.values().sum::<i128>(), 0, "what there is was minted");

    let totals = driver.totals();
    for (name, sum) in sums(&totals) {
        assert_eq!(found.remove(name).unwrap_or(0), sum, "{name}");
    }
    let mut kinds: BTreeMap<&str, i128> = BTreeMap::new();
    for (name, sum) in found {
        let (kind, id) = name.rsplit_once(':').unwrap();
        let (free, staked) = driver.account(&id.parse().unwrap());
        let expected = if kind == "assets:free" { free } else { staked };
        assert_eq!(sum, i128::from(expected), "{name}");
        *kinds.entry(kind).or_default() += sum;
    }
    let owned = [("assets:free", totals.balances.0), ("assets:staked", totals.stakes.0)];
    assert_eq!(kinds, owned.map(|(kind, sum)| (kind, i128::from(sum))).into(), "and nobody is left out");
}

/// hledger really looks: a journal with a uFTNS too many is refused.
#[test]
fn hledger_refuses_a_journal_that_does_not_balance() {
    let entry = |minted: &str| {
        format!("2027-01-15 opening  ; 1 ms\n    assets:free:a  1.000000 FTNS\n    equity:minted  -{minted} FTNS\n\n")
    };
    if hledger(&entry("1.000000"), &["check"]).is_none() {
        return;
    }
    let refused = std::panic::catch_unwind(|| hledger(&entry("1.000001"), &["check"]));
    assert!(refused.is_err(), "an entry that does not balance was taken");
}
