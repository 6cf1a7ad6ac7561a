//! What an all-seeing observer writes down, and what must hold of it at once.

use std::collections::{BTreeMap, BTreeSet};

use mesh30k_chain::Finalized;
use mesh30k_consensus::app::LogPosition;
use mesh30k_consensus::finality::{Evidence, HaltReport};
use mesh30k_ledger::block::Block;
use mesh30k_ledger::codec::decode;
use mesh30k_ledger::finality::{SignedVote, ValidatorSet, Vote};
use mesh30k_ledger::outcome::Outcome;
use mesh30k_ledger::signing::ChainContext;
use mesh30k_ledger::types::{Epoch, Hash, Height, NodeId, Round, TxId};

use super::now_ms;

/// Lines of the story that are kept.
const STORY_MAX: usize = 5_000;

/// A block as the world knows it to be final.
#[derive(Clone)]
pub struct KnownFinal {
    pub block: Hash,
    pub commitment: Hash,
    pub transactions: Vec<(TxId, Outcome)>,
}

/// Everything that happened, and every breach of a promise.
pub struct Truth {
    pub context: ChainContext,
    /// Who votes now.
    pub validators: ValidatorSet,
    /// Who votes in each epoch, as the test means it.
    sets: BTreeMap<Epoch, ValidatorSet>,
    /// Disks keep what they say they keep: then nothing ordered may be lost.
    pub honest_disks: bool,
    /// Their disks decayed: what they refuse or build on it is nobody else's fault.
    pub decayed: BTreeSet<NodeId>,
    /// What these do and say counts for nothing.
    pub liars: BTreeSet<NodeId>,
    pub story: Vec<(u64, String)>,
    pub breaches: Vec<String>,
    pub finals: BTreeMap<Height, KnownFinal>,
    pub where_final: BTreeMap<TxId, Height>,
    /// Votes that left a validator, by validator and height.
    votes: BTreeMap<(NodeId, Epoch, Round, Height), Hash>,
    /// The one log of each epoch: what stands at each index.
    log: BTreeMap<(Epoch, u64), (u64, Option<Hash>)>,
    ordered_blocks: BTreeSet<Hash>,
    pub leaders: BTreeMap<(Epoch, u64), NodeId>,
    /// Transactions a client was told are ordered.
    pub acknowledged: BTreeMap<TxId, u64>,
    pub evidence: Vec<(NodeId, Evidence)>,
    pub halts: BTreeMap<NodeId, HaltReport>,
    pub noops: u64,
    /// Certificates whose signatures were counted already.
    counted: BTreeSet<Vec<u8>>,
}

impl Truth {
    pub fn new(context: ChainContext, validators: ValidatorSet, honest_disks: bool) -> Self {
        Self {
            context,
            sets: [(Epoch(0), validators.clone())].into(),
            validators,
            honest_disks,
            decayed: BTreeSet::new(),
            liars: BTreeSet::new(),
            story: Vec::new(),
            breaches: Vec::new(),
            finals: BTreeMap::new(),
            where_final: BTreeMap::new(),
            votes: BTreeMap::new(),
            log: BTreeMap::new(),
            ordered_blocks: BTreeSet::new(),
            leaders: BTreeMap::new(),
            acknowledged: BTreeMap::new(),
            evidence: Vec::new(),
            halts: BTreeMap::new(),
            noops: 0,
            counted: BTreeSet::new(),
        }
    }

    pub fn tell(&mut self, line: impl Into<String>) {
        if self.story.len() < STORY_MAX {
            self.story.push((now_ms(), line.into()));
        }
    }

    pub fn breach(&mut self, line: impl Into<String>) {
        let line = line.into();
        self.tell(format!("BREACH: {line}"));
        self.breaches.push(line);
    }

    /// A validator's application was given an entry.
    pub fn on_applied(&mut self, node: NodeId, epoch: Epoch, at: LogPosition, entry: Option<&[u8]>, executed: bool) {
        let block = entry.and_then(|bytes| decode::<Block>(bytes, mesh30k_ledger::block::MAX_BLOCK_BYTES).ok());
        let id = block.as_ref().map(Block::id);
        let first = self.log.entry((epoch, at.index)).or_insert((at.term, id));
        if self.honest_disks && *first != (at.term, id) {
            self.breach(format!("one history: validator {node} applied another entry than others at {at}"));
        }
        let Some(block) = block else { return };
        let header = block.header;
        if executed {
            self.tell(format!(
                "{node} applied block {} of {} (term {}) at {at}",
                header.height, header.proposer, header.term
            ));
            self.ordered_blocks.insert(block.id());
        } else {
            self.noops += 1;
            self.tell(format!("{node} passed over block {} of {} at {at}", header.height, header.proposer));
            // What Raft orders twice was executed the first time. Anything else means that a leader built on an old tip.
            let sound = !self.decayed.contains(&node) && !self.decayed.contains(&header.proposer);
            if self.honest_disks && sound && !self.ordered_blocks.contains(&block.id()) && !self.known(&block) {
                self.breach(format!(
                    "leaders build on their whole log: block {} of {} was ordered but does not extend the chain",
                    header.height, header.proposer
                ));
            }
        }
    }

    fn known(&self, block: &Block) -> bool {
        self.finals.get(&block.header.height).is_some_and(|known| known.block == block.id())
    }

    /// A vote left a validator.
    pub fn on_vote(&mut self, node: NodeId, signed: &SignedVote) {
        if self.liars.contains(&node) {
            return;
        }
        let hash = signed.vote.signing_hash();
        let Vote { epoch, round, height, .. } = signed.vote;
        let first = *self.votes.entry((node, epoch, round, height)).or_insert(hash);
        if first != hash {
            self.breach(format!("one vote a height: validator {node} released two votes at {}", signed.vote.height));
        }
    }

    /// How many votes left a validator.
    pub fn votes_of(&self, node: NodeId) -> usize {
        self.votes.keys().filter(|(voter, ..)| *voter == node).count()
    }

    /// A block became final on a validator or an observer.
    pub fn on_final(&mut self, node: NodeId, finalized: &Finalized) {
        if self.liars.contains(&node) {
            return;
        }
        let stored = &finalized.stored;
        let height = stored.block.header.height;
        let known = KnownFinal {
            block: stored.block.id(),
            commitment: stored.commitment.hash(),
            transactions: finalized.transactions.iter().copied().zip(stored.outcomes.iter().cloned()).collect(),
        };
        self.tell(format!("{node} holds block {height} final ({} transactions)", known.transactions.len()));
        if stored.certificate.commitment != known.commitment {
            self.breach(format!("equal roots: {node} finalised {height} with another result than the certified one"));
        }
        self.check_signers(node, height, stored);
        match self.finals.get(&height) {
            Some(first) if (first.block, first.commitment) != (known.block, known.commitment) => {
                self.breach(format!("never two finals: {node} holds another block or result final at {height}"));
            }
            Some(_) => {}
            None => {
                for (id, _) in &known.transactions {
                    if let Some(before) = self.where_final.insert(*id, height) {
                        self.breach(format!(
                            "nothing counted twice: transaction {id} is final at {before} and {height}"
                        ));
                    }
                }
                self.finals.insert(height, known);
            }
        }
    }

    /// Counted here, not by the code under test.
    fn check_signers(&mut self, node: NodeId, height: Height, stored: &mesh30k_chain::StoredBlock) {
        let certificate = &stored.certificate;
        if !self.counted.insert(mesh30k_ledger::codec::encode(certificate)) {
            return;
        }
        let set = self.sets.get(&stored.block.header.epoch).cloned().unwrap_or_default();
        let signers: BTreeSet<NodeId> = certificate
            .signatures
            .iter()
            .filter(|one| {
                let signed = SignedVote { vote: certificate.vote_of(one.node), signature: one.signature };
                set.get(one.node).is_some_and(|seat| signed.is_signed_by(&seat.key))
            })
            .map(|one| one.node)
            .collect();
        if set.is_empty() || signers.len() * 3 < set.len() * 2 {
            self.breach(format!("certificates: {node} took {} signatures for block {height}", signers.len()));
        }
    }

    pub fn on_leader(&mut self, node: NodeId, epoch: Epoch, term: u64) {
        match self.leaders.get(&(epoch, term)) {
            None => {
                self.leaders.insert((epoch, term), node);
                self.tell(format!("{node} leads term {term}"));
            }
            Some(first) if *first != node && self.honest_disks => {
                self.breach(format!("one leader a term: {first} and {node} in term {term}"));
            }
            Some(_) => {}
        }
    }

    pub fn on_halt(&mut self, node: NodeId, report: HaltReport) {
        self.tell(format!("{node} halts: {}", report.sentence));
        self.halts.insert(node, report);
    }

    pub fn on_evidence(&mut self, node: NodeId, evidence: Evidence) {
        self.tell(format!("{node} reports evidence at height {}", evidence.height()));
        self.evidence.push((node, evidence));
    }

    /// From now on others vote, and another log orders.
    pub fn on_restart(&mut self, epoch: Epoch, validators: ValidatorSet) {
        self.tell("the operators' order is carried out");
        self.expect(epoch, validators);
        self.log.clear();
        self.leaders.clear();
    }

    /// In this epoch these vote.
    pub fn expect(&mut self, epoch: Epoch, validators: ValidatorSet) {
        self.sets.insert(epoch, validators.clone());
        self.validators = validators;
    }

    /// The newest epoch there is to be.
    pub fn newest(&self) -> Epoch {
        self.sets.last_key_value().map_or(Epoch(0), |(epoch, _)| *epoch)
    }

    pub fn acknowledge(&mut self, id: TxId) {
        self.acknowledged.entry(id).or_insert_with(now_ms);
    }

    pub fn top(&self) -> Height {
        self.finals.last_key_value().map_or(Height(0), |(height, _)| *height)
    }
}
