use std::cell::RefCell;
use std::collections::BTreeMap;

use proptest::prelude::*;

use super::*;

type Disk = RefCell<BTreeMap<Vec<u8>, Vec<u8>>>;

fn write(resident: &Resident, disk: &Disk, changes: &ChangeSet) {
    let written: Result<(), ()> = resident.change(changes, || {
        for (key, value) in changes {
            match value {
                Some(value) => disk.borrow_mut().insert(key.clone(), value.clone()),
                None => disk.borrow_mut().remove(key),
            };
        }
        Ok(())
    });
    written.unwrap();
}

/// Reads a key; `between` happens after the disk was read and before what it said is kept.
fn read(resident: &Resident, disk: &Disk, key: u8, between: impl FnOnce()) -> Value {
    let mut seen = None;
    let from_disk = || {
        let found = disk.borrow().get([key].as_slice()).cloned();
        between();
        Ok(found)
    };
    resident.view_record(&[key], &mut |value| seen = Some(value.to_vec()), from_disk).unwrap();
    seen
}

/// As [`read`] for all keys at once.
fn read_all(resident: &Resident, disk: &Disk, between: impl FnOnce()) -> Vec<Value> {
    let keys: Vec<[u8; 1]> = (0..12).map(|key| [key]).collect();
    let keys: Vec<&[u8]> = keys.iter().map(<[u8; 1]>::as_slice).collect();
    let mut seen = vec![None; keys.len()];
    let from_disk = |missing: &[&[u8]]| {
        let found = missing.iter().map(|key| disk.borrow().get(*key).cloned()).collect();
        between();
        Ok(found)
    };
    resident.view_records(&keys, &mut |place, value| seen[place] = Some(value.to_vec()), from_disk).unwrap();
    seen
}

fn changes() -> impl Strategy<Value = ChangeSet> {
    let value = prop::option::of(prop::collection::vec(any::<u8>(), 0..4));
    prop::collection::btree_map(prop::collection::vec(0..12_u8, 1), value, 0..6)
}

proptest! {
    /// Whatever was read before and whatever is written while somebody reads: the next reader sees what is on disk.
    #[test]
    fn records_are_those_on_disk(
        steps in prop::collection::vec((changes(), prop::collection::vec((0..12_u8, prop::option::of(changes())), 0..12)), 1..8)
    ) {
        let (resident, disk) = (Resident::new(RECORDS_BYTES), Disk::default());
        for (written, reads) in steps {
            write(&resident, &disk, &written);
            for (key, meanwhile) in reads {
                let write_meanwhile = || meanwhile.iter().for_each(|changes| write(&resident, &disk, changes));
                if key % 2 == 0 {
                    read(&resident, &disk, key, write_meanwhile);
                } else {
                    read_all(&resident, &disk, write_meanwhile);
                }
                let on_disk: Vec<Value> = (0..12_u8).map(|key| disk.borrow().get([key].as_slice()).cloned()).collect();
                prop_assert_eq!(read_all(&resident, &disk, || {}), on_disk);
                for key in 0..12 {
                    prop_assert_eq!(read(&resident, &disk, key, || {}), disk.borrow().get([key].as_slice()).cloned());
                }
            }
        }
    }
}

#[test]
fn records_stay_within_their_memory() {
    let mut records = Records::new(RECORDS_BYTES);
    for n in 0..200_000_u32 {
        records.keep(n.to_be_bytes().to_vec(), Some(vec![0; 1_000]));
        assert_eq!(records.get(&n.to_be_bytes()), Some(&Some(vec![0; 1_000])));
        let kept = (records.young.len() + records.old.len()) * (RECORD_BYTES + 1_004);
        assert!(kept <= RECORDS_BYTES, "{kept}");
    }
    assert!(records.get(&0_u32.to_be_bytes()).is_none(), "the oldest went");
}
