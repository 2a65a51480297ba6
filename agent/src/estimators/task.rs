//! Asks one estimator every so often. Its calls are made here, beside the loop; what it says arrives as an event.

use super::answer;
use super::settings::EstimatorSettings;
use gleaner_crds::estimator::estimator_client::EstimatorClient;
use gleaner_crds::estimator::{AdviseRequest, RegionReport};
use gleaner_estimator::{Advice, Region, RegionFigures};
use gleaner_host::clock;
use gleaner_model::{MilliCpu, WallTime};
use gleaner_qrm_plugins::serve::{HangUp, dial, in_words};
use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;
use tokio::sync::{mpsc, watch};
use tokio::time::{MissedTickBehavior, interval, timeout};
use tonic::Status;

/// What estimators are told: the last tick's figures. Absent before the first tick.
#[derive(Debug, Clone, Default)]
pub(crate) struct Told {
    /// The node's name.
    pub(crate) node: String,
    /// When, by the calendar.
    pub(crate) wall: Option<WallTime>,
    /// All CPUs.
    pub(crate) capacity: MilliCpu,
    /// The regions.
    pub(crate) regions: BTreeMap<Region, RegionFigures>,
}

/// What one estimator said, or why it said nothing.
#[derive(Debug)]
pub(crate) struct EstimatorEvent {
    /// The estimator.
    pub(crate) name: String,
    /// What it said.
    pub(crate) said: Result<BTreeMap<Region, Advice>, String>,
}

/// Starts one task an estimator; they end when the sender of what they are told is dropped.
pub(crate) fn start<E: From<EstimatorEvent> + Send + 'static>(
    settings: &BTreeMap<String, EstimatorSettings>,
    told: &watch::Receiver<Option<Told>>,
    events: &mpsc::Sender<E>,
) {
    for (name, settings) in settings {
        tokio::spawn(ask_ever_again(name.clone(), settings.clone(), told.clone(), events.clone()));
    }
}

async fn ask_ever_again<E: From<EstimatorEvent>>(
    name: String,
    settings: EstimatorSettings,
    mut told: watch::Receiver<Option<Told>>,
    events: mpsc::Sender<E>,
) {
    if told.wait_for(Option::is_some).await.is_err() {
        return;
    }
    let mut due = interval(settings.period.get());
    due.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut client = None;
    loop {
        due.tick().await;
        if told.has_changed().is_err() {
            return;
        }
        let Some(told) = told.borrow().clone() else { continue };
        let said = match connected(&mut client, &settings) {
            Ok(client) => ask(client, &told, &settings).await,
            Err(problem) => Err(problem),
        };
        if said.is_err() {
            // Another process may listen there by now.
            client = None;
        }
        if events.send(EstimatorEvent { name: name.clone(), said }.into()).await.is_err() {
            return;
        }
    }
}

/// What asks, and what ends its connection when both are dropped.
struct Client {
    calls: EstimatorClient<tonic::transport::Channel>,
    _hang_up: HangUp,
}

fn connected<'a>(client: &'a mut Option<Client>, settings: &EstimatorSettings) -> Result<&'a mut Client, String> {
    let new = match client.take() {
        Some(client) => client,
        None => {
            let (channel, hang_up) = dial(&settings.socket).map_err(|error| error.to_string())?;
            Client { calls: EstimatorClient::new(channel), _hang_up: hang_up }
        }
    };
    Ok(client.insert(new))
}

async fn ask(client: &mut Client, told: &Told, settings: &EstimatorSettings) -> Result<BTreeMap<Region, Advice>, String> {
    let deadline: Duration = settings.deadline.get();
    let answer = timeout(deadline, client.calls.advise(request(told))).await;
    let answer = answer.map_err(|_| format!("no answer within {}", settings.deadline))?.map_err(|status| words(&status))?;
    let regions: BTreeSet<Region> = told.regions.keys().cloned().collect();
    answer::read(answer.into_inner(), &regions, told.capacity, clock::now(), settings.valid_for.get())
}

/// The innermost cause, where the call failed on this side; else what the estimator says itself.
fn words(status: &Status) -> String {
    let mut cause = std::error::Error::source(status);
    while let Some(deeper) = cause.and_then(std::error::Error::source) {
        cause = Some(deeper);
    }
    match cause {
        Some(cause) => in_words(&cause.to_string()),
        None if status.message().is_empty() => status.code().description().to_owned(),
        None => in_words(status.message()),
    }
}

pub(super) fn request(told: &Told) -> AdviseRequest {
    let report = |(region, figures): (&Region, &RegionFigures)| RegionReport {
        region: region.to_string(),
        capacity_milli_cpu: figures.capacity.get(),
        requested_milli_cpu: figures.requested.get(),
        usage_milli_cpu: figures.usage.map(MilliCpu::get),
        requirement_milli_cpu: figures.requirement.map(|requirement| requirement.cpu.get()),
        rule: figures.requirement.map(|requirement| requirement.rule.to_string()).unwrap_or_default(),
    };
    AdviseRequest {
        node: told.node.clone(),
        unix_seconds: told.wall.map(WallTime::unix).unwrap_or_default(),
        regions: told.regions.iter().map(report).collect(),
    }
}

#[cfg(test)]
mod tests;
