//! Ending what an earlier agent left behind, without its manifest.

use gleaner_host::arbiter::Arbiter;
use gleaner_host::cgroup::{FoundPod, Layout};
use gleaner_host::{HostError, clock, process};
use nix::poll::{PollTimeout, poll};
use std::time::Duration;

/// How long it is tried. A killed process leaves its cgroup only when it has ended, which takes long where it gives back much memory.
const LONGEST: Duration = Duration::from_secs(10);
const PAUSE_MS: u8 = 50;

/// Kills all processes of a pod and removes its cgroups.
///
/// # Errors
/// When the kernel still refuses after ten seconds.
pub(crate) fn clear(layout: &Layout, arbiter: &mut Arbiter, pod: &FoundPod) -> Result<(), HostError> {
    let end = clock::now().after(LONGEST);
    loop {
        let result = process::kill(layout, &pod.cgroup).and_then(|_| remove(arbiter, pod));
        if result.is_ok() || clock::now() >= end {
            return result;
        }
        // Without descriptors only the time limit ends it.
        let _ = poll(&mut [], PollTimeout::from(PAUSE_MS));
    }
}

fn remove(arbiter: &mut Arbiter, pod: &FoundPod) -> Result<(), HostError> {
    pod.containers.iter().try_for_each(|container| arbiter.remove(&container.cgroup))?;
    arbiter.remove(&pod.cgroup)
}
