//! What a lead says of an event: one summary when complete or due, one late correction (2.10).

use std::collections::VecDeque;

use super::super::fold::{FoldedAck, MAX_CONFLICTS, Slowest, Tally};
use super::super::id::EventId;
use super::super::message::UpMessage;
use super::super::spec::class_index;
use super::wave::Wave;
use super::{LeadAction, LeadMachine};
use crate::time::MeshTimeUs;

/// Names of ended events kept to know a repetition.
const MAX_ENDED: usize = 256;

impl LeadMachine {
    /// Sends the first summary when complete or due, then one correction when there is news and nothing more can come.
    pub(super) fn settle(&mut self, now: MeshTimeUs, id: EventId) -> Option<LeadAction> {
        let wave = self.waves.get_mut(&id)?;
        let complete = wave.agents.values().all(super::wave::Dispatch::is_over);
        let first = !wave.folded && (complete || now >= wave.fold_by);
        let ends = complete || now >= wave.ends;
        let correct = wave.folded && ends && wave.changed;
        let correction = wave.folded;
        if first || correct {
            wave.folded = true;
            wave.changed = false;
        }
        if !ends && !first {
            return None;
        }
        let wave = self.waves.get(&id)?;
        let fold = (first || correct).then(|| self.fold(now, id, wave, correction));
        if ends && let Some(wave) = self.waves.remove(&id) {
            self.learn_from_silence(&wave);
            self.tails.iter_mut().for_each(crate::delay::ClassTail::decay);
            self.end(id);
        }
        fold.map(|fold| LeadAction::ToParent(UpMessage::Fold(Box::new(fold))))
    }

    /// The counts as they stand; errors by the clock estimates of now, which know the exchanges after T as well.
    pub(super) fn fold(&self, now: MeshTimeUs, event: EventId, wave: &Wave, correction: bool) -> FoldedAck {
        let mut tally = Tally::default();
        for (agent, dispatch) in &wave.agents {
            let Some(counts) = tally.classes.get_mut(class_index(dispatch.class)) else { continue };
            let clock = self.members.get(agent).and_then(|m| m.clock.estimate(now));
            let error_of = |at: Option<_>| Some(clock?.to_mesh(at?).since_us(wave.target));
            counts.enrolled = counts.enrolled.saturating_add(1);
            let armed_error = error_of(dispatch.armed);
            if armed_error.is_some_and(|e: i64| e <= 0) {
                counts.armed_by_target = counts.armed_by_target.saturating_add(1);
            }
            if let Some(conflict) = dispatch.conflict {
                counts.conflict = counts.conflict.saturating_add(1);
                if tally.conflicts.len() < MAX_CONFLICTS {
                    tally.conflicts.push(conflict);
                }
            } else if dispatch.released.is_some() {
                counts.released = counts.released.saturating_add(1);
                if armed_error.is_some_and(|e| e > 0) {
                    counts.late = counts.late.saturating_add(1);
                }
                if let (Some(error_us), Some(clock)) = (error_of(dispatch.released), clock) {
                    tally.errors.record(error_us);
                    tally.note_slowest(Slowest { agent: *agent, error_us });
                    self.grade(&mut tally, error_us as f64, clock.bound_us);
                }
            } else {
                counts.transit = counts.transit.saturating_add(1);
            }
        }
        FoldedAck {
            event,
            from: self.scope(),
            correction,
            sent_at: now,
            prepare_delay_us: wave.prepare_delay_us,
            tally,
        }
    }

    /// Proved, estimated, possible (2.10 rule 4).
    fn grade(&self, tally: &mut Tally, error_us: f64, bound_us: f64) {
        let omega = self.params.omega_us as f64;
        let grades = [
            (&mut tally.proved, error_us.abs() + bound_us),
            (&mut tally.estimated, error_us.abs()),
            (&mut tally.possible, error_us.abs() - bound_us),
        ];
        for (count, figure) in grades {
            if figure <= omega {
                *count = count.saturating_add(1);
            }
        }
    }

    /// Whoever was sent a prepare and never said a word missed (2.3, censored samples). A wave that was called off
    /// teaches nothing.
    fn learn_from_silence(&mut self, wave: &Wave) {
        if wave.cancelled {
            return;
        }
        let p = self.params.arm_probability;
        for (agent, _) in wave.agents.iter().filter(|(_, d)| d.went_unanswered()) {
            if let Some(member) = self.members.get_mut(agent) {
                member.delay.learn_silence(p);
            }
        }
    }

    pub(super) fn end(&mut self, id: EventId) {
        remember(&mut self.ended, id);
    }
}

fn remember(ended: &mut VecDeque<EventId>, id: EventId) {
    if ended.len() >= MAX_ENDED {
        ended.pop_front();
    }
    ended.push_back(id);
}
