//! The shared object store under damage, foreign objects, several machines and outages.

use std::io::{Read, Write};
use std::sync::Arc;
use std::time::{Duration, Instant};

use pixcolor::cache::{
    BackgroundWrites, BucketCache, BucketOptions, Cache, CacheError, CacheEvent, Credentials, Entry,
    MemoryCache, Tier, TieredCache,
};
use pixcolor::hex::hex;
use pixcolor::tasks::Tasks;

use super::common::{LARGE, Log, STORE, key, open, open_objects, options, value};
use super::s3::S3;

/// Options with short time-outs for this store.
fn impatient(store: &S3) -> BucketOptions {
    let timeout = Duration::from_millis(300);
    BucketOptions { timeout, pause: Duration::from_secs(2), ..options(store) }
}

fn object(number: u32) -> String {
    let key = key(number);
    format!("{}/{}.{}", hex(&key.subject), hex(&key.variant), key.kind.label())
}

#[tokio::test]
async fn a_value_from_another_machine_is_copied_into_the_local_tiers() {
    let Some(store) = &*STORE else { return };
    let in_prefix = || BucketOptions { prefix: "machines".into(), ..options(store) };
    let machine = || {
        let (log, folder) = (Arc::new(Log::default()), tempfile::tempdir().unwrap());
        let memory = Arc::new(MemoryCache::new(LARGE, None, log.clone()));
        let disk = Arc::new(open(folder.path(), LARGE, None, &log));
        let objects = Arc::new(open_objects(in_prefix(), &log));
        let tiers: Vec<(Tier, Arc<dyn Cache>)> =
            vec![(Tier::Memory, memory), (Tier::Disk, disk.clone()), (Tier::Store, objects)];
        (TieredCache::new(tiers, None, log.clone()), disk, log, folder)
    };
    let (one, other) = (machine(), machine());
    one.0.put(&key(1), Entry::new(value(1, 0, 10_000))).await.unwrap();
    let first = other.0.get(&key(1)).await.unwrap().unwrap();
    let again = other.0.get(&key(1)).await.unwrap().unwrap();
    assert_eq!((first.tier, again.tier), (Tier::Store, Tier::Memory));
    assert_eq!(first.entry.bytes, value(1, 0, 10_000));
    assert!(other.1.get(&key(1)).await.unwrap().is_some(), "it is on the disk, too");
    // A gateway does not sweep the shared store.
    let tiers: Vec<Tier> = other.0.sweep().await.unwrap().iter().map(|stats| stats.tier).collect();
    assert_eq!(tiers, [Tier::Memory, Tier::Disk]);
    assert!(other.0.remove(&key(1)).await.unwrap());
    assert!(open_objects(in_prefix(), &other.2).get(&key(1)).await.unwrap().is_none());
}

#[tokio::test]
async fn damaged_objects_are_removed_and_foreign_objects_remain() {
    let Some(store) = S3::start() else { return };
    let log = Arc::new(Log::default());
    let objects = open_objects(options(&store), &log);
    for number in 1..5 {
        objects.put(&key(number), Entry::new(value(number, 0, 1000))).await.unwrap();
    }
    let mut flipped = store.read(&object(1));
    flipped[500] ^= 1;
    store.write(&object(1), &flipped);
    store.write(&object(2), &store.read(&object(3)));
    store.write(&object(4), b"");
    for (number, left) in [(1, false), (2, false), (3, true), (4, false)] {
        assert_eq!(objects.get(&key(number)).await.unwrap().is_some(), left, "{number}");
    }
    assert_eq!(log.count(Tier::Store, CacheEvent::Damaged), 3);
    assert_eq!(store.objects(), [object(3)]);

    let theirs = ["readme.txt".to_owned(), format!("a/{}", object(3)), format!("{}/x", hex(&key(3).subject))];
    theirs.iter().for_each(|name| store.write(name, b"mine"));
    assert_eq!(objects.list(&key(3).subject).await.unwrap(), [key(3)]);
    assert_eq!(objects.sweep().await.unwrap()[0].entries, 1);
    objects.clear().await.unwrap();
    let (mut left, mut theirs) = (store.objects(), theirs.to_vec());
    left.sort();
    theirs.sort();
    assert_eq!(left, theirs);
}

#[tokio::test]
async fn a_hanging_store_costs_one_time_out_and_is_then_skipped_until_it_works() {
    let Some(store) = S3::start() else { return };
    let log = Arc::new(Log::default());
    let objects = open_objects(impatient(&store), &log);
    objects.put(&key(1), Entry::new(value(1, 0, 1000))).await.unwrap();
    store.hang();
    let start = Instant::now();
    let wanted = key(1);
    let all = futures::future::join_all((0..20).map(|_| objects.get(&wanted))).await;
    assert!(all.iter().all(Result::is_err));
    let error = objects.put(&key(2), Entry::new(value(2, 0, 10))).await.unwrap_err();
    assert!(matches!(error, CacheError::Paused { .. }), "{error}");
    assert!(error.to_string().contains("s3://photos is paused for 1 s: no answer within 0.3 s"), "{error}");
    assert!(start.elapsed() < Duration::from_millis(900), "{:?}", start.elapsed());
    // The second pause is longer than the first.
    tokio::time::sleep(Duration::from_secs(1)).await;
    assert!(matches!(objects.get(&key(1)).await, Err(CacheError::Store { .. })));
    let Err(CacheError::Paused { left, .. }) = objects.get(&key(1)).await else {
        panic!("the store was asked during the pause")
    };
    assert!(left > Duration::from_millis(1500), "{left:?}");
    store.go_on();
    tokio::time::sleep(left).await;
    assert_eq!(objects.get(&key(1)).await.unwrap().unwrap().entry.bytes, value(1, 0, 1000));
    objects.put(&key(2), Entry::new(value(2, 0, 10))).await.unwrap();
}

#[tokio::test]
async fn store_errors_are_plain_words_without_addresses_or_keys() {
    let Some(store) = S3::start() else { return };
    let log = Arc::new(Log::default());
    let entry = || Entry::new(value(1, 0, 10));
    let nowhere = BucketOptions { bucket: "nowhere".into(), ..options(&store) };
    for result in [
        open_objects(nowhere.clone(), &log).put(&key(1), entry()).await,
        open_objects(nowhere.clone(), &log).get(&key(1)).await.map(drop),
        open_objects(nowhere, &log).sweep().await.map(drop),
    ] {
        assert_eq!(result.unwrap_err().to_string(), "s3://nowhere: there is no such bucket");
    }
    let objects = open_objects(impatient(&store), &log);
    drop(store);
    let error = objects.get(&key(1)).await.unwrap_err().to_string();
    assert!(error.starts_with("s3://photos: ") && error.contains("refused"), "{error}");
    assert!(!error.contains("127.0.0.1"), "{error}");
}

#[tokio::test]
async fn a_store_that_checks_signatures_accepts_only_the_right_key() {
    let Some(store) = S3::strict() else { return };
    let (id, secret) = (&store.key.0, &store.key.1);
    let log = Arc::new(Log::default());
    let with = |id: &str, secret: &str| {
        let credentials = Credentials::Key { id: id.into(), secret: secret.into(), token: None };
        open_objects(BucketOptions { credentials, ..options(&store) }, &log)
    };
    let right: BucketCache = with(id, secret);
    right.put(&key(1), Entry::new(value(1, 0, 1000))).await.unwrap();
    assert!(right.get(&key(1)).await.unwrap().is_some());
    for (id, secret) in [(id.as_str(), "wrong"), ("AKIAWRONG", secret)] {
        let error = with(id, secret).get(&key(1)).await.unwrap_err().to_string();
        assert!(error.starts_with("s3://photos: it refuses the key or the role"), "{error}");
        assert!(!error.contains(store.key.1.as_str()), "{error}");
    }
}

/// A fake of the endpoint that gives a container its credentials (as on EKS). Returns its URL, and a thread that
/// returns the received request.
fn agent(key: (&str, &str)) -> (String, std::thread::JoinHandle<String>) {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}/credentials", listener.local_addr().unwrap());
    let body = format!(
        "{{\"AccessKeyId\": {:?}, \"SecretAccessKey\": {:?}, \"Token\": \"for now\", \
         \"Expiration\": \"2099-01-01T00:00:00Z\"}}",
        key.0, key.1
    );
    let asked = std::thread::spawn(move || {
        let (mut stream, _) = listener.accept().unwrap();
        let mut request = vec![0; 4096];
        let length = stream.read(&mut request).unwrap();
        write!(stream, "HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n{body}", body.len()).unwrap();
        String::from_utf8(request[..length].to_vec()).unwrap()
    });
    (url, asked)
}

#[tokio::test]
async fn role_credentials_come_from_the_machines_endpoint() {
    let Some(store) = S3::start() else { return };
    let token = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(token.path(), "shown").unwrap();
    let (url, asked) = agent((&store.key.0, &store.key.1));
    let settings = [
        ("AWS_CONTAINER_CREDENTIALS_FULL_URI", url.as_str()),
        ("AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE", token.path().to_str().unwrap()),
        ("AWS_ROLE_SESSION_NAME", "no effect without a role"),
        ("AWS_ENDPOINT_URL_STS", "https://sts.example.com"),
    ];
    let settings = settings.map(|(name, value)| (name.to_owned(), value.to_owned()));
    let credentials = Credentials::Role(settings.to_vec());
    let objects = open_objects(BucketOptions { credentials, ..options(&store) }, &Arc::default());
    objects.put(&key(1), Entry::new(value(1, 0, 100))).await.unwrap();
    assert!(objects.get(&key(1)).await.unwrap().is_some());
    let asked = asked.join().unwrap();
    assert!(asked.starts_with("GET /credentials ") && asked.contains("authorization: shown"), "{asked}");
}

#[tokio::test]
async fn write_behind_delays_no_request_and_shutdown_waits_for_it() {
    let Some(store) = S3::start() else { return };
    let log = Arc::new(Log::default());
    let tasks = Tasks::default();
    let tiered = |behind| {
        let memory = Arc::new(MemoryCache::new(LARGE, None, log.clone()));
        let objects = Arc::new(open_objects(options(&store), &log));
        let tiers: Vec<(Tier, Arc<dyn Cache>)> = vec![(Tier::Memory, memory), (Tier::Store, objects)];
        TieredCache::new(tiers, behind, log.clone())
    };
    let cache = tiered(Some(BackgroundWrites::new(tasks.clone())));
    store.hang();
    let start = Instant::now();
    cache.put(&key(1), Entry::new(value(1, 0, 1000))).await.unwrap();
    assert!(start.elapsed() < Duration::from_millis(200), "{:?}", start.elapsed());
    assert_eq!(cache.get(&key(1)).await.unwrap().unwrap().tier, Tier::Memory);
    assert!(!tasks.finish(Duration::from_millis(100)).await);
    store.go_on();
    tasks.ended().await;
    assert_eq!(store.objects(), [object(1)]);
    // Without write-behind the object is stored when `put` returns.
    tiered(None).put(&key(2), Entry::new(value(2, 0, 1000))).await.unwrap();
    assert_eq!(store.objects().len(), 2);
}
