//! The way to the runtime's socket. What is there decides what containers get, so it must be root's or our own.

use std::fs;
use std::io;
use std::os::unix::fs::{FileTypeExt, MetadataExt};
use std::path::{Path, PathBuf};
use tokio::net::UnixStream;

/// Why there is no connection.
#[derive(Debug, thiserror::Error)]
pub(super) enum DialError {
    #[error("there is no socket {}: the runtime does not run, or its plugins (NRI) are switched off", .0.display())]
    Missing(PathBuf),
    #[error("nobody answers on {}: the runtime does not run", .0.display())]
    Silent(PathBuf),
    #[error("{} is no socket", .0.display())]
    NoSocket(PathBuf),
    #[error("{} belongs to user {user}, not to root or user {own}", path.display())]
    Foreign { path: PathBuf, user: u32, own: u32 },
    #[error("cannot {operation} {}", path.display())]
    Io { operation: &'static str, path: PathBuf, source: io::Error },
}

impl DialError {
    fn io(operation: &'static str, path: &Path) -> impl FnOnce(io::Error) -> Self {
        move |source| match source.kind() {
            io::ErrorKind::NotFound => Self::Missing(path.to_owned()),
            io::ErrorKind::ConnectionRefused => Self::Silent(path.to_owned()),
            _ => Self::Io { operation, path: path.to_owned(), source },
        }
    }

    /// The whole chain in one line.
    pub(super) fn in_one_line(&self) -> String {
        match self {
            Self::Io { source, .. } => format!("{self}: {source}"),
            _ => self.to_string(),
        }
    }
}

/// Connects. The caller must register at once: until then the runtime lets no other plugin in.
pub(super) async fn dial(path: &Path) -> Result<UnixStream, DialError> {
    let own = nix::unistd::geteuid().as_raw();
    // Followed, since administrators link sockets; it is the socket's owner that counts.
    let found = fs::metadata(path).map_err(DialError::io("look at", path))?;
    if !found.file_type().is_socket() {
        return Err(DialError::NoSocket(path.to_owned()));
    }
    let trusted = |user: u32| {
        if user == 0 || user == own { Ok(()) } else { Err(DialError::Foreign { path: path.to_owned(), user, own }) }
    };
    trusted(found.uid())?;
    let stream = UnixStream::connect(path).await.map_err(DialError::io("connect to", path))?;
    // The file may have been replaced in between; this is who listens.
    trusted(stream.peer_cred().map_err(DialError::io("ask who listens on", path))?.uid())?;
    Ok(stream)
}
