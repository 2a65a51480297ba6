//! The sockets that callers of the plugins find.

use super::decider::LoopDecider;
use crate::config::Qrm;
use crate::engine::Event;
use gleaner_qrm_plugins::PluginOptions;
use gleaner_qrm_plugins::serve::{Decider, ServeError, Serving, serve as serve_plugin, serve_pod_resources};
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::{mpsc, oneshot};
use tokio::task::JoinHandle;

/// After this a socket that could not be opened is tried again: the plugin that has it now may be stopped.
const AGAIN: Duration = Duration::from_secs(2);

/// A plugin that is to be served.
#[derive(Clone)]
pub(crate) struct Served {
    pub(crate) resource: String,
    pub(crate) socket: String,
    pub(crate) options: PluginOptions,
}

/// A socket that is served, or tried again and again.
pub(crate) struct Server {
    stop: oneshot::Sender<()>,
    task: JoinHandle<()>,
}

/// Opens a socket for each plugin, and the list of pod resources. A socket that cannot be opened degrades its part; the others are served.
pub(crate) fn serve(folders: &Qrm, plugins: Vec<Served>, events: &mpsc::Sender<Event>) -> Vec<Server> {
    let decider: Arc<dyn Decider> = Arc::new(LoopDecider(events.clone()));
    let resources: Vec<String> = plugins.iter().map(|plugin| plugin.resource.clone()).collect();
    let mut servers = Vec::new();
    for plugin in plugins {
        let (folder, decider) = (folders.socket_dir.clone(), Arc::clone(&decider));
        let part = format!("plugin {}", plugin.resource);
        let open = move || {
            let (folder, plugin, decider) = (folder.clone(), plugin.clone(), Arc::clone(&decider));
            async move { serve_plugin(&folder, &plugin.socket, &plugin.resource, plugin.options, decider).await }
        };
        servers.push(keep(open, part, events.clone()));
    }
    if !resources.is_empty() && !folders.pod_resources_dir.as_os_str().is_empty() {
        let folder = folders.pod_resources_dir.clone();
        let open = move || {
            let (folder, resources, decider) = (folder.clone(), resources.clone(), Arc::clone(&decider));
            async move { serve_pod_resources(&folder, resources, decider).await }
        };
        servers.push(keep(open, "pod-resources".to_owned(), events.clone()));
    }
    servers
}

/// Takes the sockets away, so that the kubelet stops asking.
pub(crate) async fn stop(servers: Vec<Server>) {
    for Server { stop, task } in servers {
        drop(stop);
        // It neither panics nor is it aborted by anybody but the runtime's end.
        let _ = task.await;
    }
}

fn keep<F>(open: impl Fn() -> F + Send + 'static, part: String, events: mpsc::Sender<Event>) -> Server
where
    F: Future<Output = Result<Serving, ServeError>> + Send,
{
    let (stop, stopped) = oneshot::channel::<()>();
    let task = tokio::spawn(async move {
        let mut stopped = std::pin::pin!(async { drop(stopped.await) });
        let serving = tokio::select! {
            () = &mut stopped => return,
            serving = opened(open, &part, &events) => serving,
        };
        tokio::select! {
            () = &mut stopped => {}
            () = watch(&serving, &part, &events) => {}
        }
        serving.stop().await;
    });
    Server { stop, task }
}

/// The socket, when it could be opened at last.
async fn opened<F>(open: impl Fn() -> F, part: &str, events: &mpsc::Sender<Event>) -> Serving
where
    F: Future<Output = Result<Serving, ServeError>>,
{
    loop {
        match open().await {
            Ok(serving) => return serving,
            Err(error) => {
                tell(part, Some(error.in_one_line()), events).await;
                tokio::time::sleep(AGAIN).await;
            }
        }
    }
}

/// Tells the loop how a socket does, for as long as it is served.
async fn watch(serving: &Serving, part: &str, events: &mpsc::Sender<Event>) {
    let mut problem = serving.problem();
    loop {
        let now = problem.borrow_and_update().as_ref().map(|problem| format!("{}: {problem}", serving.path().display()));
        tell(part, now, events).await;
        if problem.changed().await.is_err() {
            return;
        }
    }
}

async fn tell(part: &str, problem: Option<String>, events: &mpsc::Sender<Event>) {
    // The loop is gone when the agent stops; nobody is left to be told.
    let _ = events.send(Event::PartDoes { part: part.to_owned().into(), problem }).await;
}
