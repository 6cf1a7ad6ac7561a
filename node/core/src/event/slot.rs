//! One agent's part in one event: RECEIVED, ARMED, RELEASED or CONFLICT, by the agent's own clock.

use super::spec::Strategy;
use crate::time::LocalTimeUs;

/// Where an agent stands in an event.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AgentState {
    /// Working.
    Received,
    /// Done, the result kept back.
    Armed,
    /// The result was given.
    Released,
    /// It contradicted.
    Conflict,
    /// Stopped before it released.
    Cancelled,
}

/// A release, to be made now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Release {
    /// Armed only after T.
    pub late: bool,
}

/// The slot. It releases at most once, under hold never before T by the agent's clock.
#[derive(Clone, Debug)]
pub struct AgentSlot {
    strategy: Strategy,
    effects: bool,
    /// False while a standby of an event with effects waits for its grant.
    may_release: bool,
    target: LocalTimeUs,
    received: LocalTimeUs,
    armed: Option<LocalTimeUs>,
    state: AgentState,
}

impl AgentSlot {
    /// A prepare that came at `now`.
    #[must_use]
    pub fn receive(strategy: Strategy, effects: bool, target: LocalTimeUs, now: LocalTimeUs) -> Self {
        Self { strategy, effects, may_release: true, target, received: now, armed: None, state: AgentState::Received }
    }

    /// A prepare for somebody else's slot that came at `now`. It is held, whatever the event's strategy; for an event
    /// with effects it needs a [grant](Self::grant) (05-decisions, 22).
    #[must_use]
    pub fn stand_by(effects: bool, target: LocalTimeUs, now: LocalTimeUs) -> Self {
        Self { may_release: !effects, ..Self::receive(Strategy::Hold, effects, target, now) }
    }

    /// The right to release. After T it comes too late: effects never happen late (ADR 0007).
    pub fn grant(&mut self, now: LocalTimeUs) {
        self.may_release |= now <= self.target && self.is_open();
    }

    /// The work is done. Under throw it releases at once; under hold at T. After T it releases at once and late, unless
    /// the event has effects: then it keeps back (05-decisions, 22).
    pub fn on_work_done(&mut self, now: LocalTimeUs) -> Option<Release> {
        if self.state != AgentState::Received {
            return None;
        }
        self.state = AgentState::Armed;
        self.armed = Some(now);
        match self.strategy {
            Strategy::Throw if self.effects && now > self.target => None,
            Strategy::Throw => self.release(now > self.target),
            Strategy::Hold => self.poll(now),
        }
    }

    /// Releases an armed hold whose T has come.
    pub fn poll(&mut self, now: LocalTimeUs) -> Option<Release> {
        let armed = self.armed?;
        if self.state != AgentState::Armed || self.strategy != Strategy::Hold || now < self.target {
            return None;
        }
        let late = armed > self.target;
        if late && self.effects || !self.may_release { None } else { self.release(late) }
    }

    /// Stops the slot; false when it is too late for that: T has come, or it already ended.
    pub fn cancel(&mut self, now: LocalTimeUs) -> bool {
        if self.is_open() && now < self.target {
            self.state = AgentState::Cancelled;
            return true;
        }
        false
    }

    /// Leaves the slot to another agent; true when it has not released and never will. False once it released, or holds a
    /// result that T has freed.
    pub fn give_up(&mut self, now: LocalTimeUs) -> bool {
        let unarmed = self.armed.is_none_or(|armed| armed > self.target);
        if self.is_open() && (now < self.target || unarmed || !self.may_release) {
            self.state = AgentState::Cancelled;
        }
        matches!(self.state, AgentState::Cancelled | AgentState::Conflict)
    }

    /// The agent contradicts; false when it already ended.
    pub fn conflict(&mut self) -> bool {
        let open = self.is_open();
        if open {
            self.state = AgentState::Conflict;
        }
        open
    }

    /// When to poll next, by the agent's clock.
    #[must_use]
    pub fn next_wakeup(&self) -> Option<LocalTimeUs> {
        let waits = self.state == AgentState::Armed
            && self.strategy == Strategy::Hold
            && self.may_release
            && !(self.effects && self.armed.is_some_and(|armed| armed > self.target));
        waits.then_some(self.target)
    }

    /// Where it stands.
    #[must_use]
    pub fn state(&self) -> AgentState {
        self.state
    }

    /// When the prepare came.
    #[must_use]
    pub fn received(&self) -> LocalTimeUs {
        self.received
    }

    /// When the work was done.
    #[must_use]
    pub fn armed(&self) -> Option<LocalTimeUs> {
        self.armed
    }

    fn is_open(&self) -> bool {
        matches!(self.state, AgentState::Received | AgentState::Armed)
    }

    fn release(&mut self, late: bool) -> Option<Release> {
        self.state = AgentState::Released;
        Some(Release { late })
    }
}
