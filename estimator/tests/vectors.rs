//! The reference formulas against inputs and outputs of Katalyst's own tests.
//!
//! The cases are read from the folder that `GLEANER_VECTORS` names, else from `../shared/vectors` beside the checkout; without either the
//! test is skipped, visibly. A case where Gleaner differs on purpose is listed with the reason in `vectors/differences.json`; one that is
//! listed and does not differ is a failure too, so that the list stays true.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, clippy::panic, clippy::print_stderr, reason = "tests")]

#[path = "vectors/cpu.rs"]
mod cpu;
#[path = "vectors/load.rs"]
mod load;
#[path = "vectors/memory.rs"]
mod memory;
#[path = "vectors/metrics.rs"]
mod metrics;
#[path = "vectors/pools.rs"]
mod pools;

use load::{Outcome, run};

#[test]
fn the_reference_formulas_give_what_katalyst_gives() {
    run("estimator", |case| match case.op() {
        "regulate_pool_sizes" => pools::regulate_pool_sizes(case),
        "regulate_overlap_reclaim" => pools::regulate_overlap_reclaim(case),
        "assemble_provision" => pools::assemble_provision(case),
        "dynamic_quota" => cpu::dynamic_quota(case),
        "dynamic_quota_applies" => cpu::dynamic_quota_applies(case),
        "rama_step" => cpu::rama_step(case),
        "restrict_control_knob" => cpu::restrict_control_knob(case),
        "reserved_for_reclaim" => cpu::reserved_for_reclaim(case),
        "cpu_headroom" => cpu::cpu_headroom(case),
        "memory_headroom_canonical" => memory::canonical(case),
        "memory_headroom_numa_aware" => memory::numa_aware(case),
        // Overcommitment of a node towards its own pods, which Gleaner does not do.
        "realtime_overcommit" | "node_overcommit" => Outcome::Skipped,
        _ => Outcome::Wrong("unknown operation".to_owned()),
    });
}
