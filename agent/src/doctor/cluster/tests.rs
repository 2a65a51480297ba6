#![allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::panic, reason = "tests")]

use super::*;
use crate::kubernetes::scripted::{Asked, Reply, scripted};
use serde_json::json;

const REVIEWS: &str = "/apis/authorization.k8s.io/v1/selfsubjectaccessreviews";

fn connected(client: Client) -> Connected {
    Connected { watches: client.clone(), client, node: "node-1".to_owned() }
}

/// A cluster that has everything and allows everything but evictions.
fn everything(asked: &Asked) -> Reply {
    let names =
        |names: &[&str]| json!({"kind": "APIResourceList", "resources": names.iter().map(|n| json!({"name": n})).collect::<Vec<_>>()});
    let path = asked.path.strip_prefix("http://localhost").unwrap_or(&asked.path);
    match path {
        "/version" => Reply::Json(200, json!({"major": "1", "minor": "33", "gitVersion": "v1.33.2"})),
        "/api/v1/nodes/node-1" => Reply::Json(200, json!({"kind": "Node"})),
        "/apis/node.katalyst.kubewharf.io/v1alpha1" => Reply::Json(200, names(&["customnoderesources", "customnoderesources/status"])),
        "/apis/config.katalyst.kubewharf.io/v1alpha1" => Reply::Json(200, names(&["adminqosconfigurations"])),
        REVIEWS => {
            let refused = asked.body["spec"]["resourceAttributes"]["subresource"] == "eviction";
            Reply::Json(
                201,
                json!({"spec": asked.body["spec"], "status": {"allowed": !refused, "reason": if refused { "no rule" } else { "" }}}),
            )
        }
        other => Reply::failure(404, "NotFound", other),
    }
}

#[tokio::test(start_paused = true)]
async fn a_server_that_answers_is_asked_everything_once() {
    let (client, log) = scripted(|asked, _| everything(asked));
    let Cluster::Answers(answers) = questions(&connected(client)).await else { panic!("no answers") };
    assert_eq!((answers.version.as_deref(), &answers.knows_node), (Ok("v1.33.2"), &Said::Yes));
    assert_eq!((&answers.kinds["customnoderesources"], &answers.kinds["adminqosconfigurations"]), (&Said::Yes, &Said::Yes));
    assert_eq!(answers.kinds["customnodeconfigs"], Said::No("the group does not have it".to_owned()));
    let verbs: usize = RIGHTS.iter().map(|right| right.verbs.len()).sum();
    assert_eq!(answers.rights.len(), verbs);
    for (key, said) in &answers.rights {
        let expected = if *key == ("pods/eviction", "create") { Said::No("no rule".to_owned()) } else { Said::Yes };
        assert_eq!(*said, expected, "{key:?}");
    }
    assert_eq!(log.lock().unwrap().len(), 1 + 1 + KINDS.len() + verbs);
}

#[tokio::test(start_paused = true)]
async fn what_is_asked_for_is_as_narrow_as_what_the_agent_does() {
    let (client, log) = scripted(|asked, _| everything(asked));
    questions(&connected(client)).await;
    let log = log.lock().unwrap();
    let reviews: Vec<&Value> =
        log.iter().filter(|asked| asked.path.ends_with(REVIEWS)).map(|asked| &asked.body["spec"]["resourceAttributes"]).collect();
    let find = |resource: &str, subresource: Option<&str>, verb: &str| {
        let of =
            |review: &&&Value| review["resource"] == resource && review["subresource"].as_str() == subresource && review["verb"] == verb;
        *reviews.iter().find(of).unwrap_or_else(|| panic!("{verb} {resource} {subresource:?} was not asked"))
    };
    assert_eq!(find("pods", None, "watch")["name"], Value::Null, "pods are chosen by a selector");
    assert_eq!(find("nodes", Some("status"), "patch")["name"], "node-1");
    assert_eq!(find("nodes", Some("proxy"), "get")["name"], "node-1");
    assert_eq!(find("customnoderesources", None, "patch")["name"], "node-1");
    assert_eq!(find("customnoderesources", None, "create")["name"], Value::Null, "what is created has no name yet");
    assert_eq!(find("events", None, "create")["group"], "events.k8s.io");
}

#[tokio::test(start_paused = true)]
async fn a_silent_server_costs_three_seconds_in_all() {
    let begun = Instant::now();
    let (client, log) = scripted(|_, _| Reply::Never);
    let found = questions(&connected(client)).await;
    assert!(matches!(&found, Cluster::Silent(cause) if cause == "no answer within 3 s"), "{found:?}");
    assert_eq!((begun.elapsed(), log.lock().unwrap().len()), (LIMIT, 1));
}

#[tokio::test(start_paused = true)]
async fn what_was_answered_in_time_counts() {
    let begun = Instant::now();
    let (client, _) = scripted(|asked, _| if asked.path.ends_with(REVIEWS) { Reply::Never } else { everything(asked) });
    let Cluster::Answers(answers) = questions(&connected(client)).await else { panic!("no answers") };
    assert_eq!(begun.elapsed(), LIMIT);
    assert_eq!((answers.version.as_deref(), &answers.kinds["customnoderesources"]), (Ok("v1.33.2"), &Said::Yes));
    let late = Said::NotKnown("no answer within 3 s".to_owned());
    assert!(answers.rights.values().all(|said| *said == late), "{:?}", answers.rights);
}

#[tokio::test(start_paused = true)]
async fn a_server_that_refuses_or_speaks_of_something_else_is_quoted() {
    let unauthorized = || Reply::failure(401, "Unauthorized", "Unauthorized");
    let (client, _) = scripted(move |_, _| unauthorized());
    let Cluster::Answers(answers) = questions(&connected(client)).await else { panic!("no answers") };
    let cause = "Unauthorized (HTTP 401)".to_owned();
    assert_eq!((&answers.version, &answers.knows_node), (&Err(cause.clone()), &Said::NotKnown(cause.clone())));
    assert!(answers.rights.values().chain(answers.kinds.values()).all(|said| *said == Said::NotKnown(cause.clone())), "{answers:?}");
    let (client, _) = scripted(|_, _| Reply::Text(200, "<html>welcome</html>", None));
    let Cluster::Answers(answers) = questions(&connected(client)).await else { panic!("no answers") };
    assert_eq!(answers.version, Err("<html>welcome</html> (HTTP 200)".to_owned()));
    let all = answers.rights.values().chain(answers.kinds.values());
    assert!(all.into_iter().all(|said| matches!(said, Said::NotKnown(_))), "{answers:?}");
}
