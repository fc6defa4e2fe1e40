use std::fs::File;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::time::{Duration, SystemTime};

use super::*;

const BOUNDS: Bounds = Bounds { all: 100_000, each: 60_000 };

fn name(text: &str) -> Name {
    Name::parse(text).unwrap()
}

fn owner(name: &str) -> Owner {
    Owner::new(&format!("key:{name}"))
}

struct Fixture {
    folder: tempfile::TempDir,
    store: Datastore,
}

impl Fixture {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let store = Datastore::in_folder(&folder.path().join("state"));
        Self { folder, store }
    }

    /// A new datastore on the same folder, as after a restart.
    fn reopened(&self) -> Datastore {
        Datastore::in_folder(&self.folder.path().join("state"))
    }

    async fn write(&self, client: &str, file: &str, bytes: usize) -> Result<(), StoreError> {
        let bytes = Bytes::from(vec![7; bytes]);
        self.store.write(&owner(client), &name("c"), &name(file), bytes, BOUNDS).await
    }

    async fn with_collections() -> Self {
        let fixture = Self::new();
        for client in ["bob", "ann"] {
            fixture.store.create(&owner(client), &name("c"), Readers::default(), BOUNDS).await.unwrap();
        }
        fixture
    }
}

async fn read(store: &Datastore, client: &str, file: &str) -> Option<Vec<u8>> {
    let opened = store.open(&owner(client), &name("c"), &name(file)).await.unwrap()?;
    let mut bytes = Vec::new();
    std::io::Read::read_to_end(&mut &opened.file, &mut bytes).unwrap();
    assert_eq!(opened.bytes, bytes.len() as u64);
    Some(bytes)
}

#[tokio::test]
async fn only_the_owner_reads_files_and_they_survive_a_restart() {
    let fixture = Fixture::with_collections().await;
    fixture.write("bob", "a b", 3).await.unwrap();
    for store in [fixture.store.clone(), fixture.reopened()] {
        assert_eq!(read(&store, "bob", "a b").await.unwrap(), [7, 7, 7]);
        assert_eq!(read(&store, "ann", "a b").await, None);
        assert_eq!(read(&store, "bob", "a").await, None);
    }
    let none = fixture.store.open(&owner("bob"), &name("d"), &name("a b")).await.unwrap();
    assert!(none.is_none());
    assert!(matches!(
        fixture.store.create(&owner("bob"), &name("c"), Readers::Nobody, BOUNDS).await,
        Err(StoreError::Exists)
    ));
    let bytes = Bytes::from_static(b"x");
    let missing = fixture.store.write(&owner("bob"), &name("d"), &name("a"), bytes, BOUNDS).await;
    assert!(matches!(missing, Err(StoreError::NoCollection)));
    // Only this user can read the folders.
    let root = fixture.folder.path().join("state/data");
    for path in [root.clone(), root.join("files"), root.join("files").join(&owner("bob").0)] {
        assert_eq!(fs::metadata(path).unwrap().permissions().mode() & 0o077, 0);
    }
    assert_eq!(fs::read_dir(root.join("parts")).unwrap().count(), 0);
}

#[tokio::test]
async fn storage_is_limited_per_owner_and_in_total() {
    let fixture = Fixture::with_collections().await;
    fixture.write("bob", "a", 40_000).await.unwrap();
    assert!(matches!(fixture.write("bob", "b", 20_000).await, Err(StoreError::Full(BoundOwner::Own))));
    fixture.write("ann", "a", 28_000).await.unwrap();
    assert!(matches!(fixture.write("ann", "b", 23_000).await, Err(StoreError::Full(BoundOwner::All))));
    // Deleting or shrinking a file releases its space, also after a restart.
    fixture.write("bob", "a", 1_000).await.unwrap();
    assert!(fixture.store.remove(&owner("ann"), &name("c"), &name("a")).await.unwrap());
    assert!(!fixture.store.remove(&owner("ann"), &name("c"), &name("a")).await.unwrap());
    for store in [fixture.store.clone(), fixture.reopened()] {
        let bytes = Bytes::from(vec![1; 50_000]);
        store.write(&owner("ann"), &name("c"), &name("b"), bytes, BOUNDS).await.unwrap();
        let bytes = Bytes::from(vec![1; 40_000]);
        let full = store.write(&owner("bob"), &name("c"), &name("b"), bytes, BOUNDS).await;
        assert!(matches!(full, Err(StoreError::Full(BoundOwner::All))), "{full:?}");
        assert!(store.remove(&owner("ann"), &name("c"), &name("b")).await.unwrap());
    }
    // Empty files use space, too.
    let mut made = 0;
    while fixture.write("bob", &made.to_string(), 0).await.is_ok() {
        made += 1;
    }
    assert_eq!(made, 60_000 / 4096 - 2);
    let removed = fixture.store.remove_collection(&owner("bob"), &name("c"), true).await.unwrap();
    assert_eq!(removed, made + 1);
    let folders = (0..20).map(|i| name(&format!("f{i}")));
    let mut made = 0;
    for folder in folders {
        made +=
            u32::from(fixture.store.create(&owner("bob"), &folder, Readers::Nobody, BOUNDS).await.is_ok());
    }
    assert_eq!(made, 60_000 / 4096);
}

#[tokio::test]
async fn a_listing_is_sorted_and_continues_after_the_last_name() {
    let fixture = Fixture::with_collections().await;
    for file in ["b", "a", "ä", "c d", ".x"] {
        fixture.write("bob", file, 1).await.unwrap();
    }
    let mut names = Vec::new();
    let mut after = None;
    loop {
        let page = fixture.store.list(&owner("bob"), &name("c"), after, 2).await.unwrap().unwrap();
        names.extend(page.items.iter().map(|facts| facts.name.to_string()));
        after = page.items.last().map(|facts| facts.name.clone());
        if !page.more {
            break;
        }
    }
    assert_eq!(names, [".x", "a", "b", "c d", "ä"]);
    assert!(fixture.store.list(&owner("bob"), &name("d"), None, 2).await.unwrap().is_none());
    let page = fixture.store.collections(&owner("bob"), None, 2).await.unwrap();
    assert_eq!(page, FileListing { items: vec![name("c")], more: false });
    let unknown = fixture.store.collections(&owner("eve"), None, 2).await.unwrap();
    assert!(unknown.items.is_empty());
    let full = fixture.store.remove_collection(&owner("bob"), &name("c"), false).await;
    assert!(matches!(full, Err(StoreError::NotEmpty(5))));
}

#[tokio::test]
async fn readers_of_a_collection_survive_a_restart() {
    let fixture = Fixture::with_collections().await;
    for readers in [Readers::Everybody, Readers::Nobody, Readers::Algorithms] {
        fixture.store.set_readers(&owner("bob"), &name("c"), readers).await.unwrap();
        assert_eq!(fixture.reopened().readers(&owner("bob"), &name("c")).await.unwrap(), Some(readers));
    }
    assert_eq!(fixture.store.readers(&owner("bob"), &name("d")).await.unwrap(), None);
    assert_eq!(fixture.store.remove_collection(&owner("bob"), &name("c"), false).await.unwrap(), 0);
}

#[tokio::test]
async fn links_are_never_followed() {
    let fixture = Fixture::with_collections().await;
    let secret = fixture.folder.path().join("secret");
    fs::create_dir(&secret).unwrap();
    fs::write(secret.join("x"), "secret").unwrap();
    let files = fixture.folder.path().join("state/data/files");
    let collection = files.join(&owner("bob").0).join("c");

    symlink(secret.join("x"), collection.join("x")).unwrap();
    assert!(fixture.store.open(&owner("bob"), &name("c"), &name("x")).await.is_err());
    let page = fixture.store.list(&owner("bob"), &name("c"), None, 9).await.unwrap().unwrap();
    assert!(page.items.is_empty());
    // A written file replaces the link.
    fixture.write("bob", "x", 2).await.unwrap();
    assert_eq!(fs::read_to_string(secret.join("x")).unwrap(), "secret");
    assert_eq!(read(&fixture.store, "bob", "x").await.unwrap(), [7, 7]);

    symlink(&secret, files.join(&owner("bob").0).join("d")).unwrap();
    assert!(fixture.store.open(&owner("bob"), &name("d"), &name("x")).await.is_err());
    assert!(fixture.store.list(&owner("bob"), &name("d"), None, 9).await.is_err());
    assert!(fixture.store.remove_collection(&owner("bob"), &name("d"), true).await.is_err());
    let written =
        fixture.store.write(&owner("bob"), &name("d"), &name("y"), Bytes::from_static(b"y"), BOUNDS).await;
    assert!(written.is_err());
    assert_eq!(fs::read_dir(&secret).unwrap().count(), 1);

    // A pipe without a writer does not block.
    let fifo = std::process::Command::new("mkfifo").arg(collection.join("pipe")).status().unwrap();
    assert!(fifo.success());
    assert!(fixture.store.open(&owner("bob"), &name("c"), &name("pipe")).await.is_err());
}

#[tokio::test]
async fn temporary_files_expire_after_a_day_and_the_oldest_are_deleted_first() {
    let fixture = Fixture::new();
    let store = &fixture.store;
    let put = async |bytes: usize| store.write_temp(Bytes::from(vec![9; bytes]), "png", 30_000).await;
    let first = put(8_000).await.unwrap();
    assert_eq!(first.len(), 36);
    assert_eq!(store.open_temp(&first).await.unwrap().unwrap().bytes, 8_000);
    for other in ["", "x.png", "../keys.json", &first[1..], &first.to_uppercase(), &format!("{first}x")] {
        assert!(store.open_temp(other).await.unwrap().is_none(), "{other}");
    }
    // An expired file is not served.
    let temp = fixture.folder.path().join("state/data/temp");
    let set_age = |file: &str, age: Duration| {
        let file = File::options().write(true).open(temp.join(file)).unwrap();
        file.set_modified(SystemTime::now() - age).unwrap();
    };
    set_age(&first, TEMP_LIFETIME - Duration::from_secs(60));
    assert!(store.open_temp(&first).await.unwrap().is_some());
    set_age(&first, TEMP_LIFETIME);
    assert!(store.open_temp(&first).await.unwrap().is_none());
    store.sweep().await.unwrap();
    assert_eq!(fs::read_dir(&temp).unwrap().count(), 0);

    let second = put(8_000).await.unwrap();
    set_age(&second, Duration::from_secs(60));
    let third = put(8_000).await.unwrap();
    set_age(&third, Duration::from_secs(30));
    let fourth = put(20_000).await.unwrap();
    let there = async |name: &str| store.open_temp(name).await.unwrap().is_some();
    assert!(!there(&second).await && there(&third).await && there(&fourth).await);
    assert!(matches!(put(40_000).await, Err(StoreError::Full(BoundOwner::All))));
    assert!(there(&fourth).await);
}

#[tokio::test]
async fn a_sweep_deletes_files_that_a_killed_process_left() {
    let fixture = Fixture::with_collections().await;
    fixture.write("bob", "a", 1).await.unwrap();
    let part = fixture.folder.path().join("state/data/parts/old.part");
    fs::write(&part, "half").unwrap();
    fixture.store.sweep().await.unwrap();
    assert!(part.exists());
    let file = File::open(&part).unwrap();
    file.set_modified(SystemTime::now() - Duration::from_secs(700)).unwrap();
    fixture.store.sweep().await.unwrap();
    assert!(!part.exists());
    // A collection whose removal was interrupted.
    let folder = fixture.folder.path().join("state/data/removed/some");
    fs::create_dir_all(&folder).unwrap();
    fs::write(folder.join("a"), "whole").unwrap();
    fixture.store.sweep().await.unwrap();
    assert!(!folder.exists());
}

#[tokio::test(flavor = "multi_thread")]
async fn temporary_files_written_concurrently_stay_within_the_limit() {
    const MOST: u64 = 60_000;
    let fixture = Fixture::new();
    let writes = (0..40).map(|_| fixture.store.write_temp(Bytes::from(vec![9; 8_000]), "png", MOST));
    let written = futures::future::join_all(writes).await;
    assert!(written.iter().any(Result::is_ok));
    for result in written {
        assert!(matches!(result, Ok(_) | Err(StoreError::Full(BoundOwner::All))), "{result:?}");
    }
    let temp = fixture.folder.path().join("state/data/temp");
    let taken: u64 = fs::read_dir(temp).unwrap().map(|entry| entry.unwrap().metadata().unwrap().len()).sum();
    assert!(taken <= MOST, "{taken}");
}

#[tokio::test(flavor = "multi_thread")]
async fn removing_a_collection_during_writes_removes_it_whole_and_releases_its_space() {
    let fixture = Fixture::with_collections().await;
    let (bob, c) = (owner("bob"), name("c"));
    for round in 0..60 {
        let files: Vec<_> = (0..6).map(|file| format!("{round}-{file}")).collect();
        let writes = futures::future::join_all(files.iter().map(|file| fixture.write("bob", file, 100)));
        let remove = fixture.store.remove_collection(&bob, &c, true);
        let (written, removed) = futures::join!(writes, remove);
        removed.unwrap();
        for result in written {
            assert!(matches!(result, Ok(()) | Err(StoreError::NoCollection)), "{result:?}");
        }
        let found = fixture.store.list(&bob, &c, None, 10).await.unwrap();
        assert_eq!(found, None, "a write has recreated the removed collection");
        fixture.store.create(&bob, &c, Readers::Everybody, BOUNDS).await.unwrap();
    }
    // The files of all 60 rounds together would exceed the limit.
    let most = usize::try_from(BOUNDS.each - 2 * disk_size(0)).unwrap();
    fixture.write("bob", "large", most).await.unwrap();
    assert!(matches!(fixture.write("bob", "more", 1).await, Err(StoreError::Full(BoundOwner::Own))));
    for folder in ["parts", "removed"] {
        let left = fs::read_dir(fixture.folder.path().join("state/data").join(folder)).unwrap();
        assert_eq!(left.count(), 0, "{folder}");
    }
}
