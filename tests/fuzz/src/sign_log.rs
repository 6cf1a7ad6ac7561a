//! The file of a sign-log.

use mesh30k_consensus::finality::sign_file::{MemorySignFile, SignFile as _};
use mesh30k_consensus::finality::{SignLog, SignLogError, SignLogExpectation, VoteKey};
use mesh30k_ledger::finality::Phase;
use mesh30k_ledger::keys::PublicKey;
use mesh30k_ledger::types::{Epoch, Hash, Height, Round};

use crate::strict::choose;

const RECORD_BYTES: usize = 128;
const BODY_BYTES: usize = 96;

/// The bytes as they are, or as bodies that are sealed here with the right checksums, without which no fuzzer gets past the first.
pub fn sign_log(bytes: &[u8]) {
    let Some((kind, bytes)) = choose(bytes, 2) else { return };
    let file = if kind == 0 { bytes.to_vec() } else { seal(bytes) };
    let Some(key) = file.get(8..40).and_then(|key| key.try_into().ok()).map(PublicKey) else { return };
    let open = |bytes: &[u8]| {
        let mut disk = MemorySignFile::new();
        disk.replace(bytes).expect("memory does not fail");
        (SignLog::over(disk.clone(), key, SignLogExpectation::Existing { at_least: None }), disk)
    };
    let (log, mut disk) = open(&file);
    let kept = disk.read_all().expect("memory does not fail").unwrap_or_default();
    let Ok(mut log) = log else {
        assert_eq!(kept, file, "a refused file was changed");
        return;
    };
    // At most a torn last record was cut off; what is left opens again and knows the same.
    assert!(
        file.starts_with(&kept) && kept.len().is_multiple_of(RECORD_BYTES) && file.len() - kept.len() <= RECORD_BYTES
    );
    let (again, _) = open(&kept);
    let again = again.expect("what it kept opens again");
    for phase in [Phase::First, Phase::Second] {
        assert_eq!(log.last(phase), highest(&kept, phase), "the last vote is the highest in the file");
        assert_eq!((log.last(phase), log.refused()), (again.last(phase), again.refused()));
    }
    votes_once(&mut log);
}

/// Below its last vote a log signs nothing, at it only the same, and above it each only once.
fn votes_once(log: &mut SignLog<MemorySignFile>) {
    let last = log.last(Phase::First);
    if let Some(last) = last {
        let other = log.record(last, Hash([0xee; 32]));
        assert!(matches!(
            other,
            Err(SignLogError::Different { .. } | SignLogError::Refusing { .. } | SignLogError::BeforeLog { .. })
                | Ok(mesh30k_consensus::finality::Recorded::Again)
        ));
    }
    let epoch = last.map_or(Epoch(0), |last| last.epoch);
    let next = VoteKey { phase: Phase::First, epoch, round: Round(u32::MAX), height: Height(u64::MAX) };
    if last.is_none_or(|last| last < next) && log.record(next, Hash([1; 32])).is_ok() {
        assert!(matches!(log.record(next, Hash([2; 32])), Err(SignLogError::Different { .. })));
        assert_eq!(log.last(Phase::First), Some(next));
    }
}

/// The format as its documentation says: bodies of 96 bytes, each with the checksum over the one before and itself.
pub fn seal(bodies: &[u8]) -> Vec<u8> {
    let (mut file, mut chain) = (Vec::new(), [0; 32]);
    for body in bodies.chunks(BODY_BYTES) {
        let mut body = body.to_vec();
        body.resize(BODY_BYTES, 0);
        let mut hasher = blake3::Hasher::new();
        hasher.update(&chain).update(&body);
        chain = *hasher.finalize().as_bytes();
        file.extend_from_slice(&body);
        file.extend_from_slice(&chain);
    }
    file
}

/// The highest vote of a phase, read by a second reader: magic 8, kind 1, phase 1, epoch 4, round 4, height 8.
fn highest(file: &[u8], phase: Phase) -> Option<VoteKey> {
    let wanted = if phase == Phase::First { 1 } else { 2 };
    let number = |bytes: &[u8]| bytes.iter().rev().fold(0_u64, |sum, byte| sum << 8 | u64::from(*byte));
    let small = |bytes: &[u8]| u32::try_from(number(bytes)).expect("four bytes");
    let votes = file.chunks(RECORD_BYTES).skip(1).filter(|record| record[8] == 1 && record[9] == wanted);
    votes
        .map(|record| VoteKey {
            phase,
            epoch: Epoch(small(&record[10..14])),
            round: Round(small(&record[14..18])),
            height: Height(number(&record[18..26])),
        })
        .max()
}
