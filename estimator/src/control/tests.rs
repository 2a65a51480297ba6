use super::*;
use crate::requirement::testing::{member, milli, of_region};
use std::time::Duration;

fn at(second: u64) -> Timestamp {
    Timestamp::since_boot(Duration::from_secs(second))
}

/// A region on ten CPUs that requests 1000, uses 100 and wants this much.
fn sight<'a>(members: &'a [Member<'a>], wanted: u64) -> Sight<'a> {
    Sight {
        now: at(100),
        wall: None,
        capacity: milli(10_000),
        requested: milli(1000),
        members,
        usage: milli(100),
        wanted: milli(wanted),
        indicators: &[],
    }
}

fn step(name: PolicyName, history: &RegionHistory, wanted: u64, advice: Option<&Advice>) -> (u64, RequirementRule) {
    let members = [Member { usage: Some(milli(100)), ..member(Some(1000)) }];
    let found = Control::default().step(history, &Policy::default(), name, &sight(&members, wanted), advice);
    (found.cpu.get(), found.rule)
}

#[test]
fn a_policy_that_knows_too_little_falls_back_on_the_requests() {
    let nothing = RegionHistory::default();
    for name in [PolicyName::NSigma, PolicyName::Percentile, PolicyName::Seasonal, PolicyName::Feedback] {
        assert_eq!(step(name, &nothing, 500, None), (1000, RequirementRule::Request), "{name}");
        assert_eq!(step(name, &nothing, 3000, None), (3000, RequirementRule::Request), "{name} wants more than was requested");
    }
    let known = of_region(&[(90, 90, 300)]);
    assert_eq!(step(PolicyName::NSigma, &known, 500, None).1, RequirementRule::NSigma);
}

#[test]
fn what_another_process_supplied_rules_while_it_holds_but_not_below_what_is_needed_now() {
    let advice = |received: u64, cpu: Option<u64>| Advice {
        at: at(received),
        valid_for: Duration::from_secs(10),
        requirement: cpu.map(milli),
        indicators: Vec::new(),
    };
    let known = of_region(&[(90, 90, 900)]);
    let table = [
        ("less than the policy says", 90, Some(700), (700, RequirementRule::External)),
        ("more than it says", 90, Some(9000), (9000, RequirementRule::External)),
        ("less than is needed now", 90, Some(100), (500, RequirementRule::External)),
        ("nothing", 90, Some(0), (500, RequirementRule::External)),
        ("it does not hold any more", 89, Some(700), (900, RequirementRule::NSigma)),
        ("indicators alone", 90, None, (900, RequirementRule::NSigma)),
    ];
    for (name, received, cpu, expected) in table {
        assert_eq!(step(PolicyName::NSigma, &known, 500, Some(&advice(received, cpu))), expected, "{name}");
    }
}

#[test]
fn the_pool_follows_what_the_region_needs_and_by_katalysts_policy_its_regulator() {
    let members = [Member { usage: Some(milli(2000)), ..member(Some(2000)) }];
    let (nothing, policy) = (RegionHistory::default(), Policy::default());
    let mut control = Control::default();
    assert_eq!(control.pool(), None, "before the first tick");
    let found = control.step(&nothing, &policy, PolicyName::UsageMargin, &sight(&members, 500), None);
    assert_eq!(control.pool(), Some(found.cpu));
    let found = control.step(&nothing, &policy, PolicyName::Canonical, &sight(&members, 500), None);
    let pool = control.pool();
    assert_eq!((found.cpu, found.rule), (milli(2500), RequirementRule::Canonical));
    assert!(pool.is_some_and(|pool| pool >= found.cpu), "{pool:?}");
    let idle = [Member { usage: Some(milli(80)), ..member(Some(2000)) }];
    let later = Sight { now: at(101), ..sight(&idle, 100) };
    let found = control.step(&nothing, &policy, PolicyName::Canonical, &later, None);
    assert!(control.pool() > Some(found.cpu), "a pool is not shrunk at one stroke: {:?} for {}", control.pool(), found.cpu);
}
