//! Asks a running agent, over its socket.

use crate::error::AgentError;
use crate::report::NodeState;
use http_body_util::{BodyExt, Empty};
use hyper::Request;
use hyper::body::Bytes;
use hyper::client::conn::http1::handshake;
use hyper_util::rt::TokioIo;
use std::path::Path;
use std::time::Duration;
use tokio::net::UnixStream;

const PATIENCE: Duration = Duration::from_secs(5);

/// The agent's state.
///
/// # Errors
/// When no agent answers in time, or what it answers is not understood.
pub(crate) async fn fetch_state(socket: &Path) -> Result<NodeState, AgentError> {
    let answer = tokio::time::timeout(PATIENCE, get(socket, "/state"));
    let body = answer.await.unwrap_or_else(|_| Err("no answer in time".to_owned()));
    let parsed = body.and_then(|bytes| serde_json::from_slice(&bytes).map_err(|e| format!("its answer is not understood: {e}")));
    parsed.map_err(|cause| AgentError::NoAgent { socket: socket.to_owned(), cause })
}

async fn get(socket: &Path, path: &str) -> Result<Bytes, String> {
    let stream = UnixStream::connect(socket).await.map_err(|e| match e.kind() {
        std::io::ErrorKind::PermissionDenied => "only root and the agent's own user may ask".to_owned(),
        _ => e.to_string(),
    })?;
    let (mut sender, connection) = handshake(TokioIo::new(stream)).await.map_err(|e| e.to_string())?;
    let driver = tokio::spawn(connection);
    let request = Request::get(path).header("host", "gleaner").body(Empty::<Bytes>::new()).map_err(|e| e.to_string())?;
    let response = sender.send_request(request).await.map_err(|e| e.to_string())?;
    let status = response.status();
    let body = response.into_body().collect().await.map_err(|e| e.to_string())?.to_bytes();
    driver.abort();
    if status.is_success() { Ok(body) } else { Err(format!("it answered {status}")) }
}
