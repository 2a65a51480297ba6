use super::*;

fn total(sizes: &BTreeMap<PoolName, u32>) -> u64 {
    sizes.values().copied().map(u64::from).sum()
}

#[test]
fn sizes_are_brought_into_what_there_is() {
    for (available, expandable, fixed, expand, expected, fit) in [
        (10, vec![3, 2], 0, false, vec![3, 2], Fit::AsWanted),
        (10, vec![3, 2], 0, true, vec![6, 4], Fit::Expanded),
        (10, vec![3, 2], 5, true, vec![3, 2, 5], Fit::AsWanted),
        (12, vec![3, 2], 5, true, vec![4, 3, 5], Fit::Expanded),
        (5, vec![3, 2], 5, true, vec![1, 1, 3], Fit::Shrunk),
        (9, vec![2, 4, 4], 0, false, vec![2, 3, 4], Fit::Shrunk),
        (2, vec![3, 2], 5, true, vec![2, 2, 2], Fit::Together),
        (0, vec![3, 2], 0, true, vec![0, 0], Fit::Together),
        (2, vec![3, 0, 1], 0, false, vec![1, 0, 1], Fit::Shrunk),
        (1, vec![3, 0, 1], 0, false, vec![1, 0, 1], Fit::Together),
        (7, vec![0, 0], 0, true, vec![0, 0], Fit::AsWanted),
        (7, vec![], 0, true, vec![], Fit::AsWanted),
    ] {
        let all = pools(&expected);
        let expandable = pools(&expandable);
        let fixed: BTreeMap<_, _> = all.keys().filter(|name| !expandable.contains_key(*name)).map(|name| (name.clone(), fixed)).collect();
        let found = regulate_pool_sizes(available, &expandable, &fixed, expand);
        assert_eq!(found, PoolSizes { sizes: all, fit }, "{available} for {expandable:?} and {fixed:?}, expand {expand}");
        assert_eq!(found.throttled(), matches!(fit, Fit::Shrunk | Fit::Together));
    }
}

#[test]
fn the_largest_pools_lend_first() {
    for (sizes, required, expected) in [
        (vec![8, 8], 5, vec![("a", 3), ("b", 2)]),
        (vec![2, 9], 1, vec![("b", 1)]),
        (vec![2, 9], 11, vec![("a", 2), ("b", 9)]),
        (vec![2, 9], 100, vec![("a", 2), ("b", 9)]),
        (vec![0, 9], 4, vec![("b", 4)]),
        (vec![2, 9], 0, vec![]),
        (vec![], 4, vec![]),
    ] {
        let expected = expected.into_iter().map(|(pool, size)| (name(pool), size)).collect();
        assert_eq!(spread_overlap(&pools(&sizes), required), expected, "{required} of {sizes:?}");
    }
}

#[test]
fn isolated_pods_get_their_upper_size_where_the_shared_pool_keeps_need_and_requests() {
    for (available, requirement, requested, expected) in [(20, 6, 10, 8), (20, 10, 12, 8), (20, 6, 13, 4), (20, 13, 6, 4)] {
        let shared = [SharedRegion { pool: name("share"), node: None, requirement, requested }];
        let isolated = [IsolatedRegion { pool: name("alone"), node: None, lower: 4, upper: 8 }];
        let (available, reserved) = (nodes(&[available]), nodes(&[0]));
        let (shared, isolated) = (&shared[..], &isolated[..]);
        let input = ProvisionInput { available: &available, reserved: &reserved, shared, isolated, reclaim: true, overlap: false };
        let found = assemble_provision(&input);
        assert_eq!(found[&None].pools[&name("alone")], expected, "{input:?}");
    }
}

proptest! {
    #[test]
    fn sizes_fill_what_there_is_and_no_pool_goes_empty(
        available in size(), expandable in prop::collection::vec(size(), 0..8), fixed in prop::collection::vec(size(), 0..4), expand: bool,
    ) {
        let fixed: BTreeMap<_, _> = (0..).zip(fixed).map(|(i, size)| (name(&format!("fixed{i}")), size)).collect();
        let expandable = pools(&expandable);
        let found = regulate_pool_sizes(available, &expandable, &fixed, expand);
        let wanted: BTreeMap<_, _> = expandable.iter().chain(&fixed).map(|(name, size)| (name.clone(), *size)).collect();
        let sum = total(&found.sizes);
        match found.fit {
            Fit::AsWanted => prop_assert_eq!(&found.sizes, &wanted),
            Fit::Expanded => prop_assert!(sum == u64::from(available) && wanted.iter().all(|(name, size)| found.sizes[name] >= *size)),
            Fit::Shrunk => prop_assert!(sum == u64::from(available) && wanted.iter().all(|(name, size)| found.sizes[name] <= *size)),
            Fit::Together => {
                let all_of_it = |size: u32| if size > 0 { available } else { 0 };
                prop_assert!(wanted.iter().all(|(name, size)| found.sizes[name] == all_of_it(*size)), "{:?}", found);
            }
        }
        let kept = |(name, size): (&PoolName, &u32)| (*size > 0) == (found.sizes[name] > 0) || available == 0;
        prop_assert!(wanted.iter().all(kept), "{wanted:?} became {:?}", found.sizes);
        prop_assert!(expand || total(&found.sizes) <= total(&wanted) || found.fit == Fit::Together);
    }

    #[test]
    fn pools_lend_what_is_asked_for_as_far_as_they_have_it(sizes in prop::collection::vec(size(), 0..8), required in size()) {
        let sizes = pools(&sizes);
        let lent = spread_overlap(&sizes, required);
        prop_assert_eq!(total(&lent), u64::from(required).min(total(&sizes)));
        prop_assert!(lent.iter().all(|(name, part)| *part > 0 && *part <= sizes[name]), "{lent:?} of {sizes:?}");
    }

    #[test]
    fn provisions_stay_within_the_nodes(
        available in prop::collection::vec(0u32..40, 1..4), reserved in 0u32..8, reclaim: bool, overlap: bool,
        regions in prop::collection::vec((0u32..4, 0u32..30, 0u32..30, any::<bool>()), 0..8),
    ) {
        let reserved = nodes(&vec![reserved; available.len()]);
        let available = nodes(&available);
        let (mut shared, mut isolated) = (Vec::new(), Vec::new());
        for (i, (node, one, other, is_isolated)) in (0..).zip(regions) {
            let pool = name(&format!("pool{i}"));
            // One more than the highest node is no node: the region is not bound.
            let node = Some(NumaId::new(node)).filter(|node| available.contains_key(node));
            if is_isolated {
                isolated.push(IsolatedRegion { pool, node, lower: one.min(other), upper: one.max(other) });
            } else {
                shared.push(SharedRegion { pool, node, requirement: one, requested: other });
            }
        }
        let input = ProvisionInput { available: &available, reserved: &reserved, shared: &shared, isolated: &isolated, reclaim, overlap };
        let bound = |node: &NumaId| shared.iter().any(|r| r.node == Some(*node)) || isolated.iter().any(|r| r.node == Some(*node));
        for (group, provision) in assemble_provision(&input) {
            let cpus = |of: &BTreeMap<NumaId, u32>| -> u32 {
                of.iter().filter(|(node, _)| group.map_or(!bound(node), |group| group == **node)).map(|(_, cpus)| cpus).sum()
            };
            let (room, floor) = (cpus(&available), cpus(&reserved));
            let pools = provision.pools.values().sum::<u32>();
            let together = provision.throttled && provision.pools.values().all(|size| [0, room, room.saturating_sub(floor)].contains(size));
            let exclusive = if overlap { provision.reclaim } else { provision.reclaim.saturating_sub(floor) };
            let room = if overlap { room } else { room.saturating_sub(floor) };
            prop_assert!(pools + exclusive <= room || together, "{group:?}: {provision:?} in {room}");
            let within = |(pool, size): (&PoolName, &u32)| *size <= provision.pools[pool];
            prop_assert!(provision.overlaps.iter().all(within), "{group:?}: {provision:?}");
        }
    }
}
