#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "tests")]

use super::*;
use gleaner_model::{Bytes, Limit, MilliCpu, NumaId, Permille, PoolName, Timestamp};
use proptest::prelude::*;
use std::collections::BTreeMap;
use std::time::Duration;

mod cpu;
mod memory;
mod pools;
mod regulating;

fn milli(cpu: u64) -> MilliCpu {
    MilliCpu::new(cpu)
}

fn name(text: &str) -> PoolName {
    text.parse().unwrap()
}

/// Pools `a`, `b`, ... of these sizes.
fn pools(sizes: &[u32]) -> BTreeMap<PoolName, u32> {
    (b'a'..=b'z').zip(sizes).map(|(letter, size)| (name(&char::from(letter).to_string()), *size)).collect()
}

fn nodes<T: Copy>(values: &[T]) -> BTreeMap<NumaId, T> {
    (0..).map(NumaId::new).zip(values.iter().copied()).collect()
}

/// Usual sizes most of the time, any at others.
fn size() -> impl Strategy<Value = u32> {
    prop_oneof![9 => 0u32..40, 1 => any::<u32>()]
}

fn share() -> impl Strategy<Value = u32> {
    prop_oneof![9 => 0u32..2500, 1 => any::<u32>()]
}
