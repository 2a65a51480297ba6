//! Swap, and the part of it that is compressed memory.

use crate::file::{Buffer, KernelFile};
use crate::sampler::parse::{self, ZramSwap};
use crate::sampler::proc_file::ProcFile;
use gleaner_model::{Absence, Bytes, SwapReadings};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

/// The files that say what swap is on.
#[derive(Debug)]
pub(crate) struct SwapFiles {
    swaps: ProcFile,
    folder: PathBuf,
    /// Of each zram device that is swap, by its number.
    zram: BTreeMap<u32, ProcFile>,
}

impl SwapFiles {
    /// The files below `proc` and `sys`, `/proc` and `/sys` but in tests.
    pub(crate) fn new(proc: &Path, sys: &Path) -> Self {
        let swaps = ProcFile::new(proc.join("swaps"), KernelFile::open_records);
        Self { swaps, folder: sys.join("block"), zram: BTreeMap::new() }
    }

    /// The reading, with `SwapTotal` and `SwapFree` of `/proc/meminfo`. What zram takes from memory must be known when there is any: without
    /// it the memory that swap would free cannot be told.
    pub(crate) fn read(&mut self, buffer: &mut Buffer, total: Bytes, free: Bytes) -> Result<SwapReadings, Absence> {
        if total.is_zero() {
            self.zram.clear();
            return Ok(SwapReadings::default());
        }
        let devices = self.swaps.read(buffer, parse::zram_swaps)?;
        self.zram.retain(|number, _| devices.iter().any(|device| device.number == *number));
        let (mut zram, mut zram_used) = (Bytes::ZERO, Bytes::ZERO);
        for ZramSwap { number, size } in devices {
            let path = || self.folder.join(format!("zram{number}/mm_stat"));
            let file = self.zram.entry(number).or_insert_with(|| ProcFile::new(path(), KernelFile::open));
            zram = zram.plus(size);
            zram_used = zram_used.plus(file.read(buffer, parse::zram_memory)?);
        }
        Ok(SwapReadings { total, free, zram: zram.min(total), zram_used })
    }
}
