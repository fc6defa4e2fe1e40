//! `ledger.checkpoint`: the length and digest of the synced part of the ledger's file, so that a truncated, replaced
//! or removed file is noticed when the ledger is opened.
//!
//! The checkpoint is written in place after every sync of the ledger and never claims more than was synced. Its two
//! slots are written in turn, each with a checksum. A crash damages at most one slot, and the other slot describes an
//! earlier state. So the checkpoint itself need not be synced for each reservation.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Read};
use std::os::unix::fs::FileExt;
use std::path::Path;

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use time::OffsetDateTime;

use crate::credit::amount::Credits;
use crate::credit::ledger::record::{decode, encode};
use crate::files;
use crate::hex::hex;

pub const CHECKPOINT: &str = "ledger.checkpoint";
/// Bytes of a slot: a line, padded with spaces.
const SLOT: usize = 1024;
const SLOTS: u64 = 2;

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Checkpoint {
    /// Increases by one with each checkpoint. The slot with the higher number is in effect.
    pub sequence: u64,
    /// The time of the latest record that reserved or charged credit. A rewrite of the ledger does not change it.
    #[serde(with = "time::serde::rfc3339::option")]
    pub latest: Option<OffsetDateTime>,
    /// The synced beginning of the ledger's file.
    pub ledger: SyncedPrefix,
    /// The complete file `ledger.new`, written for a rewrite or because the ledger's file was removed or changed while
    /// in use. After a crash during a rewrite, it may already have been renamed to `ledger`.
    pub next: Option<SyncedPrefix>,
}

/// The beginning of a file, up to the end of a line.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SyncedPrefix {
    /// In bytes.
    pub bytes: u64,
    /// The number of lines after the first one.
    pub records: u64,
    /// Credits that these records charge and reserve.
    pub credits: Credits,
    pub sha256: String,
}

/// Both slots are damaged.
#[derive(Debug)]
pub struct CheckpointDamage;

impl Checkpoint {
    /// Reads the checkpoint of a folder's ledger; `None` if it does not exist, as in early versions.
    pub fn read(folder: &Path) -> io::Result<Option<Result<Self, CheckpointDamage>>> {
        let Some(file) = files::there(File::open(folder.join(CHECKPOINT)))? else { return Ok(None) };
        let mut bytes = Vec::new();
        file.take(SLOT as u64 * SLOTS).read_to_end(&mut bytes)?;
        let line = |slot: &[u8]| slot.split_inclusive(|byte| *byte == b'\n').next().map(decode::<Self>);
        let whole = bytes.chunks(SLOT).filter_map(line).filter_map(Result::ok);
        Ok(Some(whole.max_by_key(|checkpoint| checkpoint.sequence).ok_or(CheckpointDamage)))
    }

    /// Writes the checkpoint into its slot, and syncs it if `durable`. Creates a missing file.
    pub fn write(&self, folder: &Path, durable: bool) -> io::Result<()> {
        let opened = OpenOptions::new().write(true).open(folder.join(CHECKPOINT));
        let Some(file) = files::there(opened)? else { return self.create(folder) };
        file.write_all_at(&self.slot()?, self.sequence % SLOTS * SLOT as u64)?;
        if durable { file.sync_all() } else { Ok(()) }
    }

    /// Writes the checkpoint into both slots of a new file, which replaces an existing one.
    pub fn create(&self, folder: &Path) -> io::Result<()> {
        let slot = self.slot()?;
        let part = files::write_part(folder, &[&slot, &slot])?;
        fs::rename(part, folder.join(CHECKPOINT))?;
        files::sync(folder)
    }

    fn slot(&self) -> io::Result<Vec<u8>> {
        let mut slot = Vec::with_capacity(SLOT);
        encode(self, &mut slot)?;
        if slot.len() >= SLOT {
            return Err(io::Error::other("a checkpoint of the ledger is too long"));
        }
        slot.resize(SLOT - 1, b' ');
        slot.push(b'\n');
        Ok(slot)
    }
}

impl SyncedPrefix {
    /// Whether a file begins with these bytes.
    pub fn fits(&self, path: &Path) -> io::Result<bool> {
        let content = ContentHash::read(path, self.bytes)?;
        Ok(content.bytes == self.bytes && content.mark(self.credits) == *self)
    }
}

/// Length, number of lines and running digest of the beginning of a file.
#[derive(Clone, Default)]
pub struct ContentHash {
    hasher: Sha256,
    lines: u64,
    pub bytes: u64,
}

impl ContentHash {
    /// Reads the first `bytes` bytes of a file, or all if it has fewer.
    pub fn read(path: &Path, bytes: u64) -> io::Result<Self> {
        let mut file = File::open(path)?.take(bytes);
        let (mut content, mut buffer) = (Self::default(), vec![0; 1 << 16]);
        loop {
            match file.read(&mut buffer)? {
                0 => return Ok(content),
                read => content.add(buffer.get(..read).unwrap_or_default()),
            }
        }
    }

    pub fn add(&mut self, bytes: &[u8]) {
        self.hasher.update(bytes);
        self.lines += bytes.iter().filter(|byte| **byte == b'\n').count() as u64;
        self.bytes += bytes.len() as u64;
    }

    /// The checkpoint's description of these bytes; `credits` is the amount that their records charge and reserve.
    pub fn mark(&self, credits: Credits) -> SyncedPrefix {
        let sha256 = hex(&self.hasher.clone().finalize());
        SyncedPrefix { bytes: self.bytes, records: self.lines.saturating_sub(1), credits, sha256 }
    }
}

#[cfg(test)]
mod tests {
    use time::macros::datetime;

    use super::*;

    fn checkpoint(sequence: u64) -> Checkpoint {
        let mark = SyncedPrefix {
            bytes: u64::MAX,
            records: u64::MAX,
            credits: Credits::MAX,
            sha256: "f".repeat(64),
        };
        Checkpoint {
            sequence,
            latest: Some(datetime!(9999-12-31 23:59:59 UTC)),
            ledger: mark.clone(),
            next: Some(mark),
        }
    }

    fn sequence(folder: &Path) -> Option<u64> {
        Checkpoint::read(folder).unwrap().map(|read| read.map_or(0, |checkpoint| checkpoint.sequence))
    }

    #[test]
    fn the_longest_checkpoint_is_read_back_and_a_crash_while_it_is_written_leaves_the_one_before() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join(CHECKPOINT);
        assert_eq!(sequence(folder.path()), None);
        checkpoint(u64::MAX).create(folder.path()).unwrap();
        assert_eq!(Checkpoint::read(folder.path()).unwrap().unwrap().unwrap(), checkpoint(u64::MAX));
        checkpoint(6).create(folder.path()).unwrap();
        for next in 7..20 {
            let before = fs::read(&path).unwrap();
            checkpoint(next).write(folder.path(), false).unwrap();
            let after = fs::read(&path).unwrap();
            for torn in (0..after.len()).step_by(97) {
                fs::write(&path, [&after[..torn], &before[torn..]].concat()).unwrap();
                assert!([Some(next), Some(next - 1)].contains(&sequence(folder.path())), "{torn}");
            }
            fs::write(&path, after).unwrap();
            assert_eq!(sequence(folder.path()), Some(next));
        }
        for damaged in ["", "hello\n"] {
            fs::write(&path, damaged).unwrap();
            assert_eq!(sequence(folder.path()), Some(0));
        }
    }

    #[test]
    fn a_mark_fits_a_file_that_begins_with_its_bytes_and_no_other() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("file");
        fs::write(&path, "head\none\ntwo\n").unwrap();
        let mark = ContentHash::read(&path, 9).unwrap().mark(Credits::ZERO);
        assert_eq!((mark.bytes, mark.records), (9, 1));
        for (content, fits) in
            [("head\none\n", true), ("head\none\nx", true), ("head\none", false), ("head\n0ne\n", false)]
        {
            fs::write(&path, content).unwrap();
            assert_eq!(mark.fits(&path).unwrap(), fits, "{content}");
        }
    }
}
