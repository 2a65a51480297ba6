//! What containers get when the runtime asks before it makes them.

use crate::{CLASS, Stock, has_cpus, online, pool};
use gleaner_host::cgroup::Controller;
use gleaner_tests::apiserver::{PODS, PodBuilder};
use gleaner_tests::runtime::{PodSpec, Version};
use gleaner_tests::{NODE, pod_state, poll_until, skip};

fn newcomer_has_its_cpus_alone(test: &str, version: Version) {
    if !has_cpus(test, 2) {
        return;
    }
    let Some(mut stock) = Stock::with(test, version, "") else { return };
    let web = stock.run("web", "shared_cores", 100);
    stock.comes_to(&web, &online());
    let db = stock.run("db", "dedicated_cores", 1000);
    // The runtime has just heard that db may start: by then nobody else is on its CPUs.
    let (own, others) = (db.given(), stock.cpus(&web));
    assert_eq!(own.count(), 1, "db asks for a CPU and is created on {own}");
    assert!(others.is_disjoint(&own), "web is on {others} when db begins on {own}");
    assert_eq!(stock.cpus(&db), own, "the kernel's word");
    assert_eq!(db.container.by, ["10-gleaner"]);
    stock.remove(&db);
    stock.comes_to(&web, &online());
    stock.assert_clean();
}

#[test]
fn others_have_left_the_cpus_of_a_dedicated_container_when_it_starts() {
    newcomer_has_its_cpus_alone("others_have_left_the_cpus_of_a_dedicated_container_when_it_starts", Version::V0_8);
}

#[test]
fn so_it_is_with_the_oldest_protocol() {
    newcomer_has_its_cpus_alone("so_it_is_with_the_oldest_protocol", Version::V0_6);
}

#[test]
fn so_it_is_with_the_newest_protocol() {
    newcomer_has_its_cpus_alone("so_it_is_with_the_newest_protocol", Version::V0_12);
}

#[test]
fn containers_of_every_class_are_created_in_their_pools() {
    let test = "containers_of_every_class_are_created_in_their_pools";
    if !has_cpus(test, 2) {
        return;
    }
    let Some(mut stock) = Stock::with(test, Version::V0_8, crate::OVERLAP) else { return };
    let db = stock.run("db", "dedicated_cores", 1000);
    for (name, class, of) in [("web", "shared_cores", "share"), ("batch", "reclaimed_cores", "reclaim"), ("logs", "system_cores", "system")]
    {
        let running = stock.run(name, class, 100);
        let cpus = stock.node.until("its pool is known", |state| pool(state, of));
        assert_eq!((running.given(), stock.cpus(&running)), (cpus.clone(), cpus.clone()), "{name} is of the pool {of}");
        assert!(cpus.is_disjoint(&db.given()), "{name} is on {cpus}, db on {}", db.given());
    }
    stock.assert_clean();
}

#[test]
fn a_pod_that_the_api_server_does_not_know_yet_is_placed_by_its_annotations() {
    let test = "a_pod_that_the_api_server_does_not_know_yet_is_placed_by_its_annotations";
    if !has_cpus(test, 2) {
        return;
    }
    let Some(mut stock) = Stock::new(test) else { return };
    let web = stock.run("web", "shared_cores", 100);
    let db = stock.run_unknown("db", "dedicated_cores", 1000).unwrap();
    let own = db.given();
    assert_eq!(own.count(), 1, "{own}");
    assert!(stock.cpus(&web).is_disjoint(&own));
    stock.server.add_pod(stock.api_pod("db", "dedicated_cores", 1000));
    stock.node.until("it is looked at often", |state| (state["ticks"].as_u64()? >= 6).then_some(()));
    stock.node.ticks(3);
    assert_eq!(stock.cpus(&db), own, "the API server's word moves nothing");
    assert!(stock.cpus(&web).is_disjoint(&own));
    stock.assert_clean();
}

#[test]
fn a_container_without_room_is_refused_with_rule_and_numbers_and_created_when_there_is_room() {
    let test = "a_container_without_room_is_refused_with_rule_and_numbers_and_created_when_there_is_room";
    if !has_cpus(test, 2) {
        return;
    }
    let Some(mut stock) = Stock::new(test) else { return };
    stock.run("web", "shared_cores", 100);
    let all_but_one = online().count() - 1;
    let first = stock.run("first", "dedicated_cores", all_but_one * 1000);
    assert_eq!(first.given().count(), all_but_one);
    stock.server.add_pod(stock.api_pod("second", "dedicated_cores", all_but_one * 1000));
    stock.knows("second");
    let sandbox = stock.runtime.run_pod(&stock.cri_pod("second", "dedicated_cores")).unwrap();
    let refused = stock.create(&sandbox, "dedicated_cores", all_but_one * 1000).expect_err("there is no room");
    assert!(refused.contains("gleaner: ") && refused.contains(&format!("{all_but_one} CPUs")), "{refused}");
    let told = stock.event("second", "ResourcesRefused");
    let note = told["note"].as_str().unwrap();
    assert!(refused.contains(note), "the Event says {note:?}, the runtime {refused:?}");
    stock.remove(&first);
    let created = poll_until("second is created", || stock.create(&sandbox, "dedicated_cores", all_but_one * 1000).ok());
    assert_eq!(created.resources.cpus, first.container.resources.cpus);
    stock.runtime.start_container(&created.id).unwrap();
    stock.assert_clean();
}

#[test]
fn a_pod_with_wrong_annotations_runs_as_a_shared_one_and_an_event_says_what_is_wrong() {
    let test = "a_pod_with_wrong_annotations_runs_as_a_shared_one_and_an_event_says_what_is_wrong";
    let Some(mut stock) = Stock::new(test) else { return };
    let wrong = stock.api_pod("odd", "dedicated", 100);
    stock.server.add_pod(wrong);
    stock.knows("odd");
    let odd = stock.run_unknown("odd", "dedicated", 100).unwrap();
    let state = stock.node.until("it has a pool", |state| pod_state(state, "odd").filter(|pod| pod["pool"].is_string()).cloned());
    assert_eq!((&state["class"], &state["pool"]), (&"shared_cores".into(), &"share".into()), "{state}");
    stock.comes_to(&odd, &online());
    let told = stock.event("odd", "AnnotationsInvalid");
    let note = told["note"].as_str().unwrap();
    assert!(note.contains(CLASS) && note.contains("\"dedicated\"") && note.contains("shared_cores"), "{note}");
    assert_eq!((&told["type"], &told["regarding"]["uid"]), (&"Warning".into(), &"uid-odd".into()), "{told}");
    stock.node.ticks(2);
    let events = stock.server.all(gleaner_tests::apiserver::EVENTS_V1);
    let about: Vec<_> = events.iter().filter(|event| event["regarding"]["name"] == "odd").map(|event| &event["reason"]).collect();
    assert_eq!(about, ["AnnotationsInvalid"], "and nothing else is told");
    stock.assert_clean();
}

#[test]
fn a_reclaimed_pod_is_idle_as_a_whole_and_its_containers_never_are() {
    let test = "a_reclaimed_pod_is_idle_as_a_whole_and_its_containers_never_are";
    let Some(mut stock) = Stock::with(test, Version::V0_8, crate::OVERLAP) else { return };
    stock.run("web", "shared_cores", 100);
    let batch = stock.run("batch", "reclaimed_cores", 100);
    let (kernel, pod) = (stock.node.kernel(), batch.pod_cgroup());
    if kernel.text(Controller::Cpu, &pod, "cpu.idle").is_none() {
        return skip(test, "the kernel has no cpu.idle");
    }
    poll_until("the pod is idle", || (kernel.idle(&pod) == Some(true)).then_some(()));
    stock.node.ticks(2);
    assert_eq!(kernel.idle(batch.cgroup()), Some(false), "never in the container's own cgroup: the runtime could not change it any more");
    assert!(!batch.container.resources.unified.contains_key("cpu.idle"), "{:?}", batch.container.resources);
    stock.assert_clean();
}

#[test]
fn a_sandbox_outside_of_the_tree_of_pods_is_left_alone() {
    let test = "a_sandbox_outside_of_the_tree_of_pods_is_left_alone";
    let Some(mut stock) = Stock::new(test) else { return };
    stock.server.add_pod(PodBuilder::new("db").uid("0-1").node(NODE).class("dedicated_cores").container_with("main", &[("cpu", "1")], &[]));
    stock.knows("db");
    let spec = PodSpec::new("db", "0-1").annotation(CLASS, "dedicated_cores").systemd();
    let sandbox = stock.runtime.run_pod(&spec).unwrap();
    let created = stock.create(&sandbox, "dedicated_cores", 1000).unwrap();
    assert_eq!(created.by, ["10-gleaner"], "it was asked");
    assert_eq!(created.resources.cpus, "", "and has no opinion on what is not below {}: {created:?}", stock.node.kubepods());
    stock.runtime.start_container(&created.id).unwrap();
    stock.node.ticks(2);
    assert!(stock.node.state().unwrap()["health"]["knobs"]["problem"].is_null(), "nothing is tried there either");
    stock.assert_clean();
}

#[test]
fn a_dedicated_pod_that_asks_for_more_than_there_is_starts_containers_on_what_it_has() {
    let test = "a_dedicated_pod_that_asks_for_more_than_there_is_starts_containers_on_what_it_has";
    if !has_cpus(test, 2) {
        return;
    }
    let Some(mut stock) = Stock::new(test) else { return };
    stock.run("web", "shared_cores", 100);
    let db = stock.run("db", "dedicated_cores", 1000);
    let own = db.given();
    let asks = |state: &serde_json::Value| pod_state(state, "db").map(|pod| pod["cpu_request"].clone());
    let before = asks(&stock.node.state().unwrap());
    stock.server.edit(PODS, "default", "db", |pod| pod["spec"]["containers"][0]["resources"]["requests"]["cpu"] = "4000".into());
    stock.node.until("the larger request is known", |state| (asks(state) != before).then_some(()));
    stock.node.ticks(2);
    stock.runtime.exit_container(&db.container.id).unwrap();
    stock.runtime.remove_container(&db.container.id).unwrap();
    let again = stock.create(&db.sandbox, "dedicated_cores", 1000).expect("it goes on with what it has");
    assert_eq!(again.resources.cpus, own.to_string());
    stock.assert_clean();
}
