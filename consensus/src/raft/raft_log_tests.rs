use openraft::EntryPayload;
use proptest::prelude::*;

use super::*;
use crate::raft::Opaque;
use crate::raft::type_config::log_id;
use crate::storage::{FlushMode, MemDisk};

const GROUP: GroupId = GroupId::sector(7, 1, 0);

fn entry(term: u64, index: u64, bytes: &[u8]) -> Entry {
    let payload = EntryPayload::Normal(Opaque(bytes.to_vec().into()));
    Entry { log_id: log_id(LogPosition { term, index }), payload }
}

fn open(disk: &MemDisk) -> Result<RaftLog, LogError> {
    RaftLog::open(Arc::new(disk.open()), GROUP, Durability::Synced)
}

fn filled(disk: &MemDisk, entries: u64) -> RaftLog {
    let log = open(disk).unwrap();
    log.append((0..entries).map(|i| entry(1, i, &[i as u8; 10])), Box::new(|_| ())).unwrap();
    log
}

fn raw_key(index: u64) -> Vec<u8> {
    [&GROUP.key()[..], &index.to_be_bytes()].concat()
}

#[derive(Debug, Clone)]
enum Step {
    Append(u64, Vec<Vec<u8>>),
    Truncate(u64),
    Purge(u64),
    Reopen,
    Crash(usize),
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        4 => (0_u64..3, prop::collection::vec(prop::collection::vec(any::<u8>(), 0..20), 1..8))
            .prop_map(|(term, entries)| Step::Append(term, entries)),
        2 => (0_u64..40).prop_map(Step::Truncate),
        1 => (0_u64..40).prop_map(Step::Purge),
        1 => Just(Step::Reopen),
        1 => (0_usize..400).prop_map(Step::Crash),
    ]
}

/// The plainest log there is: the oracle.
#[derive(Debug, Clone, Default, PartialEq)]
struct Model {
    purged: Option<LogPosition>,
    entries: Vec<Entry>,
}

impl Model {
    fn next(&self) -> u64 {
        let last = self.entries.last().map(|e| e.log_id.index);
        last.or(self.purged.map(|p| p.index)).map_or(0, |last| last + 1)
    }

    fn of(log: &RaftLog) -> Self {
        Self { purged: log.extent().0, entries: log.read(0..u64::MAX, usize::MAX).unwrap() }
    }
}

proptest! {
    /// The log agrees with a vector under any sequence of calls; after a crash it is one of the states since the last
    /// flush, never a mixture, and it opens.
    #[test]
    fn the_log_is_a_vector_with_a_disk_below(steps in prop::collection::vec(step(), 1..30)) {
        let disk = MemDisk::new(FlushMode::Manual);
        let mut log = open(&disk).unwrap();
        let mut model = Model::default();
        let mut since_flush = vec![model.clone()];
        let mut term = 1;
        for step in steps {
            match step {
                Step::Append(raise, payloads) => {
                    term += raise;
                    let first = model.next();
                    let added: Vec<_> = (first..).zip(&payloads).map(|(i, bytes)| entry(term, i, bytes)).collect();
                    log.append(added.clone(), Box::new(|_| ())).unwrap();
                    model.entries.extend(added);
                }
                Step::Truncate(after) => {
                    log.truncate_after(Some(after)).unwrap();
                    model.entries.retain(|e| e.log_id.index <= after);
                }
                Step::Purge(upto) => {
                    if model.purged.is_some_and(|p| p.index >= upto) { continue; }
                    let known = model.entries.iter().find(|e| e.log_id.index == upto);
                    let at = known.map_or(LogPosition { term, index: upto }, |e| position(&e.log_id));
                    log.purge(at).unwrap();
                    model.purged = Some(at);
                    model.entries.retain(|e| e.log_id.index > upto);
                }
                Step::Reopen => {
                    disk.flush();
                    since_flush.clear();
                    log = open(&disk).unwrap();
                }
                Step::Crash(keep) => {
                    disk.crash(keep);
                    log = open(&disk).unwrap();
                    model = Model::of(&log);
                    prop_assert!(since_flush.contains(&model), "{model:?} was never written");
                    since_flush.clear();
                }
            }
            since_flush.push(model.clone());
            prop_assert_eq!(&Model::of(&log), &model);
            let last = model.entries.last().map(|e| position(&e.log_id)).or(model.purged);
            prop_assert_eq!(log.extent(), (model.purged, last));
        }
    }

    /// Whatever bit of whatever record flips, opening the log refuses it, and so does a log that is already open.
    #[test]
    fn a_flipped_bit_is_noticed(index in 0_u64..10, bit in 0_usize..42 * 8) {
        let disk = MemDisk::new(FlushMode::Immediate);
        let log = filled(&disk, 10);
        prop_assume!(disk.flip_bit(Table::RaftLog, &raw_key(index), bit));
        prop_assert!(open(&disk).is_err());
        prop_assert!(log.read(0..10, usize::MAX).is_err());
    }

    /// Whatever bit of head, vote or committed position flips: the log does not open, and says what an operator does.
    #[test]
    fn a_flipped_bit_beside_the_log_is_noticed(which in 0_usize..3, bit in 0_usize..100 * 8) {
        let disk = MemDisk::new(FlushMode::Immediate);
        let log = filled(&disk, 10);
        log.save_vote(&Vote::new(3, 2), Box::new(|_| ())).unwrap();
        log.save_committed(Some(LogPosition { term: 1, index: 4 })).unwrap();
        let key = [&GROUP.key()[..], [HEAD, VOTE, COMMITTED][which]].concat();
        prop_assume!(disk.flip_bit(Table::RaftMeta, &key, bit));
        let refused = open(&disk).err().unwrap();
        prop_assert!(matches!(refused, LogError::DamagedMeta { table: "raft_meta", .. }), "{:?}", refused);
        prop_assert!(refused.to_string().contains("join as a new node"));
    }

    #[test]
    fn a_hole_is_noticed(index in 0_u64..10) {
        let disk = MemDisk::new(FlushMode::Immediate);
        let log = filled(&disk, 10);
        prop_assert!(disk.lose_key(Table::RaftLog, &raw_key(index)));
        let refused = open(&disk).map(|_| ()).unwrap_err();
        if index == 9 {
            prop_assert_eq!(refused, LogError::WrongEnd { group: GROUP, expected: Some(9), found: Some(8) });
        } else {
            prop_assert_eq!(refused, LogError::Hole { group: GROUP, index });
        }
        prop_assert_eq!(log.read(0..10, usize::MAX), Err(LogError::Hole { group: GROUP, index }));
    }
}

#[test]
fn an_exchanged_entry_and_a_lost_head_are_noticed() {
    let disk = MemDisk::new(FlushMode::Immediate);
    filled(&disk, 5);
    let other = MemDisk::new(FlushMode::Immediate);
    let log = open(&other).unwrap();
    log.append((0..5).map(|i| entry(2, i, &[i as u8; 10])), Box::new(|_| ())).unwrap();
    let foreign = other.open().get(Table::RaftLog, &raw_key(3)).unwrap().unwrap();
    let mut batch = WriteBatch::new();
    batch.put(Table::RaftLog, raw_key(3), foreign);
    disk.open().write(&batch).unwrap();
    assert_eq!(open(&disk).err(), Some(LogError::Broken { group: GROUP, index: 3 }));

    assert!(other.lose_key(Table::RaftMeta, &[&GROUP.key()[..], HEAD].concat()));
    assert_eq!(open(&other).err(), Some(LogError::WrongEnd { group: GROUP, expected: None, found: Some(0) }));
}

#[test]
fn appends_leave_no_hole_and_reads_stop_at_their_bound() {
    let disk = MemDisk::new(FlushMode::Immediate);
    let log = filled(&disk, 3);
    let refused = log.append([entry(1, 4, b"")], Box::new(|_| panic!("nothing was appended")));
    assert_eq!(refused, Err(LogError::NotConsecutive { group: GROUP, expected: 3, found: 4 }));
    assert_eq!(log.read(0..3, 1).unwrap().len(), 1);
    assert_eq!(log.read(1..9, usize::MAX).unwrap().len(), 2);
    assert_eq!(log.read(3..9, usize::MAX).unwrap().len(), 0);
}

#[test]
fn unsynced_groups_do_not_wait_for_the_disk_but_their_votes_do() {
    let disk = MemDisk::new(FlushMode::Manual);
    let log = RaftLog::open(Arc::new(disk.open()), GROUP, Durability::Unsynced).unwrap();
    let (tx, rx) = std::sync::mpsc::sync_channel(4);
    let told = tx.clone();
    log.append([entry(1, 0, b"x")], Box::new(move |r| told.send(r).unwrap())).unwrap();
    assert_eq!(rx.try_recv(), Ok(Ok(())));
    log.save_vote(&Vote::new(3, 2), Box::new(move |r| tx.send(r).unwrap())).unwrap();
    assert!(rx.try_recv().is_err());
    disk.flush();
    assert_eq!(rx.try_recv(), Ok(Ok(())));
    disk.crash(0);
    let log = open(&disk).unwrap();
    assert_eq!(log.read_vote().unwrap(), Some(Vote::new(3, 2)));
    assert_eq!(log.read(0..9, usize::MAX).unwrap().len(), 1, "the vote's flush covers what was written before it");
}

#[test]
fn groups_do_not_see_each_other() {
    let disk = MemDisk::new(FlushMode::Immediate);
    filled(&disk, 3);
    let neighbour = RaftLog::open(Arc::new(disk.open()), GroupId::sector(8, 1, 0), Durability::Synced).unwrap();
    assert_eq!(neighbour.extent(), (None, None));
    neighbour.append([entry(5, 0, b"y")], Box::new(|_| ())).unwrap();
    assert_eq!(Model::of(&open(&disk).unwrap()).entries.len(), 3);
}

#[test]
fn a_log_may_begin_late_and_be_purged_before_its_beginning() {
    let disk = MemDisk::new(FlushMode::Immediate);
    let log = open(&disk).unwrap();
    log.append((2..6).map(|i| entry(1, i, b"z")), Box::new(|_| ())).unwrap();
    log.purge(LogPosition { term: 1, index: 0 }).unwrap();
    log.purge(LogPosition { term: 1, index: 1 }).unwrap();
    assert_eq!(Model::of(&open(&disk).unwrap()).entries.len(), 4);
    log.purge(LogPosition { term: 1, index: 2 }).unwrap();
    assert_eq!(Model::of(&open(&disk).unwrap()).entries.len(), 3);
}
