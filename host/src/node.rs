//! What the machine is, as opposed to what it does.

use crate::HostError;
use gleaner_model::Bytes;
use nix::unistd::{SysconfVar, sysconf};
use serde::{Deserialize, Serialize};
use sysinfo::{MemoryRefreshKind, RefreshKind, System};

/// Facts about the machine that hold until it is booted anew or hardware is plugged.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Inventory {
    /// The host's name. Kubernetes may call the node otherwise.
    pub hostname: String,
    /// The release of the kernel, as `uname -r` shows it.
    pub kernel: String,
    /// All memory that the kernel can give out.
    pub total_memory: Bytes,
    /// How many logical CPUs are online.
    pub cpus_online: u32,
    /// A random uuid that is new with each boot (`/proc/sys/kernel/random/boot_id`).
    pub boot_id: String,
}

impl Inventory {
    /// Asks the machine.
    ///
    /// # Errors
    /// When one of the facts cannot be had; the error says which.
    pub fn read() -> Result<Self, HostError> {
        let memory = RefreshKind::nothing().with_memory(MemoryRefreshKind::nothing().with_ram());
        let system = System::new_with_specifics(memory).map_err(|cause| failed("total memory", &cause))?;
        let online = sysconf(SysconfVar::_NPROCESSORS_ONLN).map_err(|cause| failed("number of online cpus", &cause))?;
        Ok(Self {
            hostname: System::host_name().map_err(|cause| failed("host name", &cause))?,
            kernel: System::kernel_version().map_err(|cause| failed("kernel version", &cause))?,
            total_memory: Bytes::new(system.total_memory()),
            cpus_online: online
                .and_then(|count| u32::try_from(count).ok())
                .ok_or_else(|| failed("number of online cpus", &"not limited, not known"))?,
            boot_id: procfs::sys::kernel::random::boot_id().map_err(|cause| failed("boot id", &cause))?.trim().to_owned(),
        })
    }
}

fn failed(what: &'static str, cause: &dyn std::fmt::Display) -> HostError {
    HostError::Library { what, cause: cause.to_string() }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "tests")]
mod tests {
    use super::*;

    #[test]
    fn the_inventory_agrees_with_the_kernels_own_files() {
        let inventory = Inventory::read().unwrap();
        let file = |path: &str| std::fs::read_to_string(path).unwrap().trim().to_owned();
        assert_eq!(inventory.hostname, file("/proc/sys/kernel/hostname"));
        assert_eq!(inventory.kernel, file("/proc/sys/kernel/osrelease"));
        assert_eq!(inventory.boot_id, file("/proc/sys/kernel/random/boot_id"));
        let online: gleaner_model::CpuSet = file("/sys/devices/system/cpu/online").parse().unwrap();
        assert_eq!(inventory.cpus_online, online.count());
        let meminfo = file("/proc/meminfo");
        let total = format!("{} kB", inventory.total_memory.get() / 1024);
        assert!(meminfo.lines().next().unwrap().ends_with(&total), "{meminfo}");
    }
}
