//! The run as one object, for programs: counts, not rates.

use serde::Serialize;

use crate::demo::cascades::Cascade;
use crate::demo::closing::Closing;
use crate::demo::freeze::FreezeDrill;
use crate::demo::task::TaskRun;
use crate::demo::vote::VoteRun;

/// What `--json` prints as its last line. A step that failed before it had a result is null.
#[derive(Debug, Default, Serialize)]
pub struct Report {
    /// From the start of the first process until the mesh had formed, milliseconds.
    pub ready_ms: u64,
    /// Node processes.
    pub nodes: u32,
    /// Agents of all nodes.
    pub agents: u32,
    /// Sectors of the tree.
    pub sectors: usize,
    /// Validators.
    pub validators: u32,
    /// How the delays of the agents come about, in words.
    pub replay: String,
    /// In the order they ran.
    pub cascades: Vec<Cascade>,
    /// The task.
    pub task: Option<TaskRun>,
    /// The vote.
    pub vote: Option<VoteRun>,
    /// The freeze drill.
    pub freeze: Option<FreezeDrill>,
    /// Last final block that any node knew.
    pub final_height: Option<u64>,
    /// Peak resident memory of the largest node, KiB.
    pub peak_rss_kib_max: Option<u64>,
    /// What did not hold, as `step: reason`; empty when everything did.
    pub failures: Vec<String>,
}

impl Report {
    /// Adds what the closing step saw.
    pub fn close(&mut self, closing: &Closing) {
        self.final_height = Some(closing.final_height);
        self.peak_rss_kib_max = closing.peak_rss_kib_max;
    }

    /// Notes what did not hold in a step.
    pub fn fail(&mut self, step: &str, reasons: &[String]) {
        self.failures.extend(reasons.iter().map(|reason| format!("{step}: {reason}")));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::demo::cascades::Score;
    use mesh30k_core::event::Strategy;
    use serde_json::Value;

    #[test]
    fn the_object_has_every_promised_field() {
        let report = Report {
            cascades: vec![Cascade::new(Strategy::Hold, Score::default(), 0, 0, 0)],
            task: Some(TaskRun::default()),
            vote: Some(VoteRun::default()),
            freeze: Some(FreezeDrill::default()),
            ..Report::default()
        };
        let object = serde_json::to_value(&report).unwrap();
        let promised = [
            "/ready_ms",
            "/nodes",
            "/agents",
            "/sectors",
            "/validators",
            "/cascades/0/strategy",
            "/cascades/0/enrolled",
            "/cascades/0/within_5ms",
            "/cascades/0/within_10ms",
            "/cascades/0/within_50ms",
            "/cascades/0/median_abs_us",
            "/cascades/0/conflicts",
            "/cascades/0/transit",
            "/task/price_uftns",
            "/task/carbon_ug",
            "/task/receipts_verified",
            "/vote/executed",
            "/freeze/paused_ms",
            "/final_height",
            "/peak_rss_kib_max",
        ];
        for pointer in promised {
            assert!(object.pointer(pointer).is_some(), "{pointer} is missing in {object}");
        }
        assert_eq!(object.pointer("/cascades/0/strategy"), Some(&Value::from("hold")));
    }

    #[test]
    fn a_failure_names_its_step() {
        let mut report = Report::default();
        report.fail("vote", &["not executed".to_owned()]);
        assert_eq!(report.failures, ["vote: not executed"]);
    }
}
