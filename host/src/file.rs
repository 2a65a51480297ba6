//! Reading one kernel file again and again at little cost: an open descriptor, `pread` from the start, one buffer for all files.

use crate::HostError;
use std::fs::File;
use std::io::{self, ErrorKind};
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};

/// What a buffer begins with: no cgroup file is larger, only `/proc/stat` and `/proc/zoneinfo` of large machines are.
const FIRST: usize = 16 * 1024;
/// What a buffer never exceeds; a larger file is an error instead of memory without bound.
const LARGEST: usize = 1024 * 1024;

/// Memory that files are read into. One is enough for a thread; it grows to the largest file read, at most to 1 MiB.
#[derive(Debug)]
pub struct Buffer {
    bytes: Vec<u8>,
}

impl Buffer {
    /// A buffer of 16 KiB.
    #[must_use]
    pub fn new() -> Self {
        Self { bytes: vec![0; FIRST] }
    }

    /// Makes it twice as large, or says that it must not grow further.
    fn grow(&mut self) -> bool {
        let larger = self.bytes.len().saturating_mul(2).min(LARGEST);
        let grows = larger > self.bytes.len();
        self.bytes.resize(larger, 0);
        grows
    }
}

impl Default for Buffer {
    fn default() -> Self {
        Self::new()
    }
}

/// How the kernel prints a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Printed {
    /// In one piece: a read that does not fill the buffer has reached the end, so one system call is enough.
    Whole,
    /// In records (one a process, one a NUMA node): a read may end after any record, so only an empty read is the end.
    InRecords,
}

/// One kernel file, held open.
#[derive(Debug)]
pub struct KernelFile {
    path: PathBuf,
    file: File,
    printed: Printed,
}

impl KernelFile {
    /// Opens a file that the kernel prints in one piece: every file of a cgroup but its lists of processes, and most of `/proc`.
    ///
    /// # Errors
    /// When the file cannot be opened for reading.
    pub fn open(path: PathBuf) -> Result<Self, HostError> {
        Self::open_printed(path, Printed::Whole)
    }

    /// Opens a file that the kernel prints in records (`cgroup.procs`, `/proc/zoneinfo`); reading it takes at least two system calls.
    ///
    /// # Errors
    /// When the file cannot be opened for reading.
    pub fn open_records(path: PathBuf) -> Result<Self, HostError> {
        Self::open_printed(path, Printed::InRecords)
    }

    fn open_printed(path: PathBuf, printed: Printed) -> Result<Self, HostError> {
        match File::open(&path) {
            Ok(file) => Ok(Self { path, file, printed }),
            Err(source) => Err(HostError::Io { operation: "open", path, source }),
        }
    }

    /// Where it is.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// What the file says now.
    ///
    /// # Errors
    /// When the kernel refuses ([`HostError::is_gone`] when the cgroup was removed), or the text is larger than 1 MiB or no UTF-8.
    pub fn read<'b>(&self, buffer: &'b mut Buffer) -> Result<&'b str, HostError> {
        let length = self.fill(buffer).map_err(|source| HostError::io("read", &self.path, source))?;
        let bytes = buffer.bytes.get(..length).unwrap_or_default();
        std::str::from_utf8(bytes).map_err(|cause| HostError::Malformed { path: self.path.clone(), cause: cause.to_string() })
    }

    /// Reads from the start of the file and answers how many bytes of the buffer it took.
    fn fill(&self, buffer: &mut Buffer) -> io::Result<usize> {
        let mut length = 0;
        loop {
            let Some(free) = buffer.bytes.get_mut(length..).filter(|free| !free.is_empty()) else {
                if buffer.grow() {
                    continue;
                }
                return Err(io::Error::new(ErrorKind::FileTooLarge, format!("larger than {LARGEST} bytes")));
            };
            let room = free.len();
            // Positions never exceed LARGEST; the fallback only makes the conversion total.
            match self.file.read_at(free, u64::try_from(length).unwrap_or(u64::MAX)) {
                Ok(0) => return Ok(length),
                Ok(count) => {
                    length += count;
                    if self.printed == Printed::Whole && count < room {
                        return Ok(length);
                    }
                }
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::panic, reason = "tests")]
mod tests {
    use super::*;
    use std::io::Write;

    #[test]
    fn a_file_is_read_from_its_start_every_time() {
        let mut written = tempfile::NamedTempFile::new().unwrap();
        written.write_all(b"one").unwrap();
        let file = KernelFile::open(written.path().to_owned()).unwrap();
        let mut buffer = Buffer::new();
        assert_eq!(file.read(&mut buffer).unwrap(), "one");
        written.write_all(b" two").unwrap();
        assert_eq!(file.read(&mut buffer).unwrap(), "one two");
    }

    #[test]
    fn a_buffer_grows_with_the_file_up_to_its_bound() {
        let mut written = tempfile::NamedTempFile::new().unwrap();
        let mut buffer = Buffer::new();
        let file = KernelFile::open(written.path().to_owned()).unwrap();
        for size in [FIRST - 1, FIRST, FIRST + 1, 5 * FIRST, LARGEST - 1] {
            written.as_file().set_len(0).unwrap();
            written.as_file().write_all_at(&vec![b'x'; size], 0).unwrap();
            assert_eq!(file.read(&mut buffer).unwrap().len(), size);
        }
        written.flush().unwrap();
        written.as_file().write_all_at(b"yyy", u64::try_from(LARGEST).unwrap()).unwrap();
        let error = file.read(&mut buffer).unwrap_err().to_string();
        assert!(error.contains("larger than"), "{error}");
    }

    #[test]
    fn what_is_no_text_is_malformed_and_a_missing_file_is_gone() {
        let written = tempfile::NamedTempFile::new().unwrap();
        written.as_file().write_all_at(&[0xff, 0xfe], 0).unwrap();
        let read = KernelFile::open(written.path().to_owned()).unwrap();
        assert!(matches!(read.read(&mut Buffer::new()), Err(HostError::Malformed { .. })));
        assert!(KernelFile::open(written.path().join("x")).is_err_and(|e| !e.is_gone()));
        assert!(KernelFile::open("/proc/no-such-file".into()).is_err_and(|e| e.is_gone()));
    }

    #[test]
    fn a_file_printed_in_records_is_read_to_its_end() {
        let file = KernelFile::open_records("/proc/zoneinfo".into()).unwrap();
        let mut buffer = Buffer::new();
        let whole = std::fs::read_to_string("/proc/zoneinfo").unwrap();
        let zones = |text: &str| text.lines().filter(|l| l.starts_with("Node ")).count();
        assert_eq!(zones(file.read(&mut buffer).unwrap()), zones(&whole));
    }
}
