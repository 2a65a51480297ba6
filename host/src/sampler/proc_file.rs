use crate::HostError;
use crate::file::{Buffer, KernelFile};
use crate::sampler::folder::why;
use gleaner_model::Absence;
use std::path::PathBuf;

/// How a file is opened: [`KernelFile::open`] or [`KernelFile::open_records`].
pub(crate) type Open = fn(PathBuf) -> Result<KernelFile, HostError>;

/// One file of the node; it never vanishes as a cgroup does, it is there or not.
#[derive(Debug)]
pub(crate) struct ProcFile {
    path: PathBuf,
    open: Open,
    file: Option<KernelFile>,
}

impl ProcFile {
    /// A file that is opened when it is read first, and then stays open.
    pub(crate) fn new(path: PathBuf, open: Open) -> Self {
        Self { path, open, file: None }
    }

    /// Reads the file and understands it with `parse`, whose error becomes [`Absence::Unreadable`] with the path before it.
    pub(crate) fn read<T>(&mut self, buffer: &mut Buffer, parse: impl FnOnce(&str) -> Result<T, String>) -> Result<T, Absence> {
        let absent = |error: HostError| if error.is_gone() { Absence::NotOffered } else { why(&error) };
        let file = match self.file.take() {
            Some(file) => file,
            None => (self.open)(self.path.clone()).map_err(absent)?,
        };
        let read = file.read(buffer).map_err(absent)?;
        let value = parse(read).map_err(|cause| Absence::Unreadable(format!("{}: {cause}", self.path.display())));
        self.file = Some(file);
        value
    }
}
