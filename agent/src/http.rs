//! The local endpoint: `/healthz`, `/metrics`, `/state`, on a unix socket and, when asked, on TCP at a loopback address.

mod client;
mod peer;

pub(crate) use client::fetch_state;

use crate::engine::{Event, ask};
use crate::error::AgentError;
use crate::report::metrics;
use axum::Router;
use axum::extract::State;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use nix::unistd::geteuid;
use peer::OwnerOnly;
use std::fs::Permissions;
use std::net::SocketAddr;
use std::os::unix::fs::{DirBuilderExt, FileTypeExt, MetadataExt, PermissionsExt};
use std::path::Path;
use tokio::net::{TcpListener, UnixListener};
use tokio::sync::mpsc;

/// The event loop, which makes the state.
type Shared = mpsc::Sender<Event>;

/// What the endpoint answers.
pub(crate) fn router(event_loop: Shared) -> Router {
    Router::new().route("/healthz", get(healthz)).route("/metrics", get(openmetrics)).route("/state", get(json)).with_state(event_loop)
}

/// One line a part. A degraded part leaves the status at 200, since a restart would not mend it; a hanging loop does not.
async fn healthz(State(event_loop): State<Shared>) -> Response {
    let Some(state) = ask(&event_loop).await else { return hanging() };
    let line = |(part, health): (&String, &crate::health::PartHealth)| match &health.problem {
        None => format!("ok {part}\n"),
        Some(problem) => format!("degraded {part}: {problem}\n"),
    };
    state.health.iter().map(line).collect::<String>().into_response()
}

async fn openmetrics(State(event_loop): State<Shared>) -> Response {
    let Some(state) = ask(&event_loop).await else { return hanging() };
    ([(header::CONTENT_TYPE, "application/openmetrics-text; version=1.0.0; charset=utf-8")], metrics::text(&state)).into_response()
}

async fn json(State(event_loop): State<Shared>) -> Response {
    match ask(&event_loop).await {
        Some(state) => axum::Json(&*state).into_response(),
        None => hanging(),
    }
}

fn hanging() -> Response {
    (StatusCode::SERVICE_UNAVAILABLE, "the event loop does not answer\n").into_response()
}

/// Serves on a unix socket that only its owner can open.
///
/// # Errors
/// When the folder or an existing socket belongs to someone else, or the socket is in use.
pub(crate) fn serve_unix(path: &Path, event_loop: Shared) -> Result<(), AgentError> {
    let listener = bind(path)?;
    let router = router(event_loop);
    tokio::spawn(async move { axum::serve(OwnerOnly(listener), router).await });
    Ok(())
}

/// Serves on a loopback address.
///
/// # Errors
/// When the address is in use.
pub(crate) async fn serve_tcp(address: SocketAddr, event_loop: Shared) -> Result<(), AgentError> {
    let listener = TcpListener::bind(address).await.map_err(|e| AgentError::io("listen on", Path::new(&address.to_string()), e))?;
    let router = router(event_loop);
    tokio::spawn(async move { axum::serve(listener, router).await });
    Ok(())
}

fn bind(path: &Path) -> Result<UnixListener, AgentError> {
    let refuse = |cause: &str| AgentError::Socket { path: path.to_owned(), cause: cause.to_owned() };
    let folder = path.parent().filter(|p| !p.as_os_str().is_empty()).unwrap_or(Path::new("."));
    std::fs::DirBuilder::new().recursive(true).mode(0o700).create(folder).map_err(|e| AgentError::io("create", folder, e))?;
    let own = geteuid().as_raw();
    let owner = std::fs::metadata(folder).map_err(|e| AgentError::io("read", folder, e))?.uid();
    if owner != own {
        return Err(refuse(&format!("its folder belongs to user {owner}")));
    }
    match std::fs::symlink_metadata(path) {
        Ok(old) if old.file_type().is_socket() && old.uid() == own => {
            // One that answers is another agent's, with a state folder of its own.
            if std::os::unix::net::UnixStream::connect(path).is_ok() {
                return Err(refuse("is in use by another agent"));
            }
            // Left by an agent that was killed.
            std::fs::remove_file(path).map_err(|e| AgentError::io("remove", path, e))?;
        }
        Ok(_) => return Err(refuse("exists and is no socket of this user")),
        Err(_) => {}
    }
    let listener = UnixListener::bind(path).map_err(|e| AgentError::io("bind", path, e))?;
    std::fs::set_permissions(path, Permissions::from_mode(0o600)).map_err(|e| AgentError::io("protect", path, e))?;
    Ok(listener)
}

#[cfg(test)]
mod tests;
