#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "tests")]

use super::*;
use gleaner_model::{Bytes, CpuId, CpuShares, Micros};
use proptest::prelude::*;

fn change(cgroup: &str, from: KnobValue, to: KnobValue) -> Change {
    Change { knob: KnobId { cgroup: cgroup.parse().unwrap(), kind: to.kind() }, from, to }
}

fn set(cgroup: &str, from: &str, to: &str) -> Change {
    change(cgroup, KnobValue::Cpus(from.parse().unwrap()), KnobValue::Cpus(to.parse().unwrap()))
}

fn quota(micros: u64) -> KnobValue {
    KnobValue::CpuMax(CpuMax { quota: Limit::At(Micros::new(micros)), period: CpuMax::PERIOD })
}

fn shown(changes: &[Change]) -> Vec<String> {
    order(changes).iter().map(|s| format!("{} {}={}{}", s.knob.cgroup, s.knob.kind, s.value, if s.last { "" } else { " .." })).collect()
}

#[test]
fn a_parent_grows_before_its_child() {
    let steps = shown(&[set("/p/c", "0", "0-1"), set("/p", "0", "0-1")]);
    assert_eq!(steps, ["/p cpuset.cpus=0-1", "/p/c cpuset.cpus=0-1"]);
}

#[test]
fn a_child_shrinks_before_its_parent() {
    let steps = shown(&[set("/p", "0-1", "0"), set("/p/c", "0-1", "0")]);
    assert_eq!(steps, ["/p/c cpuset.cpus=0", "/p cpuset.cpus=0"]);
}

#[test]
fn a_set_shrinks_before_another_grows() {
    let steps = shown(&[set("/a", "0-1", "0-3"), set("/b", "2-5", "4-6")]);
    assert_eq!(steps, ["/b cpuset.cpus=4-5 ..", "/a cpuset.cpus=0-3", "/b cpuset.cpus=4-6"]);
}

#[test]
fn a_family_that_moves_to_other_cpus_passes_through_the_union() {
    let steps = shown(&[set("/p", "0", "1"), set("/p/c", "0", "1")]);
    assert_eq!(steps, ["/p cpuset.cpus=0-1 ..", "/p/c cpuset.cpus=1", "/p cpuset.cpus=1"]);
}

#[test]
fn a_set_of_its_own_is_a_loss_for_who_had_the_parents() {
    assert_eq!(shown(&[set("/a", "0", "0-1"), set("/b", "", "2")]), ["/b cpuset.cpus=2", "/a cpuset.cpus=0-1"]);
    assert_eq!(shown(&[set("/a", "0", "")]), ["/a cpuset.cpus="]);
}

#[test]
fn bounds_go_down_from_the_leaves_and_up_from_the_root() {
    let down = shown(&[change("/p", quota(2000), quota(1000)), change("/p/c", quota(2000), quota(1000))]);
    assert_eq!(down, ["/p/c cpu.max=1000 100000", "/p cpu.max=1000 100000"]);
    let up = shown(&[change("/p/c", quota(2000), quota(3000)), change("/p", quota(2000), KnobValue::CpuMax(CpuMax::UNLIMITED))]);
    assert_eq!(up, ["/p cpu.max=max 100000", "/p/c cpu.max=3000 100000"]);
    let memory = |n| KnobValue::MemoryMax(Limit::At(Bytes::new(n)));
    let mixed = shown(&[change("/a", memory(1), memory(2)), change("/b", KnobValue::MemoryMax(Limit::Max), memory(9))]);
    assert_eq!(mixed, ["/b memory.max=9", "/a memory.max=2"]);
}

#[test]
fn a_weight_is_written_after_the_cgroup_is_no_longer_idle() {
    let shares = |n| KnobValue::Shares(CpuShares::new(n));
    for target in [2, 4000] {
        let steps = shown(&[change("/a", shares(3), shares(target)), change("/a", KnobValue::Idle(true), KnobValue::Idle(false))]);
        assert_eq!(steps, ["/a cpu.idle=0".to_owned(), format!("/a cpu shares={target}")]);
    }
}

#[test]
fn memory_moves_along_while_its_nodes_change_and_scores_come_last() {
    let mems = |list: &str| KnobValue::Mems(list.parse().unwrap());
    let score = |n| KnobValue::OomScoreAdj(gleaner_model::OomScoreAdj::new(n).unwrap());
    let migrate = |from, to| change("/p/c", KnobValue::MemoryMigrate(from), KnobValue::MemoryMigrate(to));
    let nodes = || [change("/p/c", mems("0"), mems("1")), change("/a", score(0), score(900)), change("/p", mems("0-1"), mems("1"))];
    let there: Vec<Change> = nodes().into_iter().chain([migrate(false, true)]).collect();
    assert_eq!(shown(&there), ["/p/c cpuset.memory_migrate=1", "/p/c cpuset.mems=1", "/a oom_score_adj=900", "/p cpuset.mems=1"]);
    let back: Vec<Change> = nodes().into_iter().chain([migrate(true, false)]).collect();
    assert_eq!(shown(&back), ["/p/c cpuset.mems=1", "/p/c cpuset.memory_migrate=0", "/a oom_score_adj=900", "/p cpuset.mems=1"]);
}

/// Parents of the simulated cgroups: a small forest under the root, which has all ids.
const FOREST: [(&str, Option<usize>); 7] =
    [("/a", None), ("/b", None), ("/a/x", Some(0)), ("/a/y", Some(0)), ("/a/x/1", Some(2)), ("/b/z", Some(1)), ("/b/z/1", Some(5))];

/// Sets in which every child is within its parent and none is empty.
fn nested() -> impl Strategy<Value = Vec<CpuSet>> {
    proptest::collection::vec(1u32..256, FOREST.len()).prop_map(|masks| {
        let mut sets: Vec<CpuSet> = Vec::new();
        for ((_, parent), mask) in FOREST.iter().zip(masks) {
            let own: CpuSet = (0..8).filter(|bit| mask >> bit & 1 == 1).map(CpuId::from_index).collect();
            let set = match parent.and_then(|p| sets.get(p)) {
                None => own,
                Some(above) if above.is_disjoint(&own) => above.clone(),
                Some(above) => above.intersection(&own),
            };
            sets.push(set);
        }
        sets
    })
}

fn changes(from: &[CpuSet], to: &[CpuSet]) -> Vec<Change> {
    let all = FOREST.iter().zip(from.iter().zip(to)).filter(|(_, (from, to))| from != to);
    all.map(|((path, _), (from, to))| change(path, KnobValue::Cpus(from.clone()), KnobValue::Cpus(to.clone()))).collect()
}

proptest! {
    /// The rule of the v1 kernel: a set is not empty, lies within the parent's and holds every child's.
    #[test]
    fn the_v1_kernel_accepts_every_step(from in nested(), to in nested()) {
        let mut now = from.clone();
        for step in order(&changes(&from, &to)) {
            let index = FOREST.iter().position(|(path, _)| *path == step.knob.cgroup.as_str()).unwrap();
            let set = cpus(&step.value).unwrap().clone();
            prop_assert!(!set.is_empty());
            prop_assert!(FOREST[index].1.is_none_or(|p| set.is_subset(&now[p])), "{step:?} in {:?}", now);
            for (child, _) in FOREST.iter().enumerate().filter(|(_, (_, parent))| *parent == Some(index)) {
                prop_assert!(now[child].is_subset(&set), "{step:?} in {:?}", now);
            }
            prop_assert_eq!(step.last, set == to[index]);
            now[index] = set;
        }
        prop_assert_eq!(now, to);
    }

    #[test]
    fn disjoint_sets_that_keep_an_id_never_overlap(owners in proptest::collection::vec((0usize..4, 0usize..4), 4..24)) {
        // Pool n keeps id n; every further id has an owner before and one after.
        let side = |pick: fn(&(usize, usize)) -> usize, pool: usize| -> CpuSet {
            let own = CpuId::from_index(u32::try_from(pool).unwrap());
            let rest = (4u32..).zip(&owners).filter(|(_, o)| pick(o) == pool).map(|(id, _)| CpuId::from_index(id));
            rest.chain([own]).collect()
        };
        let names = ["/a", "/b", "/b2", "/c/d"];
        let mut now: Vec<CpuSet> = (0..4).map(|pool| side(|o| o.0, pool)).collect();
        let to: Vec<CpuSet> = (0..4).map(|pool| side(|o| o.1, pool)).collect();
        let all: Vec<Change> = (0..4).map(|i| change(names[i], KnobValue::Cpus(now[i].clone()), KnobValue::Cpus(to[i].clone()))).collect();
        for step in order(&all) {
            let index = names.iter().position(|n| *n == step.knob.cgroup.as_str()).unwrap();
            now[index] = cpus(&step.value).unwrap().clone();
            for other in (0..4).filter(|o| *o != index) {
                prop_assert!(now[index].is_disjoint(&now[other]), "{step:?} in {now:?}");
            }
        }
        prop_assert_eq!(now, to);
    }
}
