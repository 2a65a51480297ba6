use super::*;
use proptest::prelude::*;

fn all_sets(nodes: u32) -> Vec<NumaSet> {
    (1..1_u32 << nodes).map(|bits| (0..nodes).filter(|at| bits >> at & 1 == 1).map(NumaId::new).collect()).collect()
}

fn nodes(count: u32) -> NumaSet {
    // Not from 0 on, and with holes, as on machines with nodes that have only memory.
    (0..count).map(|at| NumaId::new(3 + 2 * at)).collect()
}

fn sets(count: u32) -> impl Strategy<Value = BTreeSet<NumaSet>> {
    let ids: Vec<NumaId> = nodes(count).iter().collect();
    prop::collection::btree_set(prop::sample::subsequence(ids, 1..=count as usize).prop_map(|ids| ids.into_iter().collect()), 0..40)
}

proptest! {
    #[test]
    fn the_table_gives_what_the_pairs_give((left, right) in (sets(6), sets(6))) {
        let mut expected: BTreeSet<NumaSet> = left.iter().flat_map(|a| right.iter().map(|b| a.intersection(b))).collect();
        expected.remove(&NumaSet::new());
        prop_assert_eq!(by_table(&left, &right, &nodes(6)), expected.clone());
        prop_assert_eq!(meet(left, &right, &nodes(6)), (expected, false));
    }
}

#[test]
fn all_sets_of_ten_nodes_meet_in_all_sets() {
    let family: BTreeSet<NumaSet> = all_sets(10).into_iter().collect();
    let (met, cut) = meet(family.clone(), &family, &(0..10).map(NumaId::new).collect());
    assert_eq!((met.len(), cut), (1023, false));
}

#[test]
fn on_a_machine_with_many_nodes_the_widest_sets_are_followed() {
    let many: NumaSet = (0..40).map(NumaId::new).collect();
    let mut family: BTreeSet<NumaSet> = all_sets(11).into_iter().collect();
    family.insert(many.clone());
    let (met, cut) = meet(family.clone(), &family, &many);
    assert!(cut, "2048 x 2048 pairs are too many");
    assert!(met.contains(&many) && met.is_subset(&family), "the widest set is followed, and each result is a real one");
}
