//! What can be punished, out of the files that tell of it.

use mesh30k_consensus::finality::{Evidence, HaltReport};
use mesh30k_ledger::ops::ProveEquivocation;

/// Offences of one file, at most; the rest can be proven from another piece of evidence.
const OFFENCES_MAX: usize = 256;

/// A file that proves nothing that is punished.
#[derive(Debug, thiserror::Error)]
pub enum OffenceError {
    /// Neither a pair of votes nor a report.
    #[error("it is neither two votes (`first` and `second`) nor the report of a halted node")]
    Form(#[source] serde_json::Error),
    /// Nothing that the ledger punishes.
    #[error("it shows no validator that voted twice at one height in one round, which is what the ledger punishes")]
    Nothing,
}

/// The double votes that a file shows: two votes as JSON, or what a halted node wrote (`halted.json`). Checks no signature; the
/// ledger does.
///
/// # Errors
/// [`OffenceError`].
pub fn offences(json: &[u8]) -> Result<Vec<ProveEquivocation>, OffenceError> {
    if let Ok(report) = serde_json::from_slice::<HaltReport>(json) {
        let mut found: Vec<ProveEquivocation> = Vec::new();
        for (first, second) in report.evidence().iter().flat_map(Evidence::double_votes) {
            let offence = ProveEquivocation { first, second };
            if found.len() < OFFENCES_MAX && !found.iter().any(|known| is_same_place(known, &offence)) {
                found.push(offence);
            }
        }
        return if found.is_empty() { Err(OffenceError::Nothing) } else { Ok(found) };
    }
    Ok(vec![serde_json::from_slice(json).map_err(OffenceError::Form)?])
}

/// One offence is punished once, whatever the votes say.
fn is_same_place(a: &ProveEquivocation, b: &ProveEquivocation) -> bool {
    let place = |offence: &ProveEquivocation| {
        let vote = &offence.first.vote;
        (vote.validator, vote.phase, vote.epoch, vote.round, vote.height)
    };
    place(a) == place(b)
}

#[cfg(test)]
mod tests {
    use super::*;
    use mesh30k_consensus::finality::HaltCause;
    use mesh30k_ledger::finality::{Certificate, Phase, SignedVote, Vote};
    use mesh30k_ledger::keys::SecretKey;
    use mesh30k_ledger::signing::ChainContext;
    use mesh30k_ledger::types::{ChainId, Epoch, Hash, Height, NodeId, Round, TimeMs};

    fn context() -> ChainContext {
        ChainContext { chain: ChainId::new("mesh30k-test").unwrap(), genesis: Hash::of(b"genesis") }
    }

    fn vote(validator: u8, round: u32, block: &[u8]) -> SignedVote {
        let vote = Vote {
            phase: Phase::First,
            context: context(),
            epoch: Epoch(0),
            round: Round(round),
            height: Height(7),
            block: Hash::of(block),
            parent: Hash::of(b"parent"),
            commitment: Hash::of(b"commitment"),
            lock: None,
            validator: NodeId(u64::from(validator)),
        };
        vote.sign(&SecretKey::from_seed([validator; 32]))
    }

    fn certificate(validators: &[u8], round: u32, block: &[u8]) -> Certificate {
        Certificate::assemble(&validators.iter().map(|one| vote(*one, round, block)).collect::<Vec<_>>()).unwrap()
    }

    fn report(evidence: &[Evidence]) -> Vec<u8> {
        let report = HaltReport {
            cause: HaltCause::ConflictingFinals,
            sentence: "it halted".to_owned(),
            genesis: context().genesis,
            final_height: Height(6),
            final_block: Hash::of(b"parent"),
            height: Height(7),
            halted_at: TimeMs(9),
            reporter: Some(NodeId(1)),
            culprits: Vec::new(),
            evidence_hex: evidence.iter().map(|one| hex::encode(one.encode())).collect(),
        };
        serde_json::to_vec(&report).unwrap()
    }

    #[test]
    fn two_votes_are_read_as_they_are_written() {
        let proof = ProveEquivocation { first: vote(2, 0, b"one"), second: vote(2, 0, b"other") };
        assert_eq!(offences(&serde_json::to_vec(&proof).unwrap()).unwrap(), [proof]);
        let evidence = Evidence::DoubleVote { first: proof.first, second: proof.second };
        assert_eq!(offences(&report(&[evidence.clone(), evidence])).unwrap(), [proof], "once");
    }

    /// The signatures of a certificate are those of the votes it is made of.
    #[test]
    fn whoever_signed_two_finals_voted_twice() {
        let (first, second) = (certificate(&[1, 2, 3], 0, b"one"), certificate(&[2, 3, 4], 0, b"other"));
        let found = offences(&report(&[Evidence::ConflictingFinals { first: first.clone(), second }])).unwrap();
        let expected =
            [2, 3].map(|one| ProveEquivocation { first: vote(one, 0, b"one"), second: vote(one, 0, b"other") });
        assert_eq!(found, expected);
        for proof in &found {
            let key = SecretKey::from_seed([u8::try_from(proof.first.vote.validator.0).unwrap(); 32]).public();
            assert!(proof.first.is_signed_by(&key) && proof.second.is_signed_by(&key));
        }
        let later = certificate(&[2, 3, 4], 1, b"other");
        let other_round = report(&[Evidence::ConflictingFinals { first, second: later }]);
        assert!(matches!(offences(&other_round), Err(OffenceError::Nothing)), "a later round may differ");
    }

    #[test]
    fn what_proves_nothing_is_refused() {
        for bad in [b"".as_slice(), b"[]", b"{}", b"not json", br#"{"first":{},"second":{}}"#] {
            assert!(matches!(offences(bad), Err(OffenceError::Form(_))), "{bad:?}");
        }
        let divided = report(&[Evidence::NoQuorum { votes: vec![vote(1, 0, b"one"), vote(2, 0, b"other")] }]);
        assert!(matches!(offences(&divided), Err(OffenceError::Nothing)));
    }
}
