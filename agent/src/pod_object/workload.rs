//! What a pod is one of, from who owns it.

use gleaner_model::{PodName, WorkloadName};

/// Set by the controller of Deployments on its ReplicaSets and their pods.
pub(crate) const TEMPLATE_HASH: &str = "pod-template-hash";

/// The owner that controls a pod.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Controller<'a> {
    /// Its kind.
    pub(crate) kind: &'a str,
    /// Its name.
    pub(crate) name: &'a str,
}

/// The workload that a pod belongs to, so that its successors are known as the same: its controller, and behind a ReplicaSet the Deployment, behind a Job the
/// CronJob that made it. Who made these is told by their names only, since a pod does not name the owners of its owner: a ReplicaSet's ends in
/// the template's hash (`NAME-HASH`, `k8s.io/kubernetes/pkg/controller/deployment`), a CronJob's Job in the minute that it was due (`NAME-MINUTES`,
/// `pkg/controller/cronjob`). A static pod is named by its own name, since the node that owns it says nothing. `None` when a name is not legal.
pub(crate) fn workload(pod: &PodName, controller: Option<Controller<'_>>, template_hash: Option<&str>) -> Option<WorkloadName> {
    let own = Controller { kind: "Pod", name: &pod.name };
    let Controller { kind, name } = match controller {
        None | Some(Controller { kind: "Node", .. }) => own,
        Some(owner) => made_by(owner, template_hash),
    };
    WorkloadName::new(&pod.namespace, kind, name).ok()
}

fn made_by<'a>(owner: Controller<'a>, template_hash: Option<&str>) -> Controller<'a> {
    let before = |end: &str| owner.name.strip_suffix(end).and_then(|name| name.strip_suffix('-')).filter(|name| !name.is_empty());
    let found = match owner.kind {
        "ReplicaSet" => template_hash.filter(|hash| !hash.is_empty()).and_then(before).map(|name| ("Deployment", name)),
        "Job" => {
            owner.name.rsplit_once('-').filter(|(name, due)| is_due_minute(due) && !name.is_empty()).map(|(name, _)| ("CronJob", name))
        }
        _ => None,
    };
    found.map_or(owner, |(kind, name)| Controller { kind, name })
}

/// Minutes since 1970 have eight digits until the year 2160 (the digits of a Job that a person numbered are fewer), and seconds, as they were until Kubernetes 1.20,
/// ten.
fn is_due_minute(text: &str) -> bool {
    (8..=10).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_digit())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn successors_of_a_pod_have_the_same_workload() {
        type Row = (Option<(&'static str, &'static str)>, Option<&'static str>, &'static str);
        let table: [Row; 15] = [
            (None, None, "ns/Pod/p"),
            (Some(("Node", "node-1")), None, "ns/Pod/p"),
            (Some(("ReplicaSet", "web-5d4f")), Some("5d4f"), "ns/Deployment/web"),
            (Some(("ReplicaSet", "web-a-5d4f")), Some("5d4f"), "ns/Deployment/web-a"),
            (Some(("ReplicaSet", "web-5d4f")), None, "ns/ReplicaSet/web-5d4f"),
            (Some(("ReplicaSet", "web-5d4f")), Some("other"), "ns/ReplicaSet/web-5d4f"),
            (Some(("ReplicaSet", "5d4f")), Some("5d4f"), "ns/ReplicaSet/5d4f"),
            (Some(("ReplicaSet", "-5d4f")), Some("5d4f"), "ns/ReplicaSet/-5d4f"),
            (Some(("ReplicaSet", "web-")), Some(""), "ns/ReplicaSet/web-"),
            (Some(("Job", "nightly-28374120")), None, "ns/CronJob/nightly"),
            (Some(("Job", "nightly-1619827200")), None, "ns/CronJob/nightly"),
            (Some(("Job", "import-3")), None, "ns/Job/import-3"),
            (Some(("Job", "-28374120")), None, "ns/Job/-28374120"),
            (Some(("StatefulSet", "db")), Some("5d4f"), "ns/StatefulSet/db"),
            (Some(("DaemonSet", "log")), None, "ns/DaemonSet/log"),
        ];
        let pod = PodName { namespace: "ns".to_owned(), name: "p".to_owned() };
        for (controller, hash, expected) in table {
            let found = workload(&pod, controller.map(|(kind, name)| Controller { kind, name }), hash);
            assert_eq!(found.as_ref().map(WorkloadName::as_str), Some(expected), "{controller:?} {hash:?}");
        }
        for (kind, name) in [("", "x"), ("ReplicaSet", ""), ("A/B", "x"), ("Kind", "a\nb")] {
            assert_eq!(workload(&pod, Some(Controller { kind, name }), None), None, "{kind:?} {name:?}");
        }
    }
}
