//! Ticks to lines and back. Both sides keep the tick before, since a line says only what changed.

use super::line::{EvictionLine, PlacementLine, Policies, States, TickLine};
use super::patch::{apply, diff, without_nulls};
use super::sampled::{put_in, take_out};
use gleaner_estimator::{Advice, Estimate, Region};
use gleaner_eviction::Round;
use gleaner_model::{Assignment, Decision, Pod, PodUid, PoolName, Snapshot};
use gleaner_qrm_plugins::PlacePolicy;
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::{Error, Value};
use std::collections::{BTreeMap, BTreeSet};

/// One tick, as the loop hands it over.
#[derive(Debug, Clone)]
pub(crate) struct Tick {
    /// Before the tick; with them the line is a whole one.
    pub(crate) states: Option<States>,
    pub(crate) policies: Policies,
    pub(crate) advice: BTreeMap<Region, Advice>,
    pub(crate) snapshot: Snapshot,
    /// The one that the estimate was made with.
    pub(crate) assignment: Assignment,
    pub(crate) estimate: Estimate,
    pub(crate) placements: Vec<Placed>,
    pub(crate) eviction: Option<Evicted>,
    pub(crate) decisions: Vec<Decision>,
}

/// One question to the solver, and its answer.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Placed {
    pub(crate) start: Assignment,
    pub(crate) pods: BTreeMap<PodUid, Pod>,
    pub(crate) sizes: BTreeMap<PoolName, u32>,
    pub(crate) policy: PlacePolicy,
    pub(crate) result: Assignment,
}

/// Who had to go.
#[derive(Debug, Clone)]
pub(crate) struct Evicted {
    pub(crate) leaving: BTreeSet<PodUid>,
    pub(crate) fired: bool,
    pub(crate) round: Round,
}

/// Makes lines of ticks.
#[derive(Default)]
pub(crate) struct Encoder {
    before: Option<Before>,
}

struct Before {
    snapshot: Value,
    assignment: Value,
    policies: Policies,
    advice: BTreeMap<Region, Advice>,
}

impl Encoder {
    /// Whether the next tick may be one without states.
    pub(crate) fn can_go_on(&self) -> bool {
        self.before.is_some()
    }

    /// The next tick must be a whole one.
    pub(crate) fn forget(&mut self) {
        self.before = None;
    }

    /// The line of a tick.
    ///
    /// # Errors
    /// When a value cannot be written as JSON.
    pub(crate) fn encode(&mut self, tick: Tick) -> Result<TickLine, Error> {
        let before = if tick.states.is_some() { None } else { self.before.take() };
        self.before = None;
        let (mut snapshot, assignment) = (value_of(&tick.snapshot)?, value_of(&tick.assignment)?);
        let sampled = take_out(&mut snapshot);
        let placements = tick.placements.iter().map(|placed| placement(placed, &snapshot, &assignment)).collect::<Result<_, _>>()?;
        let eviction = tick.eviction.map(|e| {
            let round = serde_json::to_value(&e.round)?;
            Ok::<_, Error>(EvictionLine { leaving: e.leaving, fired: e.fired, round })
        });
        let empty = || Value::Object(serde_json::Map::new());
        let line = TickLine {
            states: tick.states,
            policies: before.as_ref().is_none_or(|b| b.policies != tick.policies).then(|| tick.policies.clone()),
            advice: before.as_ref().is_none_or(|b| b.advice != tick.advice).then(|| tick.advice.clone()),
            sampled,
            snapshot: match &before {
                Some(before) => diff(&before.snapshot, &snapshot).unwrap_or_else(empty),
                None => snapshot.clone(),
            },
            assignment: match &before {
                Some(before) => diff(&before.assignment, &assignment),
                None => Some(assignment.clone()),
            },
            estimate: serde_json::to_value(&tick.estimate)?,
            placements,
            eviction: eviction.transpose()?,
            decisions: tick.decisions,
        };
        self.before = Some(Before { snapshot, assignment, policies: tick.policies, advice: tick.advice });
        Ok(line)
    }
}

fn value_of<T: Serialize>(value: &T) -> Result<Value, Error> {
    serde_json::to_value(value).map(without_nulls)
}

fn placement(placed: &Placed, snapshot: &Value, assignment: &Value) -> Result<PlacementLine, Error> {
    let (start, pods, result) = (value_of(&placed.start)?, value_of(&placed.pods)?, value_of(&placed.result)?);
    Ok(PlacementLine {
        start: diff(assignment, &start),
        pods: diff(snapshot.get("pods").unwrap_or(&Value::Null), &pods),
        sizes: placed.sizes.clone(),
        policy: placed.policy.clone(),
        result: diff(&start, &result),
    })
}

/// One tick as it was read.
#[derive(Debug)]
pub(crate) struct Recorded {
    pub(crate) states: Option<States>,
    pub(crate) policies: Policies,
    pub(crate) advice: BTreeMap<Region, Advice>,
    pub(crate) snapshot: Snapshot,
    pub(crate) assignment: Assignment,
    /// The answer of the estimator, as it was written.
    pub(crate) estimate: Value,
    pub(crate) placements: Vec<Placed>,
    pub(crate) eviction: Option<EvictionLine>,
}

/// Makes ticks of lines.
#[derive(Default)]
pub(crate) struct Decoder {
    before: Option<Before>,
}

impl Decoder {
    /// The tick of a line.
    ///
    /// # Errors
    /// What is wrong with the line.
    pub(crate) fn decode(&mut self, line: TickLine) -> Result<Recorded, String> {
        let mut now = match (&line.states, self.before.take()) {
            (Some(_), _) => Before {
                snapshot: Value::Null,
                assignment: Value::Null,
                policies: line.policies.clone().ok_or("a whole tick without policies")?,
                advice: BTreeMap::new(),
            },
            (None, Some(before)) => before,
            (None, None) => return Err("says only what changed, and there is no tick before it".to_owned()),
        };
        apply(&mut now.snapshot, line.snapshot);
        let mut snapshot = now.snapshot.clone();
        line.sampled.iter().for_each(|sampled| put_in(&mut snapshot, sampled));
        line.assignment.into_iter().for_each(|patch| apply(&mut now.assignment, patch));
        line.policies.into_iter().for_each(|policies| now.policies = policies);
        line.advice.into_iter().for_each(|advice| now.advice = advice);
        let placements = line.placements.into_iter().map(|line| replaced(line, &now)).collect::<Result<_, _>>()?;
        let recorded = Recorded {
            states: line.states,
            policies: now.policies.clone(),
            advice: now.advice.clone(),
            snapshot: read("snapshot", &snapshot)?,
            assignment: read("assignment", &now.assignment)?,
            estimate: line.estimate,
            placements,
            eviction: line.eviction,
        };
        self.before = Some(now);
        Ok(recorded)
    }
}

fn replaced(line: PlacementLine, now: &Before) -> Result<Placed, String> {
    let patched = |mut value: Value, patch: Option<Value>| {
        patch.into_iter().for_each(|patch| apply(&mut value, patch));
        value
    };
    let start = patched(now.assignment.clone(), line.start);
    let pods = patched(now.snapshot.get("pods").cloned().unwrap_or_default(), line.pods);
    let result = patched(start.clone(), line.result);
    Ok(Placed {
        start: read("placement", &start)?,
        pods: read("pods of a placement", &pods)?,
        sizes: line.sizes,
        policy: line.policy,
        result: read("result of a placement", &result)?,
    })
}

fn read<T: DeserializeOwned>(what: &str, value: &Value) -> Result<T, String> {
    T::deserialize(value).map_err(|error| format!("{what}: {error}"))
}

#[cfg(test)]
mod tests;
