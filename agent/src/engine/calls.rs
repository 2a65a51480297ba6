//! What callers ask of the resource plugins. Every answer comes from memory: nothing outside the process is waited for but the file of the
//! promise itself.

use super::Engine;
use crate::qrm::{PluginCall, Qrm};
use gleaner_model::{ContainerName, MilliCpu, NumaId, PodName, PodUid, QosConfig, Reason, Subject, Timestamp};
use gleaner_qrm_plugins::serve::{ContainerHoldings, Denied, PodHoldings};
use gleaner_qrm_plugins::{ContainerAllocation, Context, Decisions, Entry, Ledger, Refusal, Request, Told};
use std::collections::BTreeMap;
use std::time::Duration;

/// A container's first process starts later than this after its admission: image, sandbox and cgroups come before.
const SOON: Duration = Duration::from_millis(200);

impl Engine {
    /// Answers one call. Who asked and went away is nobody to answer.
    pub(super) fn plugin_called(&mut self, call: PluginCall, now: Timestamp) {
        match call {
            PluginCall::Hints { resource, request, answer } => {
                let hints = self.consult(|qrm, context, ledger, qos| qrm.plugins.hints(&resource, context, ledger, &request, qos));
                if let Err(Denied::Refused(refusal)) = &hints {
                    self.record_refusal(&request.pod.name, refusal, now);
                }
                drop(answer.send(hints));
            }
            PluginCall::Allocate { resource, request, answer } => drop(answer.send(self.allocate(&resource, &request, now))),
            PluginCall::RemovePod { pod, answer } => drop(answer.send(self.remove_pod(&pod, now))),
            PluginCall::Allocations { resource, answer } => {
                drop(answer.send(self.consult(|qrm, context, ledger, _| qrm.plugins.allocations(&resource, context, ledger))));
            }
            PluginCall::Container { resource, pod, container, answer } => {
                let given = self.consult(|qrm, context, ledger, _| {
                    let given = qrm.plugins.allocation(&resource, context, ledger, &pod, &container)?;
                    Ok(ledger.held(&pod, &container).and_then(|_| Some((ledger.entries().get(&pod)?.identity.name.clone(), given))))
                });
                drop(answer.send(given));
            }
            PluginCall::Allocatable { resource, answer } => {
                drop(answer.send(self.consult(|qrm, context, ledger, _| qrm.plugins.allocatable(&resource, context, ledger))));
            }
            PluginCall::Pods { answer } => drop(answer.send(self.consult(|qrm, context, ledger, _| Ok(holdings(qrm, context, ledger))))),
            PluginCall::Registration { resource, problem } => {
                let problem = problem.map(|problem| format!("it does not take the plugin: {problem}"));
                self.note(format!("kubelet, {resource}"), problem, now);
            }
        }
    }

    fn consult<T>(&self, ask: impl FnOnce(&Qrm, &Context<'_>, &Ledger, &QosConfig) -> Result<T, Refusal>) -> Result<T, Denied> {
        let (sizes, headroom) = (self.pool_sizes(), self.headroom());
        let Some(qrm) = &self.qrm else { return Err(not_served()) };
        ask(qrm, &context(self, &sizes, headroom.as_ref()), &self.ledger, &self.config.qos).map_err(Denied::Refused)
    }

    fn allocate(&mut self, resource: &str, request: &Request, now: Timestamp) -> Result<Told<ContainerAllocation>, Denied> {
        let outcome = self.try_allocate(resource, request);
        match outcome {
            Ok((given, decisions)) => {
                self.note("promises", None, now);
                if !decisions.is_empty() {
                    // What others lose is theirs no longer, so the kernel is told soon; a row of admissions is one tick.
                    self.sampler.sample_within(SOON);
                    self.settled = None;
                }
                self.record_decisions(decisions, now);
                if let Some(qrm) = &mut self.qrm {
                    qrm.presence.expect_more(now);
                }
                Ok(given)
            }
            Err(Denied::Refused(refusal)) => {
                self.record_refusal(&request.pod.name, &refusal, now);
                Err(Denied::Refused(refusal))
            }
            Err(Denied::Unavailable(problem)) => {
                self.note("promises", Some(problem.clone()), now);
                Err(Denied::Unavailable(problem))
            }
        }
    }

    /// A promise that cannot be stored is not given: the ledger is then as it was, and so is the disk as far as it takes anything.
    fn try_allocate(&mut self, resource: &str, request: &Request) -> Result<(Told<ContainerAllocation>, Decisions), Denied> {
        let (sizes, headroom) = (self.pool_sizes(), self.headroom());
        let Some(mut qrm) = self.qrm.take() else { return Err(not_served()) };
        let mut ledger = std::mem::take(&mut self.ledger);
        let uid = &request.pod.uid;
        let context = context(self, &sizes, headroom.as_ref());
        let outcome = ledger.transact(uid, |ledger| {
            let given = qrm.plugins.allocate(resource, &context, ledger, request, &self.config.qos).map_err(Denied::Refused)?;
            if ledger.entries().contains_key(uid) {
                qrm.claims.save(ledger, uid).map_err(|error| Denied::Unavailable(error.to_string()))?;
            }
            Ok(given)
        });
        if matches!(outcome, Err(Denied::Unavailable(_))) {
            qrm.claims.take_back(&ledger, uid);
        }
        qrm.failing = match &outcome {
            Err(Denied::Unavailable(problem)) => Some(problem.clone()),
            Ok(_) => None,
            Err(Denied::Refused(_)) => qrm.failing,
        };
        self.ledger = ledger;
        self.qrm = Some(qrm);
        outcome
    }

    /// Forgets a pod; one that is not known is forgotten already.
    pub(super) fn remove_pod(&mut self, pod: &PodUid, now: Timestamp) -> Result<(), Denied> {
        let (sizes, headroom) = (self.pool_sizes(), self.headroom());
        let Some(mut qrm) = self.qrm.take() else { return Err(not_served()) };
        let mut ledger = std::mem::take(&mut self.ledger);
        let known = qrm.plugins.remove(&context(self, &sizes, headroom.as_ref()), &mut ledger, pod);
        let removed = qrm.claims.remove(pod);
        (self.ledger, self.qrm) = (ledger, Some(qrm));
        if known {
            // Who asks next is told of what has become free; the kernel is told soon.
            self.replace_claims((self.ledger.pods().keys().cloned().collect(), sizes), now);
            self.sampler.sample_within(SOON);
        }
        // A record that stays is looked at again when the agent starts, and the pod is then found to be gone.
        self.note("promises", removed.err().map(|error| error.to_string()), now);
        Ok(())
    }

    /// CPU that can be lent on each node, as far as it is known by node.
    pub(super) fn headroom(&self) -> Option<BTreeMap<NumaId, MilliCpu>> {
        let estimate = self.estimate.as_ref()?;
        let shares = super::headroom::by_node(estimate, &self.topology)?;
        Some(shares.into_iter().map(|(id, share)| (id, share.cpu)).collect())
    }

    pub(super) fn record_decisions(&mut self, decisions: Decisions, now: Timestamp) {
        for (subject, reason) in decisions {
            if !matches!(reason, Reason::Refused { .. }) {
                self.recorder.record(now, subject, reason);
            }
        }
    }

    fn record_refusal(&mut self, pod: &PodName, refusal: &Refusal, now: Timestamp) {
        self.recorder.record(now, Subject::Pod(pod.clone()), Reason::Refused { cause: refusal.to_string() });
    }
}

/// What the plugins decide over beside the ledger.
pub(super) fn context<'a>(
    engine: &'a Engine,
    pool_sizes: &'a BTreeMap<gleaner_model::PoolName, u32>,
    headroom: Option<&'a BTreeMap<NumaId, MilliCpu>>,
) -> Context<'a> {
    Context { topology: &engine.topology, place: &engine.config.placement, memory: &engine.config.memory, pool_sizes, headroom }
}

fn not_served() -> Denied {
    Denied::Unavailable("this agent serves no plugins".to_owned())
}

/// Everything that every container holds.
fn holdings(qrm: &Qrm, context: &Context<'_>, ledger: &Ledger) -> Vec<PodHoldings> {
    let of_container = |uid: &PodUid, name: &ContainerName| ContainerHoldings {
        exclusive: ledger.assignment().pool_of(uid).is_some_and(|(pool, _)| pool.is_dedicated()),
        given: qrm.plugins.iter().flat_map(|plugin| plugin.allocation(context, ledger, uid, name)).collect(),
    };
    let of_pod = |(uid, entry): (&PodUid, &Entry)| PodHoldings {
        pod: entry.identity.clone(),
        containers: entry.containers.keys().map(|name| (name.clone(), of_container(uid, name))).collect(),
    };
    ledger.entries().iter().map(of_pod).collect()
}
