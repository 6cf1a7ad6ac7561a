//! Events one after the other: what one gathers is what the next is given, and each T is foreseen from the one before.

use std::fmt::Write as _;

use thiserror::Error;

use crate::time::MeshTimeUs;

/// Stages of one pipeline.
pub const MAX_STAGES: usize = 16;
/// From a stage's T to its result, before any stage has shown how long that takes: answers are spread over 300 ms after T,
/// and two stages fold them.
pub const FIRST_GATHER_US: i64 = 600_000;
/// A result that took longer says nothing of the next one.
const MAX_GATHER_US: i64 = 60_000_000;

/// Why there is no pipeline.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum PipelineError {
    /// Too few or too many stages.
    #[error("a pipeline has 1 to {MAX_STAGES} stages, not {0}")]
    Stages(usize),
}

/// What follows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PipelineNext {
    /// Start this stage, counted from 0.
    Start(usize),
    /// A stage fell short and its result is not worth handing on.
    Stopped,
    /// All stages are over.
    Done,
}

#[derive(Clone, Copy, Debug)]
struct Stage {
    /// Lead it needs, as planned.
    needs_us: i64,
    target: Option<MeshTimeUs>,
}

/// A pipeline under way. Pure: the caller starts the events and says what came of them.
#[derive(Clone, Debug)]
pub struct Pipeline {
    stages: Vec<Stage>,
    done: usize,
    stopped: bool,
    begun: MeshTimeUs,
    /// From T to the result, of the stage before.
    gather_us: i64,
}

impl Pipeline {
    /// A pipeline that begins at `now`; each stage with the lead its agents need.
    ///
    /// # Errors
    /// [`PipelineError`].
    pub fn new(now: MeshTimeUs, needs_us: &[i64]) -> Result<Self, PipelineError> {
        if needs_us.is_empty() || needs_us.len() > MAX_STAGES {
            return Err(PipelineError::Stages(needs_us.len()));
        }
        let stages = needs_us.iter().map(|needs| Stage { needs_us: (*needs).max(0), target: None }).collect();
        Ok(Self { stages, done: 0, stopped: false, begun: now, gather_us: FIRST_GATHER_US })
    }

    /// T of every stage: as it was where the stage was started, else foreseen from the stage before: its T, the time its
    /// result takes, and the lead of the next.
    #[must_use]
    pub fn forecast(&self) -> Vec<MeshTimeUs> {
        let mut ready = self.begun;
        let mut forecast = Vec::with_capacity(self.stages.len());
        for stage in &self.stages {
            let target = stage.target.unwrap_or_else(|| ready.plus_us(stage.needs_us));
            ready = target.plus_us(self.gather_us);
            forecast.push(target);
        }
        forecast
    }

    /// What to do now.
    #[must_use]
    pub fn next(&self) -> PipelineNext {
        match self.stages.get(self.done) {
            _ if self.stopped => PipelineNext::Stopped,
            Some(_) => PipelineNext::Start(self.done),
            None => PipelineNext::Done,
        }
    }

    /// The stage that was to be started has this T.
    pub fn on_started(&mut self, target: MeshTimeUs) {
        if let Some(stage) = self.stages.get_mut(self.done) {
            stage.target = Some(target);
        }
    }

    /// The result of the stage under way is there; `suffices` says whether it may be handed on.
    pub fn on_gathered(&mut self, now: MeshTimeUs, suffices: bool) -> PipelineNext {
        let target = self.stages.get(self.done).and_then(|stage| stage.target);
        if let Some(target) = target {
            self.gather_us = now.since_us(target).clamp(0, MAX_GATHER_US);
            self.done = self.done.saturating_add(1);
            self.stopped = !suffices;
        }
        self.next()
    }
}

/// What a stage gathered, as the next is given it: a line that says over whom, then a line for each answer.
#[must_use]
pub fn gathered_text(enrolled: u64, ready: u64, answers: &[(String, u64)]) -> String {
    let mut text = format!("{ready} of {enrolled} ready\n");
    for (answer, count) in answers {
        // Writing to a string cannot fail; an answer stays on its line.
        let _ = writeln!(text, "{count}\t{}", answer.replace(['\n', '\r'], " "));
    }
    text
}
