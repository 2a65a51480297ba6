//! The loop around the Node. It watches its own Node: a kubelet that restarts sets foreign resources to zero, and labels select configurations.

use super::calls::{Kind, Trouble, call, params};
use super::faults::Faults;
use super::load::Loads;
use super::node_status::{NodeWanted, gap, same_status, status_patch, taint_patch, wanted};
use super::node_view::NodeView;
use super::offer::least;
use super::pacer::{Pacer, Verdict};
use super::shell::{Line, Shared};
use futures_util::StreamExt;
use gleaner_model::Timestamp;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::OwnerReference;
use kube::api::Patch;
use kube::runtime::watcher::{self, Event};
use kube::{Api, Client};
use std::collections::BTreeMap;
use std::pin::pin;
use tokio::sync::watch;

/// How often a write is tried anew when the Node changed meanwhile.
const TRIES: u32 = 4;

/// What others learn of the Node.
pub(super) struct Told {
    /// The Node as the owner of other objects.
    pub(super) owner: watch::Sender<Option<OwnerReference>>,
    /// The Node's labels.
    pub(super) labels: Option<watch::Sender<BTreeMap<String, String>>>,
}

/// See the module.
pub(super) struct NodeTask {
    nodes: Api<NodeView>,
    watched: Api<NodeView>,
    shared: Shared,
    told: Told,
    line: Line,
    view: Option<NodeView>,
    pacer: Pacer,
    loads: Loads,
    watching: Faults,
    writing: Faults,
    // Apart, since lowering what is lent must not wait for a right that only the taint needs.
    tainting: Faults,
    listed: bool,
}

impl NodeTask {
    /// Ready to run.
    pub(super) fn new(client: Client, watches: Client, shared: Shared, told: Told, line: Line) -> Self {
        let faults = |what| Faults::new(&shared.node, what);
        let (watching, writing, tainting) = (faults("watch"), faults("write"), faults("taint"));
        let pacer = Pacer::new(&format!("{} node", shared.node));
        let (view, loads, listed) = (None, Loads::default(), false);
        let (nodes, watched) = (Api::all(client), Api::all(watches));
        Self { nodes, watched, shared, told, line, view, pacer, loads, watching, writing, tainting, listed }
    }

    /// Until the sender of reports is gone.
    pub(super) async fn run(mut self) {
        let own = watcher::Config::default().fields(&format!("metadata.name={}", self.shared.node));
        let mut events = pin!(watcher::watcher(self.watched.clone(), own));
        loop {
            let wake = self.step().await;
            let now = self.shared.clock.now();
            let rests = self.watching.rests(now);
            let calm = self.watching.quiet(now);
            self.tell();
            let load = self.shared.report().and_then(|report| self.loads.due(report.load, &self.shared.settings));
            let wake = [wake, rests, calm, load].into_iter().flatten().min();
            let clock = self.shared.clock;
            tokio::select! {
                changed = self.shared.reports.changed() => if changed.is_err() { return },
                event = events.next(), if rests.is_none() => match event {
                    Some(event) => self.seen(event),
                    None => return,
                },
                () = clock.until(wake) => {}
            }
        }
    }

    /// Takes in what the watch tells.
    fn seen(&mut self, event: Result<Event<NodeView>, watcher::Error>) {
        let now = self.shared.clock.now();
        match event {
            Ok(Event::Init) => self.listed = false,
            Ok(Event::InitApply(node) | Event::Apply(node)) if self.is_own(&node) => {
                self.listed = true;
                self.watching.works();
                self.told.owner.send_if_modified(|owner| std::mem::replace(owner, node.owner()) != node.owner());
                if let Some(labels) = &self.told.labels {
                    let new = node.metadata.labels.clone().unwrap_or_default();
                    labels.send_if_modified(|old| {
                        *old != new && {
                            *old = new;
                            true
                        }
                    });
                }
                self.view = Some(node);
            }
            Ok(Event::InitDone) if !self.listed => self.gone(),
            Ok(Event::Delete(node)) if self.is_own(&node) => self.gone(),
            Ok(_) => {}
            Err(error) => {
                // A watch that breaks off now and then is ordinary; one that cannot be opened again is not.
                let ordinary = self.listed && !self.watching.lasts();
                self.watching.failed(Trouble::new(Kind::Other, format!("watch nodes/{}: {error}", self.shared.node)), now);
                if ordinary {
                    self.watching.problem = None;
                }
            }
        }
        self.tell();
    }

    fn is_own(&self, node: &NodeView) -> bool {
        node.metadata.name.as_deref() == Some(self.shared.node.as_str())
    }

    fn gone(&mut self) {
        self.view = None;
        self.watching.problem =
            Some(format!("the cluster has no node {}; the setting kubernetes.nodeName gives the name", self.shared.node));
    }

    /// Writes if it is time to, and says when to look again.
    async fn step(&mut self) -> Option<Timestamp> {
        let now = self.shared.clock.now();
        let settings = self.shared.settings.clone();
        let report = self.shared.report()?;
        self.loads = self.loads.next(report.load, now, &settings);
        if !settings.node_status && !settings.node_taint {
            return None;
        }
        let view = self.view.clone()?;
        if let Some(until) = self.writing.rests(now) {
            return Some(until);
        }
        let mut wanted = wanted(&report, self.loads.told(), &settings);
        if self.tainting.rests(now).is_some() {
            wanted.taint = taint_patch(&view, false).is_some();
        }
        let gap = gap(&view, &wanted, least(&report));
        match self.pacer.decide(&gap, now, &settings) {
            Verdict::Wait(until) => Some(self.tainting.rests(now).map_or(until, |rests| rests.min(until))),
            Verdict::Write => {
                match self.write(view, &wanted).await {
                    Ok(()) => {
                        self.writing.works();
                        self.pacer.wrote(&gap, self.shared.clock.now());
                    }
                    Err(trouble) => self.writing.failed(trouble, self.shared.clock.now()),
                }
                self.tell();
                Some(now)
            }
        }
    }

    /// Taint, then status where something differs there too or nothing else was to be written.
    async fn write(&mut self, mut view: NodeView, wanted: &NodeWanted) -> Result<(), Trouble> {
        let before = view.metadata.resource_version.clone();
        match self.write_taint(&mut view, wanted.taint).await {
            Ok(()) => self.tainting.works(),
            Err(trouble) => self.tainting.failed(trouble, self.shared.clock.now()),
        }
        let tainted = before != view.metadata.resource_version;
        if let Some(status) = &wanted.status
            && !(tainted && same_status(&view, wanted))
        {
            let patch = Patch::Strategic(status_patch(&view, status, &self.shared.date()));
            let what = format!("patch nodes/status {}", self.shared.node);
            view = call(&what, self.nodes.patch_status(&self.shared.node, &params(), &patch)).await?;
        }
        self.view = Some(view);
        Ok(())
    }

    async fn write_taint(&self, view: &mut NodeView, taint: bool) -> Result<(), Trouble> {
        write_taint(&self.nodes, &self.shared.node, view, taint).await
    }

    fn tell(&mut self) {
        let problems = [&self.watching, &self.writing, &self.tainting];
        let lines: Vec<&str> = problems.into_iter().filter_map(|faults| faults.problem.as_deref()).collect();
        self.line.set((!lines.is_empty()).then(|| lines.join("; ")));
    }
}

/// Adds or takes away the taint, with what is read anew when the Node changed meanwhile.
///
/// # Errors
/// When a call fails, or the Node changed each time.
pub(super) async fn write_taint(nodes: &Api<NodeView>, name: &str, view: &mut NodeView, taint: bool) -> Result<(), Trouble> {
    let mut tries = TRIES;
    while let Some(patch) = taint_patch(view, taint) {
        tries -= 1;
        match call(&format!("patch nodes {name}"), nodes.patch(name, &params(), &Patch::Merge(patch))).await {
            Ok(new) => {
                *view = new;
                return Ok(());
            }
            Err(trouble) if trouble.kind == Kind::Conflict && tries > 0 => {
                *view = call(&format!("get nodes {name}"), nodes.get(name)).await?;
            }
            Err(trouble) => return Err(trouble),
        }
    }
    Ok(())
}
