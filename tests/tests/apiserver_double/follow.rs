//! Somebody who follows objects with kube's watcher, and keeps what it tells.

use futures_util::StreamExt;
use gleaner_tests::apiserver::{ApiServer, Resource};
use k8s_openapi::api::core::v1::Pod;
use kube::runtime::watcher::{self, Config, Event};
use kube::{Api, Client, ResourceExt};
use serde_json::Value;
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;
use tokio::task::JoinHandle;

/// Names with versions.
pub(crate) type Known = BTreeMap<String, String>;

#[derive(Default)]
struct Told {
    known: Known,
    relists: usize,
    errors: Vec<String>,
}

/// It ends with the test.
pub(crate) struct Follower {
    told: Arc<Mutex<Told>>,
    task: JoinHandle<()>,
}

impl Drop for Follower {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl Follower {
    pub(crate) fn start(client: Client, config: Config) -> Self {
        let told = Arc::new(Mutex::new(Told::default()));
        let task = tokio::spawn(follow(Api::all(client), config, Arc::clone(&told)));
        Self { told, task }
    }

    pub(crate) fn known(&self) -> Known {
        self.told.lock().unwrap().known.clone()
    }

    pub(crate) fn relists(&self) -> usize {
        self.told.lock().unwrap().relists
    }

    pub(crate) fn errors(&self) -> Vec<String> {
        self.told.lock().unwrap().errors.clone()
    }

    /// Waits until it knows what the server has.
    pub(crate) async fn agrees(&self, server: &ApiServer, resource: Resource) {
        let what = "the follower knows what the server has";
        server.eventually(what, |server| (self.relists() > 0 && self.known() == stored(server, resource)).then_some(())).await;
    }
}

/// What the server has.
pub(crate) fn stored(server: &ApiServer, resource: Resource) -> Known {
    let text = |object: &Value, field: &str| object["metadata"][field].as_str().unwrap().to_owned();
    server.all(resource).iter().map(|object| (text(object, "name"), text(object, "resourceVersion"))).collect()
}

async fn follow(api: Api<Pod>, config: Config, told: Arc<Mutex<Told>>) {
    let mut events = std::pin::pin!(watcher::watcher(api, config));
    let mut listed = Known::new();
    while let Some(event) = events.next().await {
        let entry = |pod: &Pod| (pod.name_any(), pod.resource_version().unwrap());
        let failed = event.is_err();
        {
            let mut told = told.lock().unwrap();
            match event {
                Ok(Event::Init) => listed.clear(),
                Ok(Event::InitApply(pod)) => listed.extend([entry(&pod)]),
                Ok(Event::InitDone) => {
                    told.known = std::mem::take(&mut listed);
                    told.relists += 1;
                }
                Ok(Event::Apply(pod)) => told.known.extend([entry(&pod)]),
                Ok(Event::Delete(pod)) => drop(told.known.remove(&pod.name_any())),
                Err(e) => told.errors.push(e.to_string()),
            }
        }
        if failed {
            // Not at once again, and not so late as kube's own backoff.
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
    }
}
