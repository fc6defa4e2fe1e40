//! The memory of a browser's processes, as the kernel counts it.

use procfs::process::{Process, all_processes};

/// Resident memory in bytes. Pages that several processes share count once (PSS).
#[derive(Clone, Copy, Debug)]
pub struct Memory {
    /// The processes that run pages: JavaScript, the document and decoded pictures.
    pub pages: u64,
    /// All processes of the browser and its driver. Chromium's blobs are in its main process, or in files if they are
    /// large.
    pub total: u64,
}

/// The memory of a driver and its descendants.
pub fn memory(driver: u32) -> Memory {
    let mut memory = Memory { pages: 0, total: 0 };
    for process in descendants(driver) {
        // The process may have ended meanwhile.
        let Some(bytes) = proportional_bytes(&process) else { continue };
        memory.total += bytes;
        if runs_pages(&process) {
            memory.pages += bytes;
        }
    }
    memory
}

/// A process and all processes that it has started, directly or not.
fn descendants(root: u32) -> Vec<Process> {
    let parents: Vec<(Process, i32)> = all_processes()
        .unwrap()
        .filter_map(|process| {
            let process = process.ok()?;
            let parent = process.stat().ok()?.ppid;
            Some((process, parent))
        })
        .collect();
    let mut family = vec![root.cast_signed()];
    while let Some((child, _)) =
        parents.iter().find(|(process, parent)| family.contains(parent) && !family.contains(&process.pid))
    {
        family.push(child.pid);
    }
    parents.into_iter().map(|(process, _)| process).filter(|process| family.contains(&process.pid)).collect()
}

fn proportional_bytes(process: &Process) -> Option<u64> {
    let total = process.smaps_rollup().ok()?.memory_map_rollup.0.pop()?;
    total.extension.map.get("Pss").copied()
}

/// Whether a process is a renderer of Chromium or a web process of WebKit.
fn runs_pages(process: &Process) -> bool {
    let Ok(command) = process.cmdline() else { return false };
    command.iter().any(|argument| {
        argument.split(' ').any(|part| part == "--type=renderer" || part.ends_with("/WebKitWebProcess"))
    })
}
