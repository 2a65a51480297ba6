//! Says when something in a folder changed.

use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::inotify::{AddWatchFlags, InitFlags, Inotify};
use std::os::fd::AsFd;
use std::path::{Path, PathBuf};

/// What the watch tells.
pub(crate) enum FolderEvent {
    /// The folder is watched from now on, or something in it changed.
    Changed,
    /// The folder cannot be watched; it is tried again.
    Unwatchable(String),
}

/// Several files are often written together: changes this close are told once.
const QUIET_MS: u16 = 50;
/// Someone who never stops writing does not keep the others' changes from being seen: half a second is the longest wait.
const MOST_ROUNDS: u16 = 10;
const RETRY_MS: u16 = 1000;

/// Watches a folder on a thread of its own, which ends when `tell` says that nobody listens any more.
///
/// # Errors
/// When the thread cannot be started.
pub(crate) fn watch(folder: PathBuf, tell: impl Fn(FolderEvent) -> bool + Send + 'static) -> Result<(), std::io::Error> {
    std::thread::Builder::new().name("manifests".to_owned()).spawn(move || {
        loop {
            let listening = match open(&folder) {
                Ok(inotify) => follow(&folder, &inotify, &tell),
                Err(error) => tell(FolderEvent::Unwatchable(format!("watch {}: {error}", folder.display()))),
            };
            if !listening {
                return;
            }
            wait(None, RETRY_MS);
        }
    })?;
    Ok(())
}

fn open(folder: &Path) -> Result<Inotify, nix::Error> {
    let inotify = Inotify::init(InitFlags::IN_NONBLOCK | InitFlags::IN_CLOEXEC)?;
    let changes = AddWatchFlags::IN_CLOSE_WRITE
        | AddWatchFlags::IN_MOVED_TO
        | AddWatchFlags::IN_MOVED_FROM
        | AddWatchFlags::IN_DELETE
        | AddWatchFlags::IN_ATTRIB
        | AddWatchFlags::IN_DELETE_SELF
        | AddWatchFlags::IN_MOVE_SELF;
    inotify.add_watch(folder, changes | AddWatchFlags::IN_ONLYDIR)?;
    Ok(inotify)
}

/// Tells of changes until the folder itself goes away (true) or nobody listens (false).
fn follow(folder: &Path, inotify: &Inotify, tell: &impl Fn(FolderEvent) -> bool) -> bool {
    loop {
        // What changed before the watch began is told first.
        if !tell(FolderEvent::Changed) {
            return false;
        }
        while !wait(Some(inotify), RETRY_MS) {
            // A folder that was put in the place of a watched one is another folder.
            if !folder.is_dir() {
                return true;
            }
        }
        for _ in 0..MOST_ROUNDS {
            if !wait(Some(inotify), QUIET_MS) {
                break;
            }
            let events = inotify.read_events().unwrap_or_default();
            let gone = AddWatchFlags::IN_IGNORED | AddWatchFlags::IN_DELETE_SELF | AddWatchFlags::IN_MOVE_SELF;
            if events.iter().any(|e| e.mask.intersects(gone)) {
                return true;
            }
        }
    }
}

/// Waits for events, or only for the time; true when there are events.
fn wait(inotify: Option<&Inotify>, millis: u16) -> bool {
    let mut fds: Vec<PollFd<'_>> = inotify.iter().map(|i| PollFd::new(i.as_fd(), PollFlags::POLLIN)).collect();
    poll(&mut fds, PollTimeout::from(millis)).is_ok_and(|ready| ready > 0)
}
