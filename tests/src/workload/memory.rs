//! Memory that grows by steps and is held.

use std::io;
use std::thread;
use std::time::Duration;

use clap::Args;

use super::{say, size};

#[derive(Debug, Args)]
pub(crate) struct Options {
    /// Held at the start, such as 16Mi
    #[arg(long, value_name = "BYTES", value_parser = size::parse)]
    start: u64,
    /// Added each time
    #[arg(long, value_name = "BYTES", value_parser = size::parse)]
    step: u64,
    /// Milliseconds between two steps
    #[arg(long, value_name = "MS")]
    every: u64,
    /// Grows up to this, then holds
    #[arg(long, value_name = "BYTES", value_parser = size::parse)]
    max: u64,
}

/// Grows, saying the bytes held after each step, then holds until killed.
pub(super) fn run(options: &Options) -> io::Result<()> {
    let mut blocks = Vec::new();
    let mut held = 0;
    for target in targets(options) {
        if held > 0 {
            thread::sleep(Duration::from_millis(options.every));
        }
        blocks.push(touched(target - held)?);
        held = target;
        say(&format!("held={held}"))?;
    }
    loop {
        thread::park();
        std::hint::black_box(&blocks);
    }
}

/// The sizes to reach, one after another.
fn targets(options: &Options) -> impl Iterator<Item = u64> {
    let Options { start, step, max, .. } = *options;
    std::iter::successors(Some(start.min(max)), move |&size| {
        let next = size.saturating_add(step).min(max);
        (next > size).then_some(next)
    })
}

/// A block of which every byte has been written (and not with the zeros that fresh pages have), so that the kernel had to find memory.
fn touched(bytes: u64) -> io::Result<Vec<u8>> {
    let size = usize::try_from(bytes).map_err(io::Error::other)?;
    let mut block = Vec::new();
    block.try_reserve_exact(size).map_err(io::Error::other)?;
    block.resize(size, 1);
    Ok(block)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sizes(start: u64, step: u64, max: u64) -> Vec<u64> {
        targets(&Options { start, step, every: 0, max }).collect()
    }

    #[test]
    fn growth_ends_exactly_at_the_maximum() {
        assert_eq!(sizes(10, 4, 20), [10, 14, 18, 20]);
        assert_eq!(sizes(10, 5, 20), [10, 15, 20]);
    }

    #[test]
    fn a_start_above_the_maximum_is_the_maximum() {
        assert_eq!(sizes(30, 5, 20), [20]);
    }

    #[test]
    fn a_step_of_nothing_does_not_grow() {
        assert_eq!(sizes(10, 0, 20), [10]);
    }
}
