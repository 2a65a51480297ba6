use super::follow::Follower;
use super::pod;
use gleaner_tests::apiserver::{ApiServer, Cut, Effect, PODS, Push, Rule};
use kube::runtime::watcher::Config;
use proptest::prelude::*;
use std::time::Duration;

/// One step of what happens to a server.
#[derive(Debug, Clone)]
enum Step {
    Set(u8),
    Remove(u8),
    Compact,
    Push(Push),
    Next(Effect),
    FailNext(usize, u16),
    /// The follower has time.
    Rest,
}

fn cut() -> impl Strategy<Value = Cut> {
    prop_oneof![Just(Cut::Clean), Just(Cut::Abrupt), Just(Cut::MidLine)]
}

fn step() -> impl Strategy<Value = Step> {
    let codes = prop_oneof![Just(500_u16), Just(503), Just(429), Just(410), Just(409), Just(504)];
    let push = prop_oneof![Just(Push::Bookmark), Just(Push::Gone), Just(Push::Garble), cut().prop_map(Push::Cut)];
    let effect = prop_oneof![
        (0_usize..3, cut()).prop_map(|(after, cut)| Effect::Cut(after, cut)),
        (0_usize..3).prop_map(Effect::Garble),
        Just(Effect::Gone),
        Just(Effect::HangUp),
        Just(Effect::LoseAnswer),
        Just(Effect::Page(502)),
    ];
    prop_oneof![
        4 => (0_u8..6).prop_map(Step::Set),
        2 => (0_u8..6).prop_map(Step::Remove),
        1 => Just(Step::Compact),
        2 => push.prop_map(Step::Push),
        1 => effect.prop_map(Step::Next),
        1 => (1_usize..3, codes).prop_map(|(times, code)| Step::FailNext(times, code)),
        3 => Just(Step::Rest),
    ]
}

async fn take(server: &ApiServer, step: &Step) {
    match step {
        Step::Set(at) => drop(server.add_pod(pod(&format!("p{at}")))),
        Step::Remove(at) => drop(server.delete(PODS, "default", &format!("p{at}"))),
        Step::Compact => server.compact(),
        Step::Push(push) => server.push(*push),
        Step::Next(effect) => server.inject(Rule::next(1, effect.clone())),
        Step::FailNext(times, code) => server.fail_next(*times, *code),
        Step::Rest => tokio::time::sleep(Duration::from_millis(3)).await,
    }
}

async fn run(steps: &[Step], streaming: bool, page: u32) {
    let server = ApiServer::new();
    let config = Config::default().page_size(page);
    let follower = Follower::start(server.client(), if streaming { config.streaming_lists() } else { config });
    for step in steps {
        take(&server, step).await;
    }
    server.heal();
    follower.agrees(&server, PODS).await;
    server.assert_clean();
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, cases: 48, max_shrink_iters: 200, ..ProptestConfig::default() })]

    #[test]
    fn a_watcher_ends_with_what_the_server_has(steps in proptest::collection::vec(step(), 0..40), streaming: bool, page in 1_u32..4) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(run(&steps, streaming, page));
    }
}
