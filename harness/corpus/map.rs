//! Files mapped, and read-only but for temporary ones: the one place of the harness that needs `unsafe`.
//!
//! A mapped file that another process truncates has no bytes behind its last pages any more, and
//! whoever reads there gets SIGBUS. We register every mapping in a fixed table. The signal's
//! handler looks the address up, puts zeros in place of the missing pages, raises a flag, and
//! lets the reader go on; [`crate::progress::check`], which every long loop calls, then ends the
//! work with one clear sentence. A SIGBUS from elsewhere keeps its default action.
#![allow(unsafe_code)]

use crate::{Error, Result};
use memmap2::{Mmap, MmapMut};
use std::fs::File;
use std::ops::{Deref, DerefMut};
use std::path::Path;

/// A whole file as a slice of bytes that starts on a page boundary.
#[derive(Debug)]
pub struct Mapping {
    // Dropped first: addresses that the system may give away again must not stay in the table.
    #[cfg(unix)]
    _guarded: guard::Registration,
    bytes: Mmap,
}

impl Deref for Mapping {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        &self.bytes
    }
}

/// Maps the file at `path`.
///
/// # Errors
/// [`Error::Io`] when it cannot be opened or mapped.
pub fn map_path(path: impl AsRef<Path>) -> Result<Mapping> {
    let path = path.as_ref();
    map_file(&File::open(path).map_err(Error::io(path))?, path)
}

/// Maps an open file; `path` is its name in errors.
///
/// # Errors
/// [`Error::Io`] when it cannot be mapped, [`Error::Data`] when it is a folder or a device, or when too
/// many files are mapped.
pub fn map_file(file: &File, path: &Path) -> Result<Mapping> {
    if !file.metadata().map_err(Error::io(path))?.is_file() {
        let message =
            "it is no regular file, and only those are mapped; name a file, or copy it into one";
        return Err(Error::data(path, message));
    }
    // SAFETY: the slice stays readable: pages that a truncation takes away are replaced by zeros
    // (`guard`). Its content can still change while others write to the file, which no mapping
    // can exclude; nothing that is derived from it is trusted without a check of bounds.
    let bytes = unsafe { Mmap::map(file) }.map_err(Error::io(path))?;
    #[cfg(unix)]
    let _guarded = guard::Registration::new(&bytes).ok_or_else(|| {
        let message = format!("more than {} files are mapped; join some", guard::SLOTS);
        Error::data(path, message)
    })?;
    Ok(Mapping {
        #[cfg(unix)]
        _guarded,
        bytes,
    })
}

/// A temporary file of our own as bytes that can be written.
#[derive(Debug)]
pub(crate) struct MappingMut(MmapMut);

impl Deref for MappingMut {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        &self.0
    }
}

impl DerefMut for MappingMut {
    fn deref_mut(&mut self) -> &mut [u8] {
        &mut self.0
    }
}

/// Maps a temporary file that nobody else can open; `path` is its name in errors.
///
/// # Errors
/// [`Error::Io`] when it cannot be mapped.
pub(crate) fn map_file_mut(file: &File, path: &Path) -> Result<MappingMut> {
    // SAFETY: the caller's file has no name, so no other process shrinks it or writes to it.
    let bytes = unsafe { MmapMut::map_mut(file) };
    bytes.map(MappingMut).map_err(Error::io(path))
}

/// Gives a file blocks up to `len` bytes, which read as zeros, without writing them; `false` where
/// the system or the file system cannot.
#[cfg(target_os = "linux")]
pub(crate) fn allocate(file: &File, len: u64) -> std::io::Result<bool> {
    use std::os::fd::AsRawFd;
    let Ok(len) = libc::off_t::try_from(len) else {
        return Ok(false);
    };
    // SAFETY: a plain system call on a descriptor that is open as long as `file` is borrowed.
    let result = unsafe { libc::fallocate(file.as_raw_fd(), 0, 0, len) };
    if result == 0 {
        return Ok(true);
    }
    let error = std::io::Error::last_os_error();
    match error.raw_os_error() {
        Some(libc::EOPNOTSUPP | libc::ENOSYS) => Ok(false),
        _ => Err(error),
    }
}

#[cfg(not(target_os = "linux"))]
pub(crate) fn allocate(_: &File, _: u64) -> std::io::Result<bool> {
    Ok(false)
}

#[cfg(unix)]
mod guard {
    use crate::progress::MAP_SHRANK;
    use libc::{c_int, c_void, siginfo_t};
    use std::sync::Once;
    use std::sync::atomic::{AtomicUsize, Ordering};

    /// How many files can be mapped at once.
    pub(super) const SLOTS: usize = 4096;

    /// Addresses of one mapping; `start` is 0 in a free slot and 1 while it is being filled.
    struct Slot {
        start: AtomicUsize,
        end: AtomicUsize,
    }

    impl Slot {
        fn set(&self, start: usize, end: usize) {
            self.start.store(1, Ordering::Relaxed);
            self.end.store(end, Ordering::Release);
            self.start.store(start, Ordering::Release);
        }

        /// The end of the mapping, if it holds `address`. A slot that is refilled meanwhile is
        /// seen by its start, which is read on both sides of its end.
        fn end_if_holds(&self, address: usize) -> Option<usize> {
            let start = self.start.load(Ordering::Acquire);
            let end = self.end.load(Ordering::Acquire);
            let settled = start > 1 && self.start.load(Ordering::Relaxed) == start;
            (settled && (start..end).contains(&address)).then_some(end)
        }
    }

    static TABLE: [Slot; SLOTS] = [const {
        Slot {
            start: AtomicUsize::new(0),
            end: AtomicUsize::new(0),
        }
    }; SLOTS];
    static PAGE: AtomicUsize = AtomicUsize::new(4096);

    /// A mapping's entry in the table, removed when dropped.
    #[derive(Debug)]
    pub(super) struct Registration(usize);

    impl Registration {
        pub(super) fn new(bytes: &[u8]) -> Option<Self> {
            install();
            let claim = |slot: &Slot| {
                slot.start
                    .compare_exchange(0, 1, Ordering::Acquire, Ordering::Relaxed)
                    .is_ok()
            };
            let index = TABLE.iter().position(claim)?;
            let start = bytes.as_ptr() as usize;
            TABLE[index].set(start, start + bytes.len());
            Some(Self(index))
        }
    }

    impl Drop for Registration {
        fn drop(&mut self) {
            TABLE[self.0].set(0, 0);
        }
    }

    fn install() {
        static ONCE: Once = Once::new();
        ONCE.call_once(|| {
            let handler: extern "C" fn(c_int, *mut siginfo_t, *mut c_void) = on_bus_error;
            // SAFETY: plain calls into libc; `action` is all zeros but for the fields set here,
            // which is a valid `sigaction`, and the handler has the signature of SA_SIGINFO.
            unsafe {
                if let Ok(page) = usize::try_from(libc::sysconf(libc::_SC_PAGESIZE)) {
                    PAGE.store(page, Ordering::Relaxed);
                }
                let mut action: libc::sigaction = std::mem::zeroed();
                action.sa_sigaction = handler as usize;
                action.sa_flags = libc::SA_SIGINFO | libc::SA_ONSTACK;
                libc::sigemptyset(&mut action.sa_mask);
                libc::sigaction(libc::SIGBUS, &action, std::ptr::null_mut());
            }
        });
    }

    /// Only atomics and a system call: all that a signal handler may do.
    extern "C" fn on_bus_error(_signal: c_int, info: *mut siginfo_t, _context: *mut c_void) {
        // SAFETY: the system hands a valid `info` to an SA_SIGINFO handler.
        let address = unsafe { (*info).si_addr() } as usize;
        let end = TABLE.iter().find_map(|slot| slot.end_if_holds(address));
        if end.is_some_and(|end| fill_with_zeros(address, end)) {
            MAP_SHRANK.store(true, Ordering::Relaxed);
        } else {
            // SAFETY: async-signal-safe; the instruction runs again and ends the process.
            unsafe { libc::signal(libc::SIGBUS, libc::SIG_DFL) };
        }
    }

    /// Puts pages of zeros from the page of `address` to `end`: no byte of the file is behind them.
    fn fill_with_zeros(address: usize, end: usize) -> bool {
        let start = address & !(PAGE.load(Ordering::Relaxed) - 1);
        let length = end - start;
        let flags = libc::MAP_FIXED | libc::MAP_PRIVATE | libc::MAP_ANONYMOUS;
        // SAFETY: the range lies inside a mapping of ours, whose owner keeps it until it is
        // dropped; it stays readable with the same protection, so references into it stay valid.
        // A call that succeeds leaves `errno` alone, and after one that fails the process ends.
        let zeros =
            unsafe { libc::mmap(start as *mut c_void, length, libc::PROT_READ, flags, -1, 0) };
        zeros != libc::MAP_FAILED
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::progress;
    use std::process::Command;

    #[test]
    fn a_mapping_is_the_file() {
        let file = tempfile::tempfile().unwrap();
        file.set_len(10_000).unwrap();
        let mapping = map_file(&file, Path::new("zeros")).unwrap();
        assert_eq!(mapping.len(), 10_000);
        assert!(mapping.iter().all(|&b| b == 0));
    }

    /// The flag belongs to the whole process, so the test runs itself again as a child.
    #[cfg(unix)]
    #[test]
    fn a_file_that_shrinks_fails_the_next_check_and_no_more() {
        const CHILD: &str = "BARELM_TEST_SHRINKING_FILE";
        if std::env::var_os(CHILD).is_some() {
            return shrink_while_mapped();
        }
        let name = std::thread::current().name().unwrap().to_owned();
        let child = Command::new(std::env::current_exe().unwrap())
            .args([&name, "--exact"])
            .env(CHILD, "1")
            .output()
            .unwrap();
        let stdout = String::from_utf8_lossy(&child.stdout);
        assert!(
            child.status.success() && stdout.contains("1 passed"),
            "{stdout}"
        );
    }

    #[cfg(unix)]
    fn shrink_while_mapped() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("shrinking");
        std::fs::write(&path, vec![7; 1 << 20]).unwrap();
        let mapping = map_path(&path).unwrap();
        let other = map_path(&path).unwrap();
        File::options()
            .write(true)
            .open(&path)
            .unwrap()
            .set_len(5000)
            .unwrap();
        progress::check().unwrap();
        assert!(mapping[..5000].iter().all(|&b| b == 7));
        assert!(
            mapping[5000..].iter().all(|&b| b == 0),
            "zeros behind the end"
        );
        assert!(other[1 << 19..].iter().all(|&b| b == 0));
        assert_eq!(progress::check().unwrap_err().exit_code(), 3);
    }
}
