//! What Rocket 0.5.2 does, tested over real sockets. `README.md` in this folder lists that behaviour and says how
//! PixColor depends on it. No code of PixColor is tested here.

// Clippy does not recognise helper functions as test code.
#![allow(clippy::unwrap_used, clippy::panic, clippy::disallowed_methods)]

mod bodies;
mod lifetime;
mod requests;
mod responses;
mod wire;

/// A renamed or new test must be in the README, which names the tests between backticks.
#[test]
fn the_readme_names_every_test() {
    let readme = include_str!("README.md");
    let sources = [
        include_str!("bodies.rs"),
        include_str!("lifetime.rs"),
        include_str!("requests.rs"),
        include_str!("responses.rs"),
    ];
    let tests = sources.iter().flat_map(|source| source.split("#[test]\n").skip(1)).map(|rest| {
        let name = rest.split_once("fn ").and_then(|(_, rest)| rest.split_once('('));
        name.unwrap_or_else(|| panic!("no function after #[test]: {rest}")).0
    });
    for test in tests {
        assert!(readme.contains(&format!("`{test}`")), "tests/rocket/README.md does not name {test}");
    }
}
