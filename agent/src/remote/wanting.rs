use crate::manifest::PodSpecification;
use gleaner_model::ContainerKind;
use gleaner_qrm_plugins::remote::{Want, Wanting};
use gleaner_qrm_plugins::{ContainerType, PodIdentity};

/// What a pod wants of plugins in other processes; `None` when that is nothing.
pub(super) fn of(spec: &PodSpecification, admitted: bool) -> Option<Wanting> {
    let pod = &spec.pod;
    if pod.containers.iter().all(|container| container.extended.values().all(|count| count.is_zero())) {
        return None;
    }
    // Places are counted apart in the lists of init containers and of the others.
    let (mut init, mut other) = (0..=u64::MAX, 0..=u64::MAX);
    let mut index = |is_init: bool| if is_init { init.next() } else { other.next() }.unwrap_or_default();
    let containers = pod.containers.iter().zip(&spec.runs).map(|(container, run)| Want {
        container: container.name.clone(),
        kind: match container.kind {
            ContainerKind::Init => ContainerType::Init,
            ContainerKind::Main => ContainerType::Main,
            ContainerKind::Sidecar => ContainerType::Sidecar,
        },
        index: index(run.init),
        amounts: container.extended.clone(),
    });
    let identity = PodIdentity {
        uid: pod.uid.clone(),
        name: pod.name.clone(),
        // What schedulers with roles would tell.
        role: String::new(),
        kind: String::new(),
        labels: spec.labels.clone(),
        annotations: spec.annotations.clone(),
        kube_qos: pod.kube_qos,
    };
    Some(Wanting { pod: identity, containers: containers.collect(), running: admitted })
}
