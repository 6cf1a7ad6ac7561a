//! The sign-log: at most one vote per (phase, epoch, round, height), whatever the Raft term.
//!
//! A vote is durable here *before* it leaves the process (rule S1). The log is a file of its own,
//! outside the database and never part of a backup: a copy restored from yesterday would let the
//! validator vote a second time for what it voted today. Missing, behind or corrupt therefore means
//! no signing until a new epoch.

use std::collections::BTreeMap;
use std::fmt;
use std::io;
use std::path::Path;

use mesh30k_ledger::finality::{Phase, Vote};
use mesh30k_ledger::keys::PublicKey;
use mesh30k_ledger::types::{Epoch, Hash, Height, Round};

use super::sign_file::{DiskSignFile, SignFile, SignFileError};
use super::sign_record::{self, Entry, RECORD_BYTES};

/// Records after which the file is rotated: 4,096 of 128 bytes, half a mebibyte.
pub const ROTATE_AT_RECORDS: usize = 4_096;
/// Newest votes a rotation keeps: twice the greatest unfinal depth, so that a restarted validator
/// can release again every vote for blocks that are not final yet.
pub const KEPT_RECORDS: usize = 128;

/// What a validator may sign once only. Ordered by phase first: the two phases rise separately.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct VoteKey {
    /// Phase of the vote.
    pub phase: Phase,
    /// Validator set.
    pub epoch: Epoch,
    /// Round of the ordering group.
    pub round: Round,
    /// Block height.
    pub height: Height,
}

impl VoteKey {
    /// The key of a vote.
    pub fn of(vote: &Vote) -> Self {
        Self { phase: vote.phase, epoch: vote.epoch, round: vote.round, height: vote.height }
    }
}

impl fmt::Display for VoteKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "epoch {}, round {}, height {}", self.epoch, self.round, self.height)
    }
}

/// What the caller knows about the log from elsewhere (its database, certificates).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SignLogExpectation {
    /// This key has never signed in `first_epoch` or later. Creates the log if it is missing;
    /// earlier epochs are refused for ever. Say `Existing` once an open with `Fresh` has returned.
    Fresh {
        /// First epoch in which the key may sign.
        first_epoch: Epoch,
    },
    /// The key has signed, or may have: the file must be there.
    Existing {
        /// The highest vote of this key that is known from certificates.
        at_least: Option<VoteKey>,
    },
}

/// Whether a vote was new to the log.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Recorded {
    /// Written and synced now.
    New,
    /// The identical vote was recorded before; it may be released again.
    Again,
}

/// Why the sign-log does not allow a signature.
#[derive(Debug, thiserror::Error)]
pub enum SignLogError {
    /// The file that must exist does not.
    #[error(
        "the sign-log is missing although this validator has signed before: no signing until a new epoch; never restore this file from a backup"
    )]
    Missing,
    /// The file knows less than the chain does.
    #[error("the sign-log is behind (its last vote: {}; a vote of this key was seen for {seen}), as after restoring a backup: no signing until a new epoch", OrNone(.last))]
    Behind {
        /// Last vote in the log.
        last: Option<VoteKey>,
        /// Vote of this key that exists elsewhere.
        seen: VoteKey,
    },
    /// A record other than a torn last one does not check.
    #[error("record {record} of {records} in the sign-log is corrupt: no signing until a new epoch")]
    Corrupt {
        /// Position of the record, from 0; the header is none.
        record: usize,
        /// Records in the file.
        records: usize,
    },
    /// The header does not check.
    #[error("the header of the sign-log is corrupt: no signing until a new epoch")]
    CorruptHeader,
    /// The log belongs to another key.
    #[error("the sign-log belongs to key {found}, this validator signs with {expected}")]
    WrongKey {
        /// Key in the file.
        found: PublicKey,
        /// Key of this validator.
        expected: PublicKey,
    },
    /// A different vote was recorded for the same key.
    #[error("refused to vote twice at {key}: recorded vote {recorded}, asked to sign {asked}")]
    Different {
        /// What both are for.
        key: VoteKey,
        /// Hash of the vote in the log.
        recorded: Hash,
        /// Hash of the vote refused.
        asked: Hash,
    },
    /// Votes only rise; what lies below the last one and is not kept is refused.
    #[error("refused to vote at {key}: the last recorded vote is at {last}")]
    NotRising {
        /// What was asked.
        key: VoteKey,
        /// Last vote in the log.
        last: VoteKey,
    },
    /// The vote is for an epoch this log does not cover.
    #[error("refused to vote at {key}: this sign-log begins with epoch {first_epoch}")]
    BeforeLog {
        /// What was asked.
        key: VoteKey,
        /// First epoch of the log.
        first_epoch: Epoch,
    },
    /// A vote of this key was found that the log did not release.
    #[error(
        "refused to sign in epoch {epoch}: a vote of this key was seen that this log did not record; no signing until a new epoch"
    )]
    Refusing {
        /// Epoch up to which the refusal holds.
        epoch: Epoch,
    },
    /// A write failed; what is on disk is unknown until the log is opened again.
    #[error("the sign-log failed to write before: restart the validator")]
    Poisoned,
    /// The file could not be opened or locked.
    #[error("the sign-log's file is not available")]
    File(#[from] SignFileError),
    /// Reading, writing or syncing failed.
    #[error("the sign-log cannot be read or written")]
    Io(#[from] io::Error),
}

struct OrNone<'a>(&'a Option<VoteKey>);

impl fmt::Display for OrNone<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            Some(key) => key.fmt(f),
            None => f.write_str("none"),
        }
    }
}

/// The log of one validator key.
#[derive(Debug)]
pub struct SignLog<F: SignFile = DiskSignFile> {
    file: F,
    key: PublicKey,
    first_epoch: Epoch,
    votes: BTreeMap<VoteKey, Hash>,
    /// Records in the file, refusals included.
    records: usize,
    /// Checksum the next record is chained to.
    chain: Hash,
    /// Older votes were dropped by a rotation, so that their absence proves nothing.
    rotated: bool,
    refused: Option<Epoch>,
    poisoned: bool,
}

impl SignLog<DiskSignFile> {
    /// Locks and opens the log at `path`.
    pub fn open(path: &Path, key: PublicKey, expected: SignLogExpectation) -> Result<Self, SignLogError> {
        Self::over(DiskSignFile::open(path)?, key, expected)
    }
}

impl<F: SignFile> SignLog<F> {
    /// Opens the log in `file`: checks every record, cuts off a torn last one.
    pub fn over(mut file: F, key: PublicKey, expected: SignLogExpectation) -> Result<Self, SignLogError> {
        let bytes = file.read_all()?.unwrap_or_default();
        // Shorter than its header: a creation that never finished, hence released nothing.
        if bytes.len() < RECORD_BYTES {
            let SignLogExpectation::Fresh { first_epoch } = expected else { return Err(SignLogError::Missing) };
            let (header, chain) = sign_record::header(&key, first_epoch, false);
            file.replace(&header)?;
            return Ok(Self {
                file,
                key,
                first_epoch,
                votes: BTreeMap::new(),
                records: 0,
                chain,
                rotated: false,
                refused: None,
                poisoned: false,
            });
        }
        let image = sign_record::parse(&bytes)?;
        if image.key != key {
            return Err(SignLogError::WrongKey { found: image.key, expected: key });
        }
        if image.valid_bytes < bytes.len() {
            file.truncate(image.valid_bytes as u64)?;
        }
        let mut log = Self {
            file,
            key,
            first_epoch: image.first_epoch,
            votes: BTreeMap::new(),
            records: image.entries.len(),
            chain: image.chain,
            rotated: image.rotated,
            refused: None,
            poisoned: false,
        };
        for entry in image.entries {
            log.remember(entry);
        }
        match expected {
            SignLogExpectation::Fresh { first_epoch } => log.first_epoch = log.first_epoch.max(first_epoch),
            SignLogExpectation::Existing { at_least: Some(seen) } if log.last(seen.phase) < Some(seen) => {
                return Err(SignLogError::Behind { last: log.last(seen.phase), seen });
            }
            SignLogExpectation::Existing { .. } => {}
        }
        Ok(log)
    }

    /// Records that the vote with hash `vote` is about to be released for `key`. Only after `Ok`
    /// may it be signed and sent. A failed write poisons the log.
    pub fn record(&mut self, key: VoteKey, vote: Hash) -> Result<Recorded, SignLogError> {
        if self.poisoned {
            return Err(SignLogError::Poisoned);
        }
        if let Some(epoch) = self.refused.filter(|&epoch| key.epoch <= epoch) {
            return Err(SignLogError::Refusing { epoch });
        }
        if key.epoch < self.first_epoch {
            return Err(SignLogError::BeforeLog { key, first_epoch: self.first_epoch });
        }
        match (self.votes.get(&key), self.last(key.phase)) {
            (Some(recorded), _) if *recorded == vote => return Ok(Recorded::Again),
            (Some(&recorded), _) => return Err(SignLogError::Different { key, recorded, asked: vote }),
            (None, Some(last)) if last > key => return Err(SignLogError::NotRising { key, last }),
            (None, _) => {}
        }
        self.write(Entry::Vote { key, vote })?;
        Ok(Recorded::New)
    }

    /// Compares a vote of this key that was seen outside (in a certificate, or from a peer) with
    /// the log. One that the log did not release means the log was restored or the key is used
    /// elsewhere: the refusal is recorded and holds until a new epoch.
    pub fn witness(&mut self, key: VoteKey, vote: Hash) -> Result<(), SignLogError> {
        if key.epoch < self.first_epoch || self.refused.is_some_and(|epoch| key.epoch <= epoch) {
            return Ok(());
        }
        let error = match self.votes.get(&key) {
            Some(recorded) if *recorded == vote => return Ok(()),
            Some(&recorded) => SignLogError::Different { key, recorded, asked: vote },
            None if self.rotated && self.oldest(key.phase).is_some_and(|oldest| key < oldest) => return Ok(()),
            None => SignLogError::Behind { last: self.last(key.phase), seen: key },
        };
        self.write(Entry::Refusal { epoch: key.epoch })?;
        Err(error)
    }

    /// Highest vote recorded in a phase.
    pub fn last(&self, phase: Phase) -> Option<VoteKey> {
        self.votes.keys().rev().find(|key| key.phase == phase).copied()
    }

    /// Epoch up to which the log refuses to sign, if a foreign vote was witnessed.
    pub fn refused(&self) -> Option<Epoch> {
        self.refused
    }

    fn oldest(&self, phase: Phase) -> Option<VoteKey> {
        self.votes.keys().find(|key| key.phase == phase).copied()
    }

    fn remember(&mut self, entry: Entry) {
        match entry {
            Entry::Vote { key, vote } => {
                self.votes.insert(key, vote);
            }
            Entry::Refusal { epoch } => self.refused = self.refused.max(Some(epoch)),
        }
    }

    fn write(&mut self, entry: Entry) -> Result<(), SignLogError> {
        if self.poisoned {
            return Err(SignLogError::Poisoned);
        }
        self.poisoned = true;
        if self.records >= ROTATE_AT_RECORDS {
            self.rotate()?;
        }
        let (bytes, chain) = sign_record::record(&entry, &self.chain);
        self.file.append(&bytes)?;
        self.file.sync()?;
        self.chain = chain;
        self.records += 1;
        self.remember(entry);
        self.poisoned = false;
        Ok(())
    }

    fn rotate(&mut self) -> Result<(), SignLogError> {
        let mut kept = BTreeMap::new();
        for phase in sign_record::PHASES {
            let newest = self.votes.iter().rev().filter(|(key, _)| key.phase == phase).take(KEPT_RECORDS);
            kept.extend(newest.map(|(key, vote)| (*key, *vote)));
        }
        let (mut bytes, mut chain) = sign_record::header(&self.key, self.first_epoch, true);
        let refusal = self.refused.map(|epoch| Entry::Refusal { epoch });
        let entries: Vec<Entry> =
            refusal.into_iter().chain(kept.iter().map(|(&key, &vote)| Entry::Vote { key, vote })).collect();
        for entry in &entries {
            let (record, next) = sign_record::record(entry, &chain);
            bytes.extend_from_slice(&record);
            chain = next;
        }
        self.file.replace(&bytes)?;
        self.votes = kept;
        self.records = entries.len();
        self.chain = chain;
        self.rotated = true;
        Ok(())
    }
}
