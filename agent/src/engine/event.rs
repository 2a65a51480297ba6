use super::take_back::TakenBack;
use crate::estimators::EstimatorEvent;
use crate::kubelet::KubeletEvent;
use crate::kubernetes::{ConfigurationEvent, EvictionOutcome, PodsEvent};
use crate::qrm::PluginCall;
use crate::remote::RemoteEvent;
use crate::report::NodeState;
use gleaner_host::psi::PsiEvent;
use gleaner_host::sampler::Sample;
use gleaner_model::PodUid;
use std::borrow::Cow;
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
    /// What the cluster has to say on how this node is configured.
    ConfigurationTold(ConfigurationEvent),
    /// How a part does that runs beside the loop.
    PartDoes {
        /// The part.
        part: Cow<'static, str>,
        /// What is wrong; `None` when it works.
        problem: Option<String>,
    },
    /// A caller asks a resource plugin.
    PluginCalled(PluginCall),
    /// The API server or the kubelet tells of pods.
    PodsTold(PodsEvent),
    /// What was learnt of the kubelet.
    KubeletDoes(KubeletEvent),
    /// What came of an eviction through the API server.
    Evicted(PodUid, EvictionOutcome),
    /// The container runtime tells or asks something.
    RuntimeSays(Box<gleaner_nri::Event>),
    /// An estimator in another process said something, or nothing.
    EstimatorSaid(EstimatorEvent),
    /// Something happened to plugins in other processes.
    Remote(RemoteEvent),
    /// The kernel was asked for memory of a pod, and is done.
    MemoryTakenBack(Box<TakenBack>),
    /// Somebody wants to see the state. It is made only then, so that it costs nothing while nobody looks.
    StateAsked(oneshot::Sender<Box<NodeState>>),
    /// The agent is to stop (SIGTERM, SIGINT); a second time: at once.
    Shutdown,
}

impl From<PodsEvent> for Event {
    fn from(event: PodsEvent) -> Self {
        Self::PodsTold(event)
    }
}

impl From<(PodUid, EvictionOutcome)> for Event {
    fn from((pod, outcome): (PodUid, EvictionOutcome)) -> Self {
        Self::Evicted(pod, outcome)
    }
}

impl From<ConfigurationEvent> for Event {
    fn from(event: ConfigurationEvent) -> Self {
        Self::ConfigurationTold(event)
    }
}

impl From<KubeletEvent> for Event {
    fn from(event: KubeletEvent) -> Self {
        Self::KubeletDoes(event)
    }
}

impl From<gleaner_nri::Event> for Event {
    fn from(event: gleaner_nri::Event) -> Self {
        Self::RuntimeSays(Box::new(event))
    }
}

impl From<EstimatorEvent> for Event {
    fn from(event: EstimatorEvent) -> Self {
        Self::EstimatorSaid(event)
    }
}

impl From<RemoteEvent> for Event {
    fn from(event: RemoteEvent) -> Self {
        Self::Remote(event)
    }
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
