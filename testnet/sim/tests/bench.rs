//! A small bench from end to end: what is written agrees with itself, and a bench that is stopped goes on.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::atomic::{AtomicUsize, Ordering};

use mesh30k_sim::bench::{ArrivalBench, BenchError, Progress, run_bench, tables, write_all};
use mesh30k_sim::{Scenario, SimConfig, StrategyKind};
use serde_json::Value;

fn small() -> ArrivalBench {
    let base = SimConfig {
        agents: 300,
        waves: 3,
        warm_up_us: 15_000_000,
        interval_us: 8_000_000,
        threads: 2,
        ..SimConfig::default()
    };
    ArrivalBench {
        base,
        scenarios: vec![Scenario::Mixed, Scenario::Slowdown],
        runs: 2,
        calibration: vec![0.9, 0.999],
        ..ArrivalBench::of_size(300)
    }
}

/// Runs it and counts the runs that were made and those that were there.
fn run(bench: &ArrivalBench, folder: &Path) -> (Value, usize, usize) {
    let (made, found) = (AtomicUsize::new(0), AtomicUsize::new(0));
    let report = run_bench(bench, folder, &|progress| {
        if let Progress::Over { loaded, .. } = progress {
            let count = if loaded { &found } else { &made };
            count.fetch_add(1, Ordering::Relaxed);
        }
    })
    .unwrap();
    let written = write_all(&report, folder).unwrap();
    assert!(written.iter().all(|path| path.is_file()) && written.len() == 5);
    for table in tables(&report) {
        assert!(table.rows.iter().all(|row| row.len() == table.headings.len()), "{table:?}");
    }
    let json = serde_json::from_str(&std::fs::read_to_string(folder.join("arrival.json")).unwrap()).unwrap();
    (json, made.into_inner(), found.into_inner())
}

#[test]
fn what_is_written_agrees_and_a_stopped_bench_goes_on() {
    let folder = tempfile::tempdir().unwrap();
    let (bench, folder) = (small(), folder.path());
    let (first, made, found) = run(&bench, folder);
    // Two seeds of two scenarios of four strategies, one more wanted p in the mixed one, the cascades.
    assert_eq!((made, found), (2 * (8 + 1 + 1), 0));
    the_counts_add_up(&first, folder);
    the_picture_has_everything(folder);

    // Killed in the middle of one run, whose file was half written: that one is run again, and nothing else.
    let runs = folder.join("runs");
    std::fs::write(runs.join("mixed-2-hold.json"), "{\"made_with\":").unwrap();
    std::fs::remove_file(runs.join("cascades-1.json")).unwrap();
    let (again, made, found) = run(&bench, folder);
    assert_eq!((made, found), (2, 18));
    assert_eq!(again, first);

    // Runs of another size are not taken for runs of this one.
    let smaller = ArrivalBench {
        base: SimConfig { agents: 120, waves: 1, ..bench.base },
        scenarios: vec![Scenario::Mixed],
        strategies: vec![StrategyKind::Hold],
        calibration: Vec::new(),
        cascades: false,
        runs: 1,
    };
    let mut seen = Vec::new();
    let found = std::sync::Mutex::new(&mut seen);
    run_bench(&smaller, folder, &|progress| {
        if let Progress::Over { loaded, .. } = progress {
            found.lock().unwrap().push(loaded);
        }
    })
    .unwrap();
    assert_eq!(seen, [false]);
}

fn the_counts_add_up(report: &Value, folder: &Path) {
    let fields = ["enrolled", "within_2ms", "within_5ms", "within_10ms", "within_50ms", "within_250ms", "released"];
    let fields: Vec<&str> = fields.into_iter().chain(["armed_by_t", "promised", "kept"]).collect();
    let csv = std::fs::read_to_string(folder.join("arrival.csv")).unwrap();
    let mut lines = csv.lines().map(|line| line.split(',').collect::<Vec<_>>());
    let heading = lines.next().unwrap();
    let at = |name: &str| heading.iter().position(|field| *field == name).unwrap();
    let mut sums: BTreeMap<(String, u64, String), BTreeMap<&str, u64>> = BTreeMap::new();
    for line in lines {
        assert_eq!(line.len(), heading.len());
        let key = (line[at("scenario")].to_owned(), line[at("seed")].parse().unwrap(), line[at("strategy")].to_owned());
        let sum = sums.entry(key).or_default();
        for field in &fields {
            *sum.entry(field).or_default() += line[at(field)].parse::<u64>().unwrap();
        }
    }
    let rows = report["rows"].as_array().unwrap();
    assert_eq!((rows.len(), sums.len()), (8, 16));
    for row in rows {
        for run in row["runs"].as_array().unwrap() {
            let text = |value: &Value| value.as_str().unwrap().to_owned();
            let key = (text(&row["scenario"]), run["seed"].as_u64().unwrap(), text(&row["strategy"]));
            for field in &fields {
                assert_eq!(sums[&key][field], run[field].as_u64().unwrap(), "{field} of {key:?}");
            }
            assert_eq!(run["enrolled"], 900);
            assert!(
                run["kept"].as_u64() <= run["promised"].as_u64() && run["promised"].as_u64() <= run["alive"].as_u64()
            );
            assert!(run["proved"].as_u64() <= run["possible"].as_u64() && run["possible"].as_u64() <= Some(900));
        }
        let median = row["median"]["within_10ms"].as_f64().unwrap();
        let shares = row["runs"].as_array().unwrap().iter().map(|run| run["within_10ms"].as_f64().unwrap() / 900.0);
        assert!((median - shares.sum::<f64>() / 2.0).abs() < 1e-9);
    }
    for point in report["calibration"].as_array().unwrap() {
        assert_eq!(point["runs"].as_array().unwrap().len(), 2);
        assert!((0.5..=1.0).contains(&point["kept"].as_f64().unwrap()), "{point}");
    }
    assert!(report["cascades"]["delivery"]["p95_us"].as_i64() < report["cascades"]["round_trip"]["p95_us"].as_i64());
    let goals = report["goals"].as_array().unwrap();
    let unmeasured = goals.iter().filter(|goal| goal["met"].is_null()).count();
    assert!(unmeasured > 0 && unmeasured < goals.len(), "goals of scenarios that were not run are not measured");
}

fn the_picture_has_everything(folder: &Path) {
    for name in ["arrival.svg", "arrival-slowdown.svg"] {
        let text = std::fs::read_to_string(folder.join(name)).unwrap();
        let document = roxmltree::Document::parse(&text).unwrap();
        let words: String = document.descendants().filter_map(|node| node.text()).collect();
        for strategy in ["First draft", "Learned throw", "Hold", "Hold + standby"] {
            assert!(words.contains(strategy), "{strategy} is not in {name}");
        }
        assert!(words.contains("300 agents × 3 waves") && words.contains("seeds 1 to 2"), "{words}");
        let areas = document.descendants().filter(|node| node.has_tag_name("path"));
        // Four rows and the enlarged one; the band and the diagonal of the calibration.
        assert_eq!(areas.count(), 4 + 1 + 2);
        assert!(text.contains("prefers-color-scheme: dark"));
        assert!(!text.contains("NaN") && !text.contains("inf"), "{text}");
    }
    let page = std::fs::read_to_string(folder.join("arrival.md")).unwrap();
    assert!(page.contains("mesh30k testnet bench arrival --agents 300 --waves 3 --runs 2 --seed 1"), "{page}");
}

#[test]
fn a_folder_that_cannot_be_made_is_named() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("file");
    std::fs::write(&file, "").unwrap();
    let refused = run_bench(&small(), &file, &|_| {}).unwrap_err();
    assert!(matches!(refused, BenchError::File { .. }) && refused.to_string().contains("file"), "{refused}");
}
