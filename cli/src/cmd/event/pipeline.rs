//! `mesh30k event pipeline`: what one event gathers is what the next is given.

use std::str::FromStr;

use anyhow::Result;
use clap::Args;
use mesh30k_core::event::MAX_STAGES;
use mesh30k_ledger::types::{AgentClass, SectorId};
use mesh30k_testnet::operations::{self, GatherOrder, StageOrder, StageRow};

use super::gather::{Judging, sentence, verdict};
use super::question_word;
use crate::output::{json, line};
use crate::session::Session;

/// The stages and what all of them have in common.
#[derive(Args)]
pub(crate) struct PipelineArgs {
    /// One stage each, QUESTION or CLASSES:QUESTION: context_hash, class, state, or digest (of what the stage before
    /// gathered).
    #[arg(required = true, num_args = 1..=MAX_STAGES, value_name = "STAGE")]
    stages: Vec<Stage>,
    #[command(flatten)]
    judging: Judging,
    /// Go on after a stage that was only partial.
    #[arg(long)]
    go_on: bool,
    /// Only this sector.
    #[arg(long)]
    sector: Option<SectorId>,
    /// The operator key that signs.
    #[arg(long, default_value = "operator")]
    key: String,
}

/// One stage as it is written.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Stage {
    classes: Vec<AgentClass>,
    question: String,
}

impl FromStr for Stage {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let (classes, question) = text.split_once(':').unwrap_or(("", text));
        let classes: Result<Vec<AgentClass>, _> =
            classes.split(',').filter(|class| !class.is_empty()).map(str::parse).collect();
        let classes = classes.map_err(|error| format!("`{text}`: {error}"))?;
        if question.is_empty() {
            return Err(format!("`{text}` asks nothing; write QUESTION or CLASSES:QUESTION"));
        }
        Ok(Self { classes, question: question_word(question) })
    }
}

impl PipelineArgs {
    pub(super) fn run(self, session: &Session) -> Result<()> {
        let stage = |stage: Stage| {
            let order = GatherOrder::new(Vec::new()).event;
            let mut gather = self.judging.order(order);
            (gather.event.sector, gather.event.classes) = (self.sector, stage.classes);
            StageOrder { question: stage.question, gather }
        };
        let orders: Vec<StageOrder> = self.stages.into_iter().map(stage).collect();
        let quiet = session.wants_json();
        let tell = |row: &StageRow| {
            if !quiet {
                show(row);
            }
        };
        let result = operations::pipeline(&session.wallet(&self.key)?, &orders, self.go_on, &tell)?;
        if quiet {
            return json(&result);
        }
        line(format!("{}: {} of {} stages", result.state, result.stages.len(), orders.len()));
        Ok(())
    }
}

fn show(row: &StageRow) {
    let off_ms = |forecast_us: i64| row.at_us.saturating_sub(forecast_us) / 1_000;
    line(format!(
        "{} (event {}): T {:+} ms from what the stage before let expect, {:+} ms from the first forecast",
        row.question,
        row.event,
        off_ms(row.forecast_us),
        off_ms(row.first_forecast_us)
    ));
    line(format!("  {}", verdict(&row.judged)));
    row.judged.advice.iter().for_each(|advice| line(format!("  {}", sentence(advice))));
    row.gathered.lines().for_each(|text| line(format!("    {text}")));
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_stage_names_its_classes_or_none() {
        let stage = |text: &str| text.parse::<Stage>();
        assert_eq!(stage("digest").unwrap(), Stage { classes: Vec::new(), question: "digest".into() });
        let both = stage("A,D:class").unwrap();
        assert_eq!((both.classes, both.question.as_str()), (vec![AgentClass::A, AgentClass::D], "class"));
        for wrong in ["", "A:", "X:class", ":"] {
            assert!(stage(wrong).is_err(), "{wrong}");
        }
    }
}
