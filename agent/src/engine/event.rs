use crate::report::NodeState;
use gleaner_host::psi::PsiEvent;
use gleaner_host::sampler::Sample;
use std::time::Duration;
use tokio::sync::{mpsc, oneshot};

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
    /// Somebody wants to see the state. It is made only then, so that it costs nothing while nobody looks.
    StateAsked(oneshot::Sender<Box<NodeState>>),
    /// The agent is to stop (SIGTERM, SIGINT); a second time: at once.
    Shutdown,
}

/// How long the loop may take to answer; one that takes longer hangs.
const PATIENCE: Duration = Duration::from_secs(5);

/// The state as the loop sees it now; `None` when the loop hangs or has ended.
pub(crate) async fn ask(loop_: &mpsc::Sender<Event>) -> Option<Box<NodeState>> {
    let (answer, answered) = oneshot::channel();
    let asked = async {
        loop_.send(Event::StateAsked(answer)).await.ok()?;
        answered.await.ok()
    };
    tokio::time::timeout(PATIENCE, asked).await.ok().flatten()
}
