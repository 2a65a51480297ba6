use gleaner_host::HostError;
use std::io;
use std::path::{Path, PathBuf};
use thiserror::Error;

/// What can go wrong in the agent's shell.
#[derive(Debug, Error)]
pub(crate) enum AgentError {
    /// The configuration is wrong; all of it is listed.
    #[error("the configuration is wrong:\n{}", .0.iter().map(|p| format!("  {p}")).collect::<Vec<_>>().join("\n"))]
    Config(Vec<String>),
    /// The command line asks for what cannot be.
    #[error("{0}")]
    Usage(String),
    /// Traces that nothing can be simulated with.
    #[error("{0}")]
    Traces(String),
    /// The agent needs rights that it does not have.
    #[error("`{command}` must run as root: it {why}")]
    NotRoot {
        /// The command.
        command: &'static str,
        /// What needs the rights.
        why: &'static str,
    },
    /// The tree of pods is used by someone else.
    #[error(
        "cgroup {cgroup} holds pods that this agent did not start ({example}): a kubelet seems to own it; choose another with --cgroup-root"
    )]
    ForeignTree {
        /// The tree.
        cgroup: String,
        /// One of the pods.
        example: String,
    },
    /// A file of the agent could not be used.
    #[error("{operation} {}: {source}", path.display())]
    Io {
        /// What was tried.
        operation: &'static str,
        /// On what.
        path: PathBuf,
        /// The answer.
        source: io::Error,
    },
    /// The socket's folder or the socket belongs to someone else.
    #[error("{}: {cause}", path.display())]
    Socket {
        /// The path.
        path: PathBuf,
        /// What is wrong with it.
        cause: String,
    },
    /// The running agent could not be asked.
    #[error("no agent answers on {}: {cause}; is `gleaner agent` running?", socket.display())]
    NoAgent {
        /// The socket.
        socket: PathBuf,
        /// Why not.
        cause: String,
    },
    /// The agent knows no such pod, or several.
    #[error("{0}")]
    NoSuchPod(String),
    /// There is no way to the cluster.
    #[error("no way to the cluster: {0}")]
    NoCluster(String),
    /// A file that was given is of no use.
    #[error("{0}")]
    Unusable(String),
    /// Kernel files.
    #[error(transparent)]
    Host(#[from] HostError),
}

impl AgentError {
    pub(crate) fn io(operation: &'static str, path: &Path, source: io::Error) -> Self {
        Self::Io { operation, path: path.to_owned(), source }
    }

    /// The exit status that says what kind of error it was.
    pub(crate) fn exit_code(&self) -> u8 {
        match self {
            Self::Config(_) | Self::Usage(_) => crate::config::EX_USAGE,
            // EX_DATAERR of sysexits.h.
            Self::Unusable(_) => 65,
            // EX_NOPERM of sysexits.h.
            Self::NotRoot { .. } => 77,
            _ => 1,
        }
    }
}
