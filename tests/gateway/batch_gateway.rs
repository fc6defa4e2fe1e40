//! `pixcolor colorize --gateway` with many pictures: rate limits, lost connections, and limits on credit.

use std::fs;
use std::io::{Read, Write};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;

use crate::algorithmia::before_local;
use crate::fakes::KEY;
use crate::fakes::algorithmia::Algorithmia;
use crate::harness::Picture;
use crate::harness::server::pixcolor;
use crate::quota;

fn scans(count: u32) -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    fs::create_dir(folder.path().join("scans")).unwrap();
    for seed in 0..count {
        fs::write(folder.path().join(format!("scans/{seed}.png")), Picture::png(32, 24, seed).bytes).unwrap();
    }
    folder
}

/// Runs `pixcolor colorize scans -o out`: exit code, standard output and standard error.
fn colorize(folder: &Path, args: &[&str]) -> (Option<i32>, String, String) {
    let mut command = pixcolor(folder);
    let output =
        command.args(["colorize", "scans", "-o", "out"]).args(args).env("API_KEY", KEY).output().unwrap();
    let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap();
    (output.status.code(), text(output.stdout), text(output.stderr))
}

#[test]
fn retry_after_is_obeyed() {
    let server = quota::server(&[("PICTURES", r#"{ rate = 60, per = "minute", burst = 1 }"#)]);
    let folder = scans(4);
    let (code, out, said) = colorize(folder.path(), &["--gateway", &format!("http://{}", server.address)]);
    assert_eq!(code, Some(0), "{out}{said}");
    assert!(out.contains("4 of 4 photographs were coloured"), "{out}");
    // A second run in another folder finds everything in the gateway's cache, which the limit does not concern.
    let (code, out, said) =
        colorize(folder.path(), &["--force", "--gateway", &format!("http://{}", server.address)]);
    assert_eq!((code, out.matches("found in the cache").count()), (Some(0), 4), "{out}{said}");
}

/// A proxy that closes both connections instead of passing on the response to the first `losses` uploads.
fn losing_proxy(server: SocketAddr, losses: usize) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    let left = Arc::new(AtomicUsize::new(losses));
    thread::spawn(move || {
        for client in listener.incoming().flatten() {
            let Ok(upstream) = TcpStream::connect(server) else { return };
            let (left, lost) = (left.clone(), Arc::new(AtomicUsize::new(0)));
            let (mut from, mut to) = (client.try_clone().unwrap(), upstream.try_clone().unwrap());
            let losing = lost.clone();
            thread::spawn(move || {
                let mut piece = [0; 65_536];
                while let Ok(length @ 1..) = from.read(&mut piece) {
                    let upload = piece[..length].windows(17).any(|part| part == b"POST /v1/colorize");
                    let taken = upload
                        && left
                            .fetch_update(Ordering::SeqCst, Ordering::SeqCst, |n| n.checked_sub(1))
                            .is_ok();
                    if taken {
                        losing.store(1, Ordering::SeqCst);
                    }
                    if to.write_all(&piece[..length]).is_err() {
                        break;
                    }
                }
                let _ = to.shutdown(Shutdown::Write);
            });
            thread::spawn(move || {
                let (mut from, mut to, mut piece) = (upstream, client, [0; 65_536]);
                while let Ok(length @ 1..) = from.read(&mut piece) {
                    if lost.load(Ordering::SeqCst) == 1 || to.write_all(&piece[..length]).is_err() {
                        break;
                    }
                }
                let _ = (from.shutdown(Shutdown::Both), to.shutdown(Shutdown::Both));
            });
        }
    });
    address
}

#[test]
fn a_lost_response_is_fetched_again_without_a_second_call() {
    let fake = Algorithmia::start();
    let server = before_local(&fake.url(), "").env("PIXCOLOR_CACHE__ENABLED", "true").start();
    let proxy = losing_proxy(server.address, 2);
    let folder = scans(3);
    let (code, out, said) =
        colorize(folder.path(), &["--gateway", &format!("http://{proxy}"), "--jobs", "1"]);
    assert_eq!(code, Some(0), "{out}{said}");
    assert_eq!(fake.calls(), 3, "a lost response was paid for twice");
    assert_eq!(out.matches("found in the cache").count(), 2, "{out}");
}

#[test]
fn a_gateway_that_cannot_be_reached_is_reported_at_once() {
    let folder = scans(2);
    let (code, _, said) = colorize(folder.path(), &["--gateway", "http://127.0.0.1:1"]);
    assert_eq!((code, said.lines().count()), (Some(1), 1), "{said}");
    assert!(said.contains("the gateway cannot be reached"), "{said}");
}

/// A folder whose provider's calls cost 2 credits and may cost 60.
fn paid(count: u32) -> (Algorithmia, tempfile::TempDir) {
    let (fake, folder) = (Algorithmia::start(), scans(count));
    let file = format!("kind = \"algorithmia\"\nbase_url = \"{}\"\n", fake.url());
    fs::create_dir_all(folder.path().join("config/providers")).unwrap();
    fs::write(folder.path().join("config/pixcolor.toml"), "route = [\"far\"]\n").unwrap();
    fs::write(folder.path().join("config/providers/far.toml"), file).unwrap();
    (fake, folder)
}

#[test]
fn no_call_begins_that_might_exceed_max_credits() {
    let (fake, folder) = paid(5);
    // After three calls 6 credits are spent, and a fourth might cost 60.
    let (code, out, said) =
        colorize(folder.path(), &["--max-credits", "64", "--jobs", "1", "--report", "report.csv"]);
    assert_eq!((code, fake.calls()), (Some(1), 3), "{out}{said}");
    assert!(
        said.contains(
            "the limit of `--max-credits` is reached: 3 of 5 photographs were coloured, 0 failed, 2 are left"
        ),
        "{said}"
    );
    let report = fs::read_to_string(folder.path().join("report.csv")).unwrap();
    assert_eq!(report.matches(",left,").count(), 2, "{report}");
    let (code, out, said) = colorize(folder.path(), &["--jobs", "3"]);
    assert!(code == Some(0) && out.contains("2 of 5 photographs were coloured, 3 were"), "{out}{said}");
    assert_eq!(fake.calls(), 5);
}

#[test]
fn missing_pages_are_found_before_the_first_page_is_paid_for() {
    let (fake, folder) = paid(0);
    let mut file = Vec::new();
    let mut album = tiff::encoder::TiffEncoder::new(std::io::Cursor::new(&mut file)).unwrap();
    for page in 0..3_u8 {
        let pixels: Vec<u8> = (0..32 * 24).map(|i| (i / 5) as u8 ^ page).collect();
        album.write_image::<tiff::encoder::colortype::Gray8>(32, 24, &pixels).unwrap();
    }
    fs::write(folder.path().join("scans/album.tif"), &file).unwrap();
    for args in [&["--pages", "1-4"][..], &["--pages", "2-9", "--dry-run"], &["--format", "png", "--dry-run"]]
    {
        let (code, out, said) = colorize(folder.path(), args);
        assert_eq!((code, fake.calls()), (Some(1), 0), "{out}{said}");
    }
    let (code, out, said) = colorize(folder.path(), &["--dry-run"]);
    assert!(code == Some(0) && out.contains("They have 3 pages, each of which is a call"), "{out}{said}");
    // The third page may cost more than is left; the two that were paid for count.
    let (code, out, said) = colorize(folder.path(), &["--max-credits", "179"]);
    assert_eq!((code, fake.calls()), (Some(1), 0), "{out}{said}");
    let (code, out, said) = colorize(folder.path(), &["--max-credits", "180"]);
    assert_eq!((code, fake.calls()), (Some(0), 3), "{out}{said}");
    assert!(out.contains("6 credits"), "{out}");
}

#[test]
fn a_dry_run_estimates_and_sends_and_writes_nothing() {
    let (fake, folder) = paid(5);
    let (code, out, said) = colorize(folder.path(), &["--dry-run"]);
    assert_eq!((code, fake.requests().len()), (Some(0), 0), "{out}{said}");
    assert!(out.contains("5 photographs: 5 to colour"), "{out}");
    assert!(out.contains("far") && out.contains("credits"), "{out}");
    assert!(!folder.path().join("out").exists());
    let server = before_local(&fake.url(), "").start();
    let (code, out, said) =
        colorize(folder.path(), &["--dry-run", "--gateway", &format!("http://{}", server.address)]);
    assert_eq!((code, fake.requests().len()), (Some(0), 0), "{out}{said}");
    assert!(out.contains("5 to colour") && !folder.path().join("out").exists(), "{out}");
}
