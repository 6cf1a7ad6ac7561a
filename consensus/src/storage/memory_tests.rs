use proptest::prelude::*;

use super::*;

fn put(key: u8, value: u8) -> WriteBatch {
    let mut batch = WriteBatch::new();
    batch.put(Table::State, vec![key], vec![value]).put(Table::Misc, vec![key], vec![value]);
    batch
}

fn contents(store: &MemStore) -> (Vec<KeyValue>, Vec<KeyValue>) {
    let all = ScanLimit::entries(usize::MAX);
    (store.scan(Table::State, &[], None, all).unwrap(), store.scan(Table::Misc, &[], None, all).unwrap())
}

proptest! {
    /// What survives is the flushed part plus a prefix of the rest, whole batches only, wherever the cut falls.
    #[test]
    fn a_crash_keeps_a_prefix_of_whole_batches(
        writes in prop::collection::vec((any::<u8>(), any::<u8>()), 0..40),
        synced in 0_usize..40,
        cut in 0_usize..2000,
    ) {
        let disk = MemDisk::new(FlushMode::Manual);
        let store = disk.open();
        for (i, (key, value)) in writes.iter().enumerate() {
            if i == synced {
                disk.flush();
            }
            store.write(&put(*key, *value)).unwrap();
        }
        let synced = if synced < writes.len() { synced } else { 0 };
        let report = disk.crash(cut);
        prop_assert_eq!(report.kept_batches + report.lost_batches, writes.len() - synced);
        prop_assert_eq!(store.get(Table::State, &[0]), Err(StoreError::Closed));

        let expected = MemDisk::new(FlushMode::Immediate).open();
        for (key, value) in writes.iter().take(synced + report.kept_batches) {
            expected.write(&put(*key, *value)).unwrap();
        }
        prop_assert_eq!(contents(&disk.open()), contents(&expected));
    }

    #[test]
    fn scans_agree_with_a_filter(
        keys in prop::collection::btree_set(prop::collection::vec(any::<u8>(), 0..3), 0..40),
        from in prop::collection::vec(any::<u8>(), 0..3),
        to in prop::option::of(prop::collection::vec(any::<u8>(), 0..3)),
        entries in 1_usize..10,
    ) {
        let store = MemDisk::new(FlushMode::Immediate).open();
        for key in &keys {
            let mut batch = WriteBatch::new();
            batch.put(Table::Blocks, key.clone(), key.clone()).put(Table::State, key.clone(), vec![]);
            store.write(&batch).unwrap();
        }
        let wanted: Vec<KeyValue> = keys.iter()
            .filter(|key| **key >= from && to.as_ref().is_none_or(|to| *key < to))
            .map(|key| (key.clone(), key.clone())).collect();
        let found = store.scan(Table::Blocks, &from, to.as_deref(), ScanLimit::entries(entries)).unwrap();
        prop_assert_eq!(&found[..], &wanted[..entries.min(wanted.len())]);
        prop_assert_eq!(store.last(Table::Blocks, &from, to.as_deref()).unwrap(), wanted.last().cloned());
    }
}

#[test]
fn callbacks_wait_for_the_flush_and_die_with_a_crash() {
    let disk = MemDisk::new(FlushMode::Manual);
    let store = disk.open();
    let (tx, rx) = std::sync::mpsc::sync_channel(4);
    let done = |name: &'static str| {
        let tx = tx.clone();
        Box::new(move |r: Result<(), StoreError>| tx.send((name, r)).unwrap())
    };
    store.write_durable(&put(1, 1), done("kept"));
    assert!(rx.try_recv().is_err());
    assert_eq!(store.get(Table::State, &[1]).unwrap(), Some(vec![1]), "readable before it is durable");
    assert_eq!(disk.flush(), 1);
    assert_eq!(rx.try_recv().unwrap(), ("kept", Ok(())));
    store.write_durable(&put(2, 2), done("lost"));
    disk.crash(0);
    assert!(rx.try_recv().is_err());
    assert_eq!(disk.open().get(Table::State, &[2]).unwrap(), None);
    store.write_durable(&put(3, 3), done("closed"));
    assert_eq!(rx.try_recv().unwrap(), ("closed", Err(StoreError::Closed)));
}
