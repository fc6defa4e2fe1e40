use super::*;

fn keys() -> (tempfile::TempDir, KeyStore) {
    let folder = tempfile::tempdir().unwrap();
    let keys = KeyStore::in_folder(&folder.path().join("state"));
    (folder, keys)
}

#[tokio::test]
async fn a_new_key_is_valid_until_it_is_revoked() {
    let (_folder, keys) = keys();
    assert_eq!(keys.find(Some("simAAAA")).await, KeyStatus::NoKeys);
    let minted = keys.mint("bob").unwrap();
    let key = minted.expose();
    assert!(key.starts_with("sim") && key.len() == 28, "{key}");
    assert!(key.chars().all(|c| c.is_ascii_alphanumeric()), "{key}");
    assert_ne!(key, keys.mint("ann").unwrap().expose());
    tokio::time::sleep(FRESH).await;
    assert_eq!(keys.find(Some(key)).await, KeyStatus::Known("bob".into()));
    assert_eq!(keys.find(Some("simAAAA")).await, KeyStatus::Unknown);
    keys.revoke("bob").unwrap();
    tokio::time::sleep(FRESH).await;
    assert_eq!(keys.find(Some(key)).await, KeyStatus::Unknown);
    keys.revoke("ann").unwrap();
    tokio::time::sleep(FRESH).await;
    assert_eq!(keys.find(Some(key)).await, KeyStatus::Unknown, "a revoked key stays in the file");
    assert_eq!(keys.find(Some("simAAAA")).await, KeyStatus::Unknown, "keys were created before");
    assert!(matches!(keys.revoke("bob"), Err(KeysError::Missing(_))));
    let again = keys.mint("bob").unwrap();
    tokio::time::sleep(FRESH).await;
    assert_eq!(keys.find(Some(again.expose())).await, KeyStatus::Known("bob".into()));
    assert_eq!(keys.find(Some(key)).await, KeyStatus::Unknown);
    let list = keys.list().unwrap();
    let list: Vec<_> = list.iter().map(|kept| (kept.name.as_str(), kept.revoked.is_some())).collect();
    assert_eq!((list[0], list.len()), (("ann", true), 3));
    assert_eq!(list.iter().filter(|kept| **kept == ("bob", true)).count(), 1);
}

#[test]
fn the_file_contains_no_key_and_only_its_owner_reads_it() {
    let (folder, keys) = keys();
    let minted = keys.mint("bob").unwrap();
    let file = folder.path().join("state/keys.json");
    let text = fs::read_to_string(&file).unwrap();
    assert!(text.contains("bob") && !text.contains(minted.expose()), "{text}");
    assert!(!format!("{minted:?}").contains(minted.expose()));
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt;
        assert_eq!(fs::metadata(&file).unwrap().permissions().mode() & 0o777, 0o600);
    }
}

#[test]
fn names_are_unique_and_restricted_to_safe_characters() {
    let (_folder, keys) = keys();
    keys.mint("bob").unwrap();
    assert!(matches!(keys.mint("bob"), Err(KeysError::Taken(name)) if name == "bob"));
    assert!(matches!(keys.revoke("ann"), Err(KeysError::Missing(name)) if name == "ann"));
    for name in ["", "a b", "a\n", "é", "a/b", &"a".repeat(65)] {
        assert!(matches!(keys.mint(name), Err(KeysError::Name(_))), "{name}");
    }
    keys.mint("bob@example.org").unwrap();
}

#[test]
fn keys_created_concurrently_are_all_stored() {
    let (_folder, keys) = keys();
    std::thread::scope(|scope| {
        for number in 0..8 {
            let keys = &keys;
            scope.spawn(move || keys.mint(&format!("key-{number}")).unwrap());
        }
    });
    assert_eq!(keys.list().unwrap().len(), 8);
}

#[tokio::test]
async fn a_broken_file_leaves_the_previous_keys_valid() {
    let (folder, keys) = keys();
    let minted = keys.mint("bob").unwrap();
    assert_eq!(keys.find(Some(minted.expose())).await, KeyStatus::Known("bob".into()));
    for broken in ["not json", "[{\"name\":\"bob\",\"created\":\"\",\"sha256\":\"zz\"}]", "{}"] {
        fs::write(folder.path().join("state/keys.json"), broken).unwrap();
        tokio::time::sleep(FRESH).await;
        assert_eq!(keys.find(Some(minted.expose())).await, KeyStatus::Known("bob".into()), "{broken}");
        for refused in [Some("simAAAA"), None] {
            assert_eq!(keys.find(refused).await, KeyStatus::Unreadable, "{broken} {refused:?}");
        }
        assert!(keys.trouble().unwrap().contains("keys.json"));
    }
    assert!(matches!(keys.mint("ann"), Err(KeysError::Broken { .. })));
}

#[tokio::test]
async fn an_unreadable_file_accepts_no_key() {
    let (folder, keys) = keys();
    let file = folder.path().join("state/keys.json");
    // No user can read a folder as a file, root included.
    fs::create_dir_all(&file).unwrap();
    assert_eq!(keys.find(Some("simAAAA")).await, KeyStatus::Unreadable);
    assert_eq!(keys.find(None).await, KeyStatus::Unreadable);
    fs::remove_dir(&file).unwrap();
    tokio::time::sleep(FRESH).await;
    assert_eq!(keys.find(Some("simAAAA")).await, KeyStatus::NoKeys);
    assert_eq!(keys.find(None).await, KeyStatus::NoKeys);
}

#[test]
fn every_letter_of_a_key_is_equally_likely() {
    let mut counts = [0_u32; 256];
    for _ in 0..4_000 {
        for byte in random_key().unwrap().bytes().skip(PREFIX.len()) {
            counts[usize::from(byte)] += 1;
        }
    }
    // 100,000 letters, 1,613 of each expected; the bounds are 8 standard deviations away.
    for letter in LETTERS {
        let count = counts[usize::from(*letter)];
        assert!((1_290..=1_940).contains(&count), "{}: {count}", char::from(*letter));
    }
}
