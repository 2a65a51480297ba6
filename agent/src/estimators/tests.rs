#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "tests")]

use super::*;
use crate::estimators::answer::read;
use gleaner_crds::estimator::{AdviseResponse, Indicator, RegionAdvice};
use gleaner_estimator::{RegionFigures, Requirement};
use gleaner_model::{RequirementRule, WallTime};
use proptest::prelude::*;
use std::collections::BTreeSet;
use std::time::Duration;

fn at(second: u64) -> Timestamp {
    Timestamp::since_boot(Duration::from_secs(second))
}

fn share() -> Region {
    "share".parse().unwrap()
}

fn advice(second: u64, valid: u64, milli: Option<u64>) -> BTreeMap<Region, Advice> {
    let one =
        Advice { at: at(second), valid_for: Duration::from_secs(valid), requirement: milli.map(MilliCpu::new), indicators: Vec::new() };
    BTreeMap::from([(share(), one)])
}

fn said(region: &str, milli: Option<u64>, indicators: &[(&str, u64)], valid_for_ms: u32) -> RegionAdvice {
    let indicator = |(name, target): &(&str, u64)| Indicator { name: (*name).to_owned(), current: 5, target: *target };
    RegionAdvice {
        region: region.to_owned(),
        requirement_milli_cpu: milli,
        indicators: indicators.iter().map(indicator).collect(),
        valid_for_ms,
    }
}

fn read_one(regions: Vec<RegionAdvice>) -> Result<BTreeMap<Region, Advice>, String> {
    let known = BTreeSet::from([share(), Region::System]);
    read(AdviseResponse { regions }, &known, MilliCpu::from_cpus(8), at(7), Duration::from_secs(60))
}

#[test]
fn an_answer_is_taken_with_its_time_and_bounds() {
    let taken = read_one(vec![said("share", Some(3000), &[("p99_latency_us", 900)], 5000), said("system/", None, &[], 0)]).unwrap();
    let expected = Advice {
        at: at(7),
        valid_for: Duration::from_secs(5),
        requirement: Some(MilliCpu::new(3000)),
        indicators: vec![gleaner_estimator::Indicator { name: "p99_latency_us".to_owned(), current: 5, target: 900 }],
    };
    assert_eq!(taken[&share()], expected);
    assert_eq!(taken[&Region::System].valid_for, Duration::from_secs(60), "0 is as long as is tolerated");
    let long = read_one(vec![said("share", None, &[], u32::MAX)]).unwrap();
    assert_eq!(long[&share()].valid_for, Duration::from_secs(60));
}

#[test]
fn an_answer_with_anything_wrong_in_it_is_refused_with_the_place() {
    let many: Vec<(String, u64)> = (0..17).map(|n| (format!("i{n}"), 1)).collect();
    let many: Vec<(&str, u64)> = many.iter().map(|(name, target)| (name.as_str(), *target)).collect();
    let table: [(Vec<RegionAdvice>, &str); 8] = [
        (vec![said("nowhere", None, &[], 0)], "there is no region \"nowhere\""),
        (vec![said("", None, &[], 0)], "there is no region \"\""),
        (vec![said("share", None, &[], 0), said("share", None, &[], 0)], "region share is there twice"),
        (vec![said("share", Some(8001), &[], 0)], "region share: 8001m CPU is more than the node's 8"),
        (vec![said("share", None, &[("a b", 1)], 0)], "region share: an indicator's name is not 1 to 63 letters, digits, '_', '-' and '.'"),
        (vec![said("share", None, &[("cpi", 0)], 0)], "region share: indicator cpi has the target 0"),
        (vec![said("share", None, &[("cpi", 1), ("cpi", 1)], 0)], "region share: indicator cpi is there twice"),
        (vec![said("share", None, &many, 0)], "region share: 17 indicators are more than 16"),
    ];
    for (answer, expected) in table {
        assert_eq!(read_one(answer.clone()).unwrap_err(), expected, "{answer:?}");
    }
}

#[test]
fn the_largest_figure_of_those_that_hold_rules() {
    let mut advisers = Advisers::default();
    advisers.said("a", advice(0, 10, Some(1000)));
    advisers.said("b", advice(0, 5, Some(3000)));
    advisers.said("c", advice(0, 20, None));
    let figure = |advisers: &mut Advisers, second| advisers.advice(at(second)).get(&share()).and_then(|advice| advice.requirement);
    assert_eq!(figure(&mut advisers, 5), Some(MilliCpu::new(3000)));
    assert_eq!(figure(&mut advisers, 6), Some(MilliCpu::new(1000)), "the larger one has expired");
    assert_eq!(figure(&mut advisers, 11), None, "an estimator that gives no figure leaves the own policy");
    assert!(advisers.advice(at(21)).is_empty());
    advisers.said("a", advice(30, 10, Some(500)));
    advisers.said("a", BTreeMap::new());
    assert!(advisers.advice(at(31)).is_empty(), "what is not repeated does not hold any more");
}

#[test]
fn the_question_has_every_region_and_no_figure_for_what_is_unknown() {
    let requirement = Some(Requirement { cpu: MilliCpu::new(900), rule: RequirementRule::Recent });
    let known = RegionFigures { capacity: MilliCpu::from_cpus(4), requested: MilliCpu::new(800), usage: Some(MilliCpu::ZERO), requirement };
    let told = Told {
        node: "node-1".to_owned(),
        wall: Some(WallTime::from_unix(9)),
        capacity: MilliCpu::from_cpus(8),
        regions: BTreeMap::from([(share(), known), (Region::System, RegionFigures::default())]),
    };
    let question = task::request(&told);
    let figures: Vec<_> = question.regions.iter().map(|r| (r.region.as_str(), r.usage_milli_cpu, r.requirement_milli_cpu)).collect();
    assert_eq!(figures, [("share", Some(0), Some(900)), ("system/", None, None)]);
    assert_eq!((question.node.as_str(), question.unix_seconds, question.regions[0].rule.as_str()), ("node-1", 9, "recent peak"));
}

proptest! {
    #[test]
    fn whatever_is_answered_is_bounded_or_refused(
        answers in prop::collection::vec(
            (".{0,80}|share", prop::option::of(any::<u64>()), prop::collection::vec((".{0,70}", any::<u64>()), 0..20), any::<u32>()), 0..4),
    ) {
        let regions = answers.iter().map(|(region, milli, indicators, valid)| {
            let indicators: Vec<(&str, u64)> = indicators.iter().map(|(name, target)| (name.as_str(), *target)).collect();
            said(region, *milli, &indicators, *valid)
        });
        match read_one(regions.collect()) {
            Ok(taken) => for advice in taken.values() {
                prop_assert!(advice.requirement <= Some(MilliCpu::from_cpus(8)), "{advice:?}");
                prop_assert!(advice.valid_for <= Duration::from_secs(60) && !advice.valid_for.is_zero(), "{advice:?}");
                prop_assert!(advice.indicators.len() <= 16 && advice.indicators.iter().all(|i| i.target > 0), "{advice:?}");
            },
            Err(line) => prop_assert!(!line.contains('\n') && line.len() < 700, "{line:?}"),
        }
    }
}
