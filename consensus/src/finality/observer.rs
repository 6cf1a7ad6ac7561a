//! A node that does not vote: certified blocks in any order in, one after the other out.

use std::collections::BTreeMap;

use mesh30k_ledger::block::{Block, Header};
use mesh30k_ledger::finality::{Certificate, Commitment, ValidatorSet};
use mesh30k_ledger::signing::ChainContext;
use mesh30k_ledger::types::{Hash, Height, NodeId, TimeMs};

use super::evidence::Evidence;
use super::halt::{HaltCause, HaltContext, HaltLatch, HaltReport};
use super::refusals::{Refusal, Refusals};
use super::retry::Retry;
use super::tip::FinalTip;
use super::vote_book::Subject;

/// Heights above the tip for which headers and certificates are kept.
pub const HEADER_WINDOW: u64 = 256;
/// Heights above the tip for which bodies are kept: at most 32 blocks of 1,000 transactions.
pub const BODY_WINDOW: u64 = 32;
/// Most blocks asked for at one time.
pub const MAX_RANGE: u64 = BODY_WINDOW;
/// A missing header is asked for only after this time, ms: gossip often arrives out of order.
pub const GAP_GRACE_MS: u64 = 50;

/// What the caller has to do. In order.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ObserverAction {
    /// Execute and commit the block, then call `on_applied` or `on_refused`.
    Apply {
        /// The block; its body belongs to its header.
        block: Box<Block>,
        /// Its certificate, checked.
        certificate: Certificate,
    },
    /// Fetch the body of one known header; give it back by `on_block`.
    FetchBody {
        /// Its height.
        height: Height,
        /// Its id.
        block: Hash,
        /// Counts from 0, for choosing peers.
        attempt: u32,
    },
    /// Fetch blocks with certificates, `from` and `to` included; give them back by `on_block`.
    FetchRange {
        /// First height.
        from: Height,
        /// Last height.
        to: Height,
        /// Counts from 0, for choosing peers.
        attempt: u32,
    },
    /// Stop serving, keep the state, write the report. Nothing follows.
    Halt {
        /// What to write.
        report: Box<HaltReport>,
    },
}

#[derive(Clone, Debug)]
struct Entry {
    header: Header,
    certificate: Certificate,
    body: Option<Box<Block>>,
}

#[derive(Clone, Copy, Debug)]
struct Wanted {
    from: Height,
    to: Height,
    /// The single header whose body is missing.
    single: Option<Hash>,
    /// Last height of the request in flight.
    asked: Option<Height>,
    retry: Retry,
}

/// Gap detection and catching up. Trusts certificates of the validator set it knows and its own
/// execution; a difference between the two halts it (D1). Of one epoch: the caller begins a new one for the next.
#[derive(Debug)]
pub struct Observer {
    context: ChainContext,
    validators: ValidatorSet,
    own: Option<NodeId>,
    tip: FinalTip,
    entries: BTreeMap<Height, Entry>,
    /// Highest height seen in a valid certificate.
    target: Height,
    applying: bool,
    wanted: Option<Wanted>,
    refusals: Refusals,
    halt: HaltLatch,
}

impl Observer {
    /// An observer on a final block it has applied. `own` only names the reporter of a halt.
    pub fn new(context: ChainContext, validators: ValidatorSet, tip: FinalTip, own: Option<NodeId>) -> Self {
        Self {
            context,
            validators,
            own,
            tip,
            entries: BTreeMap::new(),
            target: tip.height,
            applying: false,
            wanted: None,
            refusals: Refusals::default(),
            halt: HaltLatch::default(),
        }
    }

    /// Resumes a halt that was written before a restart.
    pub fn resume_halt(&mut self, report: HaltReport) {
        self.halt.latch(report);
    }

    /// A header with its certificate was announced by `from`.
    pub fn on_announcement(
        &mut self,
        now: TimeMs,
        from: NodeId,
        header: Header,
        certificate: Certificate,
    ) -> Vec<ObserverAction> {
        if self.halt.is_halted() {
            return Vec::new();
        }
        if let Some(halt) = self.take(now, from, header, certificate) {
            return vec![halt];
        }
        self.advance(now)
    }

    /// A whole block with its certificate arrived from `from`: announced, or as the answer to a
    /// request.
    pub fn on_block(
        &mut self,
        now: TimeMs,
        from: NodeId,
        block: Block,
        certificate: Certificate,
    ) -> Vec<ObserverAction> {
        if self.halt.is_halted() {
            return Vec::new();
        }
        let known = self.entries.get(&block.header.height).is_some_and(|entry| entry.header == block.header);
        if !known && let Some(halt) = self.take(now, from, block.header, certificate) {
            return vec![halt];
        }
        if let Err(refusal) = self.add_body(block) {
            self.refusals.count(from, refusal);
        }
        self.advance(now)
    }

    /// The block of `Apply` was executed and committed, with this result.
    pub fn on_applied(&mut self, now: TimeMs, height: Height, own: Commitment) -> Vec<ObserverAction> {
        self.on_outcome(now, height, Some(own))
    }

    /// Execution refused the block of `Apply`, although it is certified.
    pub fn on_refused(&mut self, now: TimeMs, height: Height) -> Vec<ObserverAction> {
        self.on_outcome(now, height, None)
    }

    /// Time went on: repeats requests.
    pub fn tick(&mut self, now: TimeMs) -> Vec<ObserverAction> {
        if self.halt.is_halted() { Vec::new() } else { self.advance(now) }
    }

    /// When `tick` has something to do by itself.
    pub fn next_wakeup(&self) -> Option<TimeMs> {
        self.wanted.filter(|_| !self.halt.is_halted()).map(|wanted| wanted.retry.next())
    }

    /// Last applied block.
    pub fn tip(&self) -> &FinalTip {
        &self.tip
    }

    /// Highest certified height seen: how far behind this node is.
    pub fn target(&self) -> Height {
        self.target
    }

    /// The report, once halted.
    pub fn halted(&self) -> Option<&HaltReport> {
        self.halt.report()
    }

    /// What was refused, by peer and reason.
    pub fn refusals(&self) -> &Refusals {
        &self.refusals
    }

    /// Headers held above the tip.
    pub fn held(&self) -> usize {
        self.entries.len()
    }

    fn take(&mut self, now: TimeMs, from: NodeId, header: Header, certificate: Certificate) -> Option<ObserverAction> {
        match self.admit(header, certificate) {
            Ok(None) => None,
            Ok(Some((height, evidence))) => {
                // Without the first certificate at hand it is one against our own execution.
                let cause = match evidence {
                    Evidence::ConflictingFinals { .. } => HaltCause::ConflictingFinals,
                    _ => HaltCause::ExecutionDiverged,
                };
                self.halt(now, cause, height, evidence)
            }
            Err(refusal) => {
                self.refusals.count(from, refusal);
                None
            }
        }
    }

    /// `Some` is proof that two blocks were certified at that height.
    fn admit(&mut self, header: Header, certificate: Certificate) -> Result<Option<(Height, Evidence)>, Refusal> {
        let (height, subject) = (header.height, Subject::of_certificate(&certificate));
        if height < self.tip.height {
            return Err(Refusal::Stale);
        }
        let id = header.id();
        if subject.height != height || subject.block != id {
            return Err(Refusal::OtherBlock);
        }
        let known = self.entries.get(&height).map(|entry| Subject::of_certificate(&entry.certificate));
        let known = known.map(|known| (known.block, known.commitment));
        let known = known.or_else(|| (height == self.tip.height).then_some((self.tip.block, self.tip.commitment)));
        if known == Some((id, subject.commitment)) {
            return Err(Refusal::Duplicate);
        }
        certificate.verify(&self.validators, &self.context).map_err(|_| Refusal::BadCertificate)?;
        if known.is_some() {
            let first = self.entries.get(&height).map(|entry| entry.certificate.clone());
            let evidence = match first {
                Some(first) => Evidence::ConflictingFinals { first, second: certificate },
                // The tip's own certificate is with the caller; its result is enough to refute this one.
                None => Evidence::RefutedCertificate { certificate, header, own: None },
            };
            return Ok(Some((height, evidence)));
        }
        self.target = self.target.max(height);
        if height.0 > self.tip.height.0.saturating_add(HEADER_WINDOW) {
            return Err(Refusal::TooFarAhead);
        }
        self.entries.insert(height, Entry { header, certificate, body: None });
        Ok(None)
    }

    fn add_body(&mut self, block: Block) -> Result<(), Refusal> {
        let height = block.header.height;
        if height.0 > self.tip.height.0.saturating_add(BODY_WINDOW) {
            return Err(Refusal::TooFarAhead);
        }
        // Unknown here: its announcement was refused and counted just before.
        let entry = self.entries.get_mut(&height).filter(|entry| entry.header == block.header);
        let Some(entry) = entry else { return Ok(()) };
        if Block::transactions_root(&block.transactions) != entry.header.tx_root {
            return Err(Refusal::BadBody);
        }
        if entry.body.is_some() {
            return Err(Refusal::Duplicate);
        }
        entry.body = Some(Box::new(block));
        Ok(())
    }

    fn on_outcome(&mut self, now: TimeMs, height: Height, own: Option<Commitment>) -> Vec<ObserverAction> {
        if self.halt.is_halted() || !self.applying || height != self.tip.height.next() {
            return Vec::new();
        }
        let Some(entry) = self.entries.remove(&height) else { return Vec::new() };
        self.applying = false;
        let certified = Subject::of_certificate(&entry.certificate).commitment;
        if own.as_ref().map(Commitment::hash) != Some(certified) {
            let Entry { header, certificate, .. } = entry;
            let evidence = Evidence::RefutedCertificate { certificate, header, own };
            return self.halt(now, HaltCause::ExecutionDiverged, height, evidence).into_iter().collect();
        }
        self.tip = FinalTip::of(&entry.header, &entry.certificate);
        self.advance(now)
    }

    fn advance(&mut self, now: TimeMs) -> Vec<ObserverAction> {
        let mut actions = Vec::new();
        if !self.applying
            && let Some(Entry { header, certificate, body: Some(body) }) = self.entries.get(&self.tip.height.next())
        {
            if header.parent != self.tip.block {
                let evidence =
                    Evidence::RefutedCertificate { certificate: certificate.clone(), header: *header, own: None };
                let height = header.height;
                return self.halt(now, HaltCause::ExecutionDiverged, height, evidence).into_iter().collect();
            }
            actions.push(ObserverAction::Apply { block: body.clone(), certificate: certificate.clone() });
            self.applying = true;
        }
        self.wanted = self.find_wanted(now);
        let Some(wanted) = self.wanted.as_mut() else { return actions };
        let (from, to, single) = (wanted.from, wanted.to, wanted.single);
        if let Some(attempt) = wanted.retry.due(now) {
            wanted.asked = Some(to);
            actions.push(match single {
                Some(block) => ObserverAction::FetchBody { height: from, block, attempt },
                None => ObserverAction::FetchRange { from, to, attempt },
            });
        }
        actions
    }

    /// The lowest run of heights without a body, within the window of bodies.
    fn find_wanted(&self, now: TimeMs) -> Option<Wanted> {
        let limit = self.target.0.min(self.tip.height.0.saturating_add(BODY_WINDOW));
        let missing = |height: &u64| self.entries.get(&Height(*height)).is_none_or(|entry| entry.body.is_none());
        let first = (self.tip.height.next().0..=limit).find(missing)?;
        let run = (first..=limit).take_while(missing).count() as u64;
        let last = first.saturating_add(run.min(MAX_RANGE)).saturating_sub(1);
        let (from, to) = (Height(first), Height(last));
        let header = self.entries.get(&from).map(|entry| &entry.header);
        let single = header.filter(|_| from == to).map(Header::id);
        if let Some(before) = self.wanted {
            // The same hole: its clock runs on.
            if before.from == from {
                return Some(Wanted { to, single, ..before });
            }
            // The answer is arriving block by block: give the rest of it time.
            if before.from < from && before.asked >= Some(from) {
                let mut retry = before.retry;
                retry.restart(now);
                return Some(Wanted { from, to, single, asked: before.asked, retry });
            }
        }
        // In the middle of catching up, ask at once; a single hole may just be late gossip.
        let behind = limit.saturating_sub(self.tip.height.0) >= MAX_RANGE;
        let grace = if header.is_some() || behind { 0 } else { GAP_GRACE_MS };
        let retry = Retry::blocks(now.plus_ms(grace));
        Some(Wanted { from, to, single, asked: None, retry })
    }

    fn halt(&mut self, now: TimeMs, cause: HaltCause, height: Height, evidence: Evidence) -> Option<ObserverAction> {
        let finding = evidence.verify(&self.validators, &self.context);
        let culprits = finding.map(|finding| finding.culprits).unwrap_or_default();
        let at = HaltContext {
            context: &self.context,
            last_final: (self.tip.height, self.tip.block),
            reporter: self.own,
            now,
        };
        let report = HaltReport::new(cause, height, culprits, &[evidence], &at);
        self.halt.latch(report.clone()).then(|| ObserverAction::Halt { report: Box::new(report) })
    }
}
