//! The sockets that callers of the plugins find.

use super::decider::LoopDecider;
use crate::config::Qrm;
use crate::engine::Event;
use gleaner_qrm_plugins::PluginOptions;
use gleaner_qrm_plugins::serve::{Decider, ServeError, Serving, serve as serve_plugin, serve_pod_resources};
use std::borrow::Cow;
use std::sync::Arc;
use tokio::sync::mpsc;

/// A plugin that is to be served.
pub(crate) struct Served {
    pub(crate) resource: String,
    pub(crate) socket: String,
    pub(crate) options: PluginOptions,
}

/// Opens a socket for each plugin, and the list of pod resources. A socket that cannot be opened degrades its part; the others are served.
pub(crate) async fn serve(folders: &Qrm, plugins: Vec<Served>, events: &mpsc::Sender<Event>) -> Vec<Serving> {
    let decider: Arc<dyn Decider> = Arc::new(LoopDecider(events.clone()));
    let resources: Vec<String> = plugins.iter().map(|plugin| plugin.resource.clone()).collect();
    let mut servings = Vec::new();
    for Served { resource, socket, options } in plugins {
        let served = serve_plugin(&folders.socket_dir, &socket, &resource, options, Arc::clone(&decider)).await;
        keep(&mut servings, served, format!("plugin {resource}").into(), events).await;
    }
    if !resources.is_empty() && !folders.pod_resources_dir.as_os_str().is_empty() {
        let served = serve_pod_resources(&folders.pod_resources_dir, resources, decider).await;
        keep(&mut servings, served, "pod-resources".into(), events).await;
    }
    servings
}

/// Takes the sockets away, so that the kubelet stops asking.
pub(crate) async fn stop(servings: Vec<Serving>) {
    for serving in servings {
        serving.stop().await;
    }
}

async fn keep(servings: &mut Vec<Serving>, served: Result<Serving, ServeError>, part: Cow<'static, str>, events: &mpsc::Sender<Event>) {
    match served {
        Ok(serving) => {
            watch(&serving, part, events.clone());
            servings.push(serving);
        }
        Err(error) => tell(part, Some(error.to_string()), events).await,
    }
}

/// Tells the loop how a socket does, for as long as it is served.
fn watch(serving: &Serving, part: Cow<'static, str>, events: mpsc::Sender<Event>) {
    let (mut problem, path) = (serving.problem(), serving.path().to_owned());
    tokio::spawn(async move {
        loop {
            let now = problem.borrow_and_update().clone();
            tell(part.clone(), now.map(|problem| format!("{}: {problem}", path.display())), &events).await;
            if problem.changed().await.is_err() {
                return;
            }
        }
    });
}

async fn tell(part: Cow<'static, str>, problem: Option<String>, events: &mpsc::Sender<Event>) {
    // The loop is gone when the agent stops; nobody is left to be told.
    let _ = events.send(Event::PartDoes { part, problem }).await;
}
