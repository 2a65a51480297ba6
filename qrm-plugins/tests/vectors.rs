//! Placement against inputs and outputs of the reference systems' own tests.
//!
//! The cases are read from the folder that `GLEANER_VECTORS` names, else from `../shared/vectors` beside the checkout; without either the
//! tests are skipped, visibly. A case where Gleaner differs on purpose is listed with the reason in `vectors/differences.json`; one that is
//! listed and does not differ is a failure too, so that the list stays true.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, clippy::panic, clippy::print_stderr, reason = "tests")]

#[path = "vectors/cpu_take.rs"]
mod cpu_take;
#[path = "vectors/hints_merge.rs"]
mod hints_merge;
#[path = "vectors/load.rs"]
mod load;
#[path = "vectors/qos.rs"]
mod qos;
#[path = "vectors/topology_hints.rs"]
mod topology_hints;
