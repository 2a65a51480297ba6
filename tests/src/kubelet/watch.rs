//! Plugins come and go with their sockets.

use super::core::{Core, Event};
use super::endpoint::{DEADLINE, Endpoint, Plugin};
use super::options::Dropped;
use gleaner_crds::keys::{plugin_type, plugin_version};
use gleaner_crds::pluginregistration::{InfoRequest, PluginInfo, RegistrationStatus, RegistrationStatusResponse};
use gleaner_crds::resourceplugin::Empty;
use gleaner_host::clock;
use gleaner_model::Timestamp;
use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::{FileTypeExt, MetadataExt};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::mpsc::{Receiver, RecvTimeoutError};
use std::time::Duration;

/// How often is looked into the folder.
const EVERY: Duration = Duration::from_millis(20);
/// How long a plugin may take to say what it is.
const INTRODUCTION: Duration = Duration::from_secs(1);
/// How long a plugin may take to hear the verdict.
const VERDICT: Duration = Duration::from_secs(5);
/// After a refusal it is tried again, later each time: the kubelet's way, five times as fast.
const FIRST_RETRY: Duration = Duration::from_millis(100);
const LAST_RETRY: Duration = Duration::from_secs(2);

/// Which socket it is: a path can be given to another one. The inode's number alone may be used again at once.
type Identity = (u64, i64, i64);

#[derive(Debug)]
struct Known {
    identity: Identity,
    /// What it is registered for.
    resource: Option<String>,
    attempts: u32,
    due: Timestamp,
    /// Why not, last time.
    reason: Option<String>,
}

/// Watches until told to stop.
pub(super) fn run(core: &Core, stop: &Receiver<()>) {
    let mut known = BTreeMap::new();
    while stop.recv_timeout(EVERY) == Err(RecvTimeoutError::Timeout) {
        look(core, &mut known);
    }
}

/// Sockets that the kubelet takes for plugins: any that is not hidden.
fn sockets(folder: &Path) -> BTreeMap<PathBuf, Identity> {
    let entries = fs::read_dir(folder).into_iter().flatten().flatten();
    let visible = entries.filter(|entry| !entry.file_name().to_string_lossy().starts_with('.'));
    let identified = visible.filter_map(|entry| {
        let meta = fs::symlink_metadata(entry.path()).ok().filter(|meta| meta.file_type().is_socket())?;
        Some((entry.path(), (meta.ino(), meta.mtime(), meta.mtime_nsec())))
    });
    identified.collect()
}

fn look(core: &Core, known: &mut BTreeMap<PathBuf, Known>) {
    let there = sockets(&core.folder);
    known.retain(|socket, old| {
        let stays = there.get(socket) == Some(&old.identity);
        if !stays && let Some(resource) = &old.resource {
            deregister(core, resource, socket);
        }
        stays
    });
    for (socket, identity) in there {
        let first = || Known { identity, resource: None, attempts: 0, due: clock::now().after(core.misbehave.delay), reason: None };
        let each = known.entry(socket.clone()).or_insert_with(first);
        if each.resource.is_some() || clock::now() < each.due {
            continue;
        }
        each.attempts += 1;
        match introduce(core, &socket, each.attempts) {
            Ok(resource) => each.resource = Some(resource),
            Err(reason) => {
                let wait = FIRST_RETRY.saturating_mul(1 << each.attempts.min(6)).min(LAST_RETRY);
                each.due = clock::now().after(wait);
                if each.reason.as_ref() != Some(&reason) {
                    core.change(|registry| registry.events.push(Event::Refused { socket: socket.clone(), reason: reason.clone() }));
                }
                each.reason = Some(reason);
            }
        }
    }
}

fn deregister(core: &Core, resource: &str, socket: &Path) {
    core.change(|registry| {
        if registry.plugins.get(resource).is_some_and(|plugin| plugin.socket == socket) {
            registry.plugins.remove(resource);
            registry.told.remove(resource);
        }
        registry.events.push(Event::Gone { resource: resource.to_owned(), socket: socket.to_owned() });
    });
}

/// The handshake. The resource that the plugin serves.
fn introduce(core: &Core, socket: &Path, attempt: u32) -> Result<String, String> {
    // A connection for the introduction alone, as the kubelet's plugin manager has it.
    let door = core.endpoint(socket);
    let info: PluginInfo = door
        .call("/pluginregistration.Registration/GetInfo", &InfoRequest {}, INTRODUCTION)
        .map_err(|status| format!("GetInfo: {status}"))?;
    if core.misbehave.drop == Dropped::Introduction && attempt == 1 {
        return Err("hung up after GetInfo, as told to".to_owned());
    }
    let plugin = match accept(core, socket, &info) {
        Ok(plugin) => plugin,
        Err(reason) => {
            let told = tell(&door, RegistrationStatus { plugin_registered: false, error: reason.clone() });
            return Err(told.err().map_or(reason.clone(), |e| format!("{reason}; {e}")));
        }
    };
    // In use before it is told: what the plugin does on the good news may need the kubelet already.
    core.change(|registry| drop(registry.plugins.insert(info.name.clone(), Arc::new(plugin))));
    if core.misbehave.drop != Dropped::Verdict
        && let Err(e) = tell(&door, RegistrationStatus { plugin_registered: true, error: String::new() })
    {
        core.trouble(e);
    }
    core.change(|registry| {
        registry.told.insert(info.name.clone());
        registry.events.push(Event::Registered { resource: info.name.clone(), socket: socket.to_owned() });
    });
    Ok(info.name)
}

fn tell(door: &Endpoint, verdict: RegistrationStatus) -> Result<(), String> {
    let told: Result<RegistrationStatusResponse, _> =
        door.call("/pluginregistration.Registration/NotifyRegistrationStatus", &verdict, VERDICT);
    told.map(|_| ()).map_err(|status| format!("NotifyRegistrationStatus: {status}"))
}

fn accept(core: &Core, socket: &Path, info: &PluginInfo) -> Result<Plugin, String> {
    if info.r#type != plugin_type::RESOURCE {
        return Err(format!("no handler registered for plugin type {:?} at socket {}", info.r#type, socket.display()));
    }
    if info.name.is_empty() {
        return Err("the plugin has no name, which is that of its resource".to_owned());
    }
    if !info.supported_versions.iter().any(|version| version == plugin_version::V1ALPHA1) {
        return Err(format!("version {} is not among the supported versions {:?}", plugin_version::V1ALPHA1, info.supported_versions));
    }
    let served = if info.endpoint.is_empty() { socket.to_owned() } else { PathBuf::from(&info.endpoint) };
    let endpoint = core.endpoint(&served);
    let options = endpoint
        .call("/resourceplugin.v1alpha1.ResourcePlugin/GetResourcePluginOptions", &Empty {}, DEADLINE)
        .map_err(|status| format!("GetResourcePluginOptions: {status}"))?;
    Ok(Plugin { resource: info.name.clone(), socket: socket.to_owned(), options, endpoint })
}
