//! One container: its processes and what became of them.

use super::restart::{self, Exit, Next};
use crate::manifest::{ContainerRun, RestartPolicy};
use gleaner_host::cgroup::Layout;
use gleaner_host::process;
use gleaner_model::{CgroupPath, PodName, Timestamp};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use std::collections::BTreeMap;
use std::fs::{File, OpenOptions};
use std::io::{Read, Seek, SeekFrom};
use std::os::unix::fs::OpenOptionsExt;
use std::os::unix::process::ExitStatusExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::Duration;

/// A container's output above this size is begun anew.
const LOG_LIMIT: u64 = 10 << 20;

/// By then a container's first process has joined its cgroup, or failed to.
const SETTLED: Duration = Duration::from_secs(5);

/// Where a container is in its life.
#[derive(Debug)]
pub(super) enum State {
    /// Not started, or waiting out its back-off.
    Waiting {
        /// Not before this.
        until: Timestamp,
    },
    /// Its processes run. `child` is `None` when an earlier agent started them.
    Running { child: Option<Child>, since: Timestamp },
    /// It stays ended.
    Ended { exit: Exit },
}

/// One container.
#[derive(Debug)]
pub(super) struct RunningContainer {
    pub(super) run: ContainerRun,
    pub(super) cgroup: CgroupPath,
    pub(super) state: State,
    pub(super) restarts: u32,
    /// How it ended the last time, in words.
    pub(super) last_end: Option<String>,
    /// Variables that came with what plugins in other processes gave it; `None` while that is not known, and then it cannot start.
    pub(super) variables: Option<BTreeMap<String, String>>,
}

impl RunningContainer {
    pub(super) fn new(run: ContainerRun, cgroup: CgroupPath, variables: Option<BTreeMap<String, String>>) -> Self {
        Self { run, cgroup, state: State::Waiting { until: Timestamp::default() }, restarts: 0, last_end: None, variables }
    }

    /// Whether the containers after it may start.
    pub(super) fn lets_others_start(&self) -> bool {
        match &self.state {
            State::Ended { exit } => !self.run.init || exit.success(),
            State::Running { .. } => !self.run.init || self.run.restart == RestartPolicy::Always,
            State::Waiting { .. } => !self.run.init,
        }
    }

    /// Starts the container's command in its cgroup.
    ///
    /// # Errors
    /// A line that says why not.
    pub(super) fn start(&mut self, logs: &Path, pod: &PodName, now: Timestamp) -> Result<(), String> {
        let log = open_log(&self.log_file(logs, pod)).map_err(|e| format!("its log: {e}"))?;
        let second = log.try_clone().map_err(|e| format!("its log: {e}"))?;
        // This very program, also when its file was replaced by a newer one meanwhile.
        let mut command = Command::new("/proc/self/exe");
        command.args(["init-container", "--cgroup", self.cgroup.as_str(), "--parent", &std::process::id().to_string(), "--"]);
        command
            .args(&self.run.argv)
            .env_clear()
            .envs(std::env::var_os("PATH").map(|path| ("PATH", path)))
            .envs(self.variables.iter().flatten())
            .envs(&self.run.env);
        if let Some(dir) = &self.run.working_dir {
            std::fs::metadata(dir).map_err(|e| format!("workingDir {}: {e}", dir.display()))?;
            command.current_dir(dir);
        }
        command.stdin(Stdio::null()).stdout(log).stderr(second);
        let child = command.spawn().map_err(|e| format!("cannot start: {e}"))?;
        self.state = State::Running { child: Some(child), since: now };
        Ok(())
    }

    /// Its first process, while that is a child of this agent that was not reaped: its number is then no other's.
    pub(super) fn child(&self) -> Option<Pid> {
        match &self.state {
            State::Running { child: Some(child), .. } => i32::try_from(child.id()).ok().map(Pid::from_raw),
            _ => None,
        }
    }

    /// Ends a container whose first process is no longer bounded by the container's cgroup: it moved itself, or somebody moved it. It would run on
    /// CPUs of others. True when that was so.
    pub(super) fn end_if_escaped(&self, layout: &Layout, now: Timestamp) -> bool {
        // Joining is the process's first deed; until that is surely done its absence says nothing.
        let State::Running { since, .. } = &self.state else { return false };
        let escaped = |pid: &Pid| now.since(*since) > SETTLED && process::is_bound(layout, &self.cgroup, *pid) == Some(false);
        self.child().filter(escaped).is_some_and(|pid| kill(pid, Signal::SIGKILL).is_ok())
    }

    /// Notices that the container ended; what is left of its processes is killed. `None` while it runs.
    pub(super) fn ended(&mut self, layout: &Layout) -> Option<Exit> {
        let State::Running { child, .. } = &mut self.state else { return None };
        let exit = match child {
            Some(child) => match child.try_wait() {
                Ok(None) => return None,
                Ok(Some(status)) => exit_of(status),
                Err(_) => Exit::Unknown,
            },
            // A cgroup that cannot be read has no processes that could be waited for.
            None if process::populated(layout, &self.cgroup).unwrap_or(false) => return None,
            None => Exit::Unknown,
        };
        // A container ends with its first process; a failure to kill the rest is met again when its cgroup is removed.
        let _ = process::signal(layout, &self.cgroup, Signal::SIGKILL);
        Some(exit)
    }

    /// After an end: whether it runs again and when. With `stay` it does not.
    pub(super) fn settle(&mut self, exit: Exit, stay: bool, now: Timestamp) {
        if let State::Running { since, .. } = &self.state {
            self.restarts = restart::counted(self.restarts, now.since(*since));
        }
        self.state = match restart::after(self.run.restart, exit, self.restarts) {
            Next::Again(wait) if !stay => {
                self.restarts = self.restarts.saturating_add(1);
                State::Waiting { until: now.after(wait) }
            }
            Next::Again(_) | Next::Done => State::Ended { exit },
        };
    }

    /// How it ended and when it runs again, while it waits for that; afterwards how often it was started again.
    pub(super) fn trouble(&self, now: Timestamp) -> Option<String> {
        let last = self.last_end.as_deref().filter(|_| self.restarts > 0)?;
        match self.state {
            State::Waiting { until } => Some(format!("{last}; starts again in {} s", until.since(now).as_secs())),
            State::Running { .. } => Some(format!("{} restarts, last: {last}", self.restarts)),
            State::Ended { .. } => None,
        }
    }

    /// How it ended, in words; for a command that could not be run, with the reason from its log.
    pub(super) fn describe(&self, exit: Exit, logs: &Path, pod: &PodName) -> String {
        let name = &self.run.name;
        let cause = if exit == Exit::Code(i32::from(super::init::NOT_RUN)) { last_line(&self.log_file(logs, pod)) } else { None };
        match cause {
            Some(cause) => format!("container {name} {exit}: {cause}"),
            None => format!("container {name} {exit}"),
        }
    }

    /// Keeps the container's output bounded: its processes append, so that an emptied file grows again from its beginning.
    pub(super) fn bound_log(&self, logs: &Path, pod: &PodName) {
        let file = self.log_file(logs, pod);
        if std::fs::metadata(&file).is_ok_and(|m| m.len() > LOG_LIMIT)
            && let Ok(open) = OpenOptions::new().write(true).open(&file)
        {
            // A log that cannot be emptied now is tried again at the next tick.
            let _ = open.set_len(0);
        }
    }

    fn log_file(&self, logs: &Path, pod: &PodName) -> PathBuf {
        logs.join(format!("{}_{}_{}.log", pod.namespace, pod.name, self.run.name))
    }
}

fn exit_of(status: ExitStatus) -> Exit {
    match (status.code(), status.signal()) {
        (Some(code), _) => Exit::Code(code),
        (None, Some(signal)) => Exit::Signal(signal),
        (None, None) => Exit::Unknown,
    }
}

fn open_log(file: &Path) -> std::io::Result<File> {
    if let Some(folder) = file.parent() {
        std::fs::create_dir_all(folder)?;
    }
    OpenOptions::new().create(true).append(true).mode(0o600).open(file)
}

fn last_line(file: &Path) -> Option<String> {
    const TAIL: u64 = 512;
    let mut open = File::open(file).ok()?;
    let length = open.metadata().ok()?.len();
    open.seek(SeekFrom::Start(length.saturating_sub(TAIL))).ok()?;
    let mut bytes = Vec::new();
    open.take(TAIL).read_to_end(&mut bytes).ok()?;
    String::from_utf8_lossy(&bytes).lines().last().map(str::to_owned)
}
