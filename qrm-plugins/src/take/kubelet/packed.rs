//! Packed: what is partly used is filled before anything new is opened.

use super::accumulator::{Accumulator, Sorting, Unit};
use super::machine::KubeletMachine;
use gleaner_model::{CpuId, CpuSet};

/// `count` CPUs of `available`: whole packages and NUMA nodes, with `align_uncore` whole L3 caches and a part of one, whole cores, then
/// threads. `None` when there are too few.
#[must_use]
pub fn packed(machine: &KubeletMachine, available: &CpuSet, count: u32, sorting: Sorting, align_uncore: bool) -> Option<CpuSet> {
    let mut request = Accumulator::new(machine, available, count, sorting);
    if request.is_failed() {
        return None;
    }
    let widest = if machine.numa_first() { [Unit::Numa, Unit::Socket] } else { [Unit::Socket, Unit::Numa] };
    for unit in widest {
        if !request.is_satisfied() {
            request.take_whole(unit);
        }
    }
    if align_uncore {
        take_uncore(&mut request);
    }
    if request.takes_cores() && !request.is_satisfied() {
        request.take_whole(Unit::Core);
    }
    for cpu in request.free_cpus() {
        if request.is_satisfied() {
            break;
        }
        request.take(&CpuSet::of(cpu));
    }
    request.is_satisfied().then_some(request.taken)
}

fn take_uncore(request: &mut Accumulator<'_>) {
    for cache in request.ordered(Unit::Uncore) {
        if !request.is_satisfied() && request.needed >= request.machine.cpus_per_uncore() {
            request.take_whole(Unit::Uncore);
        }
        if request.is_satisfied() {
            return;
        }
        if let Some(cpus) = part_of_cache(request, cache) {
            request.take(&cpus);
        }
    }
}

/// CPUs of the lowest cores of the cache, when these have exactly as many free as are needed. For an odd number the last of them may be left out.
fn part_of_cache(request: &Accumulator<'_>, cache: u32) -> Option<CpuSet> {
    let (machine, needed) = (request.machine, request.needed);
    let threads = machine.cpus_per_core();
    let in_cache = machine.in_unit(Unit::Uncore, cache).intersection(&request.free);
    let cores = usize::try_from(needed.div_ceil(threads.max(1))).ok()?;
    let free = machine.groups(Unit::Core, &request.free);
    let chosen = machine.groups(Unit::Core, &in_cache).into_keys().take(cores);
    let cpus = chosen.filter_map(|core| free.get(&core)).fold(CpuSet::new(), |all, cpus| all.union(cpus));
    let mut cpus: Vec<CpuId> = cpus.iter().collect();
    if !needed.is_multiple_of(2) && threads > 1 && cpus.len() > usize::try_from(needed).ok()? {
        cpus.pop();
    }
    let cpus: CpuSet = cpus.into_iter().collect();
    (cpus.count() == needed).then_some(cpus)
}
