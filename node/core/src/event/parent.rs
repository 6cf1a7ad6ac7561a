//! A parent of subtrees: the coordinator of a sector over its cluster leads, the orchestrator over the sectors.

use std::collections::{BTreeMap, VecDeque};

use mesh30k_ledger::types::Scope;

use super::fold::{FoldedAck, Tally};
use super::id::EventId;
use super::message::{DownMessage, Prepare, UpMessage};
use super::params::ArrivalParams;
use super::plan::{Plan, PlanError, PlanRequest, plan};
use super::spec::Reach;
use super::stage::StageReport;
use super::stage_delays::StageDelays;
use crate::time::MeshTimeUs;

/// Events under way at one parent; one more is answered at once with everybody in TRANSIT.
pub const MAX_WAVES: usize = 64;
/// Children of one parent.
pub const MAX_CHILDREN: usize = 128;
/// Names of ended events kept to know a repetition.
const MAX_ENDED: usize = 256;
/// How often a stage report goes up while children report, and when none does: the rhythm is theirs.
const STAGE_PERIOD_US: i64 = 1_000_000;
const STAGE_AGAIN_US: i64 = 15_000_000;
/// A child's report older than this promises nothing any more; an idle one reports each fifteen seconds, and one may be lost.
const STAGE_STALE_US: i64 = 35_000_000;
/// Stage delay assumed before anything was measured, and the millisecond of 2.5.
const FIRST_STAGE_US: f64 = 10_000.0;
const STAGE_EXTRA_US: f64 = 1_000.0;
/// Samples above this are not delays but outages.
const MAX_STAGE_US: f64 = 5_000_000.0;
/// Allowance for folding itself.
const FOLD_MARGIN_US: i64 = 5_000;
/// Of the time between T and its own summary a parent keeps at most three tenths for the way of its children's. A mesh that is slow
/// to prepare would keep all of it, and leads would say at T that everybody is in transit.
const WAY_BACK_TENTHS: i64 = 3;

/// What the parent wants done.
#[derive(Clone, Debug, PartialEq)]
#[expect(clippy::large_enum_variant, reason = "one per child and event, moved once")]
pub enum ParentAction {
    /// Send to the node that answers for the child now.
    ToChild {
        /// Cluster or sector.
        child: Scope,
        /// What.
        message: DownMessage,
    },
    /// Send up; at the orchestrator this is the result.
    ToParent(UpMessage),
}

/// A child and how many of its agents an event means, by class, as known at dispatch: the denominators.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Enrolment {
    /// Cluster or sector.
    pub child: Scope,
    /// Agents by class, in the order of [`super::class_index`].
    pub agents: [u32; 6],
}

/// What was dropped, by reason.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ParentCounters {
    /// Prepares of known events.
    pub repeated: u64,
    /// Prepares after their event expired, or beyond [`MAX_WAVES`].
    pub refused: u64,
    /// Folds of unknown events or from nobody enrolled.
    pub foreign: u64,
    /// Folds whose counts cannot be true.
    pub inconsistent: u64,
}

impl ParentCounters {
    /// Every counter with its name.
    #[must_use]
    pub const fn rows(&self) -> [(&'static str, u64); 4] {
        [
            ("parent_repeated", self.repeated),
            ("parent_refused", self.refused),
            ("parent_foreign", self.foreign),
            ("parent_inconsistent", self.inconsistent),
        ]
    }
}

#[derive(Debug, Default)]
struct Child {
    report: Option<(MeshTimeUs, StageReport)>,
    delays: StageDelays,
}

#[derive(Debug)]
struct ChildWave {
    enrolled: [u32; 6],
    fold: Option<FoldedAck>,
}

#[derive(Debug)]
struct Wave {
    fold_by: MeshTimeUs,
    ends: MeshTimeUs,
    prepare_delay_us: i64,
    children: BTreeMap<Scope, ChildWave>,
    folded: bool,
    changed: bool,
}

/// The machine. Pure: it is told the time and returns what to send.
#[derive(Debug)]
pub struct ParentMachine {
    scope: Scope,
    params: ArrivalParams,
    children: BTreeMap<Scope, Child>,
    waves: BTreeMap<EventId, Wave>,
    ended: VecDeque<EventId>,
    /// When the last stage report went up, and whether a child reported since.
    staged: Option<MeshTimeUs>,
    has_news: bool,
    counters: ParentCounters,
}

impl ParentMachine {
    /// A parent of `scope`: a sector for its coordinator, [`Scope::Global`] for the orchestrator.
    #[must_use]
    pub fn new(scope: Scope, params: ArrivalParams) -> Self {
        Self {
            scope,
            params,
            children: BTreeMap::new(),
            waves: BTreeMap::new(),
            ended: VecDeque::new(),
            staged: None,
            has_news: false,
            counters: ParentCounters::default(),
        }
    }

    /// Parameters changed by a vote.
    pub fn set_params(&mut self, params: ArrivalParams) {
        self.params = params;
    }

    /// What it was told.
    #[must_use]
    pub fn params(&self) -> ArrivalParams {
        self.params
    }

    /// Forgets children that are no longer in the tree.
    pub fn retain_children(&mut self, keep: impl Fn(Scope) -> bool) {
        self.children.retain(|child, _| keep(*child));
    }

    /// A child's stage report arrived.
    pub fn on_stage(&mut self, now: MeshTimeUs, report: StageReport) {
        if !self.children.contains_key(&report.from) && self.children.len() >= MAX_CHILDREN {
            self.counters.foreign = self.counters.foreign.saturating_add(1);
            return;
        }
        let child = self.children.entry(report.from).or_default();
        let delay_us = now.since_us(report.sent_at) as f64;
        if (-MAX_STAGE_US..MAX_STAGE_US).contains(&delay_us) {
            child.delays.push(now, delay_us.max(0.0));
        }
        child.report = Some((now, report));
        self.has_news = true;
    }

    /// An event to be sent down at once to the children that hold somebody it means; they stage and hold.
    pub fn on_prepare(&mut self, now: MeshTimeUs, prepare: &Prepare, enrolments: &[Enrolment]) -> Vec<ParentAction> {
        let event = &prepare.event.event;
        if self.waves.contains_key(&event.id) || self.ended.contains(&event.id) {
            self.counters.repeated = self.counters.repeated.saturating_add(1);
            return Vec::new();
        }
        let prepare_delay_us = now.since_us(prepare.sent_at);
        if event.reach == Reach::Sectors && matches!(self.scope, Scope::Sector(_)) {
            self.end(event.id);
            let tally = self.confirm(now, enrolments);
            let fold = FoldedAck::confirming(event.id, self.scope, now, prepare_delay_us, tally);
            return vec![ParentAction::ToParent(UpMessage::Fold(Box::new(fold)))];
        }
        let mut wave = Wave {
            fold_by: prepare.fold_by,
            ends: wave_end(self.scope, event.target, event.expires()).max(prepare.fold_by),
            prepare_delay_us,
            children: BTreeMap::new(),
            folded: false,
            changed: false,
        };
        for enrolment in enrolments.iter().filter(|e| e.agents.iter().any(|n| *n > 0)).take(MAX_CHILDREN) {
            wave.children.insert(enrolment.child, ChildWave { enrolled: enrolment.agents, fold: None });
        }
        let refused = self.waves.len() >= MAX_WAVES || now > event.expires();
        if refused || wave.children.is_empty() {
            self.counters.refused = self.counters.refused.saturating_add(u64::from(refused));
            self.end(event.id);
            return vec![ParentAction::ToParent(UpMessage::Fold(Box::new(self.fold(now, event.id, &wave, false))))];
        }
        let actions = wave
            .children
            .keys()
            .map(|child| {
                let back_us = self.stage_us(*child).saturating_add(FOLD_MARGIN_US);
                let most_us = prepare.fold_by.since_us(event.target).max(0).saturating_mul(WAY_BACK_TENTHS) / 10;
                let fold_by = prepare.fold_by.minus_us(back_us.min(most_us));
                let message = DownMessage::Prepare(Prepare { event: prepare.event.clone(), fold_by, sent_at: now });
                ParentAction::ToChild { child: *child, message }
            })
            .collect();
        self.waves.insert(event.id, wave);
        actions
    }

    /// The event is called off; children that are before T stop it.
    pub fn on_cancel(&mut self, event: EventId) -> Vec<ParentAction> {
        let Some(wave) = self.waves.get(&event) else { return Vec::new() };
        let message = DownMessage::Cancel(event);
        wave.children.keys().map(|child| ParentAction::ToChild { child: *child, message: message.clone() }).collect()
    }

    /// A child's summary arrived, the first or its correction.
    pub fn on_fold(&mut self, now: MeshTimeUs, fold: FoldedAck) -> Vec<ParentAction> {
        let id = fold.event;
        let known =
            self.waves.get_mut(&id).and_then(|wave| wave.children.get_mut(&fold.from).map(|c| (&mut wave.changed, c)));
        let Some((changed, child)) = known else {
            self.counters.foreign = self.counters.foreign.saturating_add(1);
            return Vec::new();
        };
        if !fold.tally.is_consistent() {
            self.counters.inconsistent = self.counters.inconsistent.saturating_add(1);
            return Vec::new();
        }
        let outdated = child.fold.as_ref().is_some_and(|known| known.correction || !fold.correction);
        if outdated {
            self.counters.repeated = self.counters.repeated.saturating_add(1);
            return Vec::new();
        }
        if let Some(link) = self.children.get_mut(&fold.from) {
            let delay_us = fold.prepare_delay_us as f64;
            if (0.0..MAX_STAGE_US).contains(&delay_us) {
                link.delays.push(now, delay_us);
            }
        }
        child.fold = Some(fold);
        *changed = true;
        self.settle(now, id).into_iter().collect()
    }

    /// Deadlines, corrections and the periodic stage report.
    pub fn poll(&mut self, now: MeshTimeUs) -> Vec<ParentAction> {
        let ids: Vec<EventId> = self.waves.keys().copied().collect();
        let mut actions: Vec<ParentAction> = ids.into_iter().filter_map(|id| self.settle(now, id)).collect();
        if self.next_stage().is_some_and(|due| now >= due) {
            self.staged = Some(now);
            self.has_news = false;
            actions.push(ParentAction::ToParent(UpMessage::Stage(Box::new(self.stage_report(now)))));
        }
        actions
    }

    /// When to poll next.
    #[must_use]
    pub fn next_wakeup(&self) -> Option<MeshTimeUs> {
        let waves = self.waves.values().map(|w| if w.folded { w.ends } else { w.fold_by });
        waves.chain(self.next_stage()).min()
    }

    fn next_stage(&self) -> Option<MeshTimeUs> {
        let period_us = if self.has_news { STAGE_PERIOD_US } else { STAGE_AGAIN_US };
        let due = self.staged.map_or(MeshTimeUs(i64::MIN), |last| last.plus_us(period_us));
        (self.scope != Scope::Global).then_some(due)
    }

    /// The report of the whole subtree, from the children's (2.5).
    #[must_use]
    pub fn stage_report(&self, now: MeshTimeUs) -> StageReport {
        let mut sum = StageReport::empty(self.scope, now);
        for (id, child) in &self.children {
            let Some((received, report)) = &child.report else { continue };
            if now.since_us(*received) <= STAGE_STALE_US {
                sum.merge_shifted(report, self.stage_us(*id));
            } else {
                for (own, theirs) in sum.classes.iter_mut().zip(&report.classes) {
                    own.agents = own.agents.saturating_add(theirs.agents);
                }
                sum.down = sum.down.saturating_add(report.agents(super::ClassSet::ALL));
            }
        }
        sum
    }

    /// Plans an event over this subtree.
    ///
    /// # Errors
    /// See [`plan`].
    pub fn plan(&self, now: MeshTimeUs, request: &PlanRequest) -> Result<Plan, PlanError> {
        plan(now, &self.stage_report(now), request)
    }

    /// What was dropped.
    #[must_use]
    pub fn counters(&self) -> ParentCounters {
        self.counters
    }

    /// Events under way.
    #[must_use]
    pub fn active(&self) -> usize {
        self.waves.len()
    }

    /// Time to plan for one stage: Q.999 of its delay and a millisecond.
    fn stage_us(&self, child: Scope) -> i64 {
        let measured = self.children.get(&child).and_then(|child| child.delays.long_us()).unwrap_or(FIRST_STAGE_US);
        crate::time::round_us(measured + STAGE_EXTRA_US)
    }

    /// Answers for the agents of the children that were heard of lately.
    fn confirm(&self, now: MeshTimeUs, enrolments: &[Enrolment]) -> Tally {
        let mut tally = Tally::default();
        for enrolment in enrolments {
            let report = self.children.get(&enrolment.child).and_then(|child| child.report.as_ref());
            let is_heard = report.is_some_and(|(at, _)| now.since_us(*at) <= STAGE_STALE_US);
            let confirmed = if is_heard { enrolment.agents } else { [0; 6] };
            tally.merge(&Tally::confirmed(&enrolment.agents, &confirmed));
        }
        tally
    }

    /// Sends the first summary when complete or due, then one correction when there is news and nothing more can come.
    fn settle(&mut self, now: MeshTimeUs, id: EventId) -> Option<ParentAction> {
        let wave = self.waves.get_mut(&id)?;
        let all_in = wave.children.values().all(|c| c.fold.is_some());
        let final_word = wave.children.values().all(|c| c.fold.as_ref().is_some_and(is_final));
        let first = !wave.folded && (all_in || now >= wave.fold_by);
        let ends = final_word || now >= wave.ends;
        let correct = wave.folded && ends && wave.changed;
        if !(first || correct || wave.folded && ends) {
            return None;
        }
        let correction = wave.folded;
        if first || correct {
            wave.folded = true;
            wave.changed = false;
        }
        let wave = self.waves.get(&id)?;
        let fold = (first || correct).then(|| self.fold(now, id, wave, correction));
        if ends {
            self.waves.remove(&id);
            self.end(id);
        }
        fold.map(|fold| ParentAction::ToParent(UpMessage::Fold(Box::new(fold))))
    }

    fn fold(&self, now: MeshTimeUs, event: EventId, wave: &Wave, correction: bool) -> FoldedAck {
        let mut tally = Tally::default();
        for child in wave.children.values() {
            match &child.fold {
                Some(fold) => {
                    let mut counted = fold.tally.clone();
                    counted.raise_enrolled(&child.enrolled);
                    tally.merge(&counted);
                }
                None => tally.merge(&Tally::all_transit(&child.enrolled)),
            }
        }
        FoldedAck { event, from: self.scope, correction, sent_at: now, prepare_delay_us: wave.prepare_delay_us, tally }
    }

    fn end(&mut self, id: EventId) {
        if self.ended.len() >= MAX_ENDED {
            self.ended.pop_front();
        }
        self.ended.push_back(id);
    }
}

/// Nothing can follow: it is the correction already, or nobody is missing.
fn is_final(fold: &FoldedAck) -> bool {
    fold.correction || fold.tally.sum(|c| c.transit) == 0
}

/// When a stage gives up waiting for late news; each lower one earlier, so that its correction still counts above.
pub(super) fn wave_end(scope: Scope, target: MeshTimeUs, expires: MeshTimeUs) -> MeshTimeUs {
    let fifths = match scope {
        Scope::Global => 5,
        Scope::Sector(_) => 4,
        Scope::Cluster(_) | Scope::Agent(_) => 3,
    };
    let span_us = expires.since_us(target).max(0);
    target.plus_us(span_us.saturating_mul(fifths).checked_div(5).unwrap_or(0))
}
