//! Memory: the two headrooms.

use crate::load::{Case, Outcome, by_node, bytes, count, same};
use gleaner_estimator::katalyst;
use gleaner_model::{Bytes, NumaId};
use serde_json::Value;
use std::collections::BTreeMap;

fn nodes_of(container: &Value) -> Vec<NumaId> {
    by_node(&container["numa_cpus"], |_| ()).into_keys().collect()
}

fn reclaimed(container: &Value) -> bool {
    container["qos"] == "reclaimed_cores"
}

fn exclusive(container: &Value) -> bool {
    container["annotations"]["numa_exclusive"] == "true"
}

/// What a container is measured to hold; nothing where no figure of it is there.
fn used(case: &Case, container: &Value) -> Option<katalyst::MemoryUse> {
    let [rss, cache, shmem] =
        ["mem.rss.container", "mem.cache.container", "mem.shmem.container"].map(|metric| case.of_container(container, metric).map(bytes));
    let known = rss.or(cache).or(shmem).is_some();
    known.then(|| katalyst::MemoryUse { rss: rss.unwrap_or_default(), cache: cache.unwrap_or_default(), shmem: shmem.unwrap_or_default() })
}

fn request(container: &Value) -> Bytes {
    bytes(container["memory_request"].as_f64().expect("a request"))
}

pub(crate) fn canonical(case: &Case) -> Outcome {
    let user = |container: &Value| match container["qos"].as_str().expect("a class") {
        "system_cores" => katalyst::MemoryUser::System,
        _ if exclusive(container) && !case.flag("enable_reclaim") => {
            let nodes = u64::try_from(nodes_of(container).len()).expect("a count");
            // The capacity is that of one node: a node of 250 GiB is taken off a machine of 500.
            katalyst::MemoryUser::WholeNodes(case.bytes("numa_capacity").scaled(nodes, 1))
        }
        _ => katalyst::MemoryUser::Pod,
    };
    let member = |container: &Value| katalyst::MemoryMember {
        user: user(container),
        used: used(case, container),
        request: Some(request(container)),
    };
    let members: Vec<_> = case.list("containers").iter().filter(|container| !reclaimed(container)).map(member).collect();
    // The CPUs of the machine are in no case; only `cache_based_ratio` needs them, which no case with a buffer sets.
    let buffer = || {
        Some(katalyst::MemoryBuffer {
            total: bytes(case.of_machine("mem.total.system")?),
            free: bytes(case.of_machine("mem.free.system")?),
            used: bytes(case.of_machine("mem.used.system")?),
            scale_factor: count(&case.of_machine("mem.scale.factor.system")?.into()),
            cpus: 0,
        })
    };
    let settings = katalyst::CanonicalMemorySettings {
        reserved_for_allocate: case.bytes("reserved_for_allocate"),
        util_based: case.flag("util_based"),
        free_based_ratio: case.share("free_based_ratio"),
        cache_based_ratio: case.share("cache_based_ratio"),
        static_based_capacity: case.bytes("static_based_capacity"),
        ..katalyst::CanonicalMemorySettings::default()
    };
    if settings.util_based && settings.cache_based_ratio.get() > 0 {
        return Outcome::Wrong("the case needs the machine's CPUs".to_owned());
    }
    let buffer = buffer();
    if settings.util_based && buffer.is_none() {
        return Outcome::Wrong("a reading is missing".to_owned());
    }
    let input = katalyst::CanonicalMemory { upper: case.bytes("upper"), members: &members, buffer };
    let found = katalyst::memory_headroom_canonical(&input, &settings);
    same(&found, &bytes(case.expect["headroom_bytes"].as_f64().expect("bytes")))
}

pub(crate) fn numa_aware(case: &Case) -> Outcome {
    let found = promises(case);
    let expect = case.expect.get("per_numa").map(|of_nodes| by_node(of_nodes, |value| bytes(value.as_f64().expect("bytes"))));
    match (&found, case.expect.get("error"), case.expect["headroom_bytes"].as_f64()) {
        (None, Some(_), None) => Outcome::Passed,
        (Some(promised), None, Some(sum)) if promised.values().copied().sum::<Bytes>() == bytes(sum) => same(&found, &expect),
        _ => Outcome::Wrong(format!("got {found:?}, expected {}", case.expect)),
    }
}

/// `None` where a reading is missing.
fn promises(case: &Case) -> Option<BTreeMap<NumaId, Bytes>> {
    let containers = case.list("containers");
    let usable: Vec<NumaId> = (0..case.count("numa_nodes"))
        .map(NumaId::new)
        .filter(|node| !containers.iter().any(|container| exclusive(container) && nodes_of(container).contains(node)))
        .collect();
    let binding = |pod: &&Value| pod["annotations"]["katalyst.kubewharf.io/numa_bind_result"].is_string();
    let bound: Vec<_> = case
        .list("pods")
        .iter()
        .filter(binding)
        .flat_map(|pod| {
            let result = pod["annotations"]["katalyst.kubewharf.io/numa_bind_result"].as_str();
            result.and_then(|text| text.parse::<u32>().ok()).map(NumaId::new)
        })
        .collect();
    let unbound = u64::try_from(usable.iter().filter(|node| !bound.contains(node)).count()).ok()?;
    let mut nodes = BTreeMap::new();
    for node in &usable {
        let requested = containers.iter().filter(|container| reclaimed(container) && nodes_of(container).contains(node));
        let on_node = |container: &Value| request(container).scaled(1, u64::try_from(nodes_of(container).len()).unwrap_or(1));
        let limit = |node| case.of_reclaimed(node, "mem.limit.cgroup").map(bytes);
        nodes.insert(
            *node,
            katalyst::NumaMemory {
                total: bytes(case.of_node(*node, "mem.total.numa")?),
                free: bytes(case.of_node(*node, "mem.free.numa")?),
                inactive_file: bytes(case.of_node(*node, "mem.inactivefile.numa")?),
                requested: requested.map(on_node).sum(),
                limit: if bound.contains(node) { limit(Some(*node)) } else { limit(None).map(|limit| limit.scaled(1, unbound)) },
            },
        );
    }
    let sum = |of_reclaimed: bool, of: &dyn Fn(&Value) -> Bytes| -> Bytes {
        containers.iter().filter(|container| reclaimed(container) == of_reclaimed).map(of).sum()
    };
    let held = |container: &Value| used(case, container).map(|used| used.rss.plus(used.cache).plus(used.shmem)).unwrap_or_default();
    let input = katalyst::NumaAwareMemory {
        nodes: &nodes,
        machine_nodes: case.count("numa_nodes"),
        scale_factor: count(&case.of_machine("mem.scale.factor.system")?.into()),
        others_requested: sum(false, &request),
        others_used: sum(false, &held),
        reclaimed_used: sum(true, &held),
    };
    let settings = katalyst::NumaAwareMemorySettings {
        reserved_for_allocate: case.bytes("reserved_for_allocate"),
        cache_based_ratio: case.share("cache_based_ratio"),
        request_based_ratio: case.share("request_based_ratio"),
        max_oversold_rate: case.share("max_oversold_rate"),
    };
    Some(katalyst::memory_headroom_numa_aware(&input, &settings))
}
