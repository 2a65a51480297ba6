//! Tables of least costs: of a core, and of a group from those of its parts.

use super::cost::Cost;
use gleaner_model::{CpuId, CpuSet};

/// A core or a group, with the least cost of taking exactly so many of its CPUs.
pub(super) struct Table {
    /// By the number of CPUs taken, from none to all that can be had or are wanted, the smaller.
    pub(super) costs: Vec<Cost>,
    /// CPUs that can be had.
    pub(super) most: usize,
    parts: Parts,
}

enum Parts {
    /// Threads of one core in the order in which they are taken.
    Core(Vec<CpuId>),
    /// Parts of a group; with each, by the number of CPUs taken from it and those before it, how many are its own.
    Group(Vec<(Table, Vec<u32>)>),
}

/// How many CPUs the whole machine must give, which bounds what each part must.
#[derive(Clone, Copy)]
pub(super) struct Bounds {
    /// CPUs wanted.
    pub(super) cpus: usize,
    /// CPUs that can be had and are not wanted.
    pub(super) spare: usize,
}

impl Table {
    /// A core whose threads are taken in this order, at these costs.
    pub(super) fn of_core(threads: Vec<CpuId>, costs: Vec<Cost>) -> Self {
        Self { most: costs.len().saturating_sub(1), costs, parts: Parts::Core(threads) }
    }

    /// A group. Among equal costs the first parts give most.
    pub(super) fn of_group(parts: Vec<Self>, bounds: Bounds) -> Self {
        let mut all = Self { costs: vec![Cost::ZERO], most: 0, parts: Parts::Group(Vec::new()) };
        let mut group = Vec::with_capacity(parts.len());
        for part in parts {
            all.most += part.most;
            let (costs, of_part) = sum(&all.costs, &part.costs, all.most, bounds).into_iter().unzip();
            all.costs = costs;
            group.push((part, of_part));
        }
        all.parts = Parts::Group(group);
        all
    }

    /// The CPUs behind the cost of taking this many.
    pub(super) fn collect(&self, cpus: usize, into: &mut CpuSet) {
        match &self.parts {
            Parts::Core(threads) => into.extend(threads.iter().copied().take(cpus)),
            Parts::Group(parts) => {
                let mut left = cpus;
                for (part, of_part) in parts.iter().rev() {
                    let own = of_part.get(left).and_then(|own| usize::try_from(*own).ok()).unwrap_or(0).min(left);
                    part.collect(own, into);
                    left -= own;
                }
            }
        }
    }
}

/// The least costs of taking CPUs from two parts, of which `most` can be had, and how many of them the second part gives. What no complete
/// choice can use is left impossible.
fn sum(first: &[Cost], second: &[Cost], most: usize, bounds: Bounds) -> Vec<(Cost, u32)> {
    let least = most.saturating_sub(bounds.spare);
    let mut sums = vec![(Cost::IMPOSSIBLE, 0); most.min(bounds.cpus) + 1];
    for (of_first, cost) in first.iter().enumerate().rev().filter(|(_, cost)| cost.is_possible()) {
        let from = least.saturating_sub(of_first);
        let seconds = (0u32..).zip(second).skip(from);
        for ((of_second, other), sum) in seconds.zip(sums.iter_mut().skip(of_first + from)) {
            let cost = cost.plus(*other);
            if cost < sum.0 {
                *sum = (cost, of_second);
            }
        }
    }
    sums
}
