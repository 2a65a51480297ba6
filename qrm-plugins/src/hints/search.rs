//! Which sets of NUMA nodes can take a dedicated pod.

use crate::layout::Layout;
use crate::subsets::{ALL_SIZES, HINTED, of_size};
use gleaner_model::{NumaId, NumaSet, PackageId};
use std::cmp::Reverse;
use std::collections::BTreeSet;

/// What one node has for the pod.
pub(super) struct Site {
    pub(super) id: NumaId,
    pub(super) packages: BTreeSet<PackageId>,
    /// CPUs that the pod could have there; of a pod of whole cores those in whole cores. At least one.
    pub(super) capacity: u32,
}

/// What a set must have.
#[derive(Clone)]
pub(super) struct Need {
    pub(super) cpus: u32,
    /// Nothing but whole cores.
    pub(super) whole_cores: bool,
    /// The least that each node gives.
    pub(super) unit: u32,
    /// Takes all CPUs of its nodes, however few it needs.
    pub(super) whole_nodes: bool,
    /// The same number on each node.
    pub(super) even: bool,
    /// At most so many packages.
    pub(super) packages: Option<usize>,
    /// How many nodes.
    pub(super) sizes: Sizes,
}

#[derive(Clone)]
pub(super) enum Sizes {
    /// However many it takes.
    Any,
    /// Exactly so many.
    Exactly(usize),
    /// These.
    These(NumaSet),
}

/// A set that does.
pub(super) struct Found {
    pub(super) nodes: NumaSet,
    pub(super) packages: usize,
}

/// Sets of sites that do and that `takes` accepts, the smallest first, then by their numbers. Of each size only those on the fewest packages.
pub(super) fn search(layout: &Layout<'_>, sites: &[Site], need: &Need, takes: &dyn Fn(&NumaSet) -> bool) -> Vec<Found> {
    let mut all = Vec::new();
    let mut sizes_found = 0;
    for size in sizes(sites, need) {
        let found = sets_of(layout, sites, need, size, takes);
        sizes_found += usize::from(!found.is_empty());
        all.extend(found);
        if sizes_found == 2 && sites.len() > ALL_SIZES {
            break;
        }
    }
    all
}

/// The smallest set that does by the numbers.
pub(super) fn smallest(layout: &Layout<'_>, sites: &[Site], need: &Need) -> Option<Found> {
    sizes(sites, need).find_map(|size| sets_of(layout, sites, need, size, &|_| true).into_iter().next())
}

fn sizes(sites: &[Site], need: &Need) -> std::ops::RangeInclusive<usize> {
    match &need.sizes {
        Sizes::Any => 1..=sites.len(),
        Sizes::Exactly(size) => *size..=*size,
        Sizes::These(nodes) => nodes.len()..=nodes.len(),
    }
}

fn sets_of(layout: &Layout<'_>, sites: &[Site], need: &Need, size: usize, takes: &dyn Fn(&NumaSet) -> bool) -> Vec<Found> {
    if size == 0 || size > sites.len() || !could_hold(sites, need, size) {
        return Vec::new();
    }
    let nodes: Vec<NumaId> = sites.iter().map(|site| site.id).collect();
    let sets = match &need.sizes {
        Sizes::These(nodes) => vec![nodes.clone()],
        Sizes::Any | Sizes::Exactly(_) => of_size(layout.topology, &nodes, size, HINTED),
    };
    let mut found: Vec<Found> = Vec::new();
    for nodes in sets {
        let set: Vec<&Site> = sites.iter().filter(|site| nodes.contains(site.id)).collect();
        let packages = packages(&set);
        // Those on more packages than others are not hinted, so nobody needs to know whether they can be had.
        let wide = found.iter().any(|found| found.packages < packages);
        if !wide && set.len() == size && does(&set, need) && takes(&nodes) {
            found.retain(|found| found.packages <= packages);
            found.push(Found { nodes, packages });
        }
    }
    found
}

/// Whether the largest sites of this number have enough: saves looking at all sets that do not.
fn could_hold(sites: &[Site], need: &Need, size: usize) -> bool {
    let mut capacities: Vec<u32> = sites.iter().map(|site| site.capacity).collect();
    capacities.sort_unstable_by_key(|capacity| Reverse(*capacity));
    capacities.into_iter().take(size).map(u64::from).sum::<u64>() >= u64::from(need.cpus)
}

fn does(set: &[&Site], need: &Need) -> bool {
    let nodes = u64::try_from(set.len()).unwrap_or(u64::MAX);
    let (cpus, unit) = (u64::from(need.cpus), u64::from(need.unit.max(1)));
    let capacity: u64 = set.iter().map(|site| u64::from(site.capacity)).sum();
    // Each node must have a part, or it would not be one of the pod's nodes.
    let split = need.whole_nodes || cpus >= nodes.saturating_mul(unit);
    let each = cpus.checked_div(nodes).unwrap_or(u64::MAX);
    let even = !need.even || (cpus.is_multiple_of(nodes.saturating_mul(unit)) && set.iter().all(|site| u64::from(site.capacity) >= each));
    capacity >= cpus && split && even && need.packages.is_none_or(|most| packages(set) <= most)
}

fn packages(set: &[&Site]) -> usize {
    set.iter().flat_map(|site| &site.packages).collect::<BTreeSet<_>>().len()
}
