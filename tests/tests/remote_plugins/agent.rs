//! As much of the agent as plugins see: the registry in a thread, and a loop that holds the state and makes the calls.

use gleaner_host::clock;
use gleaner_model::{KubeQos, PodName, PodUid, ResourceCount, ResourceName};
use gleaner_qrm_plugins::remote::{Given, Remote, Verdict, Want, Wanting};
use gleaner_qrm_plugins::serve::{Client, PluginEvent, serve_registry};
use gleaner_qrm_plugins::{ContainerType, Hints, PodIdentity};
use gleaner_tests::Deadline;
use std::collections::BTreeMap;
use std::path::Path;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::thread::JoinHandle;
use std::time::Duration;
use tokio::sync::oneshot;

/// How long a plugin has for an answer.
pub(crate) const POD_DEADLINE: Duration = Duration::from_millis(700);
/// How long the loop waits for something to happen before it looks again.
const LOOK: Duration = Duration::from_millis(100);

pub(crate) struct Agent {
    remote: Remote,
    clients: BTreeMap<ResourceName, Client>,
    pods: BTreeMap<PodUid, Wanting>,
    events: Receiver<PluginEvent>,
    stop: Option<oneshot::Sender<()>>,
    registry: Option<JoinHandle<()>>,
    folder: tempfile::TempDir,
}

impl Agent {
    pub(crate) fn start() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let (stop, stopped) = oneshot::channel();
        let (tell, events) = channel();
        let (ready, is_ready) = channel();
        let path = folder.path().to_owned();
        let registry = std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
            runtime.block_on(serve(&path, ready, tell, stopped));
        });
        is_ready.recv().unwrap();
        let (remote, clients, pods) = (Remote::default(), BTreeMap::new(), BTreeMap::new());
        Self { remote, clients, pods, events, stop: Some(stop), registry: Some(registry), folder }
    }

    pub(crate) fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// A pod with one container that wants one of each.
    pub(crate) fn want(&mut self, name: &str, resources: &[&str]) {
        let uid: PodUid = name.parse().unwrap();
        let pod = PodIdentity {
            uid: uid.clone(),
            name: PodName { namespace: "ns".to_owned(), name: name.to_owned() },
            role: String::new(),
            kind: String::new(),
            labels: BTreeMap::new(),
            annotations: BTreeMap::new(),
            kube_qos: KubeQos::Burstable,
        };
        let amounts = resources.iter().map(|name| (name.parse().unwrap(), ResourceCount::new(1))).collect();
        let want = Want { container: "main".parse().unwrap(), kind: ContainerType::Main, index: 0, amounts };
        self.pods.insert(uid, Wanting { pod, containers: vec![want], running: false });
    }

    pub(crate) fn end(&mut self, name: &str) {
        self.pods.remove(&name.parse().unwrap());
    }

    pub(crate) fn verdict(&self, name: &str) -> Verdict {
        self.remote.verdict(&name.parse().unwrap(), clock::now())
    }

    /// Why a pod waits now.
    pub(crate) fn waits(&self, name: &str) -> Option<String> {
        match self.verdict(name) {
            Verdict::Waiting(why) => Some(why),
            _ => None,
        }
    }

    pub(crate) fn why(&mut self, name: &str) -> String {
        self.until("the pod waits", |agent| agent.waits(name))
    }

    /// The resources whose plugins registered.
    pub(crate) fn registered(&self) -> Vec<String> {
        let events = self.events.try_iter();
        events
            .filter_map(|event| if let PluginEvent::Registered { resource, .. } = event { Some(resource.to_string()) } else { None })
            .collect()
    }

    /// Waits until a pod was given what it wants, by container; it runs from then on.
    pub(crate) fn until_ready(&mut self, name: &str) -> Given {
        let given = self.until(&format!("{name} has what it wants"), |agent| match agent.verdict(name) {
            Verdict::Ready(given) if !given.is_empty() => Some(given),
            _ => None,
        });
        self.pods.get_mut(&name.parse().unwrap()).unwrap().running = true;
        given
    }

    /// Turns the loop until there is an answer.
    pub(crate) fn until<T>(&mut self, what: &str, look: impl Fn(&Self) -> Option<T>) -> T {
        let deadline = Deadline::usual();
        loop {
            self.turn();
            if let Some(found) = look(self) {
                return found;
            }
            assert!(!deadline.passed(), "still not so: {what}; health: {:?}", self.remote.health(clock::now()));
            if let Ok(event) = self.events.recv_timeout(LOOK) {
                self.take(event);
            }
        }
    }

    fn take(&mut self, event: PluginEvent) {
        let now = clock::now();
        match event {
            PluginEvent::Registered { resource, options, client } => {
                self.clients.insert(resource.clone(), client);
                self.remote.registered(resource, options, now);
            }
            PluginEvent::Answered { resource, id, answer } => drop(self.remote.answered(&resource, id, answer, now)),
        }
    }

    fn turn(&mut self) {
        let now = clock::now();
        self.remote.tick(self.pods.values().cloned().collect(), now);
        for uid in self.pods.keys() {
            if let Verdict::Offered(offers) = self.remote.verdict(uid, now) {
                let first = |hints: &Hints| if let Hints::List(list) = hints { list.first().cloned() } else { None };
                let of = |by: &BTreeMap<ResourceName, Hints>| {
                    by.iter().filter_map(|(name, hints)| Some((name.clone(), first(hints)?))).collect()
                };
                let chosen = offers.iter().map(|(container, by)| (container.clone(), of(by))).collect();
                assert!(self.remote.choose(uid, &chosen, now));
            }
        }
        for call in self.remote.calls(now) {
            self.clients[&call.resource].call(call).unwrap();
        }
    }
}

impl Drop for Agent {
    fn drop(&mut self) {
        drop(self.stop.take());
        let ended = self.registry.take().map(JoinHandle::join);
        assert!(std::thread::panicking() || ended.is_some_and(|ended| ended.is_ok()), "the registry panicked");
    }
}

async fn serve(folder: &Path, ready: Sender<()>, tell: Sender<PluginEvent>, stopped: oneshot::Receiver<()>) {
    let (events, mut happened) = tokio::sync::mpsc::channel(16);
    let serving = serve_registry(folder, POD_DEADLINE, events).await.unwrap();
    ready.send(()).unwrap();
    let pass_on = async {
        while let Some(event) = happened.recv().await {
            if tell.send(event).is_err() {
                return;
            }
        }
    };
    tokio::select! {
        () = pass_on => {}
        _ = stopped => {}
    }
    serving.stop().await;
}
