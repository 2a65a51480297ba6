use crate::hint::Hint;
use crate::plugin::{Amount, ContainerType, Parsed, PodIdentity, Request};
use gleaner_model::{Container, ContainerKind, ContainerName, NumaBinding, NumaPlacement, Pod, QosClass, QosSpec, Requirement};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::time::Duration;

/// What a container claims of one resource.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Claim {
    /// How much it asked for.
    pub amount: Amount,
    /// What its whole pod asked for, where the pod's author says so.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub whole_pod: Option<Amount>,
    /// Whether it was asked for by the name of what is lent.
    #[serde(default)]
    pub reclaimed: bool,
    /// The placement that was chosen for it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub hint: Option<Hint>,
    /// What the resource's plugin remembers of it.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub note: String,
}

impl Claim {
    /// What a request asks for.
    #[must_use]
    pub fn of(request: &Request) -> Self {
        Self {
            amount: request.amount,
            whole_pod: request.whole_pod,
            reclaimed: request.resource.contains("reclaimed_"),
            hint: request.hint.clone(),
            note: String::new(),
        }
    }
}

/// One container's claims.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Held {
    /// The part it plays.
    pub kind: ContainerType,
    /// Its place among the pod's containers.
    pub index: u64,
    /// Its claims, by resource.
    pub claims: BTreeMap<String, Claim>,
}

impl Held {
    pub(super) fn of(request: &Request) -> Self {
        Self { kind: request.kind, index: request.index, claims: BTreeMap::new() }
    }
}

/// One pod's claims.
#[derive(Debug, Clone, PartialEq)]
pub struct Entry {
    /// Who it is.
    pub identity: PodIdentity,
    /// What its annotations asked for when it was admitted.
    pub qos: QosSpec,
    /// Its containers.
    pub containers: BTreeMap<ContainerName, Held>,
}

/// The resources that solvers know by name.
const CPU: &str = "cpu";
const MEMORY: &str = "memory";

impl Entry {
    pub(super) fn of(asked: &Parsed<'_>) -> Self {
        Self { identity: asked.request.pod.clone(), qos: asked.qos.clone(), containers: BTreeMap::new() }
    }

    /// The pod as solvers see it.
    ///
    /// Containers beside the main one of a dedicated pod run on its CPUs and ask for none of their own: the CPUs were chosen for the main
    /// container's request, which is all that the caller's hints were about. Where the pod's author gives the sum for the whole pod, the main
    /// container asks for that sum, and again the others for nothing.
    pub(super) fn pod(&self) -> Pod {
        let mut containers: Vec<(u64, Container)> =
            self.containers.iter().map(|(name, held)| (held.index, self.container(name, held))).collect();
        containers.sort_by_key(|(index, _)| *index);
        Pod {
            workload: None,
            uid: self.identity.uid.clone(),
            name: self.identity.name.clone(),
            qos: self.placed_qos(),
            kube_qos: self.identity.kube_qos,
            // The protocol tells neither.
            priority: 0,
            grace: Duration::from_secs(30),
            containers: containers.into_iter().map(|(_, container)| container).collect(),
        }
    }

    /// Whether the pod can be placed by what is known of it. Callers ask for containers one after another, the main one not always first.
    pub(super) fn stands(&self) -> bool {
        let together = self.qos.class == QosClass::Dedicated || self.qos.memory.numa_binding != NumaBinding::Unbound;
        !together || self.containers.values().any(|held| held.kind == ContainerType::Main)
    }

    fn container(&self, name: &ContainerName, held: &Held) -> Container {
        let amount = |resource: &str, reclaimed: bool| {
            let claim = held.claims.get(resource).filter(|claim| claim.reclaimed == reclaimed)?;
            let whole = self.containers.values().any(|h| h.claims.get(resource).is_some_and(|c| c.whole_pod.is_some()));
            let follows = held.kind != ContainerType::Main && (whole || (self.qos.class == QosClass::Dedicated && resource == CPU));
            if follows { None } else { Some(claim.whole_pod.unwrap_or(claim.amount)) }
        };
        Container {
            name: name.clone(),
            kind: if held.kind == ContainerType::Main { ContainerKind::Main } else { ContainerKind::Sidecar },
            cpu: Requirement { request: amount(CPU, false).map(Amount::cpu), limit: None },
            memory: Requirement { request: amount(MEMORY, false).map(Amount::bytes), limit: None },
            reclaimed_cpu: amount(CPU, true).map(Amount::cpu),
            reclaimed_memory: amount(MEMORY, true).map(Amount::bytes),
            hugepages: BTreeMap::new(),
            extended: BTreeMap::new(),
        }
    }

    /// A dedicated pod that is bound goes to the very nodes that its caller chose among the hints.
    fn placed_qos(&self) -> QosSpec {
        let mut qos = self.qos.clone();
        let bound = qos.class == QosClass::Dedicated && qos.memory.numa_binding != NumaBinding::Unbound;
        let main = self.containers.values().filter(|held| held.kind == ContainerType::Main);
        let chosen = main.filter_map(|held| held.claims.get(CPU)?.hint.as_ref()?.nodes.clone()).next();
        if let (true, Some(nodes)) = (bound, chosen.filter(|nodes| !nodes.is_empty())) {
            qos.cpu.placement = NumaPlacement::Ids(nodes);
        }
        qos
    }
}
