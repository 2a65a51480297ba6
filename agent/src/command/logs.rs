//! Where the log goes.

use crate::error::AgentError;
use std::fs::OpenOptions;
use std::io::{self, IsTerminal, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::PathBuf;
use std::sync::Mutex;
use tracing_subscriber::EnvFilter;

/// Logs to stderr, or to a file when the terminal is for the live view. `RUST_LOG` chooses what; `info` without it, but for the
/// client of the API server, whose failures are told as health.
///
/// # Errors
/// When the file cannot be opened.
pub(super) fn start(file: Option<PathBuf>) -> Result<(), AgentError> {
    let filter = EnvFilter::try_from_default_env().unwrap_or_else(|_| EnvFilter::new("info,kube_client=off"));
    let builder = tracing_subscriber::fmt().with_env_filter(filter).with_target(false).without_time();
    match file {
        None => builder.with_ansi(std::io::stderr().is_terminal()).with_writer(|| Forgiving(std::io::stderr())).init(),
        Some(path) => {
            if let Some(folder) = path.parent() {
                let made = std::fs::DirBuilder::new().recursive(true).mode(0o700).create(folder);
                made.map_err(|e| AgentError::io("create", folder, e))?;
            }
            // Begun anew at each start: the live view is for trying things out.
            let open = OpenOptions::new().create(true).write(true).truncate(true).mode(0o600).open(&path);
            let log = open.map_err(|e| AgentError::io("open", &path, e))?;
            builder.with_ansi(false).with_writer(Mutex::new(Forgiving(log))).init();
        }
    }
    Ok(())
}

/// A log that cannot be written is lost and nothing else. The library would print the error to stderr, and a reader of stderr that went away is
/// the very cause: that print ends the process.
struct Forgiving<W>(W);

impl<W: Write> Write for Forgiving<W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        Ok(self.0.write(bytes).unwrap_or(bytes.len()))
    }

    fn flush(&mut self) -> io::Result<()> {
        let _ = self.0.flush();
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_log_that_nobody_takes_is_no_error() {
        struct Gone;
        impl Write for Gone {
            fn write(&mut self, _: &[u8]) -> io::Result<usize> {
                Err(io::ErrorKind::BrokenPipe.into())
            }
            fn flush(&mut self) -> io::Result<()> {
                Err(io::ErrorKind::BrokenPipe.into())
            }
        }
        let mut log = Forgiving(Gone);
        assert!(log.write_all(b"line").and_then(|()| log.flush()).is_ok());
    }
}
