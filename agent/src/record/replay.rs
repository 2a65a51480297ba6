//! Runs the agent's own pure functions over recorded ticks.

mod compare;
mod lane;
mod order;
mod series;

use super::codec::{Decoder, Recorded};
use super::line::{Header, Line, States};
use super::read::{Lines, Next, check, open};
use super::score::Score;
use crate::config::Mode;
pub(super) use compare::Check;
use gleaner_estimator::{Input, PolicyName};
use gleaner_model::Timestamp;
use gleaner_qrm_plugins::{demands, place};
use lane::Lane;
use serde::Serialize;
use series::Series;
use std::io::Read;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// What is to be done beside the recorded policy.
pub(crate) struct Options {
    /// Policies to compare with.
    pub(crate) policies: Vec<PolicyName>,
    /// How far the clairvoyant looks ahead.
    pub(crate) horizon: Duration,
}

/// What a replay found.
#[derive(Debug, Clone, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Report {
    /// Where and by what the first tick was recorded.
    pub(crate) node: String,
    pub(crate) gleaner: String,
    pub(crate) mode: Mode,
    pub(crate) shadow: bool,
    /// Ticks that were read.
    pub(crate) ticks: u64,
    /// Ticks that the recording misses.
    pub(crate) missing: u64,
    /// Time over which policies are compared.
    pub(crate) seconds: f64,
    pub(crate) estimates: Check,
    pub(crate) states: Check,
    pub(crate) placements: Check,
    pub(crate) evictions: Check,
    /// The recorded policy first.
    pub(crate) policies: Vec<Row>,
    /// What the reader should know, a line each.
    pub(crate) notes: Vec<String>,
}

impl Report {
    /// Whether everything was decided as it was recorded.
    pub(crate) fn is_identical(&self) -> bool {
        [&self.estimates, &self.states, &self.placements, &self.evictions].iter().all(|check| check.is_identical())
    }
}

/// One policy.
#[derive(Debug, Clone, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Row {
    pub(crate) policy: String,
    /// It is the one that the agent ran.
    pub(crate) recorded: bool,
    #[serde(flatten)]
    pub(crate) score: Score,
    /// Pods that the rules of eviction would have ended, if what was lent were this.
    pub(crate) evictions: u64,
}

/// Replays files.
///
/// # Errors
/// The first line that is of no use, and why; or that there is nothing to replay.
pub(crate) fn replay(files: &[PathBuf], options: &Options) -> Result<Report, String> {
    let mut runner = Runner::new(options);
    for file in order::by_time(files)? {
        let mut lines = open(&file).map_err(|error| format!("{}: {error}", file.display()))?;
        runner.read(&file, &mut lines)?;
    }
    runner.report(options)
}

/// What is carried from tick to tick.
struct Runner {
    header: Option<Header>,
    first: Option<Header>,
    decoder: Decoder,
    states: Option<States>,
    /// The carried state need not be the recorded one: ticks are missing, or another run began.
    broken: bool,
    recorded: Lane,
    others: Vec<Lane>,
    series: Series,
    ticks: u64,
    missing: u64,
    checks: [Check; 4],
    notes: Vec<String>,
}

impl Runner {
    fn new(options: &Options) -> Self {
        Self {
            header: None,
            first: None,
            decoder: Decoder::default(),
            states: None,
            broken: true,
            recorded: Lane::recorded(),
            others: options.policies.iter().map(|policy| Lane::of(*policy)).collect(),
            series: Series::default(),
            ticks: 0,
            missing: 0,
            checks: Default::default(),
            notes: Vec::new(),
        }
    }

    /// Takes the lines of one file.
    fn read<R: Read>(&mut self, file: &Path, lines: &mut Lines<R>) -> Result<(), String> {
        loop {
            let next = lines.next();
            let place = format!("{}:{}", file.display(), lines.number);
            match next.and_then(|next| self.take(next, &place)) {
                Ok(true) => {}
                Ok(false) => return Ok(()),
                Err(cause) => return Err(format!("{place}: {cause}")),
            }
        }
    }

    /// Takes what came next; false at the end.
    fn take(&mut self, next: Next, place: &str) -> Result<bool, String> {
        match next {
            Next::Line(Line::Header(header)) => {
                check(&header)?;
                self.begin(*header);
            }
            Next::Line(Line::Gap(ticks)) => {
                self.missing = self.missing.saturating_add(ticks);
                self.broken = true;
            }
            Next::Line(Line::Tick(line)) => {
                let recorded = self.decoder.decode(*line)?;
                self.tick(&recorded, place)?;
            }
            Next::Broken(cause) => {
                self.notes.push(match place.strip_suffix(":0") {
                    Some(file) => format!("{file}: is no recording, or nothing is left of it ({cause})"),
                    None => format!("{place}: cannot be read beyond this line ({cause}): the rest of the file is left out"),
                });
                self.broken = true;
                return Ok(false);
            }
            Next::End => return Ok(false),
        }
        Ok(true)
    }

    fn begin(&mut self, header: Header) {
        let run = |header: &Header| (header.node.clone(), header.boot.clone(), header.begun);
        if self.header.as_ref().map(run) != Some(run(&header)) {
            self.broken = true;
            self.states = None;
            self.series.interrupt();
        }
        let ours = env!("CARGO_PKG_VERSION");
        if self.header.as_ref().is_none_or(|old| old.gleaner != header.gleaner) && header.gleaner != ours {
            self.notes.push(format!("recorded by gleaner {}, replayed by {ours}: differences may come from that", header.gleaner));
        }
        self.first.get_or_insert_with(|| header.clone());
        self.header = Some(header);
    }

    fn tick(&mut self, recorded: &Recorded, place: &str) -> Result<(), String> {
        let header = self.header.clone().ok_or("a tick before any header")?;
        let [estimates, states, placements, evictions] = &mut self.checks;
        let at = At { place, tick: recorded.snapshot.at };
        if let Some(before) = &recorded.states {
            if let Some(carried) = self.states.as_ref().filter(|_| !self.broken) {
                states.compare(&at, before, carried)?;
            }
            if self.states.is_none() {
                self.others.iter_mut().for_each(|lane| lane.start(before));
            }
            self.states = Some(before.clone());
            self.broken = false;
        }
        let carried = self.states.take().ok_or("a tick without states before it")?;
        let input =
            Input { snapshot: &recorded.snapshot, topology: &header.topology, assignment: &recorded.assignment, advice: &recorded.advice };
        self.series.take(&recorded.snapshot, &header.topology, &recorded.policies.estimator);
        let (estimate, estimator) = gleaner_estimator::estimate(&input, &recorded.policies.estimator, carried.estimator);
        estimates.compare(&at, &recorded.estimate, &estimate)?;
        for placed in &recorded.placements {
            let answer = place_again(&header, placed);
            placements.compare(&at, &placed.result, &answer)?;
        }
        let eviction = match &recorded.eviction {
            None => carried.eviction,
            Some(asked) => {
                let (supply, policy) = (estimate.known_supply(), &recorded.policies.eviction);
                let (round, next) =
                    gleaner_eviction::decide(&recorded.snapshot, supply, policy, &carried.eviction, &asked.leaving, asked.fired);
                evictions.compare(&at, &asked.round, &round)?;
                self.recorded.count(&round);
                next
            }
        };
        self.recorded.promise(&self.series, estimate.cpu, recorded);
        self.states = Some(States { estimator, eviction });
        for lane in &mut self.others {
            lane.tick(&input, recorded, &self.series);
        }
        self.ticks += 1;
        Ok(())
    }

    fn report(mut self, options: &Options) -> Result<Report, String> {
        let first = self.first.filter(|_| self.ticks > 0).ok_or_else(|| match self.notes.first() {
            Some(note) => format!("no tick to replay: {note}"),
            None => "no tick to replay".to_owned(),
        })?;
        if self.missing > 0 {
            self.notes.push(format!("{} ticks are missing in the recording: it could not be written as fast, or not at all", self.missing));
        }
        let [estimates, states, placements, evictions] = self.checks;
        let lanes = std::iter::once(&self.recorded).chain(&self.others);
        Ok(Report {
            node: first.node,
            gleaner: first.gleaner,
            mode: first.mode,
            shadow: first.shadow,
            ticks: self.ticks,
            missing: self.missing,
            seconds: self.series.seconds(),
            estimates,
            states,
            placements,
            evictions,
            policies: lanes.map(|lane| lane.row(&self.series, options.horizon)).collect(),
            notes: self.notes,
        })
    }
}

/// Where in a recording something is.
struct At<'a> {
    place: &'a str,
    tick: Timestamp,
}

fn place_again(header: &Header, placed: &super::Placed) -> gleaner_model::Assignment {
    place(&header.topology, &placed.start, &placed.pods, &demands(&placed.pods, &placed.sizes), &placed.policy).assignment
}

#[cfg(test)]
mod tests;
