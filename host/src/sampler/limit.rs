//! How many files this process may hold open.

use nix::sys::resource::{Resource, getrlimit, setrlimit};

/// Descriptors that everything else in the process is left: connections, journals, inotify, libraries.
const OTHERS: u64 = 512;

/// Whether that many files may be held open, after the soft limit was raised to the hard one if it must be.
pub(crate) fn may_hold(files: u64) -> bool {
    let wanted = files.saturating_add(OTHERS);
    match getrlimit(Resource::RLIMIT_NOFILE) {
        Ok((soft, _)) if soft >= wanted => true,
        Ok((_, hard)) => hard >= wanted && setrlimit(Resource::RLIMIT_NOFILE, hard, hard).is_ok(),
        // Where the limit is not to be had, opening shows it: the files that exceed it are unreadable.
        Err(_) => true,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_number_of_files_beyond_any_limit_may_not_be_held() {
        assert!(may_hold(1));
        assert!(!may_hold(u64::MAX - 1));
    }
}
