//! What holds for every history of pods, plugins and answers.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "tests")]

use super::tests::{at, given, node, resource, wanting};
use super::*;
use crate::fixtures::uid;
use crate::{Allocations, Hints};
use proptest::prelude::*;
use std::collections::{BTreeSet, VecDeque};

/// What happens.
#[derive(Debug, Clone)]
enum Step {
    /// A plugin registers, with or without having lost what it knew.
    Register { plugin: usize, aligns: bool, reconciles: bool, tells: bool, lost: bool },
    /// A plugin behaves so from now on.
    Behave { plugin: usize, mood: Mood },
    /// A pod appears, or goes.
    Pod { pod: usize, lives: bool },
    /// The oldest call to a plugin comes to its end.
    Answer { plugin: usize },
    /// Time passes and the caller looks.
    Pass { millis: u64 },
}

#[derive(Debug, Clone, Copy, PartialEq)]
enum Mood {
    Good,
    Refuses,
    /// It does what it is asked and its answer is lost.
    Mute,
    /// It hears nothing.
    Deaf,
}

const PLUGINS: [&str; 2] = ["a", "b"];
const PODS: [(&str, &[&str]); 4] = [("p0", &["a"]), ("p1", &["b"]), ("p2", &["a", "b"]), ("p3", &["a"])];

fn step(pods: &'static [usize]) -> impl Strategy<Value = Step> {
    let mood = prop_oneof![3 => Just(Mood::Good), 1 => Just(Mood::Refuses), 1 => Just(Mood::Mute), 1 => Just(Mood::Deaf)];
    let register = (0..2usize, any::<[bool; 3]>(), any::<bool>());
    prop_oneof![
        1 => register.prop_map(|(plugin, [aligns, reconciles, tells], lost)| Step::Register { plugin, aligns, reconciles, tells, lost }),
        1 => (0..2usize, mood).prop_map(|(plugin, mood)| Step::Behave { plugin, mood }),
        2 => (prop::sample::select(pods), prop::bool::weighted(0.7)).prop_map(|(pod, lives)| Step::Pod { pod, lives }),
        5 => (0..2usize).prop_map(|plugin| Step::Answer { plugin }),
        3 => (1u64..20_000).prop_map(|millis| Step::Pass { millis }),
    ]
}

struct Plugin {
    options: PluginOptions,
    mood: Mood,
    held: Allocations,
    /// Calls under way, with the answer that will come. Those to an earlier registration come back, too.
    under_way: VecDeque<(bool, Call, Answer)>,
}

struct World {
    remote: Remote,
    now: u64,
    plugins: Vec<Plugin>,
    /// Pods that live, and whether they run.
    pods: BTreeMap<usize, bool>,
}

impl World {
    fn new() -> Self {
        let options = PluginOptions { with_topology_alignment: false, need_reconcile: false };
        let plugin = || Plugin { options, mood: Mood::Good, held: Allocations::new(), under_way: VecDeque::new() };
        Self { remote: Remote::default(), now: 0, plugins: vec![plugin(), plugin()], pods: BTreeMap::new() }
    }

    fn take(&mut self, step: &Step) {
        match step {
            Step::Register { plugin, aligns, reconciles, tells, lost } => {
                let of = &mut self.plugins[*plugin];
                of.options = PluginOptions { with_topology_alignment: *aligns, need_reconcile: *reconciles };
                of.under_way.iter_mut().for_each(|(current, ..)| *current = false);
                if *lost {
                    of.held.clear();
                }
                self.remote.registered(resource(PLUGINS[*plugin]), tells.then_some(of.options), at(self.now));
            }
            Step::Behave { plugin, mood } => self.plugins[*plugin].mood = *mood,
            Step::Pod { pod, lives: true } => drop(self.pods.entry(*pod).or_insert(false)),
            Step::Pod { pod, lives: false } => drop(self.pods.remove(pod)),
            Step::Answer { plugin } => {
                if let Some((_, call, answer)) = self.plugins[*plugin].under_way.pop_front() {
                    self.remote.answered(&call.resource, call.id, answer, at(self.now));
                }
            }
            Step::Pass { millis } => {
                self.now += millis;
                let wanting = self.pods.iter().map(|(pod, runs)| wanting(PODS[*pod].0, PODS[*pod].1, *runs)).collect();
                self.remote.tick(wanting, at(self.now));
            }
        }
        self.look();
    }

    /// What the caller does whenever something happened.
    fn look(&mut self) {
        for (pod, runs) in &mut self.pods {
            let uid = uid(PODS[*pod].0);
            // Until the next tick nobody was told of it.
            match self.remote.verdict(&uid, at(self.now)) {
                Verdict::Offered(offers) => assert!(self.remote.choose(&uid, &first(&offers), at(self.now))),
                Verdict::Ready(given) => *runs |= !given.is_empty(),
                Verdict::Waiting(_) | Verdict::Refused(_) => {}
            }
        }
        for call in self.remote.calls(at(self.now)) {
            let index = PLUGINS.iter().position(|name| resource(name) == call.resource).unwrap();
            let plugin = &mut self.plugins[index];
            assert!(plugin.under_way.iter().all(|(current, ..)| !current), "{call:?} is asked beside another");
            let answer = plugin.hear(&call);
            plugin.under_way.push_back((true, call, answer));
        }
    }

    fn verdicts(&self, pods: &[usize]) -> Vec<Verdict> {
        pods.iter().map(|pod| self.remote.verdict(&uid(PODS[*pod].0), at(self.now))).collect()
    }

    /// All is well at last, for long enough that every wait is over.
    fn settle(&mut self) {
        for (plugin, name) in PLUGINS.iter().enumerate() {
            self.take(&Step::Behave { plugin, mood: Mood::Good });
            if self.remote.desks.get(&resource(name)).is_none_or(|desk| desk.plugin.is_none()) {
                self.take(&Step::Register { plugin, aligns: true, reconciles: true, tells: true, lost: false });
            }
        }
        for _ in 0..150 {
            self.take(&Step::Pass { millis: 1000 });
            while self.plugins.iter().any(|plugin| !plugin.under_way.is_empty()) {
                (0..2).for_each(|plugin| self.take(&Step::Answer { plugin }));
            }
        }
    }
}

impl Plugin {
    fn hear(&mut self, call: &Call) -> Answer {
        if self.mood == Mood::Refuses {
            return Err(Fault::Refused("no".to_owned()));
        }
        let told = if self.mood == Mood::Deaf { None } else { Some(self.act(call)) };
        told.filter(|_| self.mood == Mood::Good).ok_or_else(|| Fault::Silent("late".to_owned()))
    }

    fn act(&mut self, call: &Call) -> Told {
        match &call.ask {
            Ask::Options => Told::Options(self.options),
            Ask::Hints(_) => Told::Hints(Hints::List(vec![node(0), node(1)])),
            Ask::Allocate(request) => {
                let what = given(&call.resource, &[]);
                self.held.entry(request.pod.uid.clone()).or_default().insert(request.container.clone(), what.clone());
                Told::Allocated(what)
            }
            Ask::RemovePod(pod) => {
                self.held.remove(pod);
                Told::Removed
            }
            Ask::Allocations => Told::Allocations(self.held.clone()),
        }
    }
}

fn first(offers: &Offers) -> BTreeMap<ContainerName, BTreeMap<ResourceName, Hint>> {
    let best = |hints: &Hints| match hints {
        Hints::List(list) => list.first().cloned(),
        Hints::NoPreference => None,
    };
    let of = |hints: &BTreeMap<ResourceName, Hints>| hints.iter().filter_map(|(name, hints)| Some((name.clone(), best(hints)?))).collect();
    offers.iter().map(|(container, hints)| (container.clone(), of(hints))).collect()
}

fn is_of(step: &Step, other: usize) -> bool {
    matches!(step, Step::Register { plugin, .. } | Step::Behave { plugin, .. } | Step::Answer { plugin } if *plugin == other)
}

proptest! {
    #[test]
    fn every_pod_gets_what_it_wants_in_the_end_and_nothing_is_left_of_others(steps in prop::collection::vec(step(&[0, 1, 2, 3]), 0..120)) {
        let mut world = World::new();
        steps.iter().for_each(|step| world.take(step));
        world.settle();
        for pod in world.pods.keys() {
            let verdict = world.verdicts(&[*pod]).remove(0);
            prop_assert!(matches!(&verdict, Verdict::Ready(given) if given.values().map(BTreeMap::len).sum::<usize>() == PODS[*pod].1.len()), "{}: {verdict:?}", PODS[*pod].0);
        }
        let live: BTreeSet<_> = world.pods.keys().map(|pod| uid(PODS[*pod].0)).collect();
        for (name, plugin) in PLUGINS.iter().zip(&world.plugins) {
            let wants = |uid: &PodUid| PODS.iter().any(|(pod, of)| *pod == uid.as_str() && of.contains(name));
            let expected: BTreeSet<_> = live.iter().filter(|uid| wants(uid)).cloned().collect();
            let held: BTreeSet<_> = plugin.held.keys().cloned().collect();
            prop_assert!(held.is_subset(&expected), "{name} holds {held:?}, lives {expected:?}");
            // What was lost without a list to tell of it nobody here can know of.
            prop_assert!(!plugin.options.need_reconcile || held == expected, "{name} holds {held:?}, wanted {expected:?}");
        }
        world.pods.clear();
        world.settle();
        for (name, plugin) in PLUGINS.iter().zip(&world.plugins) {
            prop_assert!(plugin.held.is_empty(), "{name} holds {:?}", plugin.held);
        }
        let empty = |desk: &Desk| desk.shares.is_empty() && desk.leaving.is_empty();
        prop_assert!(world.remote.pods.is_empty() && world.remote.desks.values().all(empty), "{:?}", world.remote);
    }

    #[test]
    fn no_plugin_changes_the_verdict_for_anothers_resource(steps in prop::collection::vec(step(&[0, 1, 3]), 0..80)) {
        let (mut with, mut without) = (World::new(), World::new());
        for step in &steps {
            with.take(step);
            if !is_of(step, 1) {
                without.take(step);
                prop_assert_eq!(with.verdicts(&[0, 3]), without.verdicts(&[0, 3]));
            }
        }
    }
}
