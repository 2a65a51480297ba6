use super::*;

/// Victims of a node on which nothing changes for longer than every wait.
fn of(pods: &[Pod], supply: u64, policy: Policy, leaving: &[&str]) -> Vec<String> {
    let pods: Vec<(Pod, u64)> = pods.iter().map(|pod| (pod.clone(), 0)).collect();
    let mut node = Node { policy, leaving: set(leaving), ..Node::new(supply) };
    let rounds = node.seconds(NOW..NOW + 301, |second| snapshot(second, &pods));
    rounds.into_iter().flat_map(|(_, victims)| victims).collect()
}

fn tolerant(mut pod: Pod, own: u32) -> Pod {
    pod.qos.cpu.suppression_tolerance = Some(Permille::new(own));
    pod
}

#[test]
fn pods_go_in_order_until_the_rest_fits() {
    let ten = || Policy { cpu_budget: 10, ..Policy::default() };
    let one = || Policy::default();
    let (a, b, c) = (batch("a", 0, 4000), batch("b", 0, 6000), batch("c", -5, 1000));
    type Row = (&'static str, Vec<Pod>, u64, Policy, &'static [&'static str], &'static [&'static str]);
    // Name, pods, supply, policy, leaving, victims.
    let table: [Row; 10] = [
        ("promised is just tolerated", vec![a.clone(), b.clone()], 2000, ten(), &[], &[]),
        ("the larger promise first", vec![a.clone(), b.clone()], 1999, ten(), &[], &["b"]),
        ("lower priority before larger promise", vec![a.clone(), b.clone(), c.clone()], 2001, ten(), &[], &["c"]),
        ("until it fits", vec![a.clone(), b.clone(), c.clone()], 500, ten(), &[], &["c", "b", "a"]),
        ("within the budget", vec![a.clone(), b.clone(), c.clone()], 500, one(), &[], &["c"]),
        ("no supply is beyond any tolerance", vec![a.clone(), b.clone()], 0, ten(), &[], &["b", "a"]),
        ("who leaves no longer counts", vec![a.clone(), b.clone()], 1000, ten(), &["b"], &[]),
        ("equal pods by falling name", vec![batch("x", 0, 4000), batch("y", 0, 4000)], 1000, one(), &[], &["y"]),
        ("who was promised nothing frees nothing", vec![batch("x", -9, 0), a.clone()], 0, ten(), &[], &["a"]),
        ("a budget of zero switches the rule off", vec![a], 0, Policy { cpu_budget: 0, ..Policy::default() }, &[], &[]),
    ];
    for (name, pods, supply, policy, leaving, expected) in table {
        assert_eq!(of(&pods, supply, policy, leaving), expected, "{name}");
    }
}

#[test]
fn a_pod_may_bear_less_than_others_but_not_more() {
    let policy = || Policy { cpu_budget: 10, ..Policy::default() };
    let (picky, plain) = (tolerant(batch("picky", 9, 1000), 1500), batch("plain", 0, 1000));
    assert_eq!(of(&[picky.clone(), plain.clone()], 1000, policy(), &[]), ["picky"], "2 promised of 1 is more than 150%");
    assert_eq!(of(&[tolerant(picky, 50_000), plain], 100, policy(), &[]), ["plain", "picky"], "20 is more than the policy's 500%");
}

#[test]
fn suppression_must_last_and_the_reason_has_the_numbers() {
    let pods = [(batch("a", 0, 6000), 0)];
    let mut node = Node::new(1000);
    assert_eq!(node.seconds(NOW..NOW + 300, |s| snapshot(s, &pods)), []);
    let round = node.tick(&snapshot(NOW + 300, &pods));
    let expected = Reason::EvictSuppressed {
        promised: MilliCpu::new(6000),
        supply: MilliCpu::new(1000),
        tolerated: Permille::new(5000),
        lasted: Duration::from_secs(300),
        frees: MilliCpu::new(6000),
    };
    let victim = Victim { pod: uid("a"), name: pods[0].0.name.clone(), grace: Duration::from_secs(30), reason: expected };
    assert_eq!(round.victims, [victim]);
}

#[test]
fn a_moment_of_enough_or_unknown_supply_starts_the_wait_anew() {
    let pods = [(batch("a", 0, 6000), 0)];
    for relief in [Some(MilliCpu::new(1200)), None] {
        let mut node = Node::new(1000);
        assert_eq!(node.seconds(NOW..NOW + 200, |s| snapshot(s, &pods)), []);
        node.supply = relief;
        let round = node.tick(&snapshot(NOW + 200, &pods));
        assert_eq!(round.notes.len(), usize::from(relief.is_none()), "{:?}", round.notes);
        node.supply = Some(MilliCpu::new(1000));
        let victims = node.seconds(NOW + 201..NOW + 502, |s| snapshot(s, &pods));
        assert_eq!(victims, [(NOW + 501, vec!["a".to_owned()])], "after {relief:?}");
    }
}

#[test]
fn a_pause_of_the_agent_is_no_proof_that_suppression_lasted() {
    let pods = [(batch("a", 0, 6000), 0)];
    let mut node = Node::new(1000);
    for second in [0, 1, 1000, 2000] {
        assert_eq!(names(&node.tick(&snapshot(NOW + second, &pods))), [""; 0], "after {second} s");
    }
}

#[test]
fn each_pod_waits_for_itself() {
    let (old, new) = (batch("old", 9, 6000), batch("new", 0, 6000));
    let mut node = Node::new(1000);
    assert_eq!(node.seconds(NOW..NOW + 100, |s| snapshot(s, &[(old.clone(), 0)])), []);
    let both = |s| snapshot(s, &[(old.clone(), 0), (new.clone(), 0)]);
    assert_eq!(node.seconds(NOW + 100..NOW + 301, both), [(NOW + 300, vec!["old".to_owned()])]);
}

#[test]
fn after_an_eviction_all_rules_wait() {
    let pods = [(batch("a", 0, 6000), GIB), (batch("b", 0, 6000), GIB), (batch("c", 0, 6000), GIB)];
    let mut node = Node::new(1000);
    let first = node.seconds(NOW..NOW + 301, |s| snapshot(s, &pods));
    assert_eq!(first, [(NOW + 300, vec!["c".to_owned()])]);
    node.leaving = set(&["c"]);
    let low = |s| {
        let mut low = snapshot(s, &pods);
        low.node.memory_available = Reading::present(Bytes::ZERO, at(s));
        low
    };
    assert_eq!(node.seconds(NOW + 301..NOW + 336, low), [(NOW + 335, vec!["b".to_owned()])]);
}

#[test]
fn the_grace_period_is_the_pods_own_up_to_the_policys() {
    for (own, expected) in [(0, 0), (30, 30), (3600, 60)] {
        let mut pod = batch("a", 0, 6000);
        pod.grace = Duration::from_secs(own);
        let mut node = Node { policy: Policy { suppression_after: Span::from_secs(0), ..Policy::default() }, ..Node::new(0) };
        let round = node.tick(&snapshot(NOW, &[(pod, 0)]));
        assert_eq!(round.victims[0].grace, Duration::from_secs(expected), "{own} s");
    }
}
