//! What the Containerfile says, for the other files to be held against.

use std::collections::BTreeMap;

use crate::files::read;

/// The last stage.
pub struct Image {
    pub user: String,
    pub volume: String,
    pub workdir: String,
    pub port: u16,
    pub env: BTreeMap<String, String>,
}

pub fn last_stage() -> Image {
    let file = read("Containerfile").replace("\\\n", " ");
    let stage = file.split("\nFROM scratch\n").nth(1).expect("the last stage is from scratch");
    let said = |word: &str| {
        let found = stage.lines().find_map(|line| line.strip_prefix(word)?.strip_prefix(' '));
        found.unwrap_or_else(|| panic!("no {word}")).trim().to_owned()
    };
    let env = said("ENV");
    let pairs = env.split_whitespace().map(|pair| pair.split_once('=').expect("NAME=value"));
    Image {
        user: said("USER"),
        volume: said("VOLUME"),
        workdir: said("WORKDIR"),
        port: said("EXPOSE").parse().unwrap(),
        env: pairs.map(|(name, value)| (name.to_owned(), value.to_owned())).collect(),
    }
}

#[test]
fn what_it_names_is_there() {
    let (file, image) = (read("Containerfile"), last_stage());
    let wanted = crate::files::read("Cargo.toml");
    let version = wanted.lines().find_map(|line| line.strip_prefix("version = ")).unwrap().trim_matches('"');
    assert!(file.contains(&format!("ARG VERSION={version}\n")), "the version is {version}");
    assert!(wanted.contains("[profile.dist]"));
    assert!(image.user.split(':').all(|id| id.parse::<u32>().is_ok_and(|id| id > 0)), "{}", image.user);
    assert_eq!(format!("{}/pixcolor", image.env["XDG_STATE_HOME"]), image.volume);
    assert!(image.env["XDG_CACHE_HOME"].starts_with(&image.volume));
}

/// The builder has only what `.dockerignore` leaves it, and the program is built out of more than `src/`.
#[test]
fn what_the_program_is_built_of_is_not_left_out() {
    let ignored = read(".dockerignore");
    let ignored: Vec<&str> = ignored.lines().filter(|line| !line.starts_with('#')).collect();
    let mut folders = vec![crate::files::path("src")];
    let mut seen = 0;
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
                continue;
            }
            let Ok(text) = std::fs::read_to_string(&path) else { continue };
            for named in text.split("include_").skip(1).filter_map(|rest| rest.split('"').nth(1)) {
                // Out of `src/`, or from the root of the project.
                let outside = named.trim_start_matches("$CARGO_MANIFEST_DIR/").trim_start_matches("../");
                let top = outside.split('/').next().unwrap();
                assert!(!ignored.contains(&top), "{}: {named} is left out", path.display());
                seen += usize::from(outside != named);
            }
        }
    }
    assert!(seen > 3, "{seen}");
}
