//! The sign-log through crashes, damage and misuse.

use mesh30k_consensus::finality::sign_file::{DiskSignFile, MemorySignFile, SignFile, SignFileError};
use mesh30k_consensus::finality::sign_log::ROTATE_AT_RECORDS;
use mesh30k_consensus::finality::{Recorded, SignLog, SignLogError, SignLogExpectation, VoteKey};
use mesh30k_ledger::finality::Phase;
use mesh30k_ledger::keys::{PublicKey, SecretKey};
use mesh30k_ledger::types::{Epoch, Hash, Height, Round};

const RECORD: usize = 128;
const FRESH: SignLogExpectation = SignLogExpectation::Fresh { first_epoch: Epoch(0) };
const EXISTING: SignLogExpectation = SignLogExpectation::Existing { at_least: None };

fn public() -> PublicKey {
    SecretKey::from_seed([1; 32]).public()
}

fn at(height: u64) -> VoteKey {
    VoteKey { phase: Phase::First, epoch: Epoch(0), round: Round(0), height: Height(height) }
}

fn vote(height: u64, salt: u8) -> Hash {
    Hash::of(&[&height.to_le_bytes()[..], &[salt]].concat())
}

fn open(file: &MemorySignFile, expected: SignLogExpectation) -> Result<SignLog<MemorySignFile>, SignLogError> {
    SignLog::over(file.clone(), public(), expected)
}

/// A log with votes for heights 1 to `heights`, and its durable length after each.
fn filled(heights: u64) -> (MemorySignFile, Vec<usize>) {
    let file = MemorySignFile::new();
    let mut log = open(&file, FRESH).unwrap();
    let mut lengths = vec![file.synced().unwrap().len()];
    for height in 1..=heights {
        assert_eq!(log.record(at(height), vote(height, 0)).unwrap(), Recorded::New);
        lengths.push(file.synced().unwrap().len());
    }
    (file, lengths)
}

#[test]
fn one_vote_a_key_and_the_same_one_again() {
    let (file, _) = filled(5);
    for reopened in [false, true] {
        let mut log = open(&file, EXISTING).unwrap();
        for height in 1..=5 {
            assert_eq!(log.record(at(height), vote(height, 0)).unwrap(), Recorded::Again, "{reopened}");
            let error = log.record(at(height), vote(height, 1)).unwrap_err();
            let SignLogError::Different { recorded, asked, .. } = &error else { panic!("{error:?}") };
            assert_eq!((*recorded, *asked), (vote(height, 0), vote(height, 1)));
            let text = error.to_string();
            assert!(text.contains(&recorded.to_string()) && text.contains(&asked.to_string()), "{text}");
        }
        // Below the last vote nothing new is signed, in this round or an earlier one.
        assert!(matches!(log.record(at(0), vote(0, 0)), Err(SignLogError::NotRising { .. })));
    }
    let mut log = open(&file, EXISTING).unwrap();
    let next_round = VoteKey { round: Round(1), ..at(1) };
    assert_eq!(log.record(next_round, vote(1, 1)).unwrap(), Recorded::New);
    assert!(matches!(log.record(at(6), vote(6, 0)), Err(SignLogError::NotRising { .. })));
    let second_phase = VoteKey { phase: Phase::Second, ..at(3) };
    assert_eq!(log.record(second_phase, vote(3, 2)).unwrap(), Recorded::New, "phases rise separately");
}

#[test]
fn a_vote_released_survives_a_crash_at_every_byte_of_the_next_write() {
    let (file, lengths) = filled(4);
    let whole = file.synced().unwrap();
    for released in 0..4 {
        let (from, to) = (lengths[released], lengths[released + 1]);
        for cut in from..=to {
            // What a crash leaves of the write: a prefix, or the full length with zeros behind.
            for zeros in [0, to - cut] {
                let mut left = whole[..cut].to_vec();
                left.resize(cut + zeros, 0);
                let mut log = open(&MemorySignFile::with_bytes(left), EXISTING).unwrap();
                for height in 1..=released as u64 {
                    assert_eq!(log.record(at(height), vote(height, 0)).unwrap(), Recorded::Again);
                    assert!(matches!(log.record(at(height), vote(height, 1)), Err(SignLogError::Different { .. })));
                }
                // The torn vote was never released: another one may take its place, and lasts.
                let torn = released as u64 + 1;
                if log.record(at(torn), vote(torn, 1)).is_ok() {
                    assert!(cut < to, "a complete record counts");
                    assert!(matches!(log.record(at(torn), vote(torn, 0)), Err(SignLogError::Different { .. })));
                }
            }
        }
    }
}

#[test]
fn nothing_is_released_before_it_is_synced() {
    let (file, _) = filled(2);
    let mut log = open(&file, EXISTING).unwrap();
    file.fail_syncs_after(0);
    assert!(matches!(log.record(at(3), vote(3, 0)), Err(SignLogError::Io(_))));
    // After a failed sync nobody knows what is on disk: no more signing, not even of old votes.
    assert!(matches!(log.record(at(3), vote(3, 0)), Err(SignLogError::Poisoned)));
    assert!(matches!(log.record(at(1), vote(1, 0)), Err(SignLogError::Poisoned)));
    drop(log);
    file.lose_unsynced();
    let mut log = open(&file, EXISTING).unwrap();
    assert_eq!(log.last(Phase::First), Some(at(2)));
    assert!(log.record(at(3), vote(3, 1)).is_err(), "the sync still fails");
}

#[test]
fn damage_other_than_a_torn_end_refuses_to_sign() {
    let (file, _) = filled(3);
    let whole = file.synced().unwrap();
    for byte in 0..whole.len() {
        let mut damaged = whole.clone();
        damaged[byte] ^= 0x10;
        let error = open(&MemorySignFile::with_bytes(damaged), EXISTING).map(|log| log.last(Phase::First)).unwrap_err();
        match error {
            SignLogError::CorruptHeader => assert!(byte < RECORD),
            SignLogError::Corrupt { record, records: 3 } => assert_eq!(record, byte / RECORD - 1),
            other => panic!("byte {byte}: {other}"),
        }
    }
    // Swapped and removed records break the chain of checksums.
    let (header, records) = whole.split_at(RECORD);
    let [one, two, three] = [0, 1, 2].map(|n| &records[n * RECORD..(n + 1) * RECORD]);
    for order in [[header, two, one, three], [header, one, three, three]] {
        let error = open(&MemorySignFile::with_bytes(order.concat()), EXISTING).map(|log| log.last(Phase::First));
        assert!(matches!(error, Err(SignLogError::Corrupt { .. })), "{error:?}");
    }
}

#[test]
fn a_missing_or_restored_log_refuses_until_a_new_epoch() {
    let missing = open(&MemorySignFile::new(), EXISTING).map(|log| log.refused());
    assert!(matches!(missing, Err(SignLogError::Missing)));
    // Yesterday's copy: the chain has seen height 5 of this validator.
    let (file, lengths) = filled(5);
    let restored = MemorySignFile::with_bytes(file.synced().unwrap()[..lengths[3]].to_vec());
    let expected = SignLogExpectation::Existing { at_least: Some(at(5)) };
    let error = open(&restored, expected).map(|log| log.refused()).unwrap_err();
    assert!(matches!(&error, SignLogError::Behind { last, seen } if *last == Some(at(3)) && *seen == at(5)));
    assert!(error.to_string().contains("until a new epoch"), "{error}");
    assert!(open(&file, expected).is_ok());
    // A new log begins with the next epoch and signs nothing before.
    let mut log = open(&MemorySignFile::new(), SignLogExpectation::Fresh { first_epoch: Epoch(1) }).unwrap();
    assert!(matches!(log.record(at(6), vote(6, 0)), Err(SignLogError::BeforeLog { .. })));
    log.record(VoteKey { epoch: Epoch(1), ..at(6) }, vote(6, 0)).unwrap();
    let other = SecretKey::from_seed([2; 32]).public();
    let error = SignLog::over(file, other, EXISTING).map(|log| log.refused()).unwrap_err();
    assert!(matches!(error, SignLogError::WrongKey { .. }));
}

#[test]
fn a_foreign_vote_of_the_own_key_is_a_lasting_refusal() {
    for (seen, salt) in [(at(9), 0), (at(2), 1)] {
        let (file, _) = filled(3);
        let mut log = open(&file, EXISTING).unwrap();
        log.witness(at(2), vote(2, 0)).unwrap();
        assert!(log.witness(seen, vote(seen.height.0, salt)).is_err());
        drop(log);
        let mut log = open(&file, EXISTING).unwrap();
        assert_eq!(log.refused(), Some(Epoch(0)));
        assert!(matches!(log.record(at(10), vote(10, 0)), Err(SignLogError::Refusing { .. })));
        log.record(VoteKey { epoch: Epoch(1), ..at(10) }, vote(10, 0)).unwrap();
    }
}

#[test]
fn rotation_bounds_the_file_and_forgets_no_refusal() {
    let heights = ROTATE_AT_RECORDS as u64 + 500;
    let file = MemorySignFile::new();
    let mut log = open(&file, FRESH).unwrap();
    assert!(log.witness(VoteKey { epoch: Epoch(0), ..at(7) }, vote(7, 0)).is_err());
    let next = |height| VoteKey { epoch: Epoch(1), ..at(height) };
    for height in 1..=heights {
        log.record(next(height), vote(height, 0)).unwrap();
        assert!(file.synced().unwrap().len() <= RECORD * (ROTATE_AT_RECORDS + 1));
    }
    drop(log);
    let mut log = open(&file, EXISTING).unwrap();
    assert_eq!((log.last(Phase::First), log.refused()), (Some(next(heights)), Some(Epoch(0))));
    assert_eq!(log.record(next(heights), vote(heights, 0)).unwrap(), Recorded::Again);
    assert!(matches!(log.record(next(1), vote(1, 1)), Err(SignLogError::NotRising { .. })));
    // Its absence proves nothing any more; a vote above the last one still does.
    log.witness(next(1), vote(1, 0)).unwrap();
    assert!(log.witness(next(heights + 1), vote(0, 0)).is_err());
}

#[test]
fn on_disk_it_is_locked_and_survives_reopening() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("sign.log");
    let mut log = SignLog::open(&path, public(), FRESH).unwrap();
    log.record(at(1), vote(1, 0)).unwrap();
    let second = SignLog::open(&path, public(), EXISTING).map(|log| log.refused()).unwrap_err();
    let SignLogError::File(SignFileError::Locked { holder, .. }) = second else { panic!("{second:?}") };
    assert_eq!(holder, std::process::id().to_string());
    drop(log);
    let mut log = SignLog::open(&path, public(), EXISTING).unwrap();
    assert_eq!(log.record(at(1), vote(1, 0)).unwrap(), Recorded::Again);
    assert!(matches!(log.record(at(1), vote(1, 1)), Err(SignLogError::Different { .. })));
    for height in 2..=(ROTATE_AT_RECORDS as u64 / 64) {
        log.record(at(height), vote(height, 0)).unwrap();
    }
    drop(log);
    // A torn end on the real file is cut off durably.
    let length = std::fs::metadata(&path).unwrap().len();
    let mut file = DiskSignFile::open(&path).unwrap();
    file.append(&[1, 2, 3]).unwrap();
    drop(file);
    drop(SignLog::open(&path, public(), EXISTING).unwrap());
    assert_eq!(std::fs::metadata(&path).unwrap().len(), length);
    // Replacing keeps what is asked for, and the lock.
    let mut file = DiskSignFile::open(&path).unwrap();
    file.replace(b"new").unwrap();
    file.append(b"er").unwrap();
    file.sync().unwrap();
    assert_eq!(file.read_all().unwrap(), Some(b"newer".to_vec()));
    assert!(matches!(DiskSignFile::open(&path), Err(SignFileError::Locked { .. })));
}
