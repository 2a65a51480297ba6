//! The caller of one plugin in another process: one call after the other, each with its deadline, in a task of its own.

use super::door::is_trusted;
use super::registry::{PluginEvent, allocated, allocations, hints, options, request};
use super::socket::{ServeError, own_user};
use crate::remote::{Answer, Ask, Call, Fault, Told};
use gleaner_crds::resourceplugin as proto;
use gleaner_crds::resourceplugin::resource_plugin_client::ResourcePluginClient;
use gleaner_model::ResourceName;
use hyper_util::rt::TokioIo;
use std::future::Future;
use std::io;
use std::net::Shutdown;
use std::os::fd::AsFd;
use std::os::unix::fs::FileTypeExt;
use std::os::unix::net::UnixStream as Socket;
use std::path::{Path, PathBuf};
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll};
use std::time::Duration;
use tokio::net::UnixStream;
use tokio::sync::{mpsc, oneshot};
use tokio::time::timeout;
use tonic::codegen::Service;
use tonic::codegen::http::Uri;
use tonic::transport::{Channel, Endpoint};
use tonic::{Code, Status};

/// Calls that may wait. One at a time is made by [`crate::remote::Remote`], so it is never full.
const QUEUE: usize = 4;
/// Characters of a plugin's words that are kept.
const WORDS: usize = 400;

/// By which a registered plugin is asked. Dropped, it hangs up, whatever call is under way.
#[derive(Debug)]
pub struct Client {
    queue: mpsc::Sender<Call>,
    _holds: oneshot::Sender<()>,
}

impl Client {
    /// Makes a call and does not wait for its answer, which comes as a [`PluginEvent::Answered`].
    ///
    /// # Errors
    /// The answer, when the call cannot be made.
    pub fn call(&self, call: Call) -> Result<(), Fault> {
        self.queue.try_send(call).map_err(|_| Fault::Silent("too many calls wait for it".to_owned()))
    }

    pub(super) fn start(dial: Dial, resource: ResourceName, deadline: Duration, events: mpsc::Sender<PluginEvent>) -> Self {
        let (queue, calls) = mpsc::channel(QUEUE);
        let (holds, dropped) = oneshot::channel::<()>();
        tokio::spawn(async move {
            tokio::select! {
                _ = dropped => {}
                () = serve(dial, resource, deadline, calls, events) => {}
            }
        });
        Self { queue, _holds: holds }
    }
}

async fn serve(dial: Dial, resource: ResourceName, deadline: Duration, mut calls: mpsc::Receiver<Call>, events: mpsc::Sender<PluginEvent>) {
    let mut channel: Option<(Channel, HangUp)> = None;
    while let Some(Call { id, ask: question, .. }) = calls.recv().await {
        let (connected, _) = channel.get_or_insert_with(|| dial.lazily());
        let late = |_| Err(Fault::Silent(format!("no answer within {deadline:?}")));
        let answer = timeout(deadline, ask(connected.clone(), &resource, question)).await.unwrap_or_else(late);
        if matches!(answer, Err(Fault::Silent(_))) {
            // Another process may listen there by now.
            channel = None;
        }
        let event = PluginEvent::Answered { resource: resource.clone(), id, answer };
        if events.send(event).await.is_err() {
            return;
        }
    }
}

async fn ask(channel: Channel, resource: &ResourceName, ask: Ask) -> Answer {
    let mut plugin = ResourcePluginClient::new(channel);
    match ask {
        Ask::Options => {
            let told = plugin.get_resource_plugin_options(proto::Empty {}).await.map_err(fault)?;
            options(told.get_ref()).map(Told::Options).map_err(Fault::Refused)
        }
        Ask::Hints(asked) => {
            let told = plugin.get_topology_hints(request(&asked)).await.map_err(fault)?;
            Ok(Told::Hints(hints(resource, told.get_ref())?))
        }
        Ask::Allocate(asked) => {
            let told = plugin.allocate(request(&asked)).await.map_err(fault)?;
            Ok(Told::Allocated(allocated(told.into_inner())?))
        }
        Ask::RemovePod(pod) => match plugin.remove_pod(proto::RemovePodRequest { pod_uid: pod.as_str().to_owned() }).await {
            // One that has nothing of the pod has nothing to free.
            Err(status) if status.code() == Code::NotFound => Ok(Told::Removed),
            told => told.map(|_| Told::Removed).map_err(fault),
        },
        Ask::Allocations => {
            let told = plugin.get_resources_allocation(proto::GetResourcesAllocationRequest {}).await.map_err(fault)?;
            Ok(Told::Allocations(allocations(told.into_inner())?))
        }
    }
}

/// A status with a source was made on this side: the connection failed. What the plugin itself says of its being absent counts as that, too.
fn fault(status: Status) -> Fault {
    let absent = matches!(status.code(), Code::Unavailable | Code::DeadlineExceeded | Code::Cancelled);
    match root(&status) {
        Some(cause) => Fault::Silent(in_words(&cause)),
        None if absent => Fault::Silent(in_words(status.message())),
        None if status.message().is_empty() => Fault::Refused(status.code().description().to_owned()),
        None => Fault::Refused(in_words(status.message())),
    }
}

/// The innermost cause.
fn root(status: &Status) -> Option<String> {
    let mut cause = std::error::Error::source(status)?;
    while let Some(deeper) = cause.source() {
        cause = deeper;
    }
    Some(cause.to_string())
}

/// A stranger's words, in one line that is not too long.
#[must_use]
pub fn in_words(text: &str) -> String {
    text.chars().map(|c| if c.is_control() { ' ' } else { c }).take(WORDS).collect()
}

/// Connects to a plugin's socket, if it still is one and of somebody who may have it.
#[derive(Debug, Clone)]
pub(super) struct Dial {
    pub(super) path: PathBuf,
    pub(super) own: u32,
    pub(super) line: Line,
}

/// The connection that was made last, by a descriptor of its own.
#[derive(Debug, Clone, Default)]
pub(super) struct Line(Arc<Mutex<Option<Socket>>>);

impl Line {
    fn keep(&self, stream: &UnixStream) -> io::Result<()> {
        let own = stream.as_fd().try_clone_to_owned()?;
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = Some(Socket::from(own));
        Ok(())
    }

    fn hang_up(&self) {
        if let Some(own) = self.0.lock().unwrap_or_else(PoisonError::into_inner).take() {
            // One that is over already is no matter.
            let _ = own.shutdown(Shutdown::Both);
        }
    }
}

/// Ends the connection of a channel when it is dropped. A dropped channel alone does not end one on which the other side never stops sending.
#[derive(Debug)]
pub struct HangUp(Line);

impl Drop for HangUp {
    fn drop(&mut self) {
        self.0.hang_up();
    }
}

impl Dial {
    pub(super) fn new(path: PathBuf, own: u32) -> Self {
        Self { path, own, line: Line::default() }
    }

    /// A line of its own for each channel, so that letting one go ends no other's.
    fn lazily(&self) -> (Channel, HangUp) {
        let dial = Self::new(self.path.clone(), self.own);
        let ends = HangUp(dial.line.clone());
        // The authority is a name that every server takes.
        (Endpoint::from_static("http://localhost").connect_with_connector_lazy(dial), ends)
    }
}

impl Service<Uri> for Dial {
    type Response = TokioIo<UnixStream>;
    type Error = io::Error;
    type Future = Pin<Box<dyn Future<Output = io::Result<Self::Response>> + Send>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, _: Uri) -> Self::Future {
        let Self { path, own, line } = self.clone();
        Box::pin(async move {
            let stream = connect(&path, own).await?;
            line.keep(&stream)?;
            Ok(TokioIo::new(stream))
        })
    }
}

/// A channel to the socket of another process, connected at the first call, and only if whoever listens there is root or this process's user; and what
/// ends its connection. Must be called inside a tokio runtime.
///
/// # Errors
/// When the kernel does not tell this process's user.
pub fn dial(path: &Path) -> Result<(Channel, HangUp), ServeError> {
    Ok(Dial::new(path.to_owned(), own_user()?).lazily())
}

async fn connect(path: &Path, own: u32) -> io::Result<UnixStream> {
    let named = |e: io::Error| io::Error::new(e.kind(), format!("{}: {e}", path.display()));
    if !path.symlink_metadata().map_err(named)?.file_type().is_socket() {
        return Err(named(io::Error::other("is no socket")));
    }
    let stream = UnixStream::connect(path).await.map_err(named)?;
    let user = stream.peer_cred().map_err(named)?.uid();
    if is_trusted(user, own) { Ok(stream) } else { Err(named(io::Error::other(format!("user {user} listens there")))) }
}

#[cfg(test)]
mod tests;
