use super::*;
use gleaner_model::Timestamp;

fn shared() -> (watch::Sender<Arc<NodeState>>, Shared) {
    watch::channel(Arc::new(NodeState::empty(clock::now())))
}

#[tokio::test]
async fn the_state_round_trips_over_the_socket() {
    let dir = tempfile::tempdir().unwrap();
    let socket = dir.path().join("run/gleaner.sock");
    let (_sender, state) = shared();
    serve_unix(&socket, state.clone()).unwrap();
    assert_eq!(fetch_state(&socket).await.unwrap(), **state.borrow());
    assert_eq!(std::fs::metadata(&socket).unwrap().permissions().mode() & 0o777, 0o600);
    // A second bind finds the socket that the first left and takes its place, as after a kill.
    let (_sender, state) = shared();
    serve_unix(&socket, state).unwrap();
    assert!(fetch_state(&socket).await.is_ok());
}

#[tokio::test]
async fn what_is_no_socket_of_ours_is_left_alone() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("file");
    std::fs::File::create(&path).unwrap();
    let error = serve_unix(&path, shared().1).unwrap_err().to_string();
    assert!(error.contains("exists and is no socket"), "{error}");
    assert!(path.exists());
}

#[tokio::test]
async fn a_missing_agent_is_one_clear_line() {
    let error = fetch_state(Path::new("/nonexistent/gleaner.sock")).await.unwrap_err().to_string();
    assert!(error.starts_with("no agent answers on /nonexistent/gleaner.sock: "), "{error}");
}

#[tokio::test]
async fn a_hanging_loop_is_unhealthy() {
    let (sender, state) = shared();
    let ok = healthz(State(state.clone())).await.status();
    sender.send_replace(Arc::new(NodeState::empty(Timestamp::default())));
    let hanging = healthz(State(state)).await.status();
    // The machine that runs this test has been up for more than a minute, or the second state is not old.
    let up = clock::now().since(Timestamp::default()) > STALE;
    assert_eq!((ok, hanging == StatusCode::SERVICE_UNAVAILABLE), (StatusCode::OK, up));
}
