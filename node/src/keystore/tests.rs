//! Keys are made, found, opened and refused.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;

use super::*;

fn name(text: &str) -> KeyName {
    text.parse().unwrap()
}

fn phrase(text: &str) -> Passphrase {
    Passphrase::new(text).unwrap()
}

fn keystore() -> (tempfile::TempDir, Keystore) {
    let dir = tempfile::tempdir().unwrap();
    let store = Keystore::new(dir.path().join("keys"));
    (dir, store)
}

#[test]
fn a_key_opens_with_its_passphrase_and_is_listed_without_one() {
    let (_dir, store) = keystore();
    assert_eq!(store.list().unwrap(), []);
    let made = store.create(&name("alice"), &phrase("correct horse"), Kdf::local_testnet()).unwrap();
    store.create(&name("bob"), &phrase("battery staple"), Kdf::local_testnet()).unwrap();
    let opened = store.unlock(&name("alice"), &phrase("correct horse")).unwrap();
    assert_eq!((opened.seed(), opened.public()), (made.seed(), made.public()));
    let public = ed25519_dalek::SigningKey::from_bytes(opened.seed()).verifying_key().to_bytes();
    assert_eq!(public, opened.public());
    let listed: Vec<_> = store.list().unwrap().into_iter().map(|entry| entry.name.to_string()).collect();
    assert_eq!(listed, ["alice", "bob"]);
    assert_eq!(store.show(&name("alice")).unwrap().public, made.public());
}

#[test]
fn the_file_is_private_and_holds_no_secret() {
    let (_dir, store) = keystore();
    let made = store.create(&name("alice"), &phrase("correct horse"), Kdf::local_testnet()).unwrap();
    let path = store.show(&name("alice")).unwrap().path;
    assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
    let text = fs::read_to_string(&path).unwrap();
    assert!(!text.contains(&hex::encode(made.seed())));
    assert!(text.contains(&hex::encode(made.public())));
    assert!(!format!("{made:?} {:?}", phrase("secret words")).contains("secret words"));
    fs::set_permissions(&path, fs::Permissions::from_mode(0o644)).unwrap();
    assert!(matches!(store.show(&name("alice")), Err(KeystoreError::Exposed { mode: 0o644, .. })));
}

#[test]
fn a_wrong_passphrase_is_one_sentence_naming_key_and_file() {
    let (_dir, store) = keystore();
    store.create(&name("alice"), &phrase("correct horse"), Kdf::local_testnet()).unwrap();
    let error = store.unlock(&name("alice"), &phrase("wrong horse")).unwrap_err();
    let path = store.show(&name("alice")).unwrap().path;
    assert_eq!(error.to_string(), format!("wrong passphrase for key alice ({})", path.display()));
}

#[test]
fn an_existing_key_is_never_overwritten() {
    let (_dir, store) = keystore();
    let first = store.create(&name("alice"), &phrase("one"), Kdf::local_testnet()).unwrap();
    let again = store.create(&name("alice"), &phrase("two"), Kdf::local_testnet());
    assert!(matches!(again, Err(KeystoreError::Exists { .. })));
    assert_eq!(store.unlock(&name("alice"), &phrase("one")).unwrap().seed(), first.seed());
}

#[test]
fn a_missing_key_is_answered_with_the_nearest_name() {
    let (_dir, store) = keystore();
    store.create(&name("operator"), &phrase("one"), Kdf::local_testnet()).unwrap();
    let error = store.unlock(&name("operater"), &phrase("one")).unwrap_err().to_string();
    assert!(error.contains("no key named operater") && error.ends_with("did you mean operator?"), "{error}");
    assert!(!store.show(&name("zoe")).unwrap_err().to_string().contains("did you mean"));
}

#[test]
fn names_that_could_leave_the_folder_are_refused() {
    let long = "a".repeat(65);
    for bad in ["", "..", "../x", "a/b", "Alice", "-a", "_a", "a b", "a.key", "ä", "a\0", &long] {
        assert!(matches!(bad.parse::<KeyName>(), Err(KeystoreError::BadName { .. })), "{bad:?}");
    }
    assert_eq!(name("a-1_b").as_str(), "a-1_b");
}

/// Each single changed character of the file is noticed, as damage or as a seal that does not open.
#[test]
fn a_changed_file_never_opens_as_another_key() {
    let (_dir, store) = keystore();
    store.create(&name("alice"), &phrase("one"), Kdf::local_testnet()).unwrap();
    let path = store.show(&name("alice")).unwrap().path;
    let text = fs::read_to_string(&path).unwrap();
    let mut changed = 0;
    for (at, old) in text.char_indices().filter(|(_, c)| c.is_ascii_hexdigit()) {
        let new = if old == '1' { '2' } else { '1' };
        let damaged = format!("{}{new}{}", &text[..at], &text[at + 1..]);
        // More memory is allowed, only slow.
        if damaged.contains("\"memory_kib\": 64") {
            fs::write(&path, &damaged).unwrap();
            let refused = store.unlock(&name("alice"), &phrase("one")).unwrap_err();
            let expected = matches!(refused, KeystoreError::Damaged { .. } | KeystoreError::WrongPassphrase { .. });
            assert!(expected, "{refused}");
            changed += 1;
        }
    }
    assert!(changed > 200);
    for cut in [0, 1, text.len() / 2] {
        fs::write(&path, &text[..cut]).unwrap();
        assert!(matches!(store.list(), Err(KeystoreError::Damaged { .. })));
    }
}

#[test]
fn a_hostile_file_cannot_demand_all_memory() {
    let (_dir, store) = keystore();
    store.create(&name("alice"), &phrase("one"), Kdf::local_testnet()).unwrap();
    let path = store.show(&name("alice")).unwrap().path;
    let text = fs::read_to_string(&path).unwrap().replace("\"memory_kib\": 64", "\"memory_kib\": 4294967295");
    fs::write(&path, text).unwrap();
    assert!(matches!(store.unlock(&name("alice"), &phrase("one")), Err(KeystoreError::Damaged { .. })));
}

#[test]
fn the_standard_parameters_are_those_recommended_and_recorded() {
    let (_dir, store) = keystore();
    store.import(&name("alice"), &[7; 32], &phrase("one"), Kdf::standard()).unwrap();
    let text = fs::read_to_string(store.show(&name("alice")).unwrap().path).unwrap();
    let json: serde_json::Value = serde_json::from_str(&text).unwrap();
    assert_eq!(json["kdf"], serde_json::json!({"memory_kib": 19_456, "passes": 2, "lanes": 1}));
    assert_eq!(store.unlock(&name("alice"), &phrase("one")).unwrap().seed(), &[7; 32]);
}

#[test]
fn passphrases_come_from_a_file_before_the_variable() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("phrase");
    fs::write(&file, "from file\nsecond line\n").unwrap();
    let found = Passphrase::find(Some(&file), Some("from variable".to_owned())).unwrap().unwrap();
    assert_eq!(found.as_bytes(), b"from file");
    let found = Passphrase::find(None, Some("from variable".to_owned())).unwrap().unwrap();
    assert_eq!(found.as_bytes(), b"from variable");
    assert!(Passphrase::find(None, None).unwrap().is_none());
    assert!(Passphrase::new("").is_err());
    assert!(Passphrase::new("x".repeat(1_025)).is_err());
    fs::write(&file, "\n").unwrap();
    assert!(Passphrase::from_file(&file).is_err());
}
