//! Level 1 finality: one vote per height, certificates, halt on divergence. Pure but for the
//! sign-log's file: inputs and the time go in, actions come out.
//!
//! What it promises. Under crashes: safe and live while a quorum runs. With at most f = ceil(n/3) - 1
//! liars: safe; a lie may stop the chain at its last final block, with evidence, until operators
//! restart it. Attribution needs the evidence to reach one honest node.

pub mod chain;
pub mod evidence;
pub mod halt;
mod mistake;
pub mod observer;
pub mod proposer;
pub mod refusals;
pub mod retry;
pub mod sign_file;
pub mod sign_log;
mod sign_record;
pub mod snapshot;
mod suspects;
mod tip;
pub mod vote_book;

pub use chain::{ChainAction, ChainError, ChainTracker, TrackerConfig, VoteAnswer};
pub use evidence::{Evidence, EvidenceError, Finding, Proof, SignedHeader};
pub use halt::{HaltCause, HaltLatch, HaltReport};
pub use mistake::Mistake;
pub use observer::{Observer, ObserverAction};
pub use proposer::{Decision, Proposer, ProposerView};
pub use refusals::{Refusal, Refusals};
pub use sign_log::{Recorded, SignLog, SignLogError, SignLogExpectation, VoteKey};
pub use tip::FinalTip;
pub use vote_book::{Subject, VoteBook};
