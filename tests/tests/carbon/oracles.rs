//! Oracles whose nodes read their grid and report it, with nobody at the keyboard.

use std::fs::{self, OpenOptions};
use std::io::Write as _;
use std::process::Command;
use std::time::Duration;

use mesh30k_tests::cli::Shell;
use mesh30k_tests::mesh::TestMesh;
use mesh30k_tests::wait::wait_until;
use serde_json::Value;

/// How long three reports may take: a node looks every ten seconds.
const REPORTED_MAX: Duration = Duration::from_secs(90);

/// Gives a node a source and starts it again.
fn give_source(mesh: &mut TestMesh, number: u32, grams: &str, report: bool) {
    let now = Command::new("date").args(["-u", "+%Y-%m-%dT%H:%M:%SZ"]).output().unwrap();
    let now = String::from_utf8(now.stdout).unwrap();
    let path = mesh.node(number).data_dir.join("grid.json");
    let figure = format!(r#"{{"zone":"ZA","carbonIntensity":{grams},"datetime":"{}"}}"#, now.trim());
    fs::write(&path, figure).unwrap();
    let mut config = OpenOptions::new().append(true).open(&mesh.node(number).config).unwrap();
    let source = path.to_str().unwrap();
    writeln!(config, "\n[carbon]\nsource = {source:?}\nzone = \"ZA\"\nreport = {report}").unwrap();
    assert!(mesh.stop(number));
    mesh.restart(number);
    // The next one stops only when this one is back: two of three must agree.
    wait_until("a node that reads its grid", REPORTED_MAX, || {
        let status = mesh.status(number).map_err(|error| error.to_string())?;
        let found = status.duties.iter().any(|duty| duty.subject == "ZA");
        if found == report && status.not_ready.is_empty() { Ok(()) } else { Err(format!("{status:?}")) }
    });
}

#[test]
fn oracles_report_their_grids_by_themselves_once_and_only_if_they_are_to() {
    let home = tempfile::tempdir().unwrap();
    let mut mesh = TestMesh::start(4, 4, 4);
    let shell = Shell::of(home.path(), &mesh);
    for (number, grams) in [(1, "700.5"), (2, "702"), (3, "710")] {
        give_source(&mut mesh, number, grams, true);
    }
    give_source(&mut mesh, 4, "100", false);
    let reports = wait_until("a median of three reports", REPORTED_MAX, || {
        let credits = shell.run(&["carbon", "credits", "--json"]);
        let answer: Value = serde_json::from_str(&credits.stdout).map_err(|_| format!("{credits:?}"))?;
        let words = answer["medians"][0]["words"].as_array().cloned().unwrap_or_default();
        if words.len() < 3 { Err(answer.to_string()) } else { Ok(words) }
    });
    let mut said: Vec<u64> = reports.iter().map(|word| word.as_u64().unwrap()).collect();
    said.sort_unstable();
    assert_eq!(said, [700_500, 702_000, 710_000], "each what it measured, and the fourth nothing");
    let shown = wait_until("the duty done", REPORTED_MAX, || {
        let shown = shell.run(&["mesh", "status"]).stdout;
        if shown.contains("duty: intensity of ZA: done, last ") { Ok(shown) } else { Err(shown) }
    });
    assert!(shown.contains("duty: anchor of sector 0: "), "the first node is one of its voters: {shown}");
    let metrics = mesh.api(1).text("/metrics").unwrap();
    assert!(metrics.contains("mesh30k_duties_submitted_total{duty=\"intensity\"} 1"), "{metrics}");
}
