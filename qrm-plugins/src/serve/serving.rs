//! A served socket, from its opening to its end.

use super::authority::Connection;
use super::door::Door;
use super::socket::ServeError;
use std::path::{Path, PathBuf};
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;
use tokio::sync::{mpsc, oneshot, watch};
use tokio::task::JoinHandle;
use tokio::time::timeout;
use tonic::codegen::tokio_stream::Stream;
use tonic::transport::Server;
use tonic::transport::server::Router;

/// What a socket bears.
#[derive(Debug, Clone, Copy)]
pub(super) struct Bounds {
    /// Questions to the decider at once.
    pub(super) calls: usize,
    /// How long the decider has for one.
    pub(super) deadline: Duration,
    /// Connections at once.
    pub(super) connections: usize,
    /// How often the socket is looked after.
    pub(super) look: Duration,
}

impl Default for Bounds {
    fn default() -> Self {
        // Callers give up after 10 s; half of it leaves them the time to hear why.
        Self { calls: 64, deadline: Duration::from_secs(5), connections: 256, look: Duration::from_millis(500) }
    }
}

/// Streams of one connection at once.
const STREAMS: u32 = 64;
/// How long a connection may be silent before it is asked for a sign of life, and how long that may take.
const SIGN_OF_LIFE: Duration = Duration::from_secs(30);
const SILENCE: Duration = Duration::from_secs(10);
/// How long an answer may take to its caller after the last moment at which it can be given.
const LAST_WORDS: Duration = Duration::from_millis(500);

/// A socket that is served, until this value is dropped or told to stop.
#[derive(Debug)]
pub struct Serving {
    path: PathBuf,
    problem: watch::Receiver<Option<String>>,
    stop: oneshot::Sender<()>,
    task: JoinHandle<()>,
}

impl Serving {
    /// The socket.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// What is wrong with the socket at the moment, for whom it concerns; `None`: nothing. It is looked after again and again, so a problem may
    /// pass by itself.
    #[must_use]
    pub fn problem(&self) -> watch::Receiver<Option<String>> {
        self.problem.clone()
    }

    /// Removes the socket, lets calls that have begun end, and hangs up.
    pub async fn stop(self) {
        let Self { stop, task, .. } = self;
        drop(stop);
        // It neither panics nor is it aborted by anybody but the runtime's end.
        let _ = task.await;
    }

    /// Opens the socket and serves on it in a task of its own.
    pub(super) async fn start(path: &Path, bounds: Bounds, router: Router) -> Result<Self, ServeError> {
        let door = Door::open(path, bounds.connections).await?;
        let (tell, problem) = watch::channel(None);
        let (stop, stopped) = oneshot::channel();
        let task = tokio::spawn(run(door, bounds, router, tell, stopped));
        Ok(Self { path: path.to_owned(), problem, stop, task })
    }
}

/// A server as it is on every socket, still without a service.
pub(super) fn server() -> Server {
    Server::builder().max_concurrent_streams(STREAMS).http2_keepalive_interval(Some(SIGN_OF_LIFE)).http2_keepalive_timeout(Some(SILENCE))
}

async fn run(mut door: Door, bounds: Bounds, router: Router, problem: watch::Sender<Option<String>>, stopped: oneshot::Receiver<()>) {
    let (callers, incoming) = mpsc::channel(1);
    let (hang_up, hung_up) = watch::channel(());
    let (close, closed) = oneshot::channel::<()>();
    let until = async { drop(closed.await) };
    let mut server = Box::pin(router.serve_with_incoming_shutdown(Incoming(incoming), until));
    let stop = async { drop(stopped.await) };
    tokio::select! {
        () = door.keep(callers, hung_up, bounds.look, &problem, stop) => {}
        ended = &mut server => {
            let cause = ended.err().map_or_else(String::new, |e| format!(": {e}"));
            let _ = problem.send(Some(format!("the server has ended{cause}")));
            return door.close();
        }
    }
    door.close();
    // From here on nobody gets in. A call that has begun ends by its deadline; who does not hang up by then is hung up on.
    drop(close);
    if timeout(bounds.deadline + LAST_WORDS, &mut server).await.is_err() {
        drop(hang_up);
        let _ = timeout(LAST_WORDS, &mut server).await;
    }
}

/// Callers as the server wants them.
struct Incoming(mpsc::Receiver<Connection>);

impl Stream for Incoming {
    type Item = Result<Connection, std::convert::Infallible>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        self.0.poll_recv(cx).map(|caller| caller.map(Ok))
    }
}
