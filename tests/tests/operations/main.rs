//! Operations on top of an event, by the binary against a small mesh of real processes.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use mesh30k_ledger::types::Hash;
use mesh30k_node::api::types::GatherAnswer;
use mesh30k_tests::cli::{Answer, Shell};
use mesh30k_tests::mesh::TestMesh;
use mesh30k_tests::wait::wait_until;
use serde_json::Value;

/// Wide, for the machine that runs tests is busy: what is checked here is who is counted, not how exactly they arrive.
const WIDE: [&str; 4] = ["--window-ms", "2000", "--min-ready", "0.9"];

struct Setup {
    mesh: TestMesh,
    shell: Shell,
    home: PathBuf,
    /// Everybody but people.
    machines: u64,
}

impl Setup {
    fn json(&self, words: &[&str]) -> Value {
        let words: Vec<&str> = words.iter().copied().chain(["--json"]).collect();
        let answer = self.shell.run(&words);
        assert_eq!(answer.code, Some(0), "{words:?}: {answer:?}");
        serde_json::from_str(&answer.stdout).unwrap()
    }

    fn says(&self, words: &[&str]) -> String {
        let answer = self.shell.run(words);
        assert_eq!(answer.code, Some(0), "{words:?}: {answer:?}");
        answer.stdout
    }
}

fn text(path: &Path) -> &str {
    path.to_str().unwrap()
}

fn number(value: &Value, path: &str) -> u64 {
    value.pointer(path).and_then(Value::as_u64).unwrap_or_else(|| panic!("no number at {path} of {value}"))
}

fn word<'a>(value: &'a Value, path: &str) -> &'a str {
    value.pointer(path).and_then(Value::as_str).unwrap_or_else(|| panic!("no text at {path} of {value}"))
}

fn refused(answer: &Answer, code: i32, parts: &[&str]) {
    assert_eq!(answer.code, Some(code), "{answer:?}");
    for part in parts {
        assert!(answer.stderr.contains(part), "`{part}` is not in: {}", answer.stderr);
    }
}

#[test]
fn operations_run_from_the_command_line_to_the_agents_and_back() {
    let home = tempfile::tempdir().unwrap();
    let mesh = TestMesh::start(3, 3, 60);
    let shell = Shell::of(home.path(), &mesh);
    let mut setup = Setup { mesh, shell, home: home.path().to_owned(), machines: 0 };
    setup.machines = number(&setup.json(&["event", "cascade"]), "/report/enrolled");
    assert!(setup.machines >= 40, "{}", setup.machines);
    gathers(&setup);
    cascades(&setup);
    questions(&setup);
    pipelines(&setup);
    queries_and_delegation(&setup);
    mistakes(&setup);
    a_dead_node_stays_in_the_denominator(&mut setup);
}

fn gathers(setup: &Setup) {
    let all = setup.json(&[&["event", "gather", "class"][..], &WIDE].concat());
    assert_eq!(word(&all, "/gather/outcome"), "SUCCESS", "{all}");
    assert_eq!(number(&all, "/gather/report/enrolled"), setup.machines);
    let said: u64 = all["gather"]["report"]["answers"].as_array().unwrap().iter().map(|row| number(row, "/1")).sum();
    assert_eq!(said, number(&all, "/gather/report/ready"), "everybody who is ready answered: {all}");

    let one = setup.json(&[&["event", "gather", "--agents", "7"][..], &WIDE].concat());
    assert_eq!((number(&one, "/gather/report/enrolled"), word(&one, "/gather/outcome")), (1, "SUCCESS"), "{one}");
    let able = setup.json(&[&["event", "gather", "--capability", "compute", "--classes", "B,C"][..], &WIDE].concat());
    let classes = able["gather"]["report"]["classes"].as_array().unwrap();
    assert!(classes.iter().all(|row| ["B", "C"].contains(&word(row, "/class"))), "{able}");

    // Nobody releases all within 50 us of T: the data say which window would have done, and with that one it does.
    let tight = setup.json(&["event", "gather", "--window-ms", "0.05", "--min-ready", "0.9"]);
    assert_eq!(word(&tight, "/gather/outcome"), "PARTIAL", "{tight}");
    let wider = number(&tight, "/gather/advice/0/larger_window/window_us");
    let id = word(&tight, "/gather/report/event");
    let path = format!("/v1/events/{id}/gather?window_us={wider}&ready_ppm=900000");
    let again: GatherAnswer = setup.mesh.api(1).get(&path).unwrap();
    assert_eq!(again.outcome, "SUCCESS", "{again:?}");
    let shown = setup.says(&["event", "gather", "--window-ms", "0.05", "--min-ready", "0.9"]);
    assert!(shown.contains("PARTIAL: ") && shown.contains("a window of ±"), "{shown}");
}

fn cascades(setup: &Setup) {
    let steps = |mode: &str| {
        let result = setup.json(&["event", "cascade", "--mode", mode]);
        (result["steps"].as_array().unwrap().clone(), result)
    };
    let (wave, result) = steps("wave");
    let reach: Vec<&str> = wave.iter().map(|step| word(step, "/reach")).collect();
    assert_eq!(reach, ["sectors", "clusters", "agents"], "{result}");
    for step in &wave {
        assert_eq!((number(step, "/enrolled"), number(step, "/threshold_ppm")), (setup.machines, 980_000), "{result}");
    }
    assert!(wave[..2].iter().all(|step| number(step, "/ready") == setup.machines), "all are answered for: {result}");

    let (parallel, result) = steps("parallel");
    assert_eq!((parallel.len(), number(&parallel[0], "/threshold_ppm")), (1, 900_000), "{result}");

    let (classes, result) = steps("priority-first");
    let order: Vec<&str> = classes.iter().map(|step| word(step, "/classes/0")).collect();
    assert_eq!(order, ["D", "C", "B", "A", "E"], "{result}");
    let wanted: Vec<u64> = classes.iter().map(|step| number(step, "/threshold_ppm")).collect();
    assert_eq!(wanted, [990_000, 980_000, 950_000, 900_000, 850_000]);
    assert_eq!(classes.iter().map(|step| number(step, "/enrolled")).sum::<u64>(), setup.machines, "{result}");
    assert_eq!(word(&result, "/state"), "done", "a missed threshold is noted, and it goes on: {result}");
}

fn questions(setup: &Setup) {
    let sample = setup.json(&["event", "ask", "what is your context hash?", "--sample", "10"]);
    assert_eq!(number(&sample, "/report/enrolled"), 10, "{sample}");
    assert_eq!(number(&sample, "/agreement/differing"), 0, "all act by the same rules: {sample}");
    let heard = number(&sample, "/agreement/agreeing") + number(&sample, "/agreement/silent");
    assert_eq!(heard, 10, "{sample}");
    let classes = setup.json(&["event", "ask", "class"]);
    assert!(number(&classes, "/agreement/divergence_ppm") > 0, "classes differ: {classes}");
    let shown = setup.says(&["event", "ask", "class"]);
    assert!(shown.contains("agreement: ") && shown.contains("differ"), "{shown}");

    let told = setup.json(&["event", "broadcast", "maintenance at noon"]);
    assert_eq!(word(&told, "/report/answers/0/0"), Hash::of(b"maintenance at noon").to_string(), "{told}");
    assert_eq!(number(&told, "/agreement/differing"), 0);
    let shown = setup.says(&["event", "broadcast", "maintenance at noon"]);
    assert!(shown.contains("acknowledged: ") && shown.contains(" 0 something else"), "{shown}");
}

fn pipelines(setup: &Setup) {
    let words = [&["event", "pipeline", "class", "C,D:digest"][..], &WIDE].concat();
    let result = setup.json(&words);
    assert_eq!(word(&result, "/state"), "done", "{result}");
    let gathered = word(&result, "/stages/0/gathered");
    assert!(gathered.lines().next().unwrap().ends_with("ready") && gathered.lines().count() > 2, "{gathered}");
    let digests = result.pointer("/stages/1/judged/report/answers").unwrap().as_array().unwrap();
    assert_eq!(digests.len(), 1, "{result}");
    assert_eq!(word(&digests[0], "/0"), Hash::of(gathered.as_bytes()).to_string(), "what was gathered was handed on");
    let at = |stage: usize, field: &str| result["stages"][stage][field].as_i64().unwrap();
    assert!(at(1, "forecast_us") > at(0, "at_us"), "{result}");
    let off_ms = (at(1, "at_us") - at(1, "forecast_us")).abs() / 1_000;
    assert!(off_ms < 5_000, "the second T was foreseen {off_ms} ms off: {result}");

    let stopped = setup.json(&["event", "pipeline", "class", "digest", "--window-ms", "0.05", "--min-ready", "1"]);
    assert_eq!((word(&stopped, "/state"), stopped["stages"].as_array().unwrap().len()), ("stopped", 1), "{stopped}");
}

fn queries_and_delegation(setup: &Setup) {
    let found = setup.json(&["mesh", "find", "--capability", "compute", "-n", "5"]);
    let scores: Vec<u64> = found.as_array().unwrap().iter().map(|row| number(row, "/score")).collect();
    assert!(scores.len() == 5 && scores.is_sorted(), "{found}");
    let sum = |by: &str, field: &str| -> u64 {
        let rows = setup.json(&["mesh", "statistics", "--by", by]);
        rows.as_array().unwrap().iter().map(|row| number(row, field)).sum()
    };
    assert_eq!([sum("sector", "/agents"), sum("cluster", "/agents")], [sum("mesh", "/agents"); 2]);
    assert_eq!(sum("mesh", "/agents"), 60);

    // Voters look every 15 s; in a mesh of three each votes in every sector.
    let history = wait_until("the history of agent 7", Duration::from_secs(40), || {
        let answer = setup.shell.run(&["mesh", "history", "--agent", "7", "--json"]);
        serde_json::from_str::<Value>(&answer.stdout).map_err(|_| answer.stderr)
    });
    assert!(number(&history, "/periods/0/mean_us") > 0 && number(&history, "/now_us") > 0, "{history}");
    let unknown = setup.shell.run(&["mesh", "history", "--agent", "999999"]);
    refused(&unknown, 4, &["no history of agent 999999"]);

    let done = setup.json(&["event", "delegate", "hello", "--key", "alice"]);
    assert_eq!(number(&done, "/result/receipts_verified"), 1, "{done}");
    assert_eq!(number(&done, "/result/parts/0/agent"), number(&done, "/best/agent"), "the best one did it: {done}");
    let named = setup.json(&["event", "delegate", "hello", "--class", word(&done, "/best/class"), "--key", "bob"]);
    assert_eq!(word(&named, "/best/class"), word(&done, "/best/class"));
    let nobody = setup.shell.run(&["event", "delegate", "hello", "--sector", "77", "--key", "alice"]);
    refused(&nobody, 4, &["no agent that can run tasks"]);
}

fn mistakes(setup: &Setup) {
    let run = |words: &[&str]| setup.shell.run(words);
    refused(&run(&["event", "gather", "--agents", "3,999999"]), 4, &["1 agents", "agent 999999", "not on the ledger"]);
    refused(&run(&["event", "gather", "--sector", "77"]), 4, &["selects no agent", "at least 1"]);
    refused(&run(&["event", "gather", "--capability", "fly"]), 4, &["capability", "fly", "sense, actuate"]);
    refused(&run(&["event", "cascade", "--in-ms", "5"]), 4, &["insufficient lead: needs", "has", "earliest"]);
    refused(&run(&["event", "gather", "--min-ready", "1.5"]), 2, &["--min-ready", "at most 1"]);
    refused(&run(&["event", "gather", "--window-ms", "0"]), 2, &["--window-ms", "0.05 to 60000"]);
    let long = "x".repeat(64 * 1_024 + 1);
    refused(&run(&["event", "broadcast", &long]), 4, &["payload has 65537 bytes", "65536"]);
    refused(&run(&["event", "broadcast", "hi", "--key", "alice"]), 4, &["no operator"]);
    let granted = run(&["event", "session", "--for", "alice", "--minutes", "10"]);
    assert_eq!(granted.code, Some(0), "{granted:?}");
    let file = setup.home.join("alice.session");
    fs::write(&file, &granted.stdout).unwrap();
    let told = setup.json(&["event", "broadcast", "hi", "--key", "alice", "--session", text(&file)]);
    assert_eq!(number(&told, "/report/enrolled"), setup.machines, "a session is a right");
    let other = run(&["event", "broadcast", "hi", "--key", "bob", "--session", text(&file)]);
    refused(&other, 4, &["not signed by that operator for the event's origin"]);
    for (path, part) in [("window_us=49", "at least 50"), ("ready_ppm=0", "1 to 1000000"), ("more=1", "more")] {
        let path = format!("/v1/events/{}/gather?{path}", "0".repeat(32));
        let error = setup.mesh.api(1).get::<GatherAnswer>(&path).unwrap_err().to_string();
        assert!(error.contains(part), "{path}: {error}");
    }
}

fn a_dead_node_stays_in_the_denominator(setup: &mut Setup) {
    setup.mesh.kill(3);
    let words = ["event", "gather", "--window-ms", "2000", "--min-ready", "0.95", "--timeout-ms", "1000"];
    let partial = wait_until("a gather without node 3", Duration::from_secs(60), || {
        let answer = setup.shell.run(&[&words[..], &["--json"]].concat());
        match serde_json::from_str::<Value>(&answer.stdout) {
            Ok(value) if word(&value, "/gather/outcome") == "PARTIAL" => Ok(value),
            Ok(value) => Err(value.to_string()),
            Err(_) => Err(format!("{answer:?}")),
        }
    });
    assert_eq!(number(&partial, "/gather/report/enrolled"), setup.machines, "{partial}");
    assert!(number(&partial, "/gather/report/transit") > 0, "{partial}");
    let advice = partial.pointer("/gather/advice").unwrap();
    assert!(!advice.as_array().unwrap().is_empty(), "the data say what would help: {partial}");
}
