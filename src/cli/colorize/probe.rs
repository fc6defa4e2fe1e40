//! Looks at inputs without reading them: their size and time, and the signature of their format.

use std::fs::{self, File};
use std::io::{self, Read};
use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::thread;

use tokio_util::sync::CancellationToken;

use super::inputs::Input;
use super::record::Stamp;
use crate::photo::{InputFormat, PhotoError, format_of};

/// Bytes that identify a file's format, and the kind of a file that is no picture.
const SIGNATURE: u64 = 1024;

/// Threads that open files to read their signatures. They mostly wait, in particular for a network file system.
const READERS: usize = 8;

/// What is known about an input file without reading all of it.
pub struct Probe {
    pub stamp: Stamp,
    /// Device and inode.
    pub file: (u64, u64),
    /// The reason if it is no picture.
    pub format: Result<InputFormat, String>,
}

/// Probes all inputs, until `stop` is cancelled.
pub fn probe_all(inputs: &[Input], stop: &CancellationToken) -> Vec<io::Result<Probe>> {
    let share = inputs.len().div_ceil(READERS).max(1);
    thread::scope(|scope| {
        let read = |inputs: &'_ [Input]| {
            let wanted = inputs.iter().take_while(|_| !stop.is_cancelled());
            wanted.map(|input| probe(&input.path)).collect::<Vec<_>>()
        };
        let readers: Vec<_> = inputs.chunks(share).map(|inputs| scope.spawn(move || read(inputs))).collect();
        let lost = || vec![Err(io::Error::other("it was not read"))];
        readers.into_iter().flat_map(|reader| reader.join().unwrap_or_else(|_| lost())).collect()
    })
}

fn probe(path: &Path) -> io::Result<Probe> {
    // Opening a pipe would wait for its writer.
    let data = fs::metadata(path)?;
    if !data.is_file() {
        return Err(io::Error::new(io::ErrorKind::InvalidInput, "it is not a file"));
    }
    let mut start = Vec::new();
    File::open(path)?.take(SIGNATURE).read_to_end(&mut start)?;
    let format = format_of(&start).map_err(|error: PhotoError| error.to_string());
    Ok(Probe { stamp: Stamp::from(&data), file: (data.dev(), data.ino()), format })
}
