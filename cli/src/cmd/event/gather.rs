//! `mesh30k event gather`: who was ready in a window, over everybody enrolled.

use std::time::Duration;

use anyhow::Result;
use clap::Args;
use mesh30k_core::event::Advice;
use mesh30k_node::api::types::{GatherAnswer, PlanAnswer};
use mesh30k_node::mesh::arrival::EventKind;
use mesh30k_testnet::events::EventOrder;
use mesh30k_testnet::operations::{self, GatherOrder};
use serde::Serialize;

use super::{EventOptions, print_answers, print_report, question_word, when};
use crate::output::{json, line, percent};
use crate::session::Session;

/// What is gathered.
#[derive(Args)]
pub(crate) struct Gather {
    /// What each is asked: context_hash, class, state, or digest (of --input); nothing gathers only who is ready.
    question: Option<String>,
    /// What the question is about.
    #[arg(long, requires = "question", default_value = "")]
    input: String,
    #[command(flatten)]
    judging: Judging,
    #[command(flatten)]
    options: EventOptions,
}

/// When a gather is a success.
#[derive(Args, Clone, Copy)]
pub(crate) struct Judging {
    /// Releases within so many milliseconds of T count, either way.
    #[arg(long = "window-ms", default_value = "10", value_name = "MS", value_parser = microseconds)]
    window_us: i64,
    /// Share of those enrolled that must count, up to 1.
    #[arg(long = "min-ready", default_value = "0.95", value_name = "SHARE", value_parser = share)]
    ready_ppm: u32,
    /// How long after T it may take.
    #[arg(long, default_value_t = 2_000, value_name = "MS", value_parser = clap::value_parser!(u64).range(50..=600_000))]
    timeout_ms: u64,
}

impl Judging {
    /// The gather of an event.
    pub(super) fn order(self, event: EventOrder) -> GatherOrder {
        let event = EventOrder { summary_after: Duration::from_millis(self.timeout_ms), ..event };
        GatherOrder { event, window_us: self.window_us, ready_ppm: self.ready_ppm }
    }
}

/// What `--json` prints.
#[derive(Serialize)]
struct Output {
    plan: PlanAnswer,
    gather: GatherAnswer,
}

impl Gather {
    pub(super) fn run(self, session: &Session) -> Result<()> {
        let payload = match &self.question {
            Some(question) => [question_word(question), self.input.clone()].join("\n"),
            None => String::new(),
        };
        let wallet = session.wallet(&self.options.key)?;
        let mut order = self.judging.order(self.options.order(EventKind::Gather, payload.into_bytes()));
        order.event.when = when(wallet.client(), &self.options, &order.event)?;
        let (started, judged) = operations::gather(&wallet, &order)?;
        if session.wants_json() {
            return json(&Output { plan: started.plan, gather: judged });
        }
        line(format!("event {}: {} agents", started.id, judged.report.enrolled));
        line(verdict(&judged));
        judged.advice.iter().for_each(|advice| line(format!("  {}", sentence(advice))));
        print_report(&judged.report);
        print_answers(&judged.report, None);
        Ok(())
    }
}

/// The outcome in one line.
pub(super) fn verdict(judged: &GatherAnswer) -> String {
    format!(
        "{}: {} of {} enrolled within ±{} ms of T, {} ({} wanted)",
        judged.outcome,
        judged.in_window,
        judged.report.enrolled,
        decimal(judged.window_us),
        percent(judged.ready_ppm),
        percent(judged.wanted_ppm)
    )
}

/// Microseconds as milliseconds.
fn decimal(us: i64) -> String {
    let text = format!("{}.{:03}", us / 1_000, us.rem_euclid(1_000));
    text.trim_end_matches('0').trim_end_matches('.').to_owned()
}

/// What would help, as one would say it.
pub(super) fn sentence(advice: &Advice) -> String {
    match advice {
        Advice::Wait { ms, agents } => format!("wait {ms} ms and look again: {agents} agents are still under way"),
        Advice::LargerWindow { window_us } => {
            format!("a window of ±{} ms would do: --window-ms {0}", decimal(*window_us))
        }
        Advice::ResolveConflicts { agents } => format!("resolve the conflicts of {agents} agents first"),
        Advice::OtherAgents { agents } => format!("ask {agents} other agents: that many will not come"),
    }
}

/// A decimal number with at most `digits` after the point, in units of the last of them.
fn fixed(text: &str, digits: u32) -> Option<u64> {
    let (whole, part) = text.split_once('.').unwrap_or((text, ""));
    let are_digits = |text: &str| text.bytes().all(|byte| byte.is_ascii_digit());
    if whole.is_empty() || !are_digits(whole) || !are_digits(part) || part.len() > digits as usize {
        return None;
    }
    let padded = format!("{whole}{part:0<width$}", width = digits as usize);
    padded.parse().ok()
}

fn microseconds(text: &str) -> Result<i64, String> {
    let us = fixed(text, 3).and_then(|us| i64::try_from(us).ok()).filter(|us| (50..=60_000_000).contains(us));
    us.ok_or_else(|| "a window has 0.05 to 60000 ms, with at most three digits after the point".to_owned())
}

fn share(text: &str) -> Result<u32, String> {
    let ppm = fixed(text, 6).and_then(|ppm| u32::try_from(ppm).ok()).filter(|ppm| (1..=1_000_000).contains(ppm));
    ppm.ok_or_else(|| "a share is more than 0 and at most 1, with at most six digits after the point".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shares_and_windows_are_exact_and_bounded() {
        assert_eq!((share("0.95"), share("1"), share("0.000001")), (Ok(950_000), Ok(1_000_000), Ok(1)));
        for wrong in ["0", "1.000001", "-0.5", "95%", ".5", "0.1234567", ""] {
            assert!(share(wrong).is_err(), "{wrong}");
        }
        assert_eq!((microseconds("10"), microseconds("0.05")), (Ok(10_000), Ok(50)));
        for wrong in ["0", "0.049", "60000.001", "1e3"] {
            assert!(microseconds(wrong).is_err(), "{wrong}");
        }
        assert_eq!((decimal(10_000), decimal(1_500), decimal(50)), ("10".into(), "1.5".into(), "0.05".into()));
    }

    #[test]
    fn advice_is_a_sentence_with_the_command_that_follows_it() {
        let said = sentence(&Advice::LargerWindow { window_us: 40_000 });
        assert!(said.contains("--window-ms 40"), "{said}");
    }
}
