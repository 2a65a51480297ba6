//! Huge pages of a node: `nodeN/hugepages/hugepages-<size>kB/nr_hugepages` (kernel: `mm/hugetlbpage.rst`).

use super::sysfs::{malformed, node_dir, read};
use crate::HostError;
use gleaner_model::{Bytes, NumaId, PageCount, PageSize};
use std::collections::BTreeMap;
use std::io;
use std::path::Path;

/// By size; a size that the kernel does not offer is not here, one of which it keeps no page is here with none.
pub(super) fn of_node(root: &Path, id: NumaId) -> Result<BTreeMap<PageSize, PageCount>, HostError> {
    of_folder(&node_dir(root, id).join("hugepages"))
}

/// Of a kernel without NUMA.
pub(super) fn of_machine(root: &Path) -> Result<BTreeMap<PageSize, PageCount>, HostError> {
    of_folder(&root.join("sys/kernel/mm/hugepages"))
}

fn of_folder(dir: &Path) -> Result<BTreeMap<PageSize, PageCount>, HostError> {
    let failed = |error| HostError::io("read", dir, error);
    let entries = match std::fs::read_dir(dir) {
        Ok(entries) => entries,
        // A kernel without huge pages, or a node without memory.
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(BTreeMap::new()),
        Err(error) => return Err(failed(error)),
    };
    let mut pages = BTreeMap::new();
    for entry in entries {
        let entry = entry.map_err(failed)?;
        let name = entry.file_name();
        let size = name.to_str().and_then(|name| name.strip_prefix("hugepages-")?.strip_suffix("kB")?.parse::<u64>().ok());
        let size = size.and_then(|kib| kib.checked_mul(1024)).and_then(|bytes| PageSize::new(Bytes::new(bytes)));
        let size = size.ok_or_else(|| malformed(&entry.path(), "its name is not \"hugepages-<size>kB\""))?;
        let file = entry.path().join("nr_hugepages");
        let text = read(&file)?;
        let count = text.trim().parse().map_err(|_| malformed(&file, format!("{:?} is no number of pages", text.trim())))?;
        pages.insert(size, PageCount::new(count));
    }
    Ok(pages)
}
