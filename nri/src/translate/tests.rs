#![allow(clippy::unwrap_used, reason = "tests")]

use super::*;
use crate::event::{Adjustment, Resources};
use gleaner_crds::nri as wire;
use gleaner_model::{Bytes, CpuMax, CpuShares, KnobValue, Limit, Micros};
use std::collections::BTreeMap;

fn cpus(text: &str) -> KnobValue {
    KnobValue::Cpus(text.parse().unwrap())
}

fn wanted(knobs: Vec<KnobValue>) -> Adjustment {
    Adjustment { knobs }
}

fn signed(value: i64) -> Option<wire::OptionalInt64> {
    Some(wire::OptionalInt64 { value })
}

fn unsigned(value: u64) -> Option<wire::OptionalUInt64> {
    Some(wire::OptionalUInt64 { value })
}

/// What is sent at creation.
fn sent(knobs: Vec<KnobValue>, has: &Resources, unified: bool) -> wire::LinuxResources {
    let message = creation(&wanted(knobs), has, unified).message;
    message.map(|message| message.linux.unwrap().resources.unwrap()).unwrap_or_default()
}

#[test]
fn a_cgroup_of_a_pod_is_found_from_both_drivers_texts() {
    let slice = "kubepods-burstable-pod12_ab.slice";
    for (text, expected) in [
        ("/kubepods/burstable/pod12", "/kubepods/burstable/pod12"),
        ("kubepods/pod12", "/kubepods/pod12"),
        (slice, "/kubepods.slice/kubepods-burstable.slice/kubepods-burstable-pod12_ab.slice"),
        ("kubepods.slice", "/kubepods.slice"),
        ("-.slice", "/"),
        ("/kubelet.slice/kubelet-pod1.slice", "/kubelet.slice/kubelet-pod1.slice"),
    ] {
        assert_eq!(cgroup::of_pod(text).unwrap().unwrap().as_str(), expected, "{text}");
    }
    assert_eq!(cgroup::of_pod(""), Ok(None));
    for bad in ["../a", "/a/../b", "a//b", "a--b.slice", "-a.slice", "a-.slice", ".slice", &format!("{}.slice", "a-".repeat(400))] {
        assert!(cgroup::of_pod(bad).is_err(), "{bad}");
    }
}

#[test]
fn a_cgroup_of_a_container_is_found_from_both_drivers_texts() {
    for (text, expected) in [
        ("/kubepods/burstable/pod12/abc", "/kubepods/burstable/pod12/abc"),
        ("kubepods-pod12.slice:cri-containerd:abc", "/kubepods.slice/kubepods-pod12.slice/cri-containerd-abc.scope"),
        ("kubepods-pod12.slice:crio:abc", "/kubepods.slice/kubepods-pod12.slice/crio-abc.scope"),
        (":crio:abc", "/system.slice/crio-abc.scope"),
    ] {
        assert_eq!(cgroup::of_container(text).unwrap().unwrap().as_str(), expected, "{text}");
    }
    assert_eq!(cgroup::of_container(""), Ok(None));
    for bad in ["a.slice:crio", "a.slice:crio:", "a.slice::x", "a.slice:crio:x:y", "a.slice:crio:x/y", "../a.slice:crio:x", "/a/.."] {
        assert!(cgroup::of_container(bad).is_err(), "{bad}");
    }
}

#[test]
fn zeros_in_wrappers_are_not_given() {
    let cpu = wire::LinuxCpu { shares: unsigned(0), quota: signed(0), period: unsigned(0), ..wire::LinuxCpu::default() };
    let memory = wire::LinuxMemory { limit: signed(0), ..wire::LinuxMemory::default() };
    let wire = wire::LinuxResources { cpu: Some(cpu), memory: Some(memory), ..wire::LinuxResources::default() };
    assert_eq!(requested("c", wire), Ok(Resources::default()));
}

#[test]
fn amounts_are_read_and_below_zero_is_no_limit() {
    let cpu =
        wire::LinuxCpu { shares: unsigned(512), quota: signed(-1), cpus: "0-3".into(), mems: "1".into(), ..wire::LinuxCpu::default() };
    let memory = wire::LinuxMemory { limit: signed(4096), ..wire::LinuxMemory::default() };
    let wire = wire::LinuxResources { cpu: Some(cpu), memory: Some(memory), ..wire::LinuxResources::default() };
    let expected = Resources {
        cpus: Some("0-3".parse().unwrap()),
        mems: Some("1".parse().unwrap()),
        shares: Some(CpuShares::new(512)),
        cpu_max: Some(CpuMax::UNLIMITED),
        memory: Some(Limit::At(Bytes::new(4096))),
        unified: BTreeMap::new(),
    };
    assert_eq!(requested("c", wire), Ok(expected));
}

#[test]
fn a_pod_with_an_illegal_name_or_path_is_unknown_with_a_line() {
    let good = || wire::PodSandbox { id: "s".into(), name: "web".into(), uid: "u".into(), namespace: "shop".into(), ..Default::default() };
    assert_eq!(sandbox(good()).unwrap().name.to_string(), "shop/web");
    let linux = wire::LinuxPodSandbox { cgroup_parent: "/kubepods/../etc".into(), ..Default::default() };
    for (bad, part) in [
        (wire::PodSandbox { uid: "a/b".into(), ..good() }, "a/b"),
        (wire::PodSandbox { name: "a\nb".into(), ..good() }, "a\\nb"),
        (wire::PodSandbox { namespace: String::new(), ..good() }, "\"\""),
        (wire::PodSandbox { linux: Some(linux), ..good() }, "/kubepods/../etc"),
    ] {
        let line = sandbox(bad).unwrap_err().to_string();
        assert!(line.starts_with("sandbox \"s\": ") && line.contains(part), "{line}");
    }
}

#[test]
fn a_container_runs_when_it_has_a_process() {
    let of = |state: wire::ContainerState, pid| {
        let one = wire::Container {
            id: "c".into(),
            pod_sandbox_id: "s".into(),
            name: "app".into(),
            state: state.into(),
            pid,
            ..Default::default()
        };
        container(one).unwrap().running
    };
    assert!(!of(wire::ContainerState::ContainerUnknown, 0), "about to be created");
    assert!(!of(wire::ContainerState::ContainerCreated, 0), "created, without a process");
    assert!(of(wire::ContainerState::ContainerCreated, 17), "its process waits");
    assert!(of(wire::ContainerState::ContainerRunning, 17) && of(wire::ContainerState::ContainerPaused, 17));
    assert!(!of(wire::ContainerState::ContainerStopped, 17), "ended");
}

#[test]
fn a_creation_carries_what_a_runtime_can_set_and_no_more() {
    let knobs = vec![
        cpus("2-3"),
        KnobValue::Mems("1".parse().unwrap()),
        KnobValue::Shares(CpuShares::new(512)),
        KnobValue::CpuMax(CpuMax { quota: Limit::At(Micros::new(50_000)), period: CpuMax::PERIOD }),
        KnobValue::MemoryMax(Limit::At(Bytes::new(1 << 20))),
        KnobValue::MemoryLow(Bytes::new(4096)),
        KnobValue::MemoryHigh(Limit::At(Bytes::new(8192))),
        KnobValue::Idle(true),
        KnobValue::OomScoreAdj("900".parse().unwrap()),
        KnobValue::MemoryMigrate(true),
    ];
    let cpu =
        wire::LinuxCpu { shares: unsigned(512), quota: signed(50_000), period: unsigned(100_000), cpus: "2-3".into(), mems: "1".into() };
    let memory = wire::LinuxMemory { limit: signed(1 << 20), ..Default::default() };
    let files = [("memory.low", "4096"), ("memory.high", "8192")].map(|(file, text)| (file.to_owned(), text.to_owned()));
    let v1 = wire::LinuxResources { cpu: Some(cpu), memory: Some(memory), ..Default::default() };
    assert_eq!(sent(knobs.clone(), &Resources::default(), false), v1);
    assert_eq!(sent(knobs, &Resources::default(), true), wire::LinuxResources { unified: files.into(), ..v1 });
}

#[test]
fn a_value_that_the_kernel_refuses_is_left_out_with_a_line() {
    let short = |quota, period| KnobValue::CpuMax(CpuMax { quota: Limit::At(Micros::new(quota)), period: Micros::new(period) });
    for bad in [
        cpus(""),
        KnobValue::Mems("".parse().unwrap()),
        short(999, 100_000),
        short(5000, 999),
        short(5000, 1_000_001),
        KnobValue::MemoryMax(Limit::At(Bytes::ZERO)),
        KnobValue::MemoryMax(Limit::At(Bytes::new(u64::MAX))),
    ] {
        let Sent { message, left_out } =
            creation(&wanted(vec![bad.clone(), KnobValue::Shares(CpuShares::new(99))]), &Resources::default(), true);
        let cpu = message.unwrap().linux.unwrap().resources.unwrap().cpu.unwrap();
        assert_eq!(cpu, wire::LinuxCpu { shares: unsigned(99), ..Default::default() }, "the rest goes without {bad:?}");
        assert!(left_out.len() == 1 && left_out[0].starts_with(&bad.kind().to_string()), "{left_out:?}");
    }
}

#[test]
fn no_limit_over_no_limit_is_no_change() {
    let knobs = vec![
        KnobValue::CpuMax(CpuMax::UNLIMITED),
        KnobValue::MemoryMax(Limit::Max),
        KnobValue::MemoryHigh(Limit::Max),
        KnobValue::MemoryLow(Bytes::ZERO),
    ];
    assert_eq!(creation(&wanted(knobs.clone()), &Resources::default(), true).message, None);
    let has = Resources {
        cpu_max: Some(CpuMax::for_limit(gleaner_model::MilliCpu::new(500))),
        memory: Some(Limit::At(Bytes::new(9))),
        ..Default::default()
    };
    let lifted = sent(knobs, &has, true);
    assert_eq!((lifted.cpu.unwrap().quota, lifted.memory.unwrap().limit), (signed(-1), signed(-1)));
}

fn asked(wants: Resources, shows_unified: bool) -> Asked {
    let has = Resources { cpus: Some("0-3".parse().unwrap()), ..Default::default() };
    Asked { id: "c".to_owned(), has, wants, shows_unified }
}

fn high(text: &str) -> BTreeMap<String, String> {
    BTreeMap::from([("memory.high".to_owned(), text.to_owned())])
}

#[test]
fn a_request_for_other_cpus_is_answered_with_ours_on_every_runtime() {
    for shows_unified in [false, true] {
        let wants = Resources { cpus: Some("0-7".parse().unwrap()), ..Default::default() };
        let update = replacement(&asked(wants, shows_unified), &wanted(vec![cpus("4-5")]), true).message.unwrap();
        assert_eq!((update.container_id.as_str(), update.ignore_failure), ("c", false));
        assert_eq!(update.linux.unwrap().resources.unwrap().cpu.unwrap().cpus, "4-5");
    }
}

#[test]
fn a_request_that_is_as_wanted_passes() {
    let wants = Resources { cpus: Some("4-5".parse().unwrap()), ..Default::default() };
    assert_eq!(replacement(&asked(wants, true), &wanted(vec![cpus("4-5")]), true).message, None);
}

#[test]
fn an_old_runtime_keeps_the_files_of_a_request_about_something_else() {
    let wants = || Resources { memory: Some(Limit::At(Bytes::new(1 << 30))), unified: high("900"), ..Default::default() };
    let ours = wanted(vec![cpus("4-5")]);
    assert_eq!(replacement(&asked(wants(), false), &ours, true).message, None, "an answer would lose memory.high");
    let resources = replacement(&asked(wants(), true), &ours, true).message.unwrap().linux.unwrap().resources.unwrap();
    assert_eq!((resources.cpu.unwrap().cpus.as_str(), resources.unified), ("4-5", high("900")));
}

#[test]
fn our_files_win_over_those_of_a_request() {
    let wants = Resources { unified: high("900"), ..Default::default() };
    let ours = wanted(vec![KnobValue::MemoryHigh(Limit::At(Bytes::new(500)))]);
    let resources = replacement(&asked(wants, true), &ours, true).message.unwrap().linux.unwrap().resources.unwrap();
    assert_eq!(resources.unified, high("500"));
}

#[test]
fn a_quota_that_must_not_be_is_taken_back_on_old_runtimes_too() {
    let wants = Resources { cpu_max: Some(CpuMax::for_limit(gleaner_model::MilliCpu::new(500))), ..Default::default() };
    let update = replacement(&asked(wants, false), &wanted(vec![KnobValue::CpuMax(CpuMax::UNLIMITED)]), true).message.unwrap();
    assert_eq!(update.linux.unwrap().resources.unwrap().cpu.unwrap().quota, signed(-1));
}

#[test]
fn an_update_beside_an_answer_may_fail_alone() {
    let update = update("c", &wanted(vec![cpus("4-5")]), &Resources::default(), true).message.unwrap();
    assert!(update.ignore_failure, "the container may have ended");
}
