//! Whatever a runtime writes, nothing panics, and nothing that is sent breaks the rules of the kernel and the runtime.
#![allow(clippy::unwrap_used, reason = "tests")]

use super::*;
use crate::event::{Adjustment, Resources};
use gleaner_crds::nri as wire;
use gleaner_model::{Bytes, CpuMax, CpuShares, IdSet, KnobValue, Limit, Micros, OomScoreAdj};
use proptest::prelude::*;
use std::collections::BTreeMap;

/// Texts that are absurd, or nearly right.
fn text() -> impl Strategy<Value = String> + Clone {
    let part = prop::sample::select(vec![
        "a",
        "kubepods",
        "pod1",
        "..",
        ".",
        "",
        "-",
        "--",
        ".slice",
        "-.slice",
        "/",
        ":",
        "cri-containerd",
        "ä",
        "\0",
    ]);
    prop_oneof![any::<String>(), prop::collection::vec(part, 0..7).prop_map(|parts| parts.concat()), "[0-9,-]{0,8}"]
}

fn number() -> impl Strategy<Value = i64> {
    prop_oneof![Just(0), Just(-1), Just(i64::MIN), Just(i64::MAX), any::<i64>(), 0_i64..300_000]
}

fn wire_resources(ids: impl Strategy<Value = String> + Clone) -> impl Strategy<Value = wire::LinuxResources> {
    let numbers = (prop::option::of(any::<u64>()), prop::option::of(number()), prop::option::of(any::<u64>()), prop::option::of(number()));
    let files = prop::collection::btree_map(text(), text(), 0..3);
    (numbers, ids.clone(), ids, files).prop_map(|((shares, quota, period, limit), cpus, mems, unified)| {
        let unsigned = |value: Option<u64>| value.map(|value| wire::OptionalUInt64 { value });
        let signed = |value: Option<i64>| value.map(|value| wire::OptionalInt64 { value });
        let cpu = wire::LinuxCpu { shares: unsigned(shares), quota: signed(quota), period: unsigned(period), cpus, mems };
        let memory = wire::LinuxMemory { limit: signed(limit), reservation: None, swap: None };
        wire::LinuxResources { memory: Some(memory), cpu: Some(cpu), hugepage_limits: Vec::new(), unified }
    })
}

fn limit() -> impl Strategy<Value = Limit<Bytes>> {
    prop_oneof![Just(Limit::Max), any::<u64>().prop_map(|bytes| Limit::At(Bytes::new(bytes))), Just(Limit::At(Bytes::ZERO))]
}

fn knob() -> impl Strategy<Value = KnobValue> {
    let max = (prop::option::of(0_u64..200_000), 0_u64..2_000_000).prop_map(|(quota, period)| CpuMax {
        quota: quota.map_or(Limit::Max, |quota| Limit::At(Micros::new(quota))),
        period: Micros::new(period),
    });
    let ids = || prop::collection::btree_set(0_u32..40, 0..5);
    prop_oneof![
        ids().prop_map(|ids| KnobValue::Cpus(ids.into_iter().map(gleaner_model::Id::from_index).collect::<IdSet<_>>())),
        ids().prop_map(|ids| KnobValue::Mems(ids.into_iter().map(gleaner_model::Id::from_index).collect::<IdSet<_>>())),
        any::<u64>().prop_map(|shares| KnobValue::Shares(CpuShares::new(shares))),
        any::<bool>().prop_map(KnobValue::Idle),
        any::<bool>().prop_map(KnobValue::MemoryMigrate),
        max.prop_map(KnobValue::CpuMax),
        any::<u64>().prop_map(|bytes| KnobValue::MemoryLow(Bytes::new(bytes))),
        limit().prop_map(KnobValue::MemoryHigh),
        limit().prop_map(KnobValue::MemoryMax),
        Just(KnobValue::OomScoreAdj("-3".parse::<OomScoreAdj>().unwrap())),
    ]
}

fn adjustment() -> impl Strategy<Value = Adjustment> {
    prop::collection::vec(knob(), 0..8).prop_map(|knobs| Adjustment { knobs })
}

fn has() -> impl Strategy<Value = Resources> {
    let ids = prop::sample::select(vec!["", "0", "0-3", "2,5-9", " 7 "]).prop_map(str::to_owned);
    wire_resources(ids).prop_map(|wire| requested("x", wire).unwrap())
}

fn sent(message: Option<wire::ContainerAdjustment>) -> wire::LinuxResources {
    message.and_then(|message| message.linux?.resources).unwrap_or_default()
}

proptest! {
    #[test]
    fn no_pod_and_no_container_makes_it_panic(
        texts in prop::collection::vec(text(), 9),
        resources in wire_resources(text()),
        state: i32,
        labels in prop::collection::btree_map(text(), text(), 0..3),
    ) {
        let linux = wire::LinuxPodSandbox { cgroup_parent: texts[0].clone(), pod_resources: Some(resources.clone()), ..Default::default() };
        let pod = wire::PodSandbox {
            id: texts[1].clone(), name: texts[2].clone(), uid: texts[3].clone(), namespace: texts[4].clone(), labels,
            linux: Some(linux), ..Default::default()
        };
        if let Ok(pod) = sandbox(pod) {
            prop_assert!(pod.cgroup.is_none_or(|cgroup| !cgroup.as_str().split('/').any(|part| part == "..")));
        }
        let linux = wire::LinuxContainer { cgroups_path: texts[5].clone(), resources: Some(resources), ..Default::default() };
        let one = wire::Container {
            id: texts[6].clone(), pod_sandbox_id: texts[7].clone(), name: texts[8].clone(), state, linux: Some(linux), ..Default::default()
        };
        if let Err(unknown) = container(one) {
            prop_assert!(unknown.to_string().chars().count() <= 300, "{}", unknown);
        }
    }

    #[test]
    fn a_cgroup_never_leads_out_of_its_mount(text in text()) {
        for cgroup in [cgroup::of_pod(&text), cgroup::of_container(&text)].into_iter().flatten().flatten() {
            prop_assert!(cgroup.as_str().parse::<gleaner_model::CgroupPath>().is_ok(), "{}", cgroup);
        }
    }

    #[test]
    fn what_is_sent_at_creation_is_what_kernel_and_runtime_take(wanted in adjustment(), has in has(), unified: bool) {
        let resources = sent(creation(&wanted, &has, unified).message);
        let cpu = resources.cpu.unwrap_or_default();
        prop_assert!(cpu.quota.is_none_or(|quota| quota.value == -1 || quota.value >= 1000), "{:?}", cpu);
        prop_assert!(cpu.period.is_none_or(|period| (1000..=1_000_000).contains(&period.value)), "{:?}", cpu);
        prop_assert_eq!(cpu.quota.is_some(), cpu.period.is_some());
        let limit = resources.memory.unwrap_or_default().limit;
        prop_assert!(limit.is_none_or(|limit| limit.value == -1 || limit.value > 0), "{:?}", limit);
        let files: Vec<&str> = resources.unified.keys().map(String::as_str).collect();
        prop_assert!(files.iter().all(|file| unified && ["memory.low", "memory.high"].contains(file)), "{:?}", files);
    }

    #[test]
    fn what_a_container_has_already_is_not_sent(wanted in adjustment(), unified: bool) {
        let now = sent(creation(&wanted, &Resources::default(), unified).message);
        let has = requested("x", now).unwrap();
        prop_assert_eq!(creation(&wanted, &has, unified).message, None);
    }

    #[test]
    fn an_old_runtime_is_answered_only_about_what_it_asked(wanted in adjustment(), has in has(), wants in has(), unified: bool) {
        let asked = Asked { id: "c".to_owned(), has, wants, shows_unified: false };
        let message = replacement(&asked, &wanted, unified).message;
        let silent = asked.wants.cpus.is_none() && asked.wants.mems.is_none() && asked.wants.cpu_max.is_none();
        prop_assert!(!silent || message.is_none(), "{:?}", message);
    }

    #[test]
    fn a_newer_runtime_keeps_every_file_of_the_request(wanted in adjustment(), has in has(), wants in has(), unified: bool) {
        let asked = Asked { id: "c".to_owned(), has, wants, shows_unified: true };
        let resources = replacement(&asked, &wanted, unified).message.and_then(|update| update.linux?.resources);
        let files: BTreeMap<String, String> = resources.map(|resources| resources.unified).unwrap_or_else(|| asked.wants.unified.clone());
        prop_assert!(asked.wants.unified.keys().all(|file| files.contains_key(file)), "{:?} of {:?}", files, asked.wants.unified);
    }
}
