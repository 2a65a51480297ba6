//! The task that serves the registry and brings what happens there into the loop.

use super::RemoteSettings;
use gleaner_qrm_plugins::serve::{PluginEvent, Serving, serve_registry};
use std::time::Duration;
use tokio::sync::{mpsc, oneshot};
use tokio::task::JoinHandle;

/// Room for what plugins do while the loop is busy; a full queue makes them wait.
const QUEUE: usize = 16;
/// How often it is tried to open the socket.
const AGAIN: Duration = Duration::from_secs(5);

/// What the loop is told.
#[derive(Debug)]
pub(crate) enum RemoteEvent {
    /// Something happened with a plugin.
    Plugin(PluginEvent),
    /// How the registry does: what is wrong with it, or nothing.
    Registry(Option<String>),
}

/// A registry that is served until it is told to stop, or dropped.
#[derive(Debug)]
pub(crate) struct Registry {
    stop: oneshot::Sender<()>,
    task: JoinHandle<()>,
}

impl Registry {
    /// Takes the socket away.
    pub(crate) async fn stop(self) {
        drop(self.stop);
        // It neither panics nor is it aborted by anybody but the runtime's end.
        let _ = self.task.await;
    }
}

/// Serves the registry in a task of its own, inside a tokio runtime; `None` when the settings name no folder. A socket that cannot be opened is
/// told of and tried again.
pub(crate) fn serve<E: From<RemoteEvent> + Send + 'static>(settings: &RemoteSettings, events: mpsc::Sender<E>) -> Option<Registry> {
    let settings = Some(settings.clone()).filter(RemoteSettings::is_served)?;
    let (stop, stopped) = oneshot::channel::<()>();
    let task = tokio::spawn(async move {
        let mut stopped = std::pin::pin!(async { drop(stopped.await) });
        let (tell, happened) = mpsc::channel(QUEUE);
        let opened = tokio::select! {
            () = &mut stopped => None,
            serving = open(&settings, tell, &events) => Some(serving),
        };
        let Some(serving) = opened else { return };
        tokio::select! {
            () = &mut stopped => {}
            () = pass_on(&serving, happened, &events) => {}
        }
        serving.stop().await;
    });
    Some(Registry { stop, task })
}

async fn open<E: From<RemoteEvent>>(settings: &RemoteSettings, tell: mpsc::Sender<PluginEvent>, events: &mpsc::Sender<E>) -> Serving {
    loop {
        match serve_registry(&settings.registry_dir, settings.deadline.get(), tell.clone()).await {
            Ok(serving) => return serving,
            Err(error) => {
                // The loop is gone when the agent stops; nobody is left to be told.
                let _ = events.send(RemoteEvent::Registry(Some(error.to_string())).into()).await;
                tokio::time::sleep(AGAIN).await;
            }
        }
    }
}

/// Until the loop is gone.
async fn pass_on<E: From<RemoteEvent>>(serving: &Serving, mut happened: mpsc::Receiver<PluginEvent>, events: &mpsc::Sender<E>) {
    let (mut problem, path) = (serving.problem(), serving.path().display().to_string());
    problem.mark_changed();
    loop {
        let event = tokio::select! {
            Some(event) = happened.recv() => RemoteEvent::Plugin(event),
            Ok(()) = problem.changed() => {
                let now = problem.borrow_and_update().as_ref().map(|problem| format!("{path}: {problem}"));
                RemoteEvent::Registry(now)
            }
            else => return,
        };
        if events.send(event.into()).await.is_err() {
            return;
        }
    }
}
