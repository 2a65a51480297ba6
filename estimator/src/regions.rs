//! Sorts pods into regions, and asks each region's policy what it needs.

use crate::clusters::{Clusters, Day};
use crate::control::{Control, Sight, basis};
use crate::history::{ContainerTrack, Histories, RegionHistory, WorkloadHistory};
use crate::indicators::indicators;
use crate::need::{Need, PodNeed};
use crate::policy::Policy;
use crate::pools::{IsolationSize, home_of};
use crate::region::Region;
use crate::requirement::{Member, PolicyName};
use crate::{Input, RegionFigures};
use gleaner_model::{
    ContainerName, ContainerReadings, CpuSet, MilliCpu, Pod, PodReadings, PodUid, PoolName, QosClass, Timestamp, WallTime,
};
use std::collections::BTreeMap;
use std::time::Duration;

/// What one region needs.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct RegionNeed {
    /// What its pods need at least now, and what is not known of that.
    pub(crate) now: Need<MilliCpu>,
    /// Sum of their requests.
    pub(crate) requested: MilliCpu,
    /// How many they are.
    pub(crate) pods: usize,
    /// What its policy was told and says; `None` while something is missing, or without pods.
    pub(crate) figures: Option<RegionFigures>,
    /// How big its pool must be by its policy; `None` likewise.
    pub(crate) pool: Option<MilliCpu>,
}

impl RegionNeed {
    /// What is shown of it.
    pub(crate) fn figures(&self) -> RegionFigures {
        self.figures.unwrap_or(RegionFigures { requested: self.requested, ..RegionFigures::default() })
    }

    /// What the region needs, and what is not known of that.
    pub(crate) fn need(&self) -> Need<MilliCpu> {
        let required = self.figures.and_then(|figures| figures.requirement).map(|requirement| requirement.cpu);
        Need { known: required.unwrap_or(self.now.known), missing: self.now.missing.clone() }
    }
}

/// What is known of live containers.
pub(crate) type Tracks = BTreeMap<PodUid, BTreeMap<ContainerName, ContainerTrack>>;

/// What lives between ticks.
pub(crate) struct Memory<'a> {
    pub(crate) histories: &'a mut Histories,
    pub(crate) controls: &'a mut BTreeMap<Region, Control>,
    pub(crate) tracks: &'a mut Tracks,
    pub(crate) clusters: &'a Clusters,
}

/// A pod of a region, with all that is to be looked up of it: once, since on a full node it is the looking up that takes the time.
struct Resident<'a> {
    pod: &'a Pod,
    readings: Option<&'a PodReadings>,
    need: &'a PodNeed,
}

/// The pods of each region, by their uids; an isolated pod is in a region of its own, and the default pool is there without pods too. A system pod that joins pools by
/// the beginning of their names counts in the first of them, so that it is counted once.
fn regions<'a>(
    input: &Input<'a>,
    needs: &'a BTreeMap<PodUid, PodNeed>,
    isolated: &BTreeMap<PodUid, IsolationSize>,
) -> BTreeMap<Region, Vec<Resident<'a>>> {
    let snapshot = input.snapshot;
    let resident = |pod: &'a Pod| Some(Resident { pod, readings: snapshot.readings.get(&pod.uid), need: needs.get(&pod.uid)? });
    let of_class = |class| snapshot.pods.values().filter(move |pod| pod.class() == class).filter_map(resident);
    let mut regions: BTreeMap<Region, Vec<Resident<'a>>> = BTreeMap::from([(Region::Pool(PoolName::share()), Vec::new())]);
    for resident in of_class(QosClass::Shared) {
        let pod = resident.pod;
        let pool = isolated.get(&pod.uid).map_or_else(|| home_of(pod, input.assignment), |size| size.own.clone());
        regions.entry(Region::Pool(pool)).or_default().push(resident);
    }
    for resident in of_class(QosClass::System) {
        let joined = |region: &&Region| match (region, &resident.pod.qos.cpu.pool) {
            (Region::Pool(name), Some(prefix)) => !name.is_isolation() && name.as_str().starts_with(prefix.as_str()),
            _ => false,
        };
        let region = regions.keys().find(joined).cloned().unwrap_or(Region::System);
        regions.entry(region).or_default().push(resident);
    }
    regions
}

/// Workloads by the shape of their day, learned anew every hour.
pub(crate) fn cluster(
    histories: &Histories,
    clusters: Clusters,
    learned: Option<Timestamp>,
    now: Timestamp,
) -> (Clusters, Option<Timestamp>) {
    const EVERY: Duration = Duration::from_secs(3600);
    if learned.is_some_and(|learned| learned <= now && now.since(learned) < EVERY) {
        return (clusters, learned);
    }
    let days: Vec<Day> = histories.workloads.iter().map(|(_, history)| day(history)).collect();
    (Clusters::learn(&days), Some(now))
}

fn day(history: &WorkloadHistory) -> Day {
    let hours = history.profile().hours();
    Day { means: hours.map(|hour| hour.map(|hour| hour.mean)), peaks: hours.map(|hour| hour.map(|hour| hour.peak)) }
}

/// What is expected of a workload of which not every hour was seen, by those that are like it.
fn like(history: &WorkloadHistory, clusters: &Clusters, wall: Option<WallTime>) -> Option<MilliCpu> {
    const AHEAD: Duration = Duration::from_secs(3600);
    let day = day(history);
    if day.means.iter().all(Option::is_some) {
        return None;
    }
    Some(clusters.like(&day)?.peak(wall?, AHEAD))
}

/// What each region needs; what was seen is noted in the histories.
pub(crate) fn needs(
    input: &Input<'_>,
    policy: &Policy,
    pods: &BTreeMap<PodUid, PodNeed>,
    isolated: &BTreeMap<PodUid, IsolationSize>,
    mut remembered: Memory<'_>,
) -> BTreeMap<Region, RegionNeed> {
    let regions = regions(input, pods, isolated);
    remembered.controls.retain(|region, _| regions.contains_key(region));
    remembered.tracks.retain(|uid, _| pods.contains_key(uid));
    regions.values().flatten().for_each(|resident| watch(input, policy, resident, &mut remembered));
    let begun: Vec<RegionNeed> = regions.values().map(|residents| now(residents)).collect();
    let all: MilliCpu = begun.iter().map(|need| need.requested).sum();
    let one = |((region, residents), mut need): ((Region, Vec<Resident<'_>>), RegionNeed)| {
        if need.now.missing.is_empty() && !residents.is_empty() {
            need.figures = Some(ask(input, policy, (&region, &residents), &need, all, &mut remembered));
            need.pool = remembered.controls.get(&region).and_then(Control::pool);
        }
        (region, need)
    };
    regions.into_iter().zip(begun).map(one).collect()
}

/// What pods need before their policy is asked.
fn now(residents: &[Resident<'_>]) -> RegionNeed {
    let requested = residents.iter().map(|resident| resident.pod.cpu_request()).sum();
    let mut need = RegionNeed { pods: residents.len(), requested, ..RegionNeed::default() };
    residents.iter().for_each(|resident| need.now.add(&resident.need.cpu));
    need
}

/// Notes what each container of a pod used and waited for.
fn watch(input: &Input<'_>, policy: &Policy, resident: &Resident<'_>, remembered: &mut Memory<'_>) {
    let (snapshot, pod) = (input.snapshot, resident.pod);
    let Some(readings) = resident.readings else { return };
    let capacity = MilliCpu::from_cpus(input.topology.cpus().count());
    let tracks = remembered.tracks.entry(pod.uid.clone()).or_default();
    tracks.retain(|name, _| readings.containers.contains_key(name));
    for (name, readings) in &readings.containers {
        let Some(usage) = usage(readings, snapshot.at, policy) else { continue };
        let waited = readings.cpu_pressure.fresh(snapshot.at, policy.stale_after.get());
        let waited = waited.map_or(MilliCpu::ZERO, |pressure| MilliCpu::new(u64::from(pressure.waiting.get())));
        // What is more than there is was not used: a counter was read wrong.
        let usage = usage.min(capacity);
        let track = tracks.entry(name.clone()).or_default();
        if let Some(minute) = track.observe(snapshot.at, snapshot.wall, usage, waited)
            && let Some(workload) = &pod.workload
        {
            remembered.histories.observe_workload(&(workload.clone(), name.clone()), &minute, &policy.history);
        }
    }
}

fn ask(
    input: &Input<'_>,
    policy: &Policy,
    (region, residents): (&Region, &[Resident<'_>]),
    need: &RegionNeed,
    all: MilliCpu,
    remembered: &mut Memory<'_>,
) -> RegionFigures {
    let snapshot = input.snapshot;
    let node = MilliCpu::from_cpus(input.topology.cpus().count());
    // Without requests the node is as much theirs as anybody's.
    let capacity = if all.is_zero() { node } else { node.scaled(need.requested.get(), all.get()) };
    let readings = || residents.iter().filter_map(|resident| resident.readings);
    let used = readings().flat_map(|readings| readings.containers.values());
    let usage = used.filter_map(|readings| usage(readings, snapshot.at, policy)).sum::<MilliCpu>().min(node);
    let moment = (snapshot.at, snapshot.wall);
    remembered.histories.observe_region(region, moment, usage, basis(need.requested), &policy.history);
    let members = members(input, policy, residents, remembered.tracks, remembered.histories, remembered.clusters);
    let advice = input.advice.get(region).filter(|advice| advice.is_valid(snapshot.at));
    let indicators = indicators(snapshot, readings(), &own_cpus(region, input), &policy.feedback, policy.stale_after.get(), advice);
    let sight = Sight {
        now: snapshot.at,
        wall: snapshot.wall,
        capacity,
        requested: need.requested,
        members: &members,
        usage,
        wanted: need.now.known,
        indicators: &indicators,
    };
    let name = policy.regions.get(region).copied().unwrap_or(policy.policy);
    let nothing = RegionHistory::default();
    let history = remembered.histories.regions.get(region).unwrap_or(&nothing);
    let requirement = remembered.controls.entry(region.clone()).or_default().step(history, policy, name, &sight, advice);
    RegionFigures { capacity, requested: need.requested, usage: Some(usage), requirement: Some(requirement) }
}

fn members<'a>(
    input: &Input<'_>,
    policy: &Policy,
    residents: &[Resident<'_>],
    tracks: &Tracks,
    histories: &'a Histories,
    clusters: &Clusters,
) -> Vec<Member<'a>> {
    let snapshot = input.snapshot;
    // What a workload did before, and who is like it, is asked only where it can matter: it is the dearest question here.
    let seasonal = policy.policy == PolicyName::Seasonal || policy.regions.values().any(|name| *name == PolicyName::Seasonal);
    let matters =
        |track: Option<&ContainerTrack>| seasonal || track.is_none_or(|track| track.age(snapshot.at) < policy.composite.warm_up.get());
    let mut members = Vec::new();
    for Resident { pod, readings, .. } in residents {
        let tracks = tracks.get(&pod.uid);
        for (name, readings) in readings.iter().flat_map(|readings| &readings.containers) {
            let track = tracks.and_then(|tracks| tracks.get(name));
            let key = pod.workload.as_ref().filter(|_| matters(track)).map(|workload| (workload.clone(), name.clone()));
            let history = key.and_then(|key| histories.workloads.get(&key));
            let container = pod.containers.iter().find(|container| container.name == *name);
            members.push(Member {
                request: container.and_then(|container| container.cpu.request),
                limit: container.and_then(|container| container.cpu.limit),
                usage: usage(readings, snapshot.at, policy),
                load: track.and_then(ContainerTrack::loads),
                age: track.map(|track| track.age(snapshot.at)).unwrap_or_default(),
                history,
                like: history.and_then(|history| like(history, clusters, snapshot.wall)),
            });
        }
    }
    members
}

fn usage(readings: &ContainerReadings, now: Timestamp, policy: &Policy) -> Option<MilliCpu> {
    readings.cpu_usage.fresh(now, policy.stale_after.get()).copied()
}

/// The CPUs that a region's containers run on and reclaimed pods do not: tasks of these wait by design.
fn own_cpus(region: &Region, input: &Input<'_>) -> CpuSet {
    match region {
        Region::Pool(name) => input.assignment.cpus_of(name).difference(&input.assignment.cpus_of(&PoolName::reclaim())),
        Region::System => CpuSet::new(),
    }
}
