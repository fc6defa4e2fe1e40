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
