use super::*;
use gleaner_model::{PodName, Reason};
use proptest::prelude::*;
use std::collections::BTreeSet;

fn uid(n: usize) -> PodUid {
    format!("pod-{n}").parse().unwrap()
}

fn order_of(n: usize, api_uid: &str) -> EvictionOrder {
    let name = PodName { namespace: "batch".into(), name: format!("p{n}") };
    EvictionOrder { pod: uid(n), name, api_uid: api_uid.into(), grace: Duration::from_secs(5), reason: Reason::IdleClass }
}

fn order(n: usize) -> EvictionOrder {
    order_of(n, "a")
}

fn at(seconds: u64) -> Timestamp {
    Timestamp::since_boot(Duration::from_secs(seconds))
}

fn busy() -> Answered {
    Answered::Busy { cause: "no route".into(), after: None }
}

fn blocked(after: Option<u64>) -> Answered {
    Answered::Blocked { cause: "budget".into(), after: after.map(Duration::from_secs) }
}

#[test]
fn an_answer_that_is_for_good_ends_the_order() {
    let table = [
        (Answered::Accepted, EvictionOutcome::Accepted),
        (Answered::Gone, EvictionOutcome::Gone),
        (Answered::Refused("no".into()), EvictionOutcome::Failed("no".into())),
    ];
    for (answer, outcome) in table {
        let mut queue = Queue::new("n");
        assert_eq!(queue.order(order(1), at(0)), None);
        assert_eq!(queue.next(at(0)), Step::Send(order(1)));
        assert_eq!(queue.next(at(0)), Step::Idle, "it is not asked for twice");
        assert_eq!(queue.answered(&uid(1), answer, at(1)), Some(outcome));
        assert_eq!(queue.next(at(1)), Step::Idle);
    }
}

#[test]
fn a_blocked_pod_is_tried_again_when_the_server_says_or_later_and_later() {
    let mut queue = Queue::new("n");
    queue.order(order(1), at(0));
    let mut now = at(0);
    let mut waits = Vec::new();
    for after in [Some(10), Some(100_000), Some(0), None, None] {
        // Keeps it from getting stale, as one who still wants it does.
        queue.order(order(1), now);
        assert_eq!(queue.next(now), Step::Send(order(1)));
        let Some(EvictionOutcome::Blocked { again_in, .. }) = queue.answered(&uid(1), blocked(after), now) else { panic!("not blocked") };
        assert_eq!(queue.next(now), Step::Wait(now.after(again_in)));
        now = now.after(again_in);
        waits.push(again_in.as_secs_f64());
    }
    let between = [(10.0, 12.5), (300.0, 300.0), (20.1, 26.8), (40.2, 53.6), (80.4, 107.2)];
    for (wait, (least, most)) in waits.iter().zip(between) {
        assert!((least..=most).contains(wait), "{waits:?} against {between:?}");
    }
}

#[test]
fn a_server_that_is_away_is_not_told_until_the_order_is_stale() {
    let mut queue = Queue::new("n");
    queue.order(order(1), at(0));
    let mut now = at(0);
    let outcome = loop {
        match queue.next(now) {
            Step::Send(sent) => assert_eq!(queue.answered(&sent.pod, busy(), now), None),
            Step::Wait(until) => now = until,
            Step::Tell(_, outcome) => break outcome,
            Step::Idle => panic!("the order is lost"),
        }
    };
    assert_eq!((now, outcome), (at(600), EvictionOutcome::Failed("not possible within 600 s: no route".into())));
    assert_eq!(queue.next(now), Step::Idle);
}

#[test]
fn an_order_that_is_taken_back_is_not_asked_for() {
    let mut queue = Queue::new("n");
    queue.order(order(1), at(0));
    queue.withdraw(&uid(1));
    assert_eq!(queue.next(at(0)), Step::Idle);
}

#[test]
fn what_was_asked_before_it_was_taken_back_is_told_only_if_it_happened() {
    for (answer, outcome) in [(Answered::Accepted, Some(EvictionOutcome::Accepted)), (blocked(None), None), (busy(), None)] {
        let mut queue = Queue::new("n");
        queue.order(order(1), at(0));
        queue.next(at(0));
        queue.withdraw(&uid(1));
        assert_eq!(queue.answered(&uid(1), answer.clone(), at(1)), outcome, "{answer:?}");
        assert_eq!(queue.next(at(10_000)), Step::Idle, "{answer:?}: it is tried again");
    }
}

#[test]
fn ordering_again_does_not_ask_again_before_its_time() {
    let mut queue = Queue::new("n");
    queue.order(order(1), at(0));
    queue.next(at(0));
    queue.order(order(1), at(1));
    assert_eq!(queue.next(at(1)), Step::Idle, "one is under way");
    queue.answered(&uid(1), blocked(Some(60)), at(1));
    queue.order(order(1), at(2));
    assert!(matches!(queue.next(at(2)), Step::Wait(until) if until >= at(61)), "{:?}", queue.next(at(2)));
}

#[test]
fn an_answer_about_another_pod_of_the_name_says_nothing() {
    let mut queue = Queue::new("n");
    queue.order(order_of(1, "a"), at(0));
    queue.next(at(0));
    queue.order(order_of(1, "b"), at(1));
    assert_eq!(queue.answered(&uid(1), Answered::Gone, at(2)), None);
    assert_eq!(queue.next(at(2)), Step::Send(order_of(1, "b")));
}

#[test]
fn too_many_orders_are_refused() {
    let mut queue = Queue::new("n");
    assert!((0..MOST).all(|n| queue.order(order(n), at(0)).is_none()));
    assert!(matches!(queue.order(order(MOST), at(0)), Some(EvictionOutcome::Failed(_))));
    assert_eq!(queue.order(order(3), at(0)), None, "one that is kept may be replaced");
}

#[derive(Debug, Clone)]
enum Do {
    Order(usize, bool),
    Withdraw(usize),
    Next,
    Answer(usize, u8),
    Pass(u16),
}

fn action() -> impl Strategy<Value = Do> {
    prop_oneof![
        3 => (0usize..14, any::<bool>()).prop_map(|(n, other)| Do::Order(n, other)),
        1 => (0usize..14).prop_map(Do::Withdraw),
        6 => Just(Do::Next),
        4 => (0usize..14, 0u8..6).prop_map(|(n, what)| Do::Answer(n, what)),
        2 => (0u16..700).prop_map(Do::Pass),
    ]
}

fn answer(what: u8) -> Answered {
    match what {
        0 => Answered::Accepted,
        1 => Answered::Gone,
        2 => Answered::Refused("no".into()),
        3 => blocked(Some(7)),
        4 => blocked(None),
        _ => busy(),
    }
}

proptest! {
    #[test]
    fn never_two_requests_for_one_pod_nor_more_than_allowed_and_tries_keep_their_distance(doings in prop::collection::vec(action(), 0..300)) {
        let mut queue = Queue::new("n");
        let (mut now, mut flying) = (at(0), BTreeSet::new());
        // When a pod may be asked for again at the earliest, as long as the same uid is meant.
        let mut not_before = BTreeMap::new();
        let mut wanted: BTreeSet<PodUid> = BTreeSet::new();
        for doing in doings {
            match doing {
                Do::Order(n, other) => {
                    let api_uid = if other { "b" } else { "a" };
                    if not_before.get(&uid(n)).is_some_and(|(about, _): &(String, Timestamp)| about != api_uid) {
                        not_before.remove(&uid(n));
                    }
                    queue.order(order_of(n, api_uid), now);
                    wanted.insert(uid(n));
                }
                Do::Withdraw(n) => {
                    queue.withdraw(&uid(n));
                    wanted.remove(&uid(n));
                    not_before.remove(&uid(n));
                }
                Do::Pass(seconds) => now = now.after(Duration::from_secs(seconds.into())),
                Do::Answer(n, what) => {
                    let was = flying.remove(&uid(n));
                    let told = queue.answered(&uid(n), answer(what), now);
                    prop_assert!(was || told.is_none(), "an outcome without a request");
                    match told {
                        Some(EvictionOutcome::Blocked { again_in, .. }) => {
                            prop_assert!(again_in >= SHORTEST && again_in <= LONGEST);
                            not_before.insert(uid(n), (queue.orders[&uid(n)].order.api_uid.clone(), now.after(again_in)));
                        }
                        Some(_) => { wanted.remove(&uid(n)); not_before.remove(&uid(n)); }
                        None => {}
                    }
                }
                Do::Next => match queue.next(now) {
                    Step::Send(sent) => {
                        prop_assert!(wanted.contains(&sent.pod), "{} was taken back", sent.pod);
                        prop_assert!(flying.insert(sent.pod.clone()), "two requests for {}", sent.pod);
                        prop_assert!(flying.len() <= IN_FLIGHT);
                        if let Some((_, earliest)) = not_before.get(&sent.pod) {
                            prop_assert!(now >= *earliest, "{} before its time", sent.pod);
                        }
                    }
                    Step::Tell(pod, outcome) => {
                        prop_assert!(matches!(outcome, EvictionOutcome::Failed(_)) && wanted.remove(&pod));
                        not_before.remove(&pod);
                    }
                    Step::Wait(until) => prop_assert!(until > now, "it would go round without rest"),
                    Step::Idle => {}
                },
            }
        }
        // A server that never comes back: every order that still stands fails, in a bounded number of steps.
        for pod in flying {
            queue.answered(&pod, busy(), now);
        }
        for _ in 0..1000 {
            match queue.next(now) {
                Step::Send(sent) => prop_assert_eq!(queue.answered(&sent.pod, busy(), now), None),
                Step::Tell(pod, _) => prop_assert!(wanted.remove(&pod), "{} was told twice", pod),
                Step::Wait(until) => now = until,
                Step::Idle => break,
            }
        }
        prop_assert!(wanted.is_empty() && queue.next(now) == Step::Idle, "not told: {wanted:?}");
    }
}
