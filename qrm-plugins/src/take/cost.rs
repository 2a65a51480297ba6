//! What a choice of CPUs costs, as one value that adds up and compares quickly.

/// The parts of the cost in the order in which they matter. Each part has its own bits, so that adding two costs adds part by part and
/// comparing them compares part by part. A machine has at most 8192 CPUs and 1024 NUMA nodes, which bounds every part.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Cost {
    /// 14 bits each: cores of which another exclusive owner holds a thread, packages, NUMA nodes, L3 caches.
    groups: u64,
    /// 14 bits: cores. 48 bits: what the caller says that taking these CPUs costs.
    cores: u64,
    /// 28 bits: the sum over NUMA nodes of the square of the CPUs taken there. 16 bits: threads left free on cores that are touched. 20 bits:
    /// CPUs left free in groups that are touched.
    rest: u64,
}

const COUNT: u32 = 14;
const CALLER: u32 = 48;
const LEFT: u32 = 20;
const TORN: u32 = 16;

impl Cost {
    pub(super) const ZERO: Self = Self { groups: 0, cores: 0, rest: 0 };
    /// More than any cost, also of a choice with an impossible part.
    pub(super) const IMPOSSIBLE: Self = Self { groups: 1 << 60, ..Self::ZERO };
    pub(super) const HELD: Self = Self { groups: 1 << (3 * COUNT), ..Self::ZERO };
    pub(super) const PACKAGE: Self = Self { groups: 1 << (2 * COUNT), ..Self::ZERO };
    pub(super) const NODE: Self = Self { groups: 1 << COUNT, ..Self::ZERO };
    pub(super) const CACHE: Self = Self { groups: 1, ..Self::ZERO };
    pub(super) const CORE: Self = Self { cores: 1 << CALLER, ..Self::ZERO };

    /// What the caller says that it costs.
    pub(super) fn caller(cost: u64) -> Self {
        Self { cores: cost.min((1 << CALLER) - 1), ..Self::ZERO }
    }

    /// CPUs taken on one NUMA node.
    pub(super) fn on_node(cpus: usize) -> Self {
        let cpus = narrow(cpus);
        Self { rest: cpus.wrapping_mul(cpus) << (TORN + LEFT), ..Self::ZERO }
    }

    /// Threads left free on a core that is touched.
    pub(super) fn torn(threads: usize) -> Self {
        Self { rest: narrow(threads) << LEFT, ..Self::ZERO }
    }

    /// CPUs left free in a group that is touched.
    pub(super) fn left(cpus: usize) -> Self {
        Self { rest: narrow(cpus), ..Self::ZERO }
    }

    pub(super) fn plus(self, other: Self) -> Self {
        Self {
            groups: self.groups.wrapping_add(other.groups),
            cores: self.cores.wrapping_add(other.cores),
            rest: self.rest.wrapping_add(other.rest),
        }
    }

    pub(super) fn is_possible(self) -> bool {
        self.groups < Self::IMPOSSIBLE.groups
    }
}

fn narrow(cpus: usize) -> u64 {
    u64::try_from(cpus).unwrap_or(u64::MAX)
}
