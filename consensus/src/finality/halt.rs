//! The halted state: entered once, left only by operators.

use mesh30k_ledger::signing::ChainContext;
use mesh30k_ledger::types::{Hash, Height, NodeId, TimeMs};
use serde::{Deserialize, Serialize};

use super::evidence::Evidence;

/// What operators type to let a halted chain go on.
pub const RECOVER_COMMAND: &str = "mesh30k node recover";
/// Stands in the sentence until it is said what does not hold.
const UNNAMED: &str = "the books do not balance";
/// Most pieces of evidence a report carries.
pub const MAX_REPORT_EVIDENCE: usize = 32;

/// Why the chain stopped on this node.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum HaltCause {
    /// A certificate contradicts what this node executed (D1).
    ExecutionDiverged,
    /// The votes of one height can no longer reach a quorum (D2).
    NoQuorum,
    /// Two different things were certified at one height (D4).
    ConflictingFinals,
    /// Proof against as many validators as could fork the chain (D4).
    TooManyOffenders,
    /// A block as this node executed it does not keep the books.
    BooksBroken,
}

/// What a halted node writes to disk and answers with. Serialises to JSON; the evidence is in hex of
/// its canonical bytes, so that a program can check it again.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct HaltReport {
    /// Why.
    pub cause: HaltCause,
    /// One sentence for people: what happened, at which height, who is responsible, what to do.
    pub sentence: String,
    /// Genesis hash of the chain.
    pub genesis: Hash,
    /// Last final height: where a restart begins.
    pub final_height: Height,
    /// Last final block.
    pub final_block: Hash,
    /// Height of the divergence.
    pub height: Height,
    /// Local time of the halt, Unix ms.
    pub halted_at: TimeMs,
    /// The node that reports; `None` for one that has no number yet.
    pub reporter: Option<NodeId>,
    /// Validators the evidence names.
    pub culprits: Vec<NodeId>,
    /// Evidence, canonical bytes in hex, at most `MAX_REPORT_EVIDENCE` pieces.
    pub evidence_hex: Vec<String>,
}

/// What is final on the reporting node.
#[derive(Clone, Copy, Debug)]
pub struct HaltContext<'a> {
    /// The chain.
    pub context: &'a ChainContext,
    /// Last final height and block.
    pub last_final: (Height, Hash),
    /// The node that reports.
    pub reporter: Option<NodeId>,
    /// Local time.
    pub now: TimeMs,
}

impl HaltReport {
    /// Composes the report.
    pub fn new(
        cause: HaltCause,
        height: Height,
        culprits: Vec<NodeId>,
        evidence: &[Evidence],
        at: &HaltContext<'_>,
    ) -> Self {
        let (final_height, final_block) = at.last_final;
        let sentence = sentence(cause, height, &culprits, final_height, at.reporter);
        let evidence_hex = evidence.iter().take(MAX_REPORT_EVIDENCE).map(|one| to_hex(&one.encode())).collect();
        Self {
            cause,
            sentence,
            genesis: at.context.genesis,
            final_height,
            final_block,
            height,
            halted_at: at.now,
            reporter: at.reporter,
            culprits,
            evidence_hex,
        }
    }

    /// A block that does not keep the books here: what does not hold, in words.
    pub fn books_broken(height: Height, what: &str, at: &HaltContext<'_>) -> Self {
        let mut report = Self::new(HaltCause::BooksBroken, height, Vec::new(), &[], at);
        report.sentence = report.sentence.replace(UNNAMED, what);
        report
    }

    /// The evidence, decoded; pieces that do not decode are left out.
    pub fn evidence(&self) -> Vec<Evidence> {
        let bytes = self.evidence_hex.iter().filter_map(|hex| from_hex(hex));
        bytes.filter_map(|bytes| Evidence::decode(&bytes).ok()).collect()
    }
}

/// Latches the first halt: later ones do not replace it.
#[derive(Clone, Debug, Default)]
pub struct HaltLatch(Option<Box<HaltReport>>);

impl HaltLatch {
    /// Latches; false if it was latched before.
    pub fn latch(&mut self, report: HaltReport) -> bool {
        let first = self.0.is_none();
        if first {
            self.0 = Some(Box::new(report));
        }
        first
    }

    /// The report, if halted.
    pub fn report(&self) -> Option<&HaltReport> {
        self.0.as_deref()
    }

    /// Whether halted.
    pub fn is_halted(&self) -> bool {
        self.0.is_some()
    }
}

fn sentence(
    cause: HaltCause,
    height: Height,
    culprits: &[NodeId],
    final_height: Height,
    reporter: Option<NodeId>,
) -> String {
    let this = reporter.map_or_else(|| "this node".to_owned(), |node| format!("this node ({node})"));
    let named = names(culprits);
    let what = match cause {
        HaltCause::ExecutionDiverged => format!(
            "{this} executed block {height} with another result than the certified one: its state or its build is \
             faulty, or {named} certified a wrong result"
        ),
        HaltCause::NoQuorum => format!("the votes for block {height} are so divided that no result can be certified"),
        HaltCause::ConflictingFinals => {
            format!("two different blocks or results were certified at height {height}; {named} signed both")
        }
        HaltCause::TooManyOffenders => {
            format!("there is proof against {named}, which are as many validators as can fork the chain")
        }
        HaltCause::BooksBroken => format!(
            "block {height} as {this} executes it breaks a rule that must always hold ({UNNAMED}): a defect of this build or damage to \
             its state, not a validator's doing, and nothing of the block was kept"
        ),
    };
    let next = match cause {
        HaltCause::ConflictingFinals | HaltCause::TooManyOffenders => "a new chain id and a final block to start from",
        HaltCause::ExecutionDiverged => {
            "re-execute it from the last final state, then either replace this node or restart the round"
        }
        HaltCause::NoQuorum => "a fixed build, or a new round that leaves the block out",
        HaltCause::BooksBroken => {
            "install a fixed build, or, if other nodes went on, move this node's data away and join as a new node; where all \
             halted, sign a new round that leaves the block out"
        }
    };
    let is_local = matches!(cause, HaltCause::ExecutionDiverged | HaltCause::BooksBroken);
    let sign = if is_local { "operators should" } else { "operators have to sign" };
    format!(
        "The chain is halted here after final block {final_height}: {what}. To go on, {sign} {next}: see `{RECOVER_COMMAND}` and \
         docs/operating/recovery.md."
    )
}

fn names(nodes: &[NodeId]) -> String {
    match nodes {
        [] => "no single validator".to_owned(),
        [one] => format!("validator {one}"),
        many => {
            let list: Vec<String> = many.iter().map(ToString::to_string).collect();
            format!("validators {}", list.join(", "))
        }
    }
}

fn to_hex(bytes: &[u8]) -> String {
    const DIGITS: [char; 16] = ['0', '1', '2', '3', '4', '5', '6', '7', '8', '9', 'a', 'b', 'c', 'd', 'e', 'f'];
    let nibbles = bytes.iter().flat_map(|byte| [byte >> 4, byte & 15]);
    nibbles.map(|nibble| DIGITS[usize::from(nibble)]).collect()
}

fn from_hex(text: &str) -> Option<Vec<u8>> {
    let digits: Option<Vec<u8>> = text.chars().map(|c| c.to_digit(16).and_then(|d| u8::try_from(d).ok())).collect();
    let digits = digits?;
    (digits.len() % 2 == 0).then(|| digits.chunks_exact(2).map(|pair| (pair[0] << 4) | pair[1]).collect())
}
