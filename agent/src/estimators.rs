//! Estimators in other processes: what they are told, what they may say, and who asks them.

mod answer;
mod settings;
mod task;

pub(crate) use settings::EstimatorSettings;
pub(crate) use task::{EstimatorEvent, Told, start};

use gleaner_estimator::{Advice, Region};
use gleaner_model::{MilliCpu, Timestamp};
use std::collections::BTreeMap;

/// What each estimator said last, by its name.
#[derive(Debug, Default)]
pub(crate) struct Advisers(BTreeMap<String, BTreeMap<Region, Advice>>);

impl Advisers {
    /// Takes in what one said. What it does not repeat does not hold any more; where it said nothing, what it said before holds as long as it was to.
    pub(crate) fn said(&mut self, name: &str, advice: BTreeMap<Region, Advice>) {
        self.0.insert(name.to_owned(), advice);
    }

    /// What holds for each region now: of several figures the largest, of indicators all.
    pub(crate) fn advice(&mut self, now: Timestamp) -> BTreeMap<Region, Advice> {
        let mut held: BTreeMap<Region, Advice> = BTreeMap::new();
        for by_region in self.0.values_mut() {
            by_region.retain(|_, advice| advice.is_valid(now));
            for (region, advice) in by_region {
                match held.get_mut(region) {
                    Some(other) => merge(other, advice, now),
                    None => drop(held.insert(region.clone(), advice.clone())),
                }
            }
        }
        held
    }
}

/// Both hold now, and until the first of them ends; the rest of the other is told anew at the next tick.
fn merge(into: &mut Advice, other: &Advice, now: Timestamp) {
    let left = |advice: &Advice| advice.valid_for.saturating_sub(now.since(advice.at));
    into.valid_for = left(into).min(left(other));
    into.at = now;
    into.requirement = max(into.requirement, other.requirement);
    into.indicators.extend(other.indicators.iter().cloned());
}

fn max(one: Option<MilliCpu>, other: Option<MilliCpu>) -> Option<MilliCpu> {
    match (one, other) {
        (Some(one), Some(other)) => Some(one.max(other)),
        (one, other) => one.or(other),
    }
}

#[cfg(test)]
mod tests;
