//! The policy that holds an agent to its node.

use crate::policy::Policy;
use serde_json::{Value, json};

const AGENT: &str = "system:serviceaccount:gleaner-system:gleaner";

fn request(user: &str, operation: &str, extra: &Value) -> Value {
    let mut request = json!({"operation": operation, "userInfo": {"username": user}});
    if !extra.is_null() {
        request["userInfo"]["extra"] = extra.clone();
    }
    request
}

#[test]
fn an_agent_writes_its_own_node_and_no_other() {
    let policy = Policy::read("own-node/policy.yaml");
    let node = |name: &str| json!({"metadata": {"name": name}});
    let on = |name: &str| json!({"authentication.kubernetes.io/node-name": [name], "authentication.kubernetes.io/pod-name": ["gleaner-x"]});
    for operation in ["CREATE", "UPDATE", "DELETE"] {
        let takes = |name: &str, user: &str, extra: &Value| {
            let (new, old) = if operation == "DELETE" { (Value::Null, Some(node(name))) } else { (node(name), None) };
            policy.takes(&new, old.as_ref(), &request(user, operation, extra))
        };
        assert!(takes("node1", AGENT, &on("node1")), "{operation}");
        assert!(!takes("node2", AGENT, &on("node1")), "{operation}: another node");
        assert!(!takes("node1", AGENT, &Value::Null), "{operation}: a token that names no node");
        assert!(!takes("node1", AGENT, &json!({"authentication.kubernetes.io/pod-name": ["gleaner-x"]})), "{operation}");
        assert!(takes("node1", "system:node:node2", &Value::Null), "{operation}: others are not meant");
    }
}
