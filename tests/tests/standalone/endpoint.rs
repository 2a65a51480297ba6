//! The local endpoint.

use gleaner_tests::{Node, Pod, http};
use std::net::{SocketAddr, TcpListener};
use std::os::unix::fs::PermissionsExt;

fn free_port() -> SocketAddr {
    TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap()
}

#[test]
fn the_endpoint_answers_on_the_socket_and_on_loopback() {
    let Some(mut node) = Node::new("the_endpoint_answers_on_the_socket_and_on_loopback") else { return };
    let address = free_port();
    node.add(&Pod::shared("web").request("cpu", "100m"));
    node.start_with(&["--listen", &address.to_string()]);
    node.running(&["web"]);
    node.ticks(2);
    let socket = node.path("run/socket");
    for path in ["/healthz", "/metrics", "/state"] {
        let (unix, tcp) = (http::get(&socket, path).unwrap(), http::get_tcp(address, path).unwrap());
        assert_eq!((unix.status, tcp.status), (200, 200), "{path}");
    }
    let health = http::get_tcp(address, "/healthz").unwrap().body;
    assert!(health.contains("ok journal\n") && health.contains("ok knobs\n"), "{health}");
    let metrics = http::get_tcp(address, "/metrics").unwrap();
    assert!(metrics.head.contains("application/openmetrics-text; version=1.0.0"), "{}", metrics.head);
    assert!(metrics.body.ends_with("# EOF\n"), "{}", metrics.body);
    let phase = "gleaner_pod_phase{namespace=\"default\",pod=\"web\",class=\"shared_cores\",phase=\"Running\"} 1";
    assert!(metrics.body.contains(phase), "{phase} is not in\n{}", metrics.body);
    assert_eq!(http::get(&socket, "/nothing").unwrap().status, 404);
    assert_eq!(socket.metadata().unwrap().permissions().mode() & 0o777, 0o600, "only its owner may ask");
}

#[test]
fn status_prints_the_state_as_json_and_as_a_page() {
    let Some(mut node) = Node::new("status_prints_the_state_as_json_and_as_a_page") else { return };
    let none = node.run("status", &["--json"]);
    let text = String::from_utf8_lossy(&none.stderr).into_owned();
    assert!(!none.status.success() && text.contains("is `gleaner agent` running?"), "{text}");
    node.add(&Pod::shared("web"));
    node.start();
    node.running(&["web"]);
    let output = node.run("status", &["--json"]);
    let state: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(gleaner_tests::pod_state(&state, "web").unwrap()["phase"], "running", "{state}");
    let page = node.run("status", &[]);
    let page = String::from_utf8_lossy(&page.stdout).into_owned();
    for part in ["default/web", "shared_cores", "Running", "POOLS", "RECLAIMABLE NOW", "LAST DECISIONS"] {
        assert!(page.contains(part), "{part} is not in\n{page}");
    }
}
