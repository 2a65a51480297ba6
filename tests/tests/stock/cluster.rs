//! What is learnt of the API server, and what happens when it does not answer.

use crate::{Running, Stock, has_cpus, online};
use gleaner_tests::apiserver::{Cut, Effect, PODS, PodBuilder, Push, Rule};
use gleaner_tests::runtime::Version;
use gleaner_tests::{NODE, pod_state, poll_until};
use nix::sys::signal::Signal;

/// How many pods the agent knows.
fn known(stock: &Stock) -> usize {
    stock.node.state().and_then(|state| state["pods"].as_array().map(Vec::len)).unwrap_or_default()
}

#[test]
fn many_pods_are_listed_in_pages_and_those_of_other_nodes_are_not_asked_for() {
    let test = "many_pods_are_listed_in_pages_and_those_of_other_nodes_are_not_asked_for";
    let Some(mut stock) = Stock::prepared(test, Version::V0_8, "") else { return };
    for at in 0..120 {
        let node = if at < 110 { NODE } else { "node-2" };
        stock.server.add_pod(stock.api_pod(&format!("web-{at}"), "shared_cores", 10).node(node));
    }
    stock.start();
    poll_until("all are known", || (known(&stock) == 110).then_some(()));
    let lists: Vec<String> = stock
        .server
        .requests()
        .iter()
        .filter(|seen| seen.verb == "list" && seen.resource == "pods")
        .map(|seen| seen.query.clone())
        .collect();
    assert!(
        lists.len() >= 3 && lists.iter().all(|query| query.contains("limit=50") && query.contains("spec.nodeName%3Dnode-1")),
        "{lists:?}"
    );
    assert!(lists.iter().filter(|query| query.contains("continue=")).count() >= 2, "{lists:?}");
    stock.assert_clean();
}

/// Watches break, the server then does this, and a new pod is known all the same.
fn a_pod_after(stock: &mut Stock, name: &str, cut: Cut, rule: Rule) {
    let before = known(stock);
    stock.server.inject(rule.resource("pods"));
    stock.server.push_to(PODS, Push::Cut(cut));
    stock.server.add_pod(stock.api_pod(name, "shared_cores", 10));
    stock.knows(name);
    assert_eq!(known(stock), before + 1, "and none twice");
}

#[test]
fn a_watch_that_breaks_or_whose_version_is_gone_loses_no_pod() {
    let test = "a_watch_that_breaks_or_whose_version_is_gone_loses_no_pod";
    let Some(mut stock) = Stock::new(test) else { return };
    a_pod_after(&mut stock, "web-0", Cut::Abrupt, Rule::next(1, Effect::Gone));
    a_pod_after(&mut stock, "web-1", Cut::MidLine, Rule::next(1, Effect::Garble(0)));
    stock.server.heal();
    stock.works("pods");
    stock.assert_clean();
}

#[test]
fn a_server_that_answers_with_failures_loses_no_pod() {
    let test = "a_server_that_answers_with_failures_loses_no_pod";
    let Some(mut stock) = Stock::new(test) else { return };
    stock.server.compact();
    a_pod_after(&mut stock, "web-0", Cut::Clean, Rule::next(1, Effect::Answer(503)));
    a_pod_after(&mut stock, "web-1", Cut::Abrupt, Rule::next(1, Effect::Page(502)));
    stock.server.heal();
    stock.works("pods");
    stock.assert_clean();
}

/// Two pods whose classes only the API server's word tells: the runtime's annotations say nothing.
fn silent_pods(stock: &mut Stock) -> (Running, Running) {
    let run = |stock: &mut Stock, name: &str, class: &str, milli: u32| {
        stock.server.add_pod(stock.api_pod(name, class, milli));
        stock.knows(name);
        stock.run_unknown(name, class, milli).unwrap()
    };
    (run(stock, "web", "shared_cores", 100), run(stock, "db", "dedicated_cores", 1000))
}

#[test]
fn without_the_api_server_at_the_start_pods_keep_the_classes_that_an_earlier_agent_knew() {
    let test = "without_the_api_server_at_the_start_pods_keep_the_classes_that_an_earlier_agent_knew";
    if !has_cpus(test, 2) {
        return;
    }
    let Some(mut stock) = Stock::with(test, Version::V0_8, crate::OVERLAP) else { return };
    let (web, db) = silent_pods(&mut stock);
    let batch = stock.run("batch", "reclaimed_cores", 100);
    let sets = (stock.cpus(&web), stock.cpus(&db), stock.cpus(&batch));
    poll_until("the records are stored", || {
        let stored = std::fs::read_to_string(stock.node.path("state/pods.json")).unwrap_or_default();
        stored.contains("uid-batch").then_some(())
    });
    stock.node.kill();
    stock.served.go_away();
    stock.runtime.stop();
    stock.node.start();
    stock.problem("pods", "list pods");
    stock.node.ticks(4);
    for (name, class) in [("web", "shared_cores"), ("db", "dedicated_cores"), ("batch", "reclaimed_cores")] {
        let known = stock.node.until("it is known", |state| pod_state(state, name).cloned());
        assert_eq!(known["class"], class, "{name}");
    }
    assert_eq!((stock.cpus(&web), stock.cpus(&db), stock.cpus(&batch)), sets);
    stock.runtime.start_again();
    stock.connected();
    // Containers are created rightly meanwhile.
    let late = stock.run_unknown("late", "shared_cores", 50).unwrap();
    assert!(late.container.by.len() == 1 && late.given().is_disjoint(&sets.1), "{:?}", late.container);
    stock.served.come_back();
    stock.works("pods");
    assert_eq!((stock.cpus(&web), stock.cpus(&db)), (sets.0, sets.1));
    stock.assert_clean();
}

#[test]
fn without_the_api_server_in_between_containers_are_created_rightly() {
    let test = "without_the_api_server_in_between_containers_are_created_rightly";
    if !has_cpus(test, 2) {
        return;
    }
    let Some(mut stock) = Stock::new(test) else { return };
    let web = stock.run("web", "shared_cores", 100);
    stock.served.go_away();
    stock.problem("pods", "pods: ");
    let db = stock.run_unknown("db", "dedicated_cores", 1000).unwrap();
    assert_eq!(db.given().count(), 1);
    assert!(stock.cpus(&web).is_disjoint(&db.given()));
    stock.runtime.remove_pod(&db.sandbox).unwrap();
    crate::remove_cgroup(&stock.node, &db.pod_cgroup());
    stock.comes_to(&web, &online());
    stock.served.come_back();
    stock.works("pods");
    stock.assert_clean();
}

#[test]
fn a_token_that_is_not_taken_and_a_right_that_is_missing_are_said() {
    let test = "a_token_that_is_not_taken_and_a_right_that_is_missing_are_said";
    let Some(mut stock) = Stock::prepared(test, Version::V0_8, "") else { return };
    stock.server.deny("list", "pods");
    stock.node.start();
    let said = stock.problem("pods", "(403)");
    assert!(said.starts_with("list pods: ") && said.contains("forbidden") && said.contains("cannot list resource"), "{said}");
    stock.server.allow("list", "pods");
    stock.works("pods");
    let token = stock.served.token();
    stock.served.rotate("another");
    stock.server.push(Push::Cut(Cut::Abrupt));
    let said = stock.problem("pods", "(401)");
    assert!(said.contains("Unauthorized"), "{said}");
    stock.served.rotate(&token);
    stock.works("pods");
    stock.assert_clean();
}

#[test]
fn a_static_pod_is_known_by_the_hash_that_its_cgroup_is_named_by() {
    let test = "a_static_pod_is_known_by_the_hash_that_its_cgroup_is_named_by";
    if !has_cpus(test, 2) {
        return;
    }
    let Some(mut stock) = Stock::new(test) else { return };
    let mirror = PodBuilder::new("proxy-node-1").uid("uid-of-the-mirror").node(NODE).class("dedicated_cores");
    let mirror = mirror.annotation("kubernetes.io/config.mirror", "abc123").annotation("kubernetes.io/config.hash", "abc123");
    stock.server.add_pod(mirror.container_with("main", &[("cpu", "1")], &[]));
    stock.knows("proxy-node-1");
    let cgroup = stock.node.make_container("abc123", &"a".repeat(64));
    let kernel = stock.node.kernel();
    poll_until("it has a CPU of its own", || (kernel.cpus(&cgroup).count() == 1).then_some(()));
    assert_eq!(pod_state(&stock.node.state().unwrap(), "proxy-node-1").unwrap()["uid"], "abc123");
    stock.assert_clean();
}

#[test]
fn a_pod_that_has_ended_holds_nothing() {
    let test = "a_pod_that_has_ended_holds_nothing";
    if !has_cpus(test, 2) {
        return;
    }
    let Some(mut stock) = Stock::new(test) else { return };
    let web = stock.run("web", "shared_cores", 100);
    let job = stock.run("job", "dedicated_cores", 1000);
    assert!(stock.cpus(&web).is_disjoint(&job.given()));
    stock.runtime.exit_container(&job.container.id).unwrap();
    stock.server.edit(PODS, "default", "job", |pod| pod["status"]["phase"] = "Succeeded".into());
    // Sandbox and cgroup stay for a while.
    stock.comes_to(&web, &online());
    stock.node.ticks(2);
    assert_eq!(stock.cpus(&web), online());
    stock.node.signal(Signal::SIGHUP);
    stock.assert_clean();
}

#[test]
fn a_pod_that_is_deleted_frees_its_cpus_when_its_cgroup_is_gone() {
    let test = "a_pod_that_is_deleted_frees_its_cpus_when_its_cgroup_is_gone";
    if !has_cpus(test, 2) {
        return;
    }
    let Some(mut stock) = Stock::new(test) else { return };
    let web = stock.run("web", "shared_cores", 100);
    let db = stock.run("db", "dedicated_cores", 1000);
    let (own, rest) = (db.given(), stock.cpus(&web));
    // By force: the API server forgets it at once, and it runs on.
    stock.server.delete(PODS, "default", "db");
    stock.node.ticks(4);
    assert_eq!((stock.cpus(&db), stock.cpus(&web)), (own, rest), "it runs on and keeps its CPUs");
    stock.end(&db);
    stock.comes_to(&web, &online());
    stock.node.until("it is forgotten", |state| pod_state(state, "db").is_none().then_some(()));
    stock.assert_clean();
}
