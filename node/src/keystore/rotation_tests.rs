//! Wherever a rotation stops, every key that might count can be opened, and going on ends it.

use std::fs;

use super::*;
use mesh30k_ledger::key_policy::KeyPolicy;
use mesh30k_ledger::keys::PublicKey;

fn name(text: &str) -> KeyName {
    text.parse().unwrap()
}

fn phrase() -> Passphrase {
    Passphrase::new("correct horse").unwrap()
}

fn keystore() -> (tempfile::TempDir, Keystore) {
    let dir = tempfile::tempdir().unwrap();
    let store = Keystore::new(dir.path().join("keys"));
    store.create(&name("alice"), &phrase(), Kdf::local_testnet()).unwrap();
    (dir, store)
}

/// Every file of a keystore by its name.
fn files(store: &Keystore) -> Vec<(String, Vec<u8>)> {
    let mut files: Vec<(String, Vec<u8>)> = fs::read_dir(store.dir())
        .unwrap()
        .map(|entry| {
            let path = entry.unwrap().path();
            (path.file_name().unwrap().to_str().unwrap().to_owned(), fs::read(path).unwrap())
        })
        .collect();
    files.sort();
    files
}

/// Public halves of all keys that can be opened, the waiting one of alice included.
fn opened(store: &Keystore) -> Vec<[u8; 32]> {
    let lock = store.lock_rotation().unwrap();
    let mut found: Vec<[u8; 32]> =
        store.list().unwrap().iter().map(|entry| store.unlock(&entry.name, &phrase()).unwrap().public()).collect();
    if store.waiting(&name("alice")).unwrap().is_some() {
        found.push(store.next(&lock, &name("alice"), &phrase()).unwrap().public());
    }
    found
}

#[test]
fn a_new_key_takes_the_name_and_the_account_and_the_old_one_stays() {
    let (_dir, store) = keystore();
    let first = store.show(&name("alice")).unwrap();
    assert_eq!(first.account, KeyPolicy::single(PublicKey(first.public)).account());
    let lock = store.lock_rotation().unwrap();
    assert!(store.waiting(&name("alice")).unwrap().is_none());
    assert!(matches!(store.take_over(&lock, &name("alice")), Err(KeystoreError::NotFound { .. })), "nothing waits");
    let next = store.next(&lock, &name("alice"), &phrase()).unwrap();
    assert_eq!(store.list().unwrap(), std::slice::from_ref(&first), "a key that waits is none yet");
    assert_eq!(store.next(&lock, &name("alice"), &phrase()).unwrap().public(), next.public(), "made once");
    let old = store.take_over(&lock, &name("alice")).unwrap();
    assert_eq!(old.to_string(), format!("alice-was-{}", hex::encode(&first.public[..4])));
    let now = store.unlock(&name("alice"), &phrase()).unwrap();
    assert_eq!((now.public(), now.account()), (next.public(), first.account));
    assert_eq!(store.unlock(&old, &phrase()).unwrap().public(), first.public);
    // And again: the account stays what it was at first.
    let third = store.next(&lock, &name("alice"), &phrase()).unwrap();
    store.take_over(&lock, &name("alice")).unwrap();
    let now = store.show(&name("alice")).unwrap();
    assert_eq!((now.public, now.account), (third.public(), first.account));
    assert_eq!(store.list().unwrap().len(), 3);
}

#[test]
fn whatever_step_it_stops_at_nothing_is_lost_and_it_can_go_on() {
    let (_dir, store) = keystore();
    let first = store.show(&name("alice")).unwrap().public;
    // Stopped while the next key was being written: half a draft, which nobody looks at.
    fs::write(store.dir().join("alice.next-key.json.0011223344556677"), "{\"version\":").unwrap();
    assert_eq!(opened(&store), [first]);
    // Stopped with the next key made; whether the ledger knows of it, nobody here can tell.
    let lock = store.lock_rotation().unwrap();
    let next = store.next(&lock, &name("alice"), &phrase()).unwrap().public();
    drop(lock);
    assert_eq!(opened(&store), [first, next]);
    // Stopped with the old key named twice.
    let old = format!("alice-was-{}.key.json", hex::encode(&first[..4]));
    fs::hard_link(store.dir().join("alice.key.json"), store.dir().join(&old)).unwrap();
    assert_eq!(opened(&store), [first, first, next]);
    let lock = store.lock_rotation().unwrap();
    store.take_over(&lock, &name("alice")).unwrap();
    drop(lock);
    // Stopped at the very end, before anybody was told: alice is the new key, nothing waits.
    assert_eq!(opened(&store), [next, first]);
    assert_eq!(store.show(&name("alice")).unwrap().public, next);
    let names: Vec<String> = files(&store).into_iter().map(|(name, _)| name).collect();
    assert_eq!(names, [old.as_str(), "alice.key.json", "alice.next-key.json.0011223344556677"]);
}

#[test]
fn a_wrong_passphrase_and_a_second_process_change_nothing() {
    let (_dir, store) = keystore();
    let before = files(&store);
    let lock = store.lock_rotation().unwrap();
    let wrong = store.next(&lock, &name("alice"), &Passphrase::new("wrong").unwrap());
    assert!(matches!(wrong, Err(KeystoreError::WrongPassphrase { .. })));
    assert!(matches!(store.next(&lock, &name("bob"), &phrase()), Err(KeystoreError::NotFound { .. })));
    assert!(matches!(store.lock_rotation(), Err(KeystoreError::Busy { .. })));
    assert_eq!(files(&store), before);
    drop(lock);
    assert!(store.lock_rotation().is_ok());
}

#[test]
fn the_account_in_a_file_cannot_be_changed_unnoticed() {
    let (_dir, store) = keystore();
    let lock = store.lock_rotation().unwrap();
    store.next(&lock, &name("alice"), &phrase()).unwrap();
    store.take_over(&lock, &name("alice")).unwrap();
    let entry = store.show(&name("alice")).unwrap();
    let other = mesh30k_ledger::types::AccountId([9; 20]);
    let text = fs::read_to_string(&entry.path).unwrap();
    for changed in [
        text.replace(&entry.account.to_string(), &other.to_string()),
        text.replace(&format!(",\n  \"account\": \"{}\"", entry.account), ""),
    ] {
        assert_ne!(changed, text);
        fs::write(&entry.path, changed).unwrap();
        assert!(matches!(store.unlock(&name("alice"), &phrase()), Err(KeystoreError::WrongPassphrase { .. })));
    }
}
