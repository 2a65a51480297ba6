//! The file of a socket: made so that nobody sees it half made, and never in place of something else.

use std::fs::{self, DirBuilder, Permissions};
use std::io;
use std::os::unix::fs::{DirBuilderExt, FileTypeExt, MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};
use tokio::net::{UnixListener, UnixStream};

/// Why a socket cannot be served.
#[derive(Debug, thiserror::Error)]
pub enum ServeError {
    /// Something is in the way, or the path is none for a socket.
    #[error("socket {}: {cause}", path.display())]
    Socket {
        /// The socket.
        path: PathBuf,
        /// What is wrong with it.
        cause: String,
    },
    /// A system call failed.
    #[error("cannot {operation} {}", path.display())]
    Io {
        /// What was done.
        operation: &'static str,
        /// On what.
        path: PathBuf,
        /// The kernel's answer.
        source: io::Error,
    },
}

impl ServeError {
    fn io(operation: &'static str, path: &Path) -> impl FnOnce(io::Error) -> Self {
        move |source| Self::Io { operation, path: path.to_owned(), source }
    }

    /// The whole chain in one line.
    #[must_use]
    pub fn in_one_line(&self) -> String {
        match self {
            Self::Socket { .. } => self.to_string(),
            Self::Io { source, .. } => format!("{self}: {source}"),
        }
    }
}

/// Which file a path leads to. The number of a socket that is listened on is not given to another file, removed or not.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Identity {
    device: u64,
    inode: u64,
}

impl Identity {
    /// `None` where nothing is.
    pub(super) fn of(path: &Path) -> Option<Self> {
        fs::symlink_metadata(path).ok().map(|found| Self { device: found.dev(), inode: found.ino() })
    }
}

/// The user that this process acts as.
///
/// # Errors
/// When no socket can be made.
pub(super) fn own_user() -> Result<u32, ServeError> {
    let own = UnixStream::pair().and_then(|(one, _)| one.peer_cred());
    own.map(|peer| peer.uid()).map_err(ServeError::io("ask for the user of", Path::new("a socket pair")))
}

/// Listens on a path. A socket of this user that nobody answers on is replaced.
///
/// # Errors
/// When something else is there, somebody answers there, or the kernel does not let us.
pub(super) async fn open(path: &Path, own: u32) -> Result<(UnixListener, Identity), ServeError> {
    let fault = |cause: &str| ServeError::Socket { path: path.to_owned(), cause: cause.to_owned() };
    let folder = path.parent().ok_or_else(|| fault("is in no folder"))?;
    // An existing folder is somebody's who knows why it is as it is.
    DirBuilder::new().recursive(true).mode(0o700).create(folder).map_err(ServeError::io("create", folder))?;
    let making = folder.join(temporary_name(path).ok_or_else(|| fault("has no name"))?);
    clear(&making, own).await?;
    let listener = UnixListener::bind(&making).map_err(ServeError::io("bind", &making))?;
    let placed = place(&making, path, own).await;
    if placed.is_err() {
        // What is left would only be in the way of the next attempt.
        let _ = fs::remove_file(&making);
    }
    Ok((listener, placed?))
}

/// Protects the socket and gives it its name.
async fn place(making: &Path, path: &Path, own: u32) -> Result<Identity, ServeError> {
    fs::set_permissions(making, Permissions::from_mode(0o600)).map_err(ServeError::io("protect", making))?;
    let gone = || ServeError::Socket { path: making.to_owned(), cause: "vanished while it was made".to_owned() };
    let identity = Identity::of(making).ok_or_else(gone)?;
    may_replace(path, own).await?;
    fs::rename(making, path).map_err(ServeError::io("rename to", path))?;
    Ok(identity)
}

/// Watchers skip names with a dot before them, and take no notice of what does not end like a socket.
fn temporary_name(path: &Path) -> Option<String> {
    let name = path.file_name()?.to_str()?;
    // No longer than the name itself, since the kernel takes 107 bytes for the whole path.
    Some(format!(".{}.new", name.strip_suffix(".sock").unwrap_or(name)))
}

async fn clear(making: &Path, own: u32) -> Result<(), ServeError> {
    may_replace(making, own).await?;
    match fs::remove_file(making) {
        Err(e) if e.kind() != io::ErrorKind::NotFound => Err(ServeError::io("remove", making)(e)),
        _ => Ok(()),
    }
}

/// Whether there is nothing, or a socket of this user that was left by somebody who is gone.
async fn may_replace(path: &Path, own: u32) -> Result<(), ServeError> {
    let fault = |cause: String| ServeError::Socket { path: path.to_owned(), cause };
    let found = match fs::symlink_metadata(path) {
        Err(e) if e.kind() == io::ErrorKind::NotFound => return Ok(()),
        found => found.map_err(ServeError::io("look at", path))?,
    };
    if !found.file_type().is_socket() {
        return Err(fault("something is there that is no socket".to_owned()));
    }
    if found.uid() != own {
        return Err(fault(format!("a socket of user {} is there", found.uid())));
    }
    match UnixStream::connect(path).await {
        Err(e) if matches!(e.kind(), io::ErrorKind::ConnectionRefused | io::ErrorKind::NotFound) => Ok(()),
        Ok(_) => Err(fault("another process answers there".to_owned())),
        // A queue that is full is somebody's, too.
        Err(e) => Err(fault(format!("another process may listen there: {e}"))),
    }
}

/// Removes the socket if it is still the one that was made.
pub(super) fn remove(path: &Path, identity: Identity) {
    if Identity::of(path) == Some(identity) {
        // Nobody is left to be told; the next start clears what remains.
        let _ = fs::remove_file(path);
    }
}

#[cfg(test)]
mod tests;
