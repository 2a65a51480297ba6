//! The only place that writes to the kernel.

use crate::error::HostError;
use nix::libc::O_NOFOLLOW;
use std::fs::OpenOptions;
use std::io::{self, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

/// Writes a text to an existing file in one call: the kernel takes each write as a whole value. Never creates, never follows a link in the
/// last part of the path.
pub(super) fn write(path: &Path, text: &str) -> Result<(), HostError> {
    // Truncating means nothing to the kernel's files; it keeps an ordinary file from ending in the rest of a longer text.
    let opened = OpenOptions::new().write(true).truncate(true).custom_flags(O_NOFOLLOW).open(path);
    let written = opened.and_then(|mut file| file.write(text.as_bytes()));
    match written {
        Ok(length) if length == text.len() => Ok(()),
        Ok(_) => Err(HostError::io("write", path, io::Error::from(io::ErrorKind::WriteZero))),
        Err(e) => Err(HostError::io("write", path, e)),
    }
}
