//! What containers of every class have, from their first instruction on.

use crate::Machine;
use gleaner_host::cgroup::Controller;
use gleaner_model::CpuSet;
use gleaner_tests::cri::LinuxContainerResources;
use gleaner_tests::poll_until;

#[test]
fn containers_of_every_class_have_their_cpus_at_their_first_instruction() {
    let Some(mut machine) = Machine::new("containers_of_every_class_have_their_cpus_at_their_first_instruction") else { return };
    let web = machine.run("web", "shared_cores", 1);
    let db = machine.run("db", "dedicated_cores", 2);
    // The runtime has told that db has started: by then nobody else is on its CPUs.
    let (kernel, own) = (machine.kernel(), machine.first_seen("db"));
    assert_eq!(own.count(), 2, "db asks for 2 CPUs and began on {own}");
    assert_eq!(kernel.cpus(&db.cgroup), own);
    assert!(kernel.cpus(&web.cgroup).is_disjoint(&own), "web is on {} when db begins on {own}", kernel.cpus(&web.cgroup));
    let batch = machine.run("batch", "reclaimed_cores", 0);
    let agent = machine.run("agent", "system_cores", 1);
    for (name, running) in [("batch", &batch), ("agent", &agent)] {
        let first = machine.first_seen(name);
        assert!(!first.is_empty() && first.is_disjoint(&own), "{name} began on {first}, db has {own}");
        assert!(kernel.cpus(&running.cgroup).is_disjoint(&own), "{name}");
    }
    let pod = batch.cgroup.parent().unwrap();
    poll_until("batch is idle at pod level", || (kernel.text(Controller::Cpu, &pod, "cpu.idle")? == "1").then_some(()));
    assert_eq!(kernel.text(Controller::Cpu, &batch.cgroup, "cpu.idle").as_deref(), Some("0"), "and not in the container's own cgroup");
    for running in [&web, &db, &batch, &agent] {
        machine.remove(running);
    }
}

#[test]
fn what_kubelet_writes_through_the_runtime_does_not_move_a_container() {
    let Some(mut machine) = Machine::new("what_kubelet_writes_through_the_runtime_does_not_move_a_container") else { return };
    let db = machine.run("db", "dedicated_cores", 2);
    let (kernel, own) = (machine.kernel(), machine.first_seen("db"));
    let all = CpuSet::from_iter(kernel.cpus(&machine.node.kubepods().parent().unwrap()).iter());
    let update = LinuxContainerResources { cpuset_cpus: "0-7".into(), ..LinuxContainerResources::default() };
    machine.cri.update(&db.container, update).unwrap();
    assert_eq!(kernel.cpus(&db.cgroup), own, "kubelet's own set ({all}) never arrives");
    // The runtime writes all that its specification has with every update of anything; what it is not asked about is put back.
    let update = LinuxContainerResources { memory_limit_in_bytes: 64 << 20, ..LinuxContainerResources::default() };
    machine.cri.update(&db.container, update).unwrap();
    poll_until("its CPUs are its own", || (kernel.cpus(&db.cgroup) == own).then_some(()));
    assert_eq!(kernel.text(Controller::Memory, &db.cgroup, "memory.max").as_deref(), Some("67108864"), "what kubelet asked for is there");
    machine.remove(&db);
}

#[test]
fn a_dedicated_container_without_room_is_refused_with_the_reason_and_created_when_there_is() {
    let Some(mut machine) = Machine::new("a_dedicated_container_without_room_is_refused_with_the_reason_and_created_when_there_is") else {
        return;
    };
    let one = machine.run("one", "dedicated_cores", 5);
    let refused = machine.try_run("two", "dedicated_cores", 5).err().expect("there are not ten CPUs");
    assert!(refused.message().contains("gleaner:") && refused.message().contains('5'), "{refused}");
    machine.remove(&one);
    let two = poll_until("two is created", || machine.try_run("two", "dedicated_cores", 5).ok());
    assert_eq!(machine.first_seen("two").count(), 5);
    machine.remove(&two);
}
