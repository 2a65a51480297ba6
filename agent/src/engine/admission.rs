//! Which waiting pods may be admitted, by what they request: kubelet's check of requests, and for reclaimed pods that of what is lent.

use gleaner_estimator::Estimate;
use gleaner_model::{Bytes, MilliCpu, Pod, PodUid, QosClass};
use std::collections::BTreeMap;

/// What can be requested on this node in all.
#[derive(Debug, Clone, Copy)]
pub(super) struct Allocatable {
    pub(super) cpu: MilliCpu,
    pub(super) memory: Bytes,
}

/// Splits candidates into those that fit beside the live pods, in their order, and those that must wait, with the reason.
pub(super) fn sort_out(
    candidates: Vec<Pod>,
    live: &BTreeMap<PodUid, Pod>,
    allocatable: Allocatable,
    estimate: Option<&Estimate>,
) -> (Vec<Pod>, Vec<(PodUid, String)>) {
    let (mut fitting, mut waiting) = (Vec::new(), Vec::new());
    let mut sums = live.values().fold(Sums::default(), Sums::with);
    for pod in candidates {
        let verdict = match pod.class() {
            QosClass::Reclaimed => lent(&pod, sums, estimate),
            QosClass::Dedicated | QosClass::Shared | QosClass::System => requested(&pod, sums, allocatable),
        };
        match verdict {
            Ok(()) => {
                sums = sums.with(&pod);
                fitting.push(pod);
            }
            Err(why) => waiting.push((pod.uid, why)),
        }
    }
    (fitting, waiting)
}

/// What live pods request and were promised.
#[derive(Debug, Clone, Copy, Default)]
struct Sums {
    cpu: MilliCpu,
    memory: Bytes,
    reclaimed_cpu: MilliCpu,
    reclaimed_memory: Bytes,
}

impl Sums {
    fn with(self, pod: &Pod) -> Self {
        Self {
            cpu: self.cpu.plus(pod.cpu_request()),
            memory: self.memory.plus(pod.memory_request()),
            reclaimed_cpu: self.reclaimed_cpu.plus(pod.reclaimed_cpu()),
            reclaimed_memory: self.reclaimed_memory.plus(pod.reclaimed_memory()),
        }
    }
}

fn requested(pod: &Pod, sums: Sums, allocatable: Allocatable) -> Result<(), String> {
    let (cpu, memory) = (pod.cpu_request(), pod.memory_request());
    let Allocatable { cpu: all_cpu, memory: all_memory } = allocatable;
    if cpu > all_cpu {
        return Err(format!("requests {cpu} CPU, more than this node's {all_cpu}"));
    }
    if memory > all_memory {
        return Err(format!("requests {} of memory, more than this node's {}", memory.rounded(), all_memory.rounded()));
    }
    if sums.cpu.plus(cpu) > all_cpu {
        return Err(format!("requests {cpu} CPU, but {} of {all_cpu} is requested by other pods", sums.cpu));
    }
    if sums.memory.plus(memory) > all_memory {
        let [memory, used, all] = [memory, sums.memory, all_memory].map(Bytes::rounded);
        return Err(format!("requests {memory} of memory, but {used} of {all} is requested by other pods"));
    }
    Ok(())
}

fn lent(pod: &Pod, sums: Sums, estimate: Option<&Estimate>) -> Result<(), String> {
    let Some(estimate) = estimate else { return Err("what can be lent is not known yet".to_owned()) };
    let (cpu, memory) = (pod.reclaimed_cpu(), pod.reclaimed_memory());
    if sums.reclaimed_cpu.plus(cpu) > estimate.cpu {
        return Err(format!("wants {cpu} of reclaimed CPU: {} can be lent, of which {} is promised", estimate.cpu, sums.reclaimed_cpu));
    }
    if sums.reclaimed_memory.plus(memory) > estimate.memory {
        let [memory, used, all] = [memory, sums.reclaimed_memory, estimate.memory].map(Bytes::rounded);
        return Err(format!("wants {memory} of reclaimed memory: {all} can be lent, of which {used} is promised"));
    }
    Ok(())
}
