//! Every link in a Markdown file has a target: a file, or a heading in a file.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Component, Path, PathBuf};

/// Every Markdown file of the project, by its path from the root.
fn pages() -> BTreeMap<PathBuf, String> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let (mut pages, mut folders) = (BTreeMap::new(), vec![PathBuf::new()]);
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(root.join(&folder)).unwrap() {
            let entry = entry.unwrap();
            let path = folder.join(entry.file_name());
            let name = entry.file_name().into_string().unwrap();
            // Skips build results and files that tests have downloaded.
            if name.starts_with('.') || name == "target" {
                continue;
            }
            if entry.file_type().unwrap().is_dir() {
                folders.push(path);
            } else if name.ends_with(".md") {
                pages.insert(path, std::fs::read_to_string(entry.path()).unwrap());
            }
        }
    }
    pages
}

/// The lines outside code blocks.
fn prose(text: &str) -> impl Iterator<Item = String> {
    let mut fenced = false;
    text.lines().filter_map(move |line| {
        if line.trim_start().starts_with("```") {
            fenced = !fenced;
            return None;
        }
        (!fenced).then(|| line.to_owned())
    })
}

/// The anchor of a heading: letters, digits, `-` and `_`; spaces become `-`.
fn anchor(heading: &str) -> String {
    let heading = heading.to_lowercase();
    let kept = heading.chars().filter(|c| c.is_alphanumeric() || matches!(c, ' ' | '-' | '_'));
    kept.map(|c| if c == ' ' { '-' } else { c }).collect()
}

fn anchors(text: &str) -> BTreeSet<String> {
    let headings = prose(text).filter_map(|line| {
        let heading = line.trim_start_matches('#');
        (heading.len() < line.len()).then(|| heading.strip_prefix(' ').map(anchor)).flatten()
    });
    let mut all = BTreeSet::new();
    for heading in headings {
        // The second heading of the same name has the anchor `name-1`.
        let numbered = (1..).map(|number| format!("{heading}-{number}"));
        let free = std::iter::once(heading.clone()).chain(numbered).find(|name| !all.contains(name));
        all.extend(free);
    }
    all
}

/// The targets of `[words](target)` and `![words](target)`, except within inline code.
fn targets(text: &str) -> Vec<String> {
    let text: String = prose(text)
        .map(|line| line.split('`').step_by(2).collect::<Vec<_>>().join(""))
        .collect::<Vec<_>>()
        .join(" ");
    text.split("](").skip(1).filter_map(|rest| Some(rest.split_once(')')?.0.trim().to_owned())).collect()
}

/// A path without `..`.
fn plain(path: &Path) -> PathBuf {
    let mut plain = PathBuf::new();
    for part in path.components() {
        match part {
            Component::ParentDir => assert!(plain.pop(), "{} leaves the project", path.display()),
            Component::CurDir => {}
            part => plain.push(part),
        }
    }
    plain
}

#[test]
fn every_link_has_a_target() {
    let pages = pages();
    let (mut looked_at, mut broken) = (0, Vec::new());
    for (page, text) in &pages {
        for target in targets(text) {
            if target.contains("://") || target.starts_with("mailto:") {
                continue;
            }
            looked_at += 1;
            let (path, heading) =
                target.split_once('#').map_or((&*target, None), |(path, it)| (path, Some(it)));
            let path = match path {
                "" => page.clone(),
                path => plain(&page.parent().unwrap().join(path)),
            };
            let there = Path::new(env!("CARGO_MANIFEST_DIR")).join(&path).exists();
            let has = |heading| pages.get(&path).is_some_and(|text| anchors(text).contains(heading));
            if !there || !heading.is_none_or(has) {
                broken.push(format!("{}: {target}", page.display()));
            }
        }
    }
    assert!(looked_at > 30, "{looked_at}");
    assert_eq!(broken, Vec::<String>::new());
}

#[test]
fn every_page_of_docs_is_listed_in_its_index_and_the_readme() {
    let pages = pages();
    let docs = pages.keys().filter(|page| page.starts_with("docs") && !page.ends_with("README.md"));
    for page in docs {
        let name = page.file_name().unwrap().to_str().unwrap();
        for (index, target) in [("docs/README.md", name.to_owned()), ("README.md", format!("docs/{name}"))] {
            let linked =
                targets(&pages[Path::new(index)]).iter().any(|link| link.split('#').next() == Some(&target));
            assert!(linked, "{index} does not link to {target}");
        }
    }
}

#[test]
fn the_test_parses_headings_and_links_correctly() {
    let text = "# A `b` & c: d!\n```\n# no heading, [no](link)\n```\n## E\n## E\n[x](y.md#a) `[no](link)` ![z](w.png)";
    let expected = ["a-b--c-d", "e", "e-1"].map(str::to_owned);
    assert_eq!(anchors(text), BTreeSet::from(expected));
    assert_eq!(targets(text), ["y.md#a", "w.png"]);
}
