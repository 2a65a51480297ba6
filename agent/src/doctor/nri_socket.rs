//! The container runtime's socket, seen from outside. One who connects to it must register at once: a runtime waits 5 s for it, and keeps its other
//! plugins waiting meanwhile. So nobody connects here.

use super::facts::NriSocket;
use std::fs;
use std::io::ErrorKind;
use std::os::unix::fs::{FileTypeExt, MetadataExt};
use std::path::Path;

/// Sockets of a network namespace (kernel, `net/unix/af_unix.c`): that of the machine's first process, where this process can see it, and its own.
const TABLES: [&str; 2] = ["/proc/1/net/unix", "/proc/self/net/unix"];

/// Looks at the socket. `first_is_machines`: process 1 is the machine's, and so are the sockets that it knows.
pub(super) fn nri_socket(path: &Path, first_is_machines: bool) -> NriSocket {
    let meta = match fs::metadata(path) {
        Ok(meta) => meta,
        Err(error) if error.kind() == ErrorKind::NotFound => return NriSocket::Absent,
        Err(error) => return NriSocket::Hidden(error.to_string()),
    };
    if !meta.file_type().is_socket() {
        return NriSocket::NoSocket;
    }
    // The runtime may have bound it by another name of the same folder, such as /run for /var/run.
    let names: Vec<String> = [Some(path.to_owned()), fs::canonicalize(path).ok(), other_name(path)]
        .into_iter()
        .flatten()
        .map(|name| name.display().to_string())
        .collect();
    let tables: Vec<Option<String>> = TABLES.iter().map(|table| fs::read_to_string(table).ok()).collect();
    let found = tables.iter().flatten().any(|table| listens(table, &names));
    let complete = first_is_machines && tables.first().is_some_and(Option::is_some);
    NriSocket::There { owner: meta.uid(), listens: (found || complete).then_some(found) }
}

/// `/var/run` is a link to `/run` on every distribution of today, but in a container it may be neither.
fn other_name(path: &Path) -> Option<std::path::PathBuf> {
    let rest = path.strip_prefix("/var/run").map(|rest| Path::new("/run").join(rest));
    rest.or_else(|_| path.strip_prefix("/run").map(|rest| Path::new("/var/run").join(rest))).ok()
}

/// Whether the table has a socket of one of these names that takes connections.
fn listens(table: &str, names: &[String]) -> bool {
    const ACCEPTS: u32 = 1 << 16;
    table.lines().any(|line| {
        // Num RefCount Protocol Flags Type St Inode Path
        let mut fields = line.split_whitespace();
        let flags = fields.nth(3).and_then(|flags| u32::from_str_radix(flags, 16).ok());
        let name = fields.nth(3);
        flags.is_some_and(|flags| flags & ACCEPTS != 0) && name.is_some_and(|name| names.iter().any(|own| own == name))
    })
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "tests")]
mod tests {
    use super::*;

    const TABLE: &str = "Num       RefCount Protocol Flags    Type St Inode Path\n\
        0000000000000000: 00000002 00000000 00010000 0001 01 20000 /run/nri/nri.sock\n\
        0000000000000000: 00000003 00000000 00000000 0001 03 20001 /run/left.sock\n\
        0000000000000000: 00000002 00000000 00010000 0001 01 20002\n";

    #[test]
    fn only_a_socket_that_takes_connections_listens() {
        for (name, expected) in [("/run/nri/nri.sock", true), ("/run/left.sock", false), ("/run/nri", false), ("", false)] {
            assert_eq!(listens(TABLE, &[name.to_owned()]), expected, "{name}");
        }
    }

    #[test]
    fn a_folder_has_its_other_name_too() {
        for (path, other) in [("/var/run/nri/a", Some("/run/nri/a")), ("/run/nri/a", Some("/var/run/nri/a")), ("/tmp/a", None)] {
            assert_eq!(other_name(Path::new(path)).as_deref(), other.map(Path::new), "{path}");
        }
    }

    #[test]
    fn a_socket_is_looked_at_and_never_connected_to() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("nri.sock");
        assert_eq!(nri_socket(&path, true), NriSocket::Absent);
        let listener = std::os::unix::net::UnixListener::bind(&path).unwrap();
        listener.set_nonblocking(true).unwrap();
        let own = nix::unistd::geteuid().as_raw();
        assert_eq!(nri_socket(&path, true), NriSocket::There { owner: own, listens: Some(true) });
        assert_eq!(listener.accept().unwrap_err().kind(), ErrorKind::WouldBlock, "somebody connected");
        drop(listener);
        assert_eq!(nri_socket(&path, false), NriSocket::There { owner: own, listens: None });
        std::fs::remove_file(&path).unwrap();
        std::fs::create_dir(&path).unwrap();
        assert_eq!(nri_socket(&path, true), NriSocket::NoSocket);
    }
}
