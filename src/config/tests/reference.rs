use std::path::Path;

use crate::config::reference;

#[test]
fn the_committed_reference_is_up_to_date() {
    let page = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/configuration.md");
    let written = std::fs::read_to_string(page).unwrap();
    let said = reference().unwrap();
    let differs = written.lines().zip(said.lines()).find(|(written, said)| written != said);
    assert!(
        written == said,
        "write it anew with `pixcolor check --reference > docs/configuration.md`; it differs first in {differs:#?}"
    );
}
