use gleaner_host::psi::PsiEvent;
use gleaner_host::sampler::Sample;

/// Everything that can happen to the agent.
pub(crate) enum Event {
    /// The sampler's thread measured pods and node: a tick.
    Sampled(Box<Sample>),
    /// Something in the folder of manifests changed.
    PodsChanged,
    /// The kernel saw tasks waiting for memory.
    PressureFired(PsiEvent),
    /// A child process ended.
    ContainerEnded,
    /// The configuration is to be read again (SIGHUP).
    ConfigurationChanged,
    /// A part that runs beside the loop stopped working.
    PartFailed {
        /// The part.
        part: &'static str,
        /// What is wrong.
        problem: String,
    },
    /// The agent is to stop (SIGTERM, SIGINT); a second time: at once.
    Shutdown,
}
