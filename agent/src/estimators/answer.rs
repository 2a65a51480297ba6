//! What is believed of an answer.

use gleaner_crds::estimator::{AdviseResponse, RegionAdvice};
use gleaner_estimator::{Advice, Indicator, Region};
use gleaner_model::{MilliCpu, Timestamp};
use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

/// So many indicators of one region are taken.
const MOST_INDICATORS: usize = 16;
const LONGEST_NAME: usize = 63;

/// What an answer says of the regions that there are. An answer with anything wrong in it is refused as a whole: who is wrong once is not to be trusted with the rest.
///
/// # Errors
/// The first thing that is wrong with it.
pub(super) fn read(
    answer: AdviseResponse,
    regions: &BTreeSet<Region>,
    capacity: MilliCpu,
    at: Timestamp,
    longest: Duration,
) -> Result<BTreeMap<Region, Advice>, String> {
    let mut advice = BTreeMap::new();
    for said in answer.regions {
        let (region, found) = one(said, regions, capacity, at, longest)?;
        if advice.insert(region.clone(), found).is_some() {
            return Err(format!("region {region} is there twice"));
        }
    }
    Ok(advice)
}

fn one(
    said: RegionAdvice,
    regions: &BTreeSet<Region>,
    capacity: MilliCpu,
    at: Timestamp,
    longest: Duration,
) -> Result<(Region, Advice), String> {
    let unknown = || format!("there is no region {:?}", said.region.chars().take(LONGEST_NAME).collect::<String>());
    let region = said.region.parse::<Region>().ok().filter(|region| regions.contains(region)).ok_or_else(unknown)?;
    let requirement = said.requirement_milli_cpu.map(MilliCpu::new);
    if let Some(cpu) = requirement.filter(|cpu| *cpu > capacity) {
        return Err(format!("region {region}: {cpu} CPU is more than the node's {capacity}"));
    }
    if said.indicators.len() > MOST_INDICATORS {
        return Err(format!("region {region}: {} indicators are more than {MOST_INDICATORS}", said.indicators.len()));
    }
    let mut indicators: Vec<Indicator> = Vec::new();
    for indicator in said.indicators {
        let legal = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-' | b'.');
        if indicator.name.is_empty() || indicator.name.len() > LONGEST_NAME || !indicator.name.bytes().all(legal) {
            return Err(format!("region {region}: an indicator's name is not 1 to {LONGEST_NAME} letters, digits, '_', '-' and '.'"));
        }
        if indicator.target == 0 {
            return Err(format!("region {region}: indicator {} has the target 0", indicator.name));
        }
        if indicators.iter().any(|other| other.name == indicator.name) {
            return Err(format!("region {region}: indicator {} is there twice", indicator.name));
        }
        indicators.push(Indicator { name: indicator.name, current: indicator.current, target: indicator.target });
    }
    let wished = Duration::from_millis(u64::from(said.valid_for_ms));
    let valid_for = if wished.is_zero() { longest } else { wished.min(longest) };
    Ok((region, Advice { at, valid_for, requirement, indicators }))
}
