//! Serving gRPC on a unix socket, for doubles of other processes.

use std::os::unix::net::UnixListener;
use std::pin::Pin;
use std::task::{Context, Poll};
use tokio::net::UnixStream;
use tonic::codegen::tokio_stream::Stream;

/// Does this on a runtime of its own, on this thread.
///
/// # Panics
/// When the kernel gives no runtime.
pub fn block_on<T>(work: impl Future<Output = T>) -> T {
    tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(work)
}

/// Those who call at a socket.
#[derive(Debug)]
pub struct Callers(tokio::net::UnixListener);

impl Callers {
    /// At this socket. Must be called inside a tokio runtime.
    ///
    /// # Panics
    /// When the runtime cannot watch it.
    #[must_use]
    pub fn of(listener: UnixListener) -> Self {
        listener.set_nonblocking(true).unwrap();
        Self(tokio::net::UnixListener::from_std(listener).unwrap())
    }
}

impl Stream for Callers {
    type Item = std::io::Result<UnixStream>;

    fn poll_next(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        self.0.poll_accept(cx).map(|accepted| Some(accepted.map(|(caller, _)| caller)))
    }
}
