//! The page that draws itself again each second.

use super::{REDRAW, say};
use crate::engine::{Event, ask};
use crate::error::AgentError;
use crate::http;
use crate::report::{NodeState, draw};
use gleaner_host::clock;
use std::io::IsTerminal;
use std::path::Path;
use std::process::ExitCode;
use terminal_size::{Height, Width, terminal_size};
use tokio::sync::mpsc;

/// Wide enough for every column where nobody's window bounds it.
const UNBOUNDED: usize = 4096;

/// The width to draw for: the terminal's, or as wide as needed in a pipe or file.
pub(super) fn width() -> usize {
    window().map_or(UNBOUNDED, |(width, _)| width)
}

fn window() -> Option<(usize, usize)> {
    if !std::io::stdout().is_terminal() {
        return None;
    }
    terminal_size().map(|(Width(width), Height(height))| (usize::from(width), usize::from(height)))
}

/// Draws the agent's own state until it is stopped.
pub(super) async fn follow(event_loop: mpsc::Sender<Event>) {
    while let Some(state) = ask(&event_loop).await {
        show(&state);
        tokio::time::sleep(REDRAW).await;
    }
}

/// Draws another process's state until interrupted; an agent that goes away is waited for.
///
/// # Errors
/// When no agent answers at the beginning.
pub(super) async fn poll(socket: &Path) -> Result<ExitCode, AgentError> {
    let mut state = http::fetch_state(socket).await?;
    loop {
        show(&state);
        tokio::select! {
            () = tokio::time::sleep(REDRAW) => {}
            _ = tokio::signal::ctrl_c() => {
                leave();
                return Ok(ExitCode::SUCCESS);
            }
        }
        match http::fetch_state(socket).await {
            Ok(new) => state = new,
            Err(error) => say(&format!("\n{error}\n")),
        }
    }
}

fn show(state: &NodeState) {
    match window() {
        Some((width, height)) => {
            let page = draw(state, clock::now(), width);
            // The last line stays free, or the terminal scrolls.
            let lines: Vec<&str> = page.lines().take(height.saturating_sub(1)).collect();
            // Home, each line cleared to its end, the rest below cleared: no flicker.
            say(&format!("\x1b[H{}\x1b[K\x1b[J", lines.join("\x1b[K\r\n")));
        }
        None => say(&format!("{}\n", draw(state, clock::now(), UNBOUNDED))),
    }
}

/// Leaves the terminal usable below the page.
pub(super) fn leave() {
    if window().is_some() {
        say("\r\n");
    }
}
