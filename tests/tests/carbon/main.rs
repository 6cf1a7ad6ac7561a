//! Carbon by the binary: against a small mesh of real processes, and a recorded day without one.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod duties;
mod oracles;

use std::fs;

use mesh30k_tests::cli::{Answer, Shell};
use mesh30k_tests::mesh::TestMesh;
use serde_json::Value;

fn json(answer: &Answer) -> Value {
    assert_eq!(answer.code, Some(0), "{answer:?}");
    serde_json::from_str(&answer.stdout).unwrap()
}

fn sum(book: &Value, field: &str) -> u64 {
    book["uses"].as_array().unwrap().iter().map(|row| row[field].as_u64().unwrap()).sum()
}

#[test]
fn a_running_mesh_tells_who_paid_what_to_the_unit() {
    let home = tempfile::tempdir().unwrap();
    let mesh = TestMesh::start(3, 3, 30);
    let shell = Shell::of(home.path(), &mesh);
    let before = shell.run(&["carbon", "report"]);
    assert!(before.code == Some(0) && before.stdout.contains("Nothing was paid yet"), "{before:?}");
    assert!(before.stdout.contains("Balances to the unit"), "{before:?}");

    // The client's own log: what each task said it cost.
    let (mut paid, mut carbon, mut energy, mut parts) = (0, 0, 0, 0);
    for key in ["alice", "bob", "alice"] {
        let done = json(&shell.run(&["task", "run", "hello", "--key", key, "--json"]));
        paid += done["price_uftns"].as_u64().unwrap();
        carbon += done["carbon_ug"].as_u64().unwrap();
        energy += done["energy_mj"].as_u64().unwrap();
        parts += done["parts"].as_array().unwrap().len() as u64;
    }
    let book = json(&shell.run(&["carbon", "report", "--json"]));
    assert_eq!((sum(&book, "total_uftns"), sum(&book, "carbon_ug")), (paid, carbon), "{book}");
    assert_eq!((sum(&book, "energy_mj"), sum(&book, "parts")), (energy, parts), "{book}");
    let pool = |name: &str| (book["opening"][name].as_u64().unwrap(), book["totals"][name].as_u64().unwrap());
    let (opening, held) = pool("carbon_pool");
    let paid_in = sum(&book, "carbon_uftns") + sum(&book, "withheld_uftns");
    assert_eq!(opening + paid_in - sum(&book, "green_uftns"), held);
    let (opening, held) = pool("access_fund");
    assert_eq!(opening + sum(&book, "premium_uftns") - sum(&book, "discount_uftns"), held);

    let alice = json(&shell.run(&["carbon", "report", "--account", "alice", "--json"]));
    assert_eq!(sum(&alice, "parts"), 2);
    let methods = shell.run(&["carbon", "report", "--by", "method"]);
    assert!(methods.stdout.contains("default power") || methods.stdout.contains("RAPL"), "{methods:?}");
    let csv = shell.run(&["carbon", "report", "--csv"]).stdout;
    assert!(csv.starts_with("agent,") && csv.lines().count() == 1 + book["uses"].as_array().unwrap().len(), "{csv}");
    let intensity = shell.run(&["carbon", "intensity", "US"]).stdout;
    assert!(intensity.contains("annual average") && intensity.contains("410.3"), "{intensity}");
    let nowhere = shell.run(&["carbon", "intensity", "AQ"]).stdout;
    assert!(nowhere.contains("WARNING: AQ is a FALLBACK"), "{nowhere}");
    assert!(shell.run(&["carbon", "credits"]).stdout.contains("No oracle has reported"));
    assert!(shell.run(&["carbon", "emergency"]).stdout.contains("No climate emergency is in force"));
    assert_eq!(shell.run(&["carbon", "report", "--by", "colour"]).code, Some(2));
    a_worker_knows_what_it_owes(&shell, &mesh, &book);
    duties::words_of_officers_count(&shell, &mesh);
}

/// What accrues is the missing renewable share of what the receipts say, and the shown figures are the ledger's.
fn a_worker_knows_what_it_owes(shell: &Shell, mesh: &TestMesh, book: &Value) {
    let workers: Vec<Value> = (1..=mesh.numbers().len())
        .map(|node| json(&shell.run(&["carbon", "worker", &node.to_string(), "--json"])))
        .collect();
    let carbon_ug = sum(book, "carbon_ug");
    let accrued: u64 = workers.iter().map(|worker| worker["duty"]["accrued_ug"].as_u64().unwrap()).sum();
    assert!(accrued > 0 && accrued <= carbon_ug, "{accrued} of {carbon_ug}");
    for worker in &workers {
        assert!(worker["hardware"].is_null() && worker["duty"]["due_ug"] == 0, "{worker}");
    }
    let shown = shell.run(&["carbon", "worker", "1"]).stdout;
    assert!(shown.contains("hardware not declared") && shown.contains("attested, 70.00 % wanted"), "{shown}");
    let missing = shell.run(&["carbon", "worker", "99"]);
    assert!(missing.code == Some(4) && missing.stderr.contains("node 99 is not on the ledger"), "{missing:?}");
    // Alice hosts nothing and holds no credits.
    let hardware = ["carbon", "hardware", "--embodied", "350kg", "--hours", "35064", "--key", "alice"];
    let refused = shell.run(&hardware);
    assert!(refused.code == Some(4) && refused.stderr.contains("node"), "{refused:?}");
    let odd = shell.run(&["carbon", "hardware", "--embodied", "0.5g", "--hours", "9", "--key", "alice"]);
    assert!(odd.code == Some(2) && odd.stderr.contains("whole grams"), "{odd:?}");
    let nothing = shell.run(&["carbon", "retire", "2.5g", "--key", "alice"]);
    assert!(nothing.code == Some(4) && nothing.stderr.contains("credits"), "{nothing:?}");
    assert_eq!(shell.run(&["carbon", "give", "2.5", "bob", "--key", "alice"]).code, Some(2), "no unit");
    // The node's own account does, with the key in its data folder.
    let key = mesh.node(1).data_dir.join("keys/account.key");
    let declared = shell.run(&[&hardware[..6], &["--slots", "4", "--key", key.to_str().unwrap()]].concat());
    assert!(declared.code == Some(0) && declared.stdout.starts_with("hardware declared"), "{declared:?}");
    let number = mesh.status(1).unwrap().node.unwrap().to_string();
    let shown = shell.run(&["carbon", "worker", &number]).stdout;
    assert!(shown.contains("350 kg over 35064 hours, 4 tasks at once: 2.5 g for an hour of one task"), "{shown}");
    let other = mesh.node(1).data_dir.join("keys/validator.key");
    let wrong = shell.run(&["carbon", "retire", "1g", "--key", other.to_str().unwrap()]);
    assert!(wrong.code != Some(0) && wrong.stderr.contains("is not the key of a node's account"), "{wrong:?}");
}

#[test]
fn a_recorded_day_balances_and_its_sums_are_drawn_again_from_a_file() {
    let home = tempfile::tempdir().unwrap();
    let shell = Shell::new(home.path());
    let file = home.path().join("day.json");
    let file = file.to_str().unwrap();
    let day = shell.run(&["testnet", "replay", "carbon", "--out", file]);
    assert!(day.code == Some(0) && day.stdout.contains("0 differ"), "{day:?}");
    let report = shell.run(&["carbon", "report", "--file", file]);
    assert!(report.code == Some(0) && day.stdout.contains(report.stdout.trim()), "{report:?}");
    // One line changed by one unit, and it is told.
    let mut book: Value = serde_json::from_slice(&fs::read(file).unwrap()).unwrap();
    let premium = book["uses"][0]["premium_uftns"].as_u64().unwrap();
    book["uses"][0]["premium_uftns"] = Value::from(premium + 1);
    fs::write(file, book.to_string()).unwrap();
    let changed = shell.run(&["carbon", "report", "--file", file]);
    assert!(changed.code == Some(1) && changed.stderr.contains("does not balance"), "{changed:?}");
    let never = shell.run(&["testnet", "replay", "carbon", "--day", "2023-01-01"]);
    assert!(never.code == Some(1) && never.stderr.contains("2022-08-31"), "{never:?}");
}
