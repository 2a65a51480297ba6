use super::*;
use crate::report::NodeState;
use gleaner_model::Timestamp;

/// A loop that answers each question with an empty state.
fn answering() -> Shared {
    let (sender, mut events) = mpsc::channel(4);
    tokio::spawn(async move {
        while let Some(event) = events.recv().await {
            if let Event::StateAsked(answer) = event {
                let _ = answer.send(Box::new(NodeState::empty(Timestamp::default())));
            }
        }
    });
    sender
}

#[tokio::test]
async fn the_state_round_trips_over_the_socket() {
    let dir = tempfile::tempdir().unwrap();
    let socket = dir.path().join("run/gleaner.sock");
    serve_unix(&socket, answering()).unwrap();
    assert_eq!(fetch_state(&socket).await.unwrap(), NodeState::empty(Timestamp::default()));
    assert_eq!(std::fs::metadata(&socket).unwrap().permissions().mode() & 0o777, 0o600);
    let error = serve_unix(&socket, answering()).unwrap_err().to_string();
    assert!(error.ends_with("is in use by another agent"), "{error}");
    assert!(fetch_state(&socket).await.is_ok(), "the first goes on");
    // What an agent that was killed left behind is replaced.
    let left = dir.path().join("run/left.sock");
    drop(std::os::unix::net::UnixListener::bind(&left).unwrap());
    serve_unix(&left, answering()).unwrap();
    assert!(fetch_state(&left).await.is_ok());
}

#[tokio::test]
async fn what_is_no_socket_of_ours_is_left_alone() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("file");
    std::fs::File::create(&path).unwrap();
    let error = serve_unix(&path, answering()).unwrap_err().to_string();
    assert!(error.contains("exists and is no socket"), "{error}");
    assert!(path.exists());
}

#[tokio::test]
async fn a_missing_agent_is_one_clear_line() {
    let error = fetch_state(Path::new("/nonexistent/gleaner.sock")).await.unwrap_err().to_string();
    assert!(error.starts_with("no agent answers on /nonexistent/gleaner.sock: "), "{error}");
}

#[tokio::test(start_paused = true)]
async fn a_hanging_loop_is_unhealthy() {
    assert_eq!(healthz(State(answering())).await.status(), StatusCode::OK);
    let (sender, _events) = mpsc::channel(4);
    assert_eq!(healthz(State(sender)).await.status(), StatusCode::SERVICE_UNAVAILABLE);
    let (sender, events) = mpsc::channel(4);
    drop(events);
    assert_eq!(healthz(State(sender)).await.status(), StatusCode::SERVICE_UNAVAILABLE);
}
