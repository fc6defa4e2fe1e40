//! Checks the fake Algorithmia host with Algorithmia's own Python clients: a version from the time of the original app,
//! and the last version. The gateway's tests use this fake, so they do not rely only on our reading of the protocol.

use std::io::Cursor;
use std::path::Path;
use std::process::Command;

use base64::Engine;
use base64::engine::general_purpose::STANDARD as BASE64;
use image::{GrayImage, ImageFormat, Luma};

use crate::fakes::KEY;
use crate::fakes::algorithmia::{Algorithmia, Behavior};

/// Calls the algorithm with the picture of the third argument and prints the result as base64, or the error.
const SCRIPT: &str = r#"
import base64, sys
import Algorithmia
address, key, picture = sys.argv[1:]
client = Algorithmia.client(key, address)
try:
    algo = client.algo("deeplearning/ColorfulImageColorization/1.1.5")
    output = algo.pipe({"image": picture}).result["output"]
    file = client.file(output)
    assert file.exists()
    print(base64.b64encode(file.getBytes()).decode())
except Exception as error:
    print("error:", error)
"#;

/// The output of a client of this version; `None` if `tests/run` has not installed it.
fn client(version: &str, address: &str, key: &str, picture: &str) -> Option<String> {
    let python =
        Path::new(env!("CARGO_MANIFEST_DIR")).join(format!(".test/algorithmia-{version}/bin/python"));
    if !python.exists() {
        assert!(std::env::var_os("CI").is_none(), "{} is missing: run tests/run", python.display());
        eprintln!("left out: {} is missing, which tests/run installs", python.display());
        return None;
    }
    let output = Command::new(python).args(["-c", SCRIPT, address, key, picture]).output().unwrap();
    let (said, complained) =
        (String::from_utf8(output.stdout).unwrap(), String::from_utf8_lossy(&output.stderr));
    assert!(output.status.success(), "{said}{complained}");
    Some(said.trim().to_owned())
}

#[test]
fn the_vendors_own_clients_get_a_picture_from_the_fake() {
    let gray = GrayImage::from_fn(40, 30, |x, y| Luma([(60 + 3 * x + y) as u8]));
    let mut bytes = Cursor::new(Vec::new());
    gray.write_to(&mut bytes, ImageFormat::Png).unwrap();
    let picture = format!("data:image/png;base64,{}", BASE64.encode(bytes.into_inner()));
    for version in ["1.0.8", "2.0.5"] {
        let fake = Algorithmia::start();
        let Some(said) = client(version, &fake.url(), KEY, &picture) else { return };
        let colored = image::load_from_memory(&BASE64.decode(&said).expect(&said)).unwrap().to_rgb8();
        assert_eq!(colored.dimensions(), (40, 30));
        assert!(colored.pixels().any(|pixel| pixel.0[0] != pixel.0[2]), "it is grey");

        let denied = client(version, &fake.url(), "simWRONG", &picture).unwrap();
        assert!(denied.starts_with("error:"), "{denied}");
        fake.next([Behavior::Envelope("the cat sat on the model", None)]);
        let failed = client(version, &fake.url(), KEY, &picture).unwrap();
        assert!(failed.starts_with("error:"), "{failed}");
        if version == "1.0.8" {
            // The last version looks for `error` in the wrong place and does not show the error's message.
            assert!(failed.contains("the cat sat on the model"), "{failed}");
        }
        assert_eq!(fake.calls(), 3);
    }
}
