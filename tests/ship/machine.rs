//! A folder that serves as the root folder of a machine with only the programs that are copied there.

use std::fs;
use std::path::Path;
use std::process::{Child, Command};

/// Copies a program of this machine with the libraries that it loads.
#[track_caller]
pub fn install(root: &Path, program: &str, to: &str) {
    let copy = |from: &str, to: &str| {
        let to = root.join(to.trim_start_matches('/'));
        fs::create_dir_all(to.parent().unwrap()).unwrap();
        fs::copy(from, &to).unwrap_or_else(|error| panic!("{from}: {error}"));
    };
    copy(program, to);
    // For a static program, ldd prints a sentence instead of libraries.
    let libraries = Command::new("ldd").arg(program).output().expect("ldd, of Debian's package libc-bin");
    let libraries = String::from_utf8(libraries.stdout).unwrap();
    for library in libraries.split_whitespace().filter(|word| word.starts_with('/')) {
        copy(library, library);
    }
}

/// A program that runs until this is dropped.
pub struct Running(pub Child);

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}
