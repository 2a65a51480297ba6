use super::*;

const GIB: u64 = 1 << 30;

fn gib(count: u64) -> Bytes {
    Bytes::new(count * GIB)
}

fn used(rss: u64, cache: u64, shmem: u64) -> Option<MemoryUse> {
    Some(MemoryUse { rss: gib(rss), cache: gib(cache), shmem: gib(shmem) })
}

fn member(user: MemoryUser, used: Option<MemoryUse>, request: Option<u64>) -> MemoryMember {
    MemoryMember { user, used, request: request.map(gib) }
}

fn plain() -> CanonicalMemorySettings {
    CanonicalMemorySettings { reserved_for_allocate: gib(4), ..CanonicalMemorySettings::default() }
}

#[test]
fn each_container_counts_by_its_class() {
    for (member, need) in [
        (member(MemoryUser::Pod, used(5, 3, 2), Some(30)), 11),
        (member(MemoryUser::System, used(5, 3, 2), Some(30)), 5),
        (member(MemoryUser::WholeNodes(gib(40)), used(5, 3, 2), Some(30)), 40),
        (member(MemoryUser::Pod, None, Some(30)), 30),
        (member(MemoryUser::Pod, used(0, 0, 0), Some(30)), 30),
        (member(MemoryUser::Pod, None, None), 8),
        (member(MemoryUser::System, None, Some(0)), 8),
    ] {
        let input = CanonicalMemory { upper: gib(100), members: &[member], buffer: None };
        assert_eq!(memory_headroom_canonical(&input, &plain()), gib(100 - 4 - need), "{member:?}");
    }
}

fn readings(total: u64, free: u64, used: u64) -> MemoryBuffer {
    MemoryBuffer { total: gib(total), free: gib(free), used: gib(used), scale_factor: 500, cpus: 25 }
}

#[test]
fn the_buffer_is_what_is_free_beyond_watermarks_and_needs() {
    let members = [member(MemoryUser::Pod, used(10, 0, 0), None), member(MemoryUser::System, used(2, 1, 2), None)];
    let cap = 96;
    let off = CanonicalMemorySettings { static_based_capacity: Bytes::ZERO, free_based_ratio: Permille::new(500), ..plain() };
    let on = CanonicalMemorySettings { util_based: true, ..off.clone() };
    let fixed = CanonicalMemorySettings { static_based_capacity: gib(1), ..on.clone() };
    let cached = CanonicalMemorySettings { cache_based_ratio: Permille::new(500), ..on.clone() };
    // 11 for the pod, 2 for the system pod; 10 held by the pod, 3 of cache and shared memory held by the system pod.
    let base = cap - 13;
    for (what, settings, buffer, expected) in [
        ("off", &off, Some(readings(100, 80, 20)), base),
        ("no readings", &on, None, base),
        ("none free", &on, Some(readings(100, 0, 60)), base),
        // 25 of free, less watermarks of 10 and 13 + 3 - 10.
        ("some free", &on, Some(readings(100, 50, 20)), base + 9),
        ("a fixed part", &fixed, Some(readings(100, 0, 60)), base + 1),
        ("page cache", &cached, Some(readings(100, 0, 80)), base + 10),
        ("page cache, too little memory for a CPU", &cached, Some(MemoryBuffer { cpus: 29, ..readings(100, 0, 80) }), base),
        ("page cache, too much memory for a CPU", &cached, Some(MemoryBuffer { cpus: 16, ..readings(100, 0, 80) }), base),
        ("page cache, CPUs not known", &cached, Some(MemoryBuffer { cpus: 0, ..readings(100, 0, 80) }), base),
        ("at most the cap", &fixed, Some(readings(100, 100, 0)), cap),
    ] {
        let input = CanonicalMemory { upper: gib(100), members: &members, buffer };
        assert_eq!(memory_headroom_canonical(&input, settings), gib(expected), "{what}");
    }
}

fn node(total: u64, free: u64) -> NumaMemory {
    NumaMemory { total: gib(total), free: gib(free), ..NumaMemory::default() }
}

fn aware(nodes: &BTreeMap<NumaId, NumaMemory>) -> NumaAwareMemory<'_> {
    let none = Bytes::ZERO;
    NumaAwareMemory { nodes, machine_nodes: 2, scale_factor: 500, others_requested: none, others_used: none, reclaimed_used: none }
}

fn promises(input: &NumaAwareMemory<'_>, settings: &NumaAwareMemorySettings) -> Vec<u64> {
    memory_headroom_numa_aware(input, settings).into_values().map(|bytes| bytes.get() / GIB).collect()
}

#[test]
fn each_node_has_its_part_of_what_is_free_beyond_watermarks_and_reserves() {
    let settings = NumaAwareMemorySettings { reserved_for_allocate: gib(8), ..NumaAwareMemorySettings::default() };
    let cached = NumaAwareMemorySettings { cache_based_ratio: Permille::new(500), ..settings.clone() };
    let two = nodes(&[node(100, 60), node(100, 20)]);
    // 80 free, less watermarks of 10 and a reserve of 8.
    assert_eq!(promises(&aware(&two), &settings), [46, 15], "both nodes");
    let one = nodes(&[node(100, 60)]);
    assert_eq!(promises(&aware(&one), &settings), [60 - 5 - 4], "one of the machine's two nodes");
    let page_cache = nodes(&[NumaMemory { inactive_file: gib(20), ..node(100, 60) }]);
    assert_eq!(promises(&aware(&page_cache), &cached), [70 - 5 - 4], "page cache");
    let busy = NumaAwareMemory { others_requested: gib(40), others_used: gib(20), ..aware(&one) };
    // Of 40 that are not free, a part of 4 / 20 is kept.
    assert_eq!(promises(&busy, &settings), [60 - 5 - 4 - 8], "others that use less than they asked for");
    let asking = nodes(&[NumaMemory { requested: gib(20), ..node(100, 60) }]);
    let both = NumaAwareMemory { nodes: &asking, reclaimed_used: gib(20), ..busy };
    // Of 40 that are not free, a part of 4 / 40 is kept; reclaimed pods use what they requested.
    assert_eq!(promises(&both, &settings), [60 - 5 - 4 - 4 + 20], "others and reclaimed pods");
    let idle = NumaAwareMemory { others_requested: gib(40), ..aware(&one) };
    assert_eq!(promises(&idle, &settings), [60 - 5 - 4 - 4], "others that use nothing");
    assert_eq!(promises(&aware(&nodes(&[node(100, 0)])), &settings), [0], "nothing free");
    assert_eq!(promises(&aware(&BTreeMap::new()), &settings), [0u64; 0], "no node");
}

#[test]
fn a_node_promises_what_is_requested_already_and_no_more_than_its_limit_allows() {
    let settings = NumaAwareMemorySettings { reserved_for_allocate: Bytes::ZERO, ..NumaAwareMemorySettings::default() };
    let unbounded = NumaAwareMemorySettings { max_oversold_rate: Permille::new(0), ..settings.clone() };
    let asked = NumaMemory { requested: gib(10), limit: Some(gib(20)), ..node(100, 45) };
    let one = nodes(&[asked]);
    assert_eq!(promises(&aware(&one), &unbounded), [40 + 10], "nobody holds anything");
    assert_eq!(promises(&aware(&one), &settings), [40], "twice the limit");
    let half_used = NumaAwareMemory { reclaimed_used: gib(5), ..aware(&one) };
    assert_eq!(promises(&half_used, &unbounded), [40 * 2 + 10], "they hold half of what they requested");
}

fn amount() -> impl Strategy<Value = Bytes> {
    prop_oneof![9 => (0..200 * GIB).prop_map(Bytes::new), 1 => any::<u64>().prop_map(Bytes::new)]
}

proptest! {
    #[test]
    fn the_canonical_headroom_is_within_its_cap_and_never_rises_with_what_others_need(
        upper in amount(), needs in prop::collection::vec((amount(), any::<bool>()), 0..5), more in amount(), buffer: bool,
        node in [amount(), amount(), amount()], scale_factor: u32, cpus: u32, cache in share(),
    ) {
        let mut members: Vec<_> = needs.iter().map(|(rss, system)| {
            let user = if *system { MemoryUser::System } else { MemoryUser::Pod };
            MemoryMember { user, used: Some(MemoryUse { rss: *rss, ..MemoryUse::default() }), request: None }
        }).collect();
        let settings = CanonicalMemorySettings { util_based: true, cache_based_ratio: Permille::new(cache), ..plain() };
        let [total, free, used] = node;
        let buffer = buffer.then_some(MemoryBuffer { total, free, used, scale_factor, cpus });
        let before = memory_headroom_canonical(&CanonicalMemory { upper, members: &members, buffer }, &settings);
        members.push(MemoryMember { user: MemoryUser::WholeNodes(more), used: None, request: None });
        let after = memory_headroom_canonical(&CanonicalMemory { upper, members: &members, buffer }, &settings);
        prop_assert!(after <= before && before <= upper.minus(gib(4)), "{before} then {after} of {upper}");
    }

    #[test]
    fn a_promise_never_rises_with_less_free_memory_or_more_that_others_asked_for(
        node in [amount(), amount(), amount(), amount()], less in amount(), numbers in [amount(), amount(), amount(), amount()],
        scale_factor: u32, limit in prop::option::of(amount()),
    ) {
        let [total, free, inactive_file, requested] = node;
        let [others_requested, more, others_used, reclaimed_used] = numbers;
        let of = |less, more| {
            let node = nodes(&[NumaMemory { total, free: free.minus(less), inactive_file, requested, limit }]);
            let others_requested = others_requested.plus(more);
            let input = NumaAwareMemory { nodes: &node, machine_nodes: 2, scale_factor, others_requested, others_used, reclaimed_used };
            memory_headroom_numa_aware(&input, &NumaAwareMemorySettings::default()).values().copied().sum::<Bytes>()
        };
        let (before, after) = (of(Bytes::ZERO, Bytes::ZERO), of(less, more));
        prop_assert!(after <= before, "{before} then {after}");
        prop_assert!(limit.is_none_or(|limit| before <= limit.share(Permille::new(2000))), "{before} is above the limit");
    }

    #[test]
    fn any_readings_give_each_node_a_promise(
        all in prop::collection::vec([amount(), amount(), amount(), amount()], 0..4), numbers in [amount(), amount(), amount()],
        machine_nodes: u32, scale_factor: u32, ratio in share(),
    ) {
        let node = |[total, free, inactive_file, requested]: &[Bytes; 4]| {
            NumaMemory { total: *total, free: *free, inactive_file: *inactive_file, requested: *requested, limit: None }
        };
        let all = nodes(&all.iter().map(node).collect::<Vec<_>>());
        let [others_requested, others_used, reclaimed_used] = numbers;
        let input = NumaAwareMemory { nodes: &all, machine_nodes, scale_factor, others_requested, others_used, reclaimed_used };
        let ratio = Permille::new(ratio);
        let settings = NumaAwareMemorySettings { cache_based_ratio: ratio, request_based_ratio: ratio, ..NumaAwareMemorySettings::default() };
        let promised = memory_headroom_numa_aware(&input, &settings);
        prop_assert!(promised.keys().eq(all.keys()));
        prop_assert!(all.iter().all(|(id, node)| promised[id] >= node.requested), "{promised:?} of {all:?}");
    }
}
