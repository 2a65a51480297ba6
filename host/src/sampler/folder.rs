//! The files of one cgroup folder, held open across samples.

use crate::HostError;
use crate::file::{Buffer, KernelFile};
use gleaner_model::Absence;
use std::path::PathBuf;

/// For how many samples a file that the kernel does not offer is not looked for again. A controller can be turned on later, but looking
/// costs as much as reading.
const LOOK_AGAIN: u8 = 30;

/// A cgroup's folder in one hierarchy.
#[derive(Debug)]
pub(crate) struct Folder {
    path: PathBuf,
    /// Whether the cgroup may well not be in this hierarchy: on hybrid hosts, runtimes that make v1 cgroups may leave the cgroup2 mount alone.
    optional: bool,
    seen: bool,
    gone: bool,
    /// Grows when the folder is lost, so that every file opened in it before is known to be stale.
    generation: u32,
}

impl Folder {
    pub(crate) fn new(path: PathBuf, optional: bool) -> Self {
        Self { path, optional, seen: false, gone: false, generation: 0 }
    }

    /// Before each sample: a lost folder is used again only once it exists again.
    pub(crate) fn look(&mut self) {
        if self.gone && self.path.is_dir() {
            self.gone = false;
        }
    }

    fn lose(&mut self) -> Absence {
        self.gone = true;
        self.generation = self.generation.wrapping_add(1);
        self.absence()
    }

    fn absence(&self) -> Absence {
        if self.optional && !self.seen { Absence::NotOffered } else { Absence::Vanished }
    }
}

/// What reading needs beside the file.
#[derive(Debug)]
pub(crate) struct Access<'b> {
    /// Where files are read into.
    pub(crate) buffer: &'b mut Buffer,
    /// Whether descriptors stay open until the next sample.
    pub(crate) keep_open: bool,
}

/// One file of a folder.
#[derive(Debug)]
pub(crate) struct Slot {
    name: &'static str,
    open: Option<KernelFile>,
    generation: u32,
    missing_for: u8,
}

impl Slot {
    pub(crate) fn new(name: &'static str) -> Self {
        Self { name, open: None, generation: 0, missing_for: 0 }
    }

    /// Reads the file and understands it with `parse`, whose error becomes [`Absence::Unreadable`] with the path before it.
    pub(crate) fn read<T>(
        &mut self,
        folder: &mut Folder,
        access: &mut Access<'_>,
        parse: impl FnOnce(&str) -> Result<T, String>,
    ) -> Result<T, Absence> {
        if self.generation != folder.generation {
            (self.open, self.missing_for, self.generation) = (None, 0, folder.generation);
        }
        if folder.gone {
            return Err(folder.absence());
        }
        if self.missing_for > 0 {
            self.missing_for -= 1;
            return Err(Absence::NotOffered);
        }
        let file = match self.open.take() {
            Some(file) => file,
            None => match KernelFile::open(folder.path.join(self.name)) {
                Ok(file) => file,
                Err(error) => return Err(self.not_opened(folder, &error)),
            },
        };
        folder.seen = true;
        let read = match file.read(access.buffer) {
            Ok(text) => parse(text).map_err(|cause| Absence::Unreadable(format!("{}: {cause}", file.path().display()))),
            Err(error) if error.is_gone() => return Err(folder.lose()),
            Err(error) => Err(why(&error)),
        };
        self.open = access.keep_open.then_some(file);
        read
    }

    fn not_opened(&mut self, folder: &mut Folder, error: &HostError) -> Absence {
        if !error.is_gone() {
            return why(error);
        }
        if !folder.path.is_dir() {
            return folder.lose();
        }
        folder.seen = true;
        self.missing_for = LOOK_AGAIN;
        Absence::NotOffered
    }
}

/// Why a file that is there could not be read.
pub(crate) fn why(error: &HostError) -> Absence {
    // What a pressure file answers on a kernel that was started with psi=0.
    const EOPNOTSUPP: i32 = nix::errno::Errno::EOPNOTSUPP as i32;
    match error {
        HostError::Io { source, .. } if source.raw_os_error() == Some(EOPNOTSUPP) => Absence::NotOffered,
        _ => Absence::Unreadable(error.to_string()),
    }
}
