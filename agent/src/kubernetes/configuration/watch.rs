//! The task that watches configuration objects. Lists come in small pages, and only the node's own `CustomNodeConfig` is asked for.

use super::ConfigurationEvent;
use super::mirror::{Watched, read_status};
use super::object::{ConfigObject, hex};
use futures_util::stream::{BoxStream, StreamExt, unfold};
use gleaner_crds::config::{AdminQosConfiguration, CustomNodeConfig, TargetConfig};
use k8s_openapi::jiff::Timestamp;
use kube::core::{ApiResource, DynamicObject};
use kube::runtime::watcher;
use kube::{Api, Client};
use sha2::{Digest, Sha256};
use std::collections::BTreeMap;
use std::time::Duration;
use tokio::sync::{mpsc, watch};
use tokio::time::{Instant, sleep, timeout};

const OBJECTS: &str = "adminqosconfigurations";
const CONFIGS: &str = "customnodeconfigs";
const PAGE: u32 = 50;
/// After which time a kind that is not installed is looked for again: the first time, to be sure, and later.
const LOOK_AGAIN: (Duration, Duration) = (Duration::from_secs(30), Duration::from_secs(300));
/// The shortest and the longest pause after an error.
const PAUSES: (Duration, Duration) = (Duration::from_secs(1), Duration::from_secs(120));
/// The longest that a single object is waited for.
const PATIENCE: Duration = Duration::from_secs(30);
/// The longest without a look at the clock, which may be set.
const LOOK_AT_CLOCK: Duration = Duration::from_secs(600);

/// What the task works with.
pub(crate) struct Follow {
    /// The way to the API server.
    pub(crate) client: Client,
    /// The node's name.
    pub(crate) node: String,
    /// The namespace of the objects; empty: all.
    pub(crate) namespace: String,
    /// The node's labels; empty: not known yet.
    pub(crate) labels: watch::Receiver<BTreeMap<String, String>>,
    /// The time of day, which objects that last for a while are compared with.
    pub(crate) clock: fn() -> Timestamp,
}

/// Watches until nobody listens any more.
pub(crate) async fn follow<E>(mut follow: Follow, events: mpsc::Sender<E>)
where
    E: From<ConfigurationEvent> + Send + 'static,
{
    let kinds = (ApiResource::erase::<AdminQosConfiguration>(&()), ApiResource::erase::<CustomNodeConfig>(&()));
    let objects: Api<DynamicObject> = match follow.namespace.as_str() {
        "" => Api::all_with(follow.client.clone(), &kinds.0),
        namespace => Api::namespaced_with(follow.client.clone(), namespace, &kinds.0),
    };
    let configs: Api<DynamicObject> = Api::all_with(follow.client.clone(), &kinds.1);
    let all = watcher::Config::default().page_size(PAGE);
    let own = all.clone().fields(&format!("metadata.name={}", follow.node));
    let mut task = Task {
        objects: paced(watcher(objects, all).boxed(), Pace::new(&follow.node, "objects")),
        configs: paced(watcher(configs, own).boxed(), Pace::new(&follow.node, "own")),
        fetching: Pace::new(&follow.node, "fetch"),
        fetch_from: Instant::now(),
        watched: Watched::default(),
        problems: BTreeMap::new(),
        reach: None,
        labels_change: true,
    };
    let mut wait = LOOK_AT_CLOCK;
    loop {
        tokio::select! {
            Some(item) = task.objects.next() => task.objects_told(item),
            Some(item) = task.configs.next() => task.configs_told(item),
            changed = follow.labels.changed(), if task.labels_change => task.labels_change = changed.is_ok(),
            () = sleep(wait) => {}
            () = events.closed() => return,
        }
        wait = LOOK_AT_CLOCK;
        if let Some(target) = task.watched.to_fetch().cloned() {
            if Instant::now() >= task.fetch_from {
                task.fetch(&follow.client, &kinds.0, target).await;
            }
            wait = wait.min(task.fetch_from.saturating_duration_since(Instant::now()).max(PAUSES.0));
        }
        let labels = follow.labels.borrow_and_update().clone();
        let now = (follow.clock)();
        let (mut news, until) = task.watched.judge(&follow.node, &labels, now);
        news.extend(task.reach_news());
        for event in news {
            if events.send(E::from(event)).await.is_err() {
                return;
            }
        }
        if let Some(until) = until {
            let left = Duration::try_from(until.duration_since(now)).unwrap_or_default();
            wait = wait.min(left.max(PAUSES.0));
        }
    }
}

type Told = Result<watcher::Event<DynamicObject>, watcher::Error>;

struct Task {
    objects: BoxStream<'static, Told>,
    configs: BoxStream<'static, Told>,
    fetching: Pace,
    /// Not before, after a failure.
    fetch_from: Instant,
    watched: Watched,
    /// What is wrong with each source.
    problems: BTreeMap<&'static str, String>,
    /// What was told of it last.
    reach: Option<String>,
    labels_change: bool,
}

impl Task {
    fn objects_told(&mut self, item: Told) {
        match item {
            Ok(event) => {
                self.mend(OBJECTS, &event);
                self.watched.objects.apply(event, ConfigObject::read);
            }
            Err(error) if is_absent(&error) => {
                self.problems.remove(OBJECTS);
                self.watched.objects.absent();
            }
            Err(error) => self.fail(OBJECTS, &error),
        }
    }

    fn configs_told(&mut self, item: Told) {
        match item {
            Ok(event) => {
                self.mend(CONFIGS, &event);
                self.watched.configs.apply(event, read_status);
            }
            Err(error) if is_absent(&error) => {
                self.problems.remove(CONFIGS);
                self.watched.configs.absent();
            }
            Err(error) => self.fail(CONFIGS, &error),
        }
    }

    /// A list that only begins does not show that it will come.
    fn mend(&mut self, source: &'static str, event: &watcher::Event<DynamicObject>) {
        if !matches!(event, watcher::Event::Init) {
            self.problems.remove(source);
        }
    }

    /// A watch that ended because it was too old is part of its life.
    fn fail(&mut self, source: &'static str, error: &watcher::Error) {
        if !matches!(error, watcher::Error::WatchError(status) if status.code == 410) {
            self.problems.insert(source, format!("watch {source}: {error}"));
        }
    }

    /// Reads the object that is named.
    async fn fetch(&mut self, client: &Client, kind: &ApiResource, target: TargetConfig) {
        let api: Api<DynamicObject> = Api::namespaced_with(client.clone(), &target.config_namespace, kind);
        let problem = match timeout(PATIENCE, api.get_opt(&target.config_name)).await {
            Ok(Ok(object)) => {
                self.watched.fetched(target, object);
                self.fetching.failures = 0;
                self.problems.remove("get");
                return;
            }
            Ok(Err(error)) => error.to_string(),
            Err(_) => format!("no answer in {} s", PATIENCE.as_secs()),
        };
        self.problems.insert("get", format!("get adminqosconfiguration {}/{}: {problem}", target.config_namespace, target.config_name));
        self.fetch_from = Instant::now() + self.fetching.after_failure();
    }

    fn reach_news(&mut self) -> Option<ConfigurationEvent> {
        let reach = (!self.problems.is_empty()).then(|| self.problems.values().cloned().collect::<Vec<_>>().join("; "));
        if self.reach == reach {
            return None;
        }
        self.reach.clone_from(&reach);
        Some(ConfigurationEvent::Reach(reach))
    }
}

/// Whether the kind is not installed.
fn is_absent(error: &watcher::Error) -> bool {
    matches!(error, watcher::Error::InitialListFailed(kube::Error::Api(status)) if status.code == 404)
}

/// How long to wait after errors: twice as long each time, and another time on another node.
struct Pace {
    seed: String,
    failures: u32,
    /// How often in a row the kind was not installed.
    absences: u32,
    waits: u64,
}

impl Pace {
    fn new(node: &str, of: &str) -> Self {
        Self { seed: format!("{node}/{of}"), failures: 0, absences: 0, waits: 0 }
    }

    fn after_failure(&mut self) -> Duration {
        let longest = PAUSES.0.saturating_mul(1 << self.failures.min(10)).min(PAUSES.1);
        self.failures = self.failures.saturating_add(1);
        self.spread(longest)
    }

    fn after_absence(&mut self) -> Duration {
        self.absences = self.absences.saturating_add(1);
        self.spread(if self.absences < 2 { LOOK_AGAIN.0 } else { LOOK_AGAIN.1 })
    }

    /// Between half of the time and all of it.
    fn spread(&mut self, longest: Duration) -> Duration {
        self.waits = self.waits.wrapping_add(1);
        let digest = Sha256::new().chain_update(&self.seed).chain_update(self.waits.to_le_bytes()).finalize();
        let part = u32::from_str_radix(&hex(&digest, 4), 16).unwrap_or_default() % 1000;
        longest / 2 + longest.saturating_mul(part) / 2000
    }
}

/// The same stream, which waits after an error; kube's own asks again at once.
fn paced(stream: BoxStream<'static, Told>, pace: Pace) -> BoxStream<'static, Told> {
    let next = |(mut stream, mut pace, wait): (BoxStream<'static, Told>, Pace, Duration)| async move {
        if !wait.is_zero() {
            sleep(wait).await;
        }
        let item = stream.next().await?;
        let wait = match &item {
            Err(error) if is_absent(error) => pace.after_absence(),
            Err(_) => pace.after_failure(),
            Ok(watcher::Event::Init) => Duration::ZERO,
            Ok(_) => {
                (pace.failures, pace.absences) = (0, 0);
                Duration::ZERO
            }
        };
        Some((item, (stream, pace, wait)))
    };
    unfold((stream, pace, Duration::ZERO), next).boxed()
}
