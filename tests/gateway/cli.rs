//! `pixcolor colorize`: files in, files out.

use std::path::Path;
use std::process::Output;

use crate::harness::Picture;
use crate::harness::server::pixcolor;

#[track_caller]
fn colorize(folder: &Path, args: &[&str]) -> (Option<i32>, String) {
    let Output { status, stdout, stderr } = pixcolor(folder).arg("colorize").args(args).output().unwrap();
    (status.code(), String::from_utf8([stdout, stderr].concat()).unwrap())
}

fn folder(files: &[(&str, &Picture)]) -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    for (name, picture) in files {
        let path = folder.path().join(name);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, &picture.bytes).unwrap();
    }
    folder
}

#[test]
fn files_are_coloured_beside_themselves_and_stay_as_they_are() {
    let (jpeg, png) = (Picture::jpeg(64, 48, 1), Picture::png(48, 64, 2));
    let folder = folder(&[("a.jpg", &jpeg), ("b.png", &png)]);
    let (code, said) = colorize(folder.path(), &["a.jpg", "b.png"]);
    assert_eq!(code, Some(0), "{said}");
    for (name, size) in [("a-coloured.jpg", (64, 48)), ("b-coloured.png", (48, 64))] {
        let picture = image::open(folder.path().join(name)).unwrap();
        assert_eq!((picture.width(), picture.height()), size);
    }
    assert_eq!(std::fs::read(folder.path().join("a.jpg")).unwrap(), jpeg.bytes);
}

#[test]
fn another_folder_another_format() {
    let folder = folder(&[("a.jpg", &Picture::jpeg(64, 48, 1))]);
    let (code, said) = colorize(folder.path(), &["a.jpg", "-o", "out/deep", "--format", "webp"]);
    assert_eq!(code, Some(0), "{said}");
    let bytes = std::fs::read(folder.path().join("out/deep/a-coloured.webp")).unwrap();
    assert_eq!(image::guess_format(&bytes).unwrap(), image::ImageFormat::WebP);
}

#[test]
fn one_bad_file_does_not_stop_the_others_but_fails_the_run() {
    let good = Picture::jpeg(64, 48, 1);
    let bad = Picture { bytes: b"rubbish".to_vec(), media_type: "image/jpeg" };
    let folder = folder(&[("bad.jpg", &bad), ("good.jpg", &good)]);
    let (code, said) = colorize(folder.path(), &["missing.jpg", "bad.jpg", "good.jpg"]);
    assert_eq!(code, Some(1), "{said}");
    assert!(said.contains("2 of 3") && said.contains("bad.jpg") && said.contains("missing.jpg"), "{said}");
    assert!(folder.path().join("good-coloured.jpg").exists());
}

#[test]
fn an_input_is_never_overwritten_and_no_result_replaces_another() {
    let picture = Picture::jpeg(64, 48, 1);
    let folder = folder(&[("a.jpg", &picture), ("a-coloured.jpg", &picture), ("deep/a.jpg", &picture)]);
    let (code, said) = colorize(folder.path(), &["a.jpg", "a-coloured.jpg"]);
    assert_eq!(code, Some(1), "{said}");
    assert_eq!(std::fs::read(folder.path().join("a-coloured.jpg")).unwrap(), picture.bytes);
    let (code, said) = colorize(folder.path(), &["a.jpg", "deep/a.jpg", "-o", "out"]);
    assert_eq!(code, Some(1), "{said}");
    assert!(said.contains("1 of 2"), "{said}");
}

#[test]
fn wrong_arguments_are_told_and_help_reads_well() {
    let folder = tempfile::tempdir().unwrap();
    let (code, said) = colorize(folder.path(), &[]);
    assert_eq!(code, Some(2), "{said}");
    let (code, said) = colorize(folder.path(), &["a.jpg", "--format", "tiff"]);
    assert_eq!(code, Some(2));
    assert!(said.contains("png, jpeg or webp"), "{said}");
    let help = pixcolor(folder.path()).arg("--help").output().unwrap();
    let help = String::from_utf8(help.stdout).unwrap();
    for word in ["serve", "colorize", "check", "--config"] {
        assert!(help.contains(word), "{help}");
    }
}
