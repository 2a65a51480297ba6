#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "tests")]

use super::*;
use crate::fixtures::{cpus, machine, request, uid};
use crate::{CpuPlugin, Hint, MemoryPlugin, MemoryPolicy, OciProperty, PlacePolicy};
use gleaner_model::{PoolName, QosClass, Topology};

struct World {
    topology: Topology,
    place: PlacePolicy,
    memory: MemoryPolicy,
    sizes: BTreeMap<PoolName, u32>,
    plugins: Plugins,
    ledger: Ledger,
}

impl World {
    fn new(topology: Topology) -> Self {
        let plugins = Plugins::new(vec![Box::new(CpuPlugin), Box::new(MemoryPlugin)]);
        let memory = MemoryPolicy { reserve: gleaner_model::Bytes::ZERO };
        Self { topology, place: PlacePolicy::default(), memory, sizes: BTreeMap::new(), plugins, ledger: Ledger::default() }
    }

    fn allocate(&mut self, resource: &str, request: &Request) -> Result<ContainerAllocation, Refusal> {
        let context =
            Context { topology: &self.topology, place: &self.place, memory: &self.memory, pool_sizes: &self.sizes, headroom: None };
        self.plugins.allocate(resource, &context, &mut self.ledger, request, &QosConfig::default()).map(|(given, _)| given.answer)
    }

    fn cpus(&mut self, request: &Request) -> Result<String, Refusal> {
        self.allocate("cpu", request).map(|given| given["cpu"].result.clone())
    }
}

fn bound(mut request: Request, node: &str) -> Request {
    request.pod.annotations.insert("katalyst.kubewharf.io/memory_enhancement".to_owned(), r#"{"numa_binding": true}"#.to_owned());
    request.hint = Some(Hint::on(node.parse().unwrap(), true));
    request
}

fn asks_memory(mut request: Request, bytes: f64) -> Request {
    request.resource = "memory".to_owned();
    request.amount = crate::Amount::new(bytes).unwrap();
    request
}

#[test]
fn cpus_and_memory_follow_the_chosen_node() {
    let mut world = World::new(machine(1, 2, 4, 1));
    let db = bound(request("db", "main", ContainerType::Main, QosClass::Dedicated, 2.0), "1");
    assert_eq!(world.cpus(&db).unwrap(), "4-5");
    let memory = world.allocate("memory", &asks_memory(db.clone(), 1e6)).unwrap();
    assert_eq!((memory["memory"].result.as_str(), memory["memory"].oci_property), ("1", Some(OciProperty::CpusetMems)));
    let elsewhere = bound(asks_memory(db, 1e6), "0");
    let refused = world.allocate("memory", &elsewhere).unwrap_err();
    assert_eq!(refused.to_string(), "hint: nodes 0 were chosen for its memory, but it is bound to nodes 1");
}

#[test]
fn a_refusal_changes_nothing_and_names_its_rule() {
    let mut world = World::new(machine(1, 1, 4, 1));
    world.cpus(&request("web", "main", ContainerType::Main, QosClass::Shared, 1.0)).unwrap();
    let before = world.ledger.clone();
    let table = [
        (request("db", "main", ContainerType::Main, QosClass::Dedicated, 4.0), Rule::Floor),
        (request("db", "main", ContainerType::Main, QosClass::Dedicated, 9.0), Rule::Capacity),
        (bound(request("s", "main", ContainerType::Main, QosClass::Shared, 1.0), "0-1"), Rule::Hint),
    ];
    for (request, rule) in table {
        let refusal = world.allocate("cpu", &request).unwrap_err();
        assert_eq!(refusal.rule, rule, "{refusal}");
        assert_eq!(world.ledger, before, "{refusal}");
    }
}

#[test]
fn a_caller_that_asks_for_no_hints_is_held_to_them_all_the_same() {
    let mut world = World::new(machine(1, 1, 4, 1));
    let refusal = world.allocate("cpu", &request("web", "main", ContainerType::Main, QosClass::Shared, 9.0)).unwrap_err();
    assert_eq!(refusal.rule, Rule::Capacity, "{refusal}");
    assert!(world.ledger.pods().is_empty());
}

#[test]
fn a_failed_resize_leaves_the_old_allocation_as_it_was() {
    let mut world = World::new(machine(1, 1, 4, 1));
    world.cpus(&request("web", "main", ContainerType::Main, QosClass::Shared, 1.0)).unwrap();
    let mut db = request("db", "main", ContainerType::Main, QosClass::Dedicated, 2.0);
    let given = world.cpus(&db).unwrap();
    let before = world.ledger.clone();
    db.amount = crate::Amount::new(4.0).unwrap();
    db.resizing = true;
    let refusal = world.allocate("cpu", &db).unwrap_err();
    assert_eq!((&world.ledger, world.ledger.assignment().cpus_of(&PoolName::dedicated(&uid("db")))), (&before, cpus(&given)), "{refusal}");
}

#[test]
fn memory_is_refused_when_the_nodes_have_too_little() {
    let mut world = World::new(machine(1, 1, 4, 1));
    let web = request("web", "main", ContainerType::Main, QosClass::Shared, 1.0);
    world.allocate("memory", &asks_memory(web, 0.75 * f64::from(1 << 30))).unwrap();
    let second = request("second", "main", ContainerType::Main, QosClass::Shared, 1.0);
    let refusal = world.allocate("memory", &asks_memory(second, 0.5 * f64::from(1 << 30))).unwrap_err();
    assert_eq!(refusal.rule, Rule::Memory, "{refusal}");
}

#[test]
fn wishes_that_the_machine_cannot_meet_are_bad_requests() {
    let mut world = World::new(machine(1, 2, 4, 1));
    let mut db = bound(request("db", "main", ContainerType::Main, QosClass::Dedicated, 2.0), "0");
    db.pod.annotations.insert("katalyst.kubewharf.io/cpu_enhancement".to_owned(), r#"{"numa_ids": "7"}"#.to_owned());
    let refusal = world.allocate("cpu", &db).unwrap_err();
    assert!(refusal.rule == Rule::BadRequest && refusal.cause.contains("numa_ids"), "{refusal}");
    let refusal = world.allocate("gpu", &db).unwrap_err();
    assert_eq!(refusal.to_string(), r#"bad request: no plugin is for the resource "gpu""#);
}

#[test]
fn reclaimed_memory_goes_along_as_a_limit() {
    let mut world = World::new(machine(1, 1, 4, 1));
    let mut index = request("index", "main", ContainerType::Main, QosClass::Reclaimed, 1.0);
    index.resource = "resource.katalyst.kubewharf.io/reclaimed_memory".to_owned();
    index.amount = crate::Amount::new(4096.0).unwrap();
    let given = world.allocate("memory", &index).unwrap();
    let limit = &given["memory_limit_in_bytes"];
    assert_eq!((limit.result.as_str(), limit.oci_property), ("4096", Some(OciProperty::MemoryLimitInBytes)));
}
