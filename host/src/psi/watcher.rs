//! A thread that the kernel wakes when tasks wait for too long.

use crate::{HostError, clock};
use gleaner_model::Timestamp;
use nix::errno::Errno;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::eventfd::{EfdFlags, EventFd};
use std::fs::{File, OpenOptions};
use std::io::{self, ErrorKind, Write};
use std::os::fd::AsFd;
use std::os::unix::fs::OpenOptionsExt;
use std::path::PathBuf;
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::Duration;

/// A wish to be woken when the tasks of a pressure file waited `stall` or longer within `window`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Trigger {
    /// What its events are called.
    pub name: String,
    /// A pressure file: `/proc/pressure/memory`, or `memory.pressure` of a cgroup.
    pub file: PathBuf,
    /// Whether all tasks must wait at once, instead of any.
    pub full: bool,
    /// How long they must have waited.
    pub stall: Duration,
    /// Within which time; the kernel takes 500 ms to 10 s, and from a process without `CAP_SYS_RESOURCE` only multiples of 2 s, which it
    /// then looks at every 2 s instead of at once.
    pub window: Duration,
}

impl Trigger {
    /// What is written to the pressure file. The kernel overwrites the last byte that it is given, so the text must end in one to spare.
    pub(crate) fn text(&self) -> String {
        let kind = if self.full { "full" } else { "some" };
        format!("{kind} {} {}\0", self.stall.as_micros(), self.window.as_micros())
    }
}

/// A trigger fired. The kernel sends at most one a window.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PsiEvent {
    /// The trigger's name.
    pub name: String,
    /// When the thread was woken.
    pub at: Timestamp,
}

struct Armed {
    name: String,
    file: File,
}

/// Waits for triggers on its own thread until it is dropped.
#[derive(Debug)]
pub struct Watcher {
    stop: Arc<EventFd>,
    thread: Option<JoinHandle<()>>,
}

impl Watcher {
    /// Registers the triggers and calls `deliver` on the watcher's thread for every event, until the watcher is dropped. Triggers that
    /// the kernel refuses are returned with its answer; the others work. A trigger whose cgroup is removed ends silently.
    ///
    /// # Errors
    /// When there is no thread or no event descriptor to be had.
    pub fn start(
        triggers: Vec<Trigger>,
        deliver: impl FnMut(PsiEvent) + Send + 'static,
    ) -> Result<(Self, Vec<(String, HostError)>), HostError> {
        let (mut armed, mut refused) = (Vec::new(), Vec::new());
        for trigger in triggers {
            match arm(&trigger) {
                Ok(file) => armed.push(Armed { name: trigger.name, file }),
                Err(error) => refused.push((trigger.name, error)),
            }
        }
        let failed = |what, cause: &dyn ToString| HostError::Library { what, cause: cause.to_string() };
        let stop = EventFd::from_flags(EfdFlags::EFD_CLOEXEC | EfdFlags::EFD_NONBLOCK);
        let stop = Arc::new(stop.map_err(|cause| failed("eventfd", &cause))?);
        let stopped = Arc::clone(&stop);
        let thread = std::thread::Builder::new()
            .name("psi".to_owned())
            .spawn(move || watch(armed, &stopped, deliver))
            .map_err(|cause| failed("start the pressure thread", &cause))?;
        Ok((Self { stop, thread: Some(thread) }, refused))
    }
}

impl Drop for Watcher {
    fn drop(&mut self) {
        // The write can only fail when the counter is full, and then the thread is awake already.
        let _ = self.stop.write(1);
        if let Some(thread) = self.thread.take() {
            // A watcher that is dropped by what it delivers to must not wait for itself.
            if thread.thread().id() != std::thread::current().id() {
                let _ = thread.join();
            }
        }
    }
}

/// Registers one trigger; it lives as long as the file is open. Writing here is no change of a kernel value, and ends with this process:
/// it asks to be notified, so it does not go through the arbiter.
fn arm(trigger: &Trigger) -> Result<File, HostError> {
    const O_NONBLOCK: i32 = nix::fcntl::OFlag::O_NONBLOCK.bits();
    let mut file = OpenOptions::new()
        .read(true)
        .write(true)
        .custom_flags(O_NONBLOCK)
        .open(&trigger.file)
        .map_err(|source| HostError::io("open", &trigger.file, source))?;
    file.write_all(trigger.text().as_bytes())
        .map_err(|source| HostError::io("set a trigger on", &trigger.file, explained(trigger, source)))?;
    Ok(file)
}

/// The kernel has one answer to everything that it does not like about a trigger; this names what it may be.
fn explained(trigger: &Trigger, source: io::Error) -> io::Error {
    if source.kind() != ErrorKind::InvalidInput {
        return source;
    }
    let Trigger { stall, window, .. } = trigger;
    let rule = "the window must be 500ms to 10s, without CAP_SYS_RESOURCE a multiple of 2s, and the stall not longer";
    io::Error::new(ErrorKind::InvalidInput, format!("{stall:?} within {window:?} is refused: {rule}"))
}

fn watch(mut armed: Vec<Armed>, stop: &EventFd, mut deliver: impl FnMut(PsiEvent)) {
    loop {
        let fired = match wait(&armed, stop) {
            Ok(Some(fired)) => fired,
            Err(Errno::EINTR) => continue,
            // Nothing else than memory shortage in the kernel is left; without a watcher, sampling still sees pressure.
            Ok(None) | Err(_) => return,
        };
        let at = clock::now();
        for (trigger, _) in armed.iter().zip(&fired).filter(|(_, flags)| is_event(**flags)) {
            deliver(PsiEvent { name: trigger.name.clone(), at });
        }
        let mut flags = fired.iter();
        armed.retain(|_| flags.next().is_none_or(|flags| !is_end(*flags)));
    }
}

/// What happened to each trigger; `None` when it is time to stop.
fn wait(armed: &[Armed], stop: &EventFd) -> Result<Option<Vec<PollFlags>>, Errno> {
    let mut waiting: Vec<PollFd<'_>> = armed.iter().map(|a| PollFd::new(a.file.as_fd(), PollFlags::POLLPRI)).collect();
    waiting.push(PollFd::new(stop.as_fd(), PollFlags::POLLIN));
    poll(&mut waiting, PollTimeout::NONE)?;
    let stopping = waiting.pop().is_none_or(|stop| stop.any().unwrap_or(true));
    let flags = || waiting.iter().map(|fd| fd.revents().unwrap_or(PollFlags::POLLERR)).collect();
    Ok((!stopping).then(flags))
}

/// A removed cgroup is reported as error and event together: it is an end only.
fn is_event(flags: PollFlags) -> bool {
    flags.contains(PollFlags::POLLPRI) && !is_end(flags)
}

fn is_end(flags: PollFlags) -> bool {
    flags.intersects(PollFlags::POLLERR | PollFlags::POLLNVAL)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_removed_cgroup_is_an_end_and_no_event() {
        let (event, end) = (PollFlags::POLLPRI, PollFlags::POLLERR);
        assert!(is_event(event) && !is_end(event));
        assert!(!is_event(event | end) && is_end(event | end));
        assert!(!is_event(PollFlags::empty()) && !is_end(PollFlags::empty()));
    }
}
