//! A connection whose requests may name a path as their authority.
//!
//! Katalyst's callers dial the path of a socket and send that path as `:authority`; gRPC's C core sends it percent-encoded. Neither is an
//! authority, so h2 resets the stream before anybody can look at it. Here the bytes of a connection are rewritten on their way to h2.

mod frames;
mod headers;

use frames::Rewriter;
use std::future::Future;
use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::UnixStream;
use tokio::sync::OwnedSemaphorePermit;
use tonic::transport::server::Connected;

/// How many bytes are read at a time.
const CHUNK: usize = 4096;

/// Ends when the connection is to be hung up, whatever its peer does.
pub(super) type HangUp = Pin<Box<dyn Future<Output = ()> + Send>>;

/// An accepted connection. What it writes goes through unchanged.
pub(super) struct Connection {
    stream: UnixStream,
    rewriter: Rewriter,
    /// Rewritten bytes; those before `given` were read already.
    ready: Vec<u8>,
    given: usize,
    hang_up: HangUp,
    /// Its place among the connections of the socket.
    _place: OwnedSemaphorePermit,
}

impl Connection {
    pub(super) fn new(stream: UnixStream, hang_up: HangUp, place: OwnedSemaphorePermit) -> Self {
        Self { stream, rewriter: Rewriter::default(), ready: Vec::new(), given: 0, hang_up, _place: place }
    }

    /// Gives what is ready; whether there was anything.
    fn give(&mut self, to: &mut ReadBuf<'_>) -> bool {
        let waiting = self.ready.get(self.given..).unwrap_or_default();
        let (now, later) = waiting.split_at_checked(to.remaining()).unwrap_or((waiting, &[]));
        to.put_slice(now);
        let (any, all) = (!waiting.is_empty(), later.is_empty());
        self.given += now.len();
        if all {
            // A large header block is rare; its room is not kept.
            self.ready.clear();
            self.ready.shrink_to(CHUNK * 2);
            self.given = 0;
        }
        any
    }
}

impl AsyncRead for Connection {
    fn poll_read(self: Pin<&mut Self>, cx: &mut Context<'_>, to: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        if this.hang_up.as_mut().poll(cx).is_ready() {
            // As if the peer had hung up.
            return Poll::Ready(Ok(()));
        }
        while !this.give(to) {
            let mut space = [0; CHUNK];
            let mut read = ReadBuf::new(&mut space);
            ready!(Pin::new(&mut this.stream).poll_read(cx, &mut read))?;
            if read.filled().is_empty() {
                return Poll::Ready(Ok(()));
            }
            this.rewriter.push(read.filled(), &mut this.ready).map_err(|e| io::Error::new(io::ErrorKind::InvalidData, e))?;
        }
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for Connection {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, from: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.get_mut().stream).poll_write(cx, from)
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().stream).poll_flush(cx)
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().stream).poll_shutdown(cx)
    }

    fn poll_write_vectored(self: Pin<&mut Self>, cx: &mut Context<'_>, from: &[io::IoSlice<'_>]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.get_mut().stream).poll_write_vectored(cx, from)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }
}

impl Connected for Connection {
    type ConnectInfo = ();

    fn connect_info(&self) {}
}

#[cfg(test)]
mod tests;
