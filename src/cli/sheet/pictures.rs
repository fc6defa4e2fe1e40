//! Reads the pictures of a sheet and shrinks them to the size of a cell.

use std::fs::File;
use std::io::{self, Read};
use std::num::NonZero;
use std::path::Path;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::thread;

use super::super::{CliError, complain};
use super::Pair;
use crate::config::LimitsConfig;
use crate::photo::{Limits, Photo, PhotoError, Rgb, read_head};

/// The most width and height of a picture on a sheet, in pixels.
pub const CELL: u32 = 320;

/// Threads that read and decode, each one picture at a time. Even on one core, one reads while another decodes.
const THREADS: (usize, usize) = (2, 4);

/// Files with more bytes, or pictures with more pixels, are in memory one at a time.
const LARGE_FILE: u64 = 32 << 20;
const LARGE_PICTURE: u64 = 16_000_000;

/// One half of a pair.
pub enum Cell {
    /// At most [`CELL`] wide and high.
    Picture(Rgb),
    /// The reason, in a few words.
    Blank(&'static str),
}

/// A pair as it is drawn.
pub struct LoadedPair {
    pub original: Cell,
    pub result: Cell,
    pub caption: String,
}

/// Why a picture cannot be shown.
enum Unreadable {
    Missing,
    File(io::Error),
    TooLarge { bytes: u64, limit: u64 },
    Picture(PhotoError),
}

/// Loads pictures within the limits, and counts those that cannot be shown.
pub struct Pictures {
    file_bytes: u64,
    limits: Limits,
    /// Held while a large file or picture is in memory.
    large: Mutex<()>,
    not_found: AtomicUsize,
    unreadable: AtomicUsize,
}

impl Pictures {
    pub fn new(limits: &LimitsConfig) -> Self {
        Self {
            file_bytes: limits.file_bytes,
            limits: limits.photo(),
            large: Mutex::new(()),
            not_found: AtomicUsize::new(0),
            unreadable: AtomicUsize::new(0),
        }
    }

    /// Originals that were not found so far.
    pub fn not_found(&self) -> usize {
        self.not_found.load(Ordering::Relaxed)
    }

    /// Other pictures that could not be shown so far.
    pub fn unreadable(&self) -> usize {
        self.unreadable.load(Ordering::Relaxed)
    }

    /// Loads the pairs of a sheet, several at a time.
    pub fn load(&self, pairs: &[Pair]) -> Result<Vec<LoadedPair>, CliError> {
        let threads = thread::available_parallelism().map_or(1, NonZero::get).clamp(THREADS.0, THREADS.1);
        let next = AtomicUsize::new(0);
        let work = || {
            let mut loaded = Vec::new();
            loop {
                let index = next.fetch_add(1, Ordering::Relaxed);
                let Some(pair) = pairs.get(index) else { return loaded };
                loaded.push((index, self.pair(pair)));
            }
        };
        let mut loaded = thread::scope(|scope| {
            let threads: Vec<_> = (0..threads).map(|_| scope.spawn(work)).collect();
            let loaded: Result<Vec<_>, _> = threads.into_iter().map(|thread| thread.join()).collect();
            loaded.map_err(|_| "a thread that decodes pictures panicked")
        })?;
        let mut loaded: Vec<_> = loaded.drain(..).flatten().collect();
        loaded.sort_by_key(|(index, _)| *index);
        Ok(loaded.into_iter().map(|(_, pair)| pair).collect())
    }

    fn pair(&self, pair: &Pair) -> LoadedPair {
        let original = self.cell(&pair.original, |bytes| self.original(bytes), "original not found");
        let result = self.cell(&pair.result, |bytes| Rgb::decode(bytes, &self.limits), "result not found");
        LoadedPair { original, result, caption: pair.name.to_string_lossy().into_owned() }
    }

    /// The pixels of an original. A damaged one is shown as `colorize` has read it, in grey.
    fn original(&self, bytes: &[u8]) -> Result<Rgb, PhotoError> {
        let own = Rgb::decode(bytes, &self.limits);
        if !matches!(own, Err(PhotoError::Broken(_))) {
            return own;
        }
        let gray = Photo::decode(bytes, &self.limits)?.gray_for(u64::from(CELL * CELL) * 4);
        let pixels = gray.to_srgb8().into_iter().flat_map(|level| [level; 3]).collect();
        Ok(Rgb { width: gray.width, height: gray.height, pixels })
    }

    /// Loads a picture, or prints and counts why it cannot be shown.
    fn cell(
        &self,
        path: &Path,
        decode: impl Fn(&[u8]) -> Result<Rgb, PhotoError>,
        not_found: &'static str,
    ) -> Cell {
        let error = match self.thumbnail(path, decode) {
            Ok(rgb) => return Cell::Picture(rgb),
            Err(Unreadable::Missing) => {
                self.not_found.fetch_add(1, Ordering::Relaxed);
                return Cell::Blank(not_found);
            }
            Err(error) => error,
        };
        self.unreadable.fetch_add(1, Ordering::Relaxed);
        complain(format_args!("{}: {error}", path.display()));
        Cell::Blank(error.in_short())
    }

    fn thumbnail(
        &self,
        path: &Path,
        decode: impl Fn(&[u8]) -> Result<Rgb, PhotoError>,
    ) -> Result<Rgb, Unreadable> {
        let data = path.metadata().map_err(Unreadable::from)?;
        if !data.is_file() {
            return Err(io::Error::new(io::ErrorKind::InvalidInput, "it is not a file").into());
        }
        if data.len() > self.file_bytes {
            return Err(Unreadable::TooLarge { bytes: data.len(), limit: self.file_bytes });
        }
        let mut alone = (data.len() > LARGE_FILE).then(|| self.alone());
        let mut bytes = Vec::with_capacity(data.len() as usize);
        // The file may grow while it is read.
        File::open(path)?.take(self.file_bytes).read_to_end(&mut bytes)?;
        let head = read_head(&bytes, &self.limits)?;
        if head.pixels() > LARGE_PICTURE && alone.is_none() {
            alone = Some(self.alone());
        }
        let rgb = decode(&bytes)?;
        let (width, height) = fit((rgb.width, rgb.height));
        let small = rgb.resize(width, height)?;
        drop(alone);
        Ok(small)
    }

    fn alone(&self) -> MutexGuard<'_, ()> {
        self.large.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Unreadable {
    /// The text of a cell.
    fn in_short(&self) -> &'static str {
        match self {
            Self::Missing => "not found",
            Self::File(_) => "the file cannot be read",
            Self::TooLarge { .. } => "larger than limits.file_bytes",
            Self::Picture(PhotoError::TooManyPixels(_)) => "more pixels than the limits allow",
            Self::Picture(PhotoError::Unsupported(_)) => "not a supported picture",
            Self::Picture(PhotoError::Broken(_)) => "the file is damaged",
            Self::Picture(_) => "the picture cannot be decoded",
        }
    }
}

impl std::fmt::Display for Unreadable {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Missing => f.write_str(self.in_short()),
            Self::File(error) => error.fmt(f),
            Self::TooLarge { bytes, limit } => {
                write!(f, "the file has {bytes} bytes, and `limits.file_bytes` is {limit}")
            }
            Self::Picture(error) => error.fmt(f),
        }
    }
}

impl From<io::Error> for Unreadable {
    fn from(error: io::Error) -> Self {
        match error.kind() {
            io::ErrorKind::NotFound | io::ErrorKind::NotADirectory => Self::Missing,
            _ => Self::File(error),
        }
    }
}

impl From<PhotoError> for Unreadable {
    fn from(error: PhotoError) -> Self {
        Self::Picture(error)
    }
}

/// The largest size with this aspect ratio that fits a cell.
fn fit((width, height): (u32, u32)) -> (u32, u32) {
    let longest = u64::from(width.max(height).max(1));
    let side = |side: u32| ((u64::from(side) * u64::from(CELL) + longest / 2) / longest).max(1) as u32;
    (side(width), side(height))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_picture_fills_its_cell_and_keeps_its_aspect_ratio() {
        for (size, expected) in [
            ((6000, 4000), (320, 213)),
            ((4000, 6000), (213, 320)),
            ((64, 48), (320, 240)),
            ((320, 320), (320, 320)),
            ((60_000, 10), (320, 1)),
            ((1, 1), (320, 320)),
        ] {
            assert_eq!(fit(size), expected, "{size:?}");
        }
    }
}
