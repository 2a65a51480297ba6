//! The loop around the CustomNodeResource. It is read at the start and after conflicts; every write answers with the whole object.

use super::calls::{Backoff, Kind, MANAGER, Trouble, call, find, params};
use super::cnr::cnr;
use super::cnr_gap::{gap, same_status, spec_patch, status_patch};
use super::load::Loads;
use super::offer::least;
use super::pacer::{Pacer, Verdict};
use super::shell::{Line, Shared};
use crate::kubernetes::NodeReport;
use gleaner_crds::cnr::{CustomNodeResource, CustomNodeResourceSpec, CustomNodeResourceStatus};
use gleaner_model::Timestamp;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::OwnerReference;
use kube::api::{Patch, PostParams};
use kube::{Api, Client};
use std::time::Duration;
use tokio::sync::watch;

/// How often a write is tried anew when the object changed meanwhile.
const TRIES: u32 = 4;
/// How often it is looked whether the cluster knows the kind by now, at most; with the usual jitter.
const NO_KIND: Duration = Duration::from_secs(300);

/// See the module.
pub(super) struct CnrTask {
    cnrs: Api<CustomNodeResource>,
    shared: Shared,
    owners: watch::Receiver<Option<OwnerReference>>,
    line: Line,
    known: Known,
    pacer: Pacer,
    loads: Loads,
    backoff: Backoff,
    rests: Option<Timestamp>,
}

/// What is known of the object.
#[derive(Debug, Clone)]
enum Known {
    /// It has to be read.
    Nothing,
    /// It is not there.
    Absent,
    /// As the API server had it last.
    There(Box<CustomNodeResource>),
}

/// What the object should say.
struct Wanted {
    spec: CustomNodeResourceSpec,
    status: CustomNodeResourceStatus,
    owner: Option<OwnerReference>,
}

impl CnrTask {
    /// Ready to run.
    pub(super) fn new(client: Client, shared: Shared, owners: watch::Receiver<Option<OwnerReference>>, line: Line) -> Self {
        let pacer = Pacer::new(&format!("{} cnr", shared.node));
        let backoff = Backoff::new(&shared.node, "cnr");
        let (cnrs, known, loads, rests) = (Api::all(client), Known::Nothing, Loads::default(), None);
        Self { cnrs, shared, owners, line, known, pacer, loads, backoff, rests }
    }

    /// Until the sender of reports is gone.
    pub(super) async fn run(mut self) {
        loop {
            let wake = self.step().await;
            let load = self.shared.report().and_then(|report| self.loads.due(report.load, &self.shared.settings));
            let wake = [wake, load].into_iter().flatten().min();
            let clock = self.shared.clock;
            tokio::select! {
                changed = self.shared.reports.changed() => if changed.is_err() { return },
                () = clock.until(wake) => {}
            }
        }
    }

    /// Reads, creates or writes if it is time to, and says when to look again.
    async fn step(&mut self) -> Option<Timestamp> {
        let now = self.shared.clock.now();
        let report = self.shared.report()?;
        self.loads = self.loads.next(report.load, now, &self.shared.settings);
        if let Some(until) = self.rests.filter(|until| *until > now) {
            return Some(until);
        }
        match self.work(&report, now).await {
            Ok(wake) => {
                self.rests = None;
                Some(wake)
            }
            Err(trouble) => {
                let rest = self.backoff.next(trouble.leave_alone);
                self.rests = Some(self.shared.clock.now().after(rest));
                self.line.set(Some(trouble.line));
                self.rests
            }
        }
    }

    async fn work(&mut self, report: &NodeReport, now: Timestamp) -> Result<Timestamp, Trouble> {
        let told = match std::mem::replace(&mut self.known, Known::Nothing) {
            Known::Nothing => {
                self.known = self.read().await?;
                return Ok(now);
            }
            Known::Absent => return self.create().await.map(|()| now),
            Known::There(told) => told,
        };
        let (spec, status) = cnr(report, self.loads.told());
        let wanted = Wanted { spec, status, owner: self.owners.borrow().clone() };
        let gap = gap(&told, &wanted.spec, &wanted.status, wanted.owner.as_ref(), least(report));
        if let Verdict::Wait(until) = self.pacer.decide(&gap, now, &self.shared.settings) {
            self.known = Known::There(told);
            return Ok(until);
        }
        let told = self.write(told, &wanted).await?;
        self.known = Known::There(told);
        self.pacer.wrote(&gap, self.shared.clock.now());
        self.backoff.reset();
        self.line.set(None);
        Ok(now)
    }

    fn what(&self, verb: &str) -> String {
        format!("{verb} {}", self.shared.node)
    }

    async fn read(&self) -> Result<Known, Trouble> {
        let what = self.what("get customnoderesources");
        Ok(find(&what, self.cnrs.get(&self.shared.node)).await?.map_or(Known::Absent, |told| Known::There(Box::new(told))))
    }

    /// Makes an object without a status, which only its own subresource takes.
    async fn create(&mut self) -> Result<(), Trouble> {
        let mut new = CustomNodeResource::new(&self.shared.node, CustomNodeResourceSpec::default());
        new.metadata.owner_references = self.owners.borrow().clone().map(|owner| vec![owner]);
        let what = self.what("create customnoderesources");
        let params = PostParams { field_manager: Some(MANAGER.to_owned()), ..PostParams::default() };
        match call(&what, self.cnrs.create(&params, &new)).await {
            Ok(told) => {
                self.known = Known::There(Box::new(told));
                Ok(())
            }
            // Objects are made by a path that only a known kind has.
            Err(trouble) if trouble.kind == Kind::NotFound => {
                let line = "no CRD, not reported: the cluster has no customnoderesources.node.katalyst.kubewharf.io".to_owned();
                Err(Trouble { line, leave_alone: NO_KIND, ..trouble })
            }
            Err(trouble) => Err(trouble),
        }
    }

    /// With what is read anew when the object changed meanwhile. After a failure it has to be read again in any case.
    async fn write(&self, mut told: Box<CustomNodeResource>, wanted: &Wanted) -> Result<Box<CustomNodeResource>, Trouble> {
        let mut tries = TRIES;
        loop {
            tries -= 1;
            match self.write_once(&mut told, wanted).await {
                Ok(()) => return Ok(told),
                Err(trouble) if trouble.kind == Kind::Conflict && tries > 0 => match self.read().await? {
                    Known::There(anew) => told = anew,
                    Known::Nothing | Known::Absent => return Err(trouble),
                },
                Err(trouble) => return Err(trouble),
            }
        }
    }

    /// Status where something differs or nothing else is to be written, and spec where something differs.
    async fn write_once(&self, told: &mut CustomNodeResource, wanted: &Wanted) -> Result<(), Trouble> {
        let (name, params) = (&self.shared.node, params());
        let spec = spec_patch(told, &wanted.spec, wanted.owner.as_ref());
        if spec.is_none() || !same_status(told, &wanted.status) {
            let patch = Patch::Merge(status_patch(told, &wanted.status, &self.shared.date()));
            let what = self.what("patch customnoderesources/status");
            *told = call(&what, self.cnrs.patch_status(name, &params, &patch)).await?;
        }
        if let Some(patch) = spec_patch(told, &wanted.spec, wanted.owner.as_ref()) {
            let what = self.what("patch customnoderesources");
            *told = call(&what, self.cnrs.patch(name, &params, &Patch::Merge(patch))).await?;
        }
        Ok(())
    }
}
