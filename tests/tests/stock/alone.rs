//! Without a runtime that asks, beside another agent, and with a disk that takes nothing: the agent goes on.

use crate::{CLASS, MILLICPU, Stock, comes_to, has_cpus, online, patience, pool};
use gleaner_model::CgroupPath;
use gleaner_tests::apiserver::{ApiServer, PODS, PodBuilder};
use gleaner_tests::runtime::Version;
use gleaner_tests::{NODE, Node, pod_state, poll_until};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

/// Makes a container's cgroup as kubelet does, for a pod that the API server has.
fn appears(node: &Node, server: &ApiServer, pod: PodBuilder, name: &str) -> CgroupPath {
    server.add_pod(pod.uid(&format!("uid-{name}")).node(NODE));
    node.make_container(&format!("uid-{name}"), &format!("{:064x}", name.len()))
}

/// Pods of three classes get their CPUs by writes of cgroups alone.
fn cgroups_are_written(node: &mut Node, server: &ApiServer) {
    let shared = PodBuilder::new("web").class("shared_cores").container_with("main", &[("cpu", "100m")], &[]);
    let web = appears(node, server, shared, "web");
    let dedicated = PodBuilder::new("base").class("dedicated_cores").container_with("main", &[("cpu", "1")], &[]);
    let base = appears(node, server, dedicated, "base");
    let reclaimed = PodBuilder::new("batch").class("reclaimed_cores").container("main", &[(MILLICPU, "100")]);
    let batch = appears(node, server, reclaimed, "batch");
    let kernel = node.kernel();
    poll_until("base has a CPU alone", || (kernel.cpus(&base).count() == 1).then_some(()));
    let own = kernel.cpus(&base);
    poll_until("web has left it", || kernel.cpus(&web).is_disjoint(&own).then_some(()));
    let reclaim = node.until("there is a pool for batch", |state| pool(state, "reclaim").filter(|cpus| !cpus.is_empty()));
    comes_to(node, &batch, &reclaim);
    assert!(reclaim.is_disjoint(&own), "{reclaim}, base has {own}");
    // Gone as kubelet lets it go.
    node.remove_pod_cgroups(&base);
    server.delete(PODS, "default", "base");
    comes_to(node, &web, &online());
    server.assert_clean();
}

#[test]
fn without_a_runtime_the_status_says_so_and_cgroups_are_written_until_it_comes() {
    let test = "without_a_runtime_the_status_says_so_and_cgroups_are_written_until_it_comes";
    if !has_cpus(test, 2) {
        return;
    }
    let Some(mut stock) = Stock::prepared(test, Version::V0_8, crate::OVERLAP) else { return };
    stock.runtime.stop();
    fs::remove_file(stock.runtime.socket()).unwrap();
    stock.node.start();
    let said = stock.problem("nri", "there is no socket");
    assert!(said.contains(&stock.runtime.socket().display().to_string()), "{said}");
    let page = stock.node.run("status", &[]);
    let page = String::from_utf8_lossy(&page.stdout).into_owned();
    assert!(page.contains("there is no socket"), "{page}");
    let Stock { node, server, .. } = &mut stock;
    cgroups_are_written(node, server);
    stock.runtime.start_again();
    stock.connected();
    let db = stock.run("db", "dedicated_cores", 1000);
    assert_eq!((db.container.by.len(), db.given().count()), (1, 1));
    stock.assert_clean();
}

#[test]
fn an_agent_that_only_reconciles_asks_for_no_runtime() {
    let test = "an_agent_that_only_reconciles_asks_for_no_runtime";
    if !has_cpus(test, 2) {
        return;
    }
    let Some(mut node) = Node::reconciling(test) else { return };
    node.configure_more(crate::OVERLAP);
    node.make_cgroup(&node.kubepods());
    let server = ApiServer::new();
    server.add_node(NODE, &[]);
    let served = server.serve();
    served.kubeconfig(&node.path("kubeconfig"));
    node.start();
    cgroups_are_written(&mut node, &server);
    let state = node.state().unwrap();
    assert_eq!((&state["mode"], state["health"].get("nri")), (&"reconcile".into(), None), "{}", state["health"]);
}

#[test]
fn a_second_agent_on_the_node_refuses_and_the_first_goes_on() {
    let test = "a_second_agent_on_the_node_refuses_and_the_first_goes_on";
    let Some(mut stock) = Stock::new(test) else { return };
    let refused = stock.node.second_agent(&[]);
    let said = String::from_utf8_lossy(&refused.stderr).into_owned();
    assert!(refused.status.code() == Some(1) && said.contains("another gleaner"), "{:?} {said}", refused.status);
    assert_eq!(stock.runtime.plugins(), ["10-gleaner"]);
    let web = stock.run("web", "shared_cores", 100);
    assert_eq!(web.container.by, ["10-gleaner"]);
    stock.assert_clean();
}

/// A small disk at a folder, which is gone when this is dropped.
struct SmallDisk(PathBuf);

impl SmallDisk {
    fn at(folder: &Path) -> Option<Self> {
        fs::create_dir_all(folder).unwrap();
        let mounted = Command::new("mount").args(["-t", "tmpfs", "-o", "size=256k,mode=700", "gleaner-test"]).arg(folder).status();
        mounted.is_ok_and(|status| status.success()).then(|| Self(folder.to_owned()))
    }

    fn fill(&self) {
        let mut full = fs::File::create(self.0.join("full")).unwrap();
        while std::io::Write::write_all(&mut full, &[0; 4096]).is_ok() {}
    }

    fn empty(&self) {
        fs::remove_file(self.0.join("full")).unwrap();
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        // Lazily: the agent may have files of it open.
        let _ = Command::new("umount").arg("-l").arg(&self.0).status();
    }
}

#[test]
fn a_full_disk_stops_no_container() {
    let test = "a_full_disk_stops_no_container";
    if !has_cpus(test, 2) {
        return;
    }
    let Some(mut stock) = Stock::prepared(test, Version::V0_8, "") else { return };
    let Some(disk) = SmallDisk::at(&stock.node.path("state")) else {
        return gleaner_tests::skip(test, "cannot mount a small disk");
    };
    stock.start();
    let web = stock.run("web", "shared_cores", 100);
    disk.fill();
    // More than fits into what files have left of their last block.
    let mut long = stock.api_pod("db", "dedicated_cores", 1000);
    for at in 0..40 {
        long = long.annotation(&format!("example.com/{at}"), &"x".repeat(200));
    }
    stock.server.add_pod(long);
    stock.knows("db");
    let db = stock.run_unknown("db", "dedicated_cores", 1000).unwrap();
    assert_eq!((db.container.by.len(), db.given().count()), (1, 1), "the runtime is answered all the same");
    let told = stock.node.until("the disk is told of", |state| {
        let health = state["health"].as_object()?;
        health.values().find_map(|part| part["problem"].as_str().filter(|problem| problem.contains("No space left")).map(str::to_owned))
    });
    eprintln!("{told}");
    disk.empty();
    for part in ["promises", "records of pods", "journal"] {
        stock.works(part);
    }
    poll_until("web has left the CPUs of db", || stock.cpus(&web).is_disjoint(&db.given()).then_some(()));
    stock.assert_clean();
    drop(disk);
}

#[test]
fn without_a_cluster_the_runtime_alone_tells_of_pods() {
    let test = "without_a_cluster_the_runtime_alone_tells_of_pods";
    if !has_cpus(test, 2) {
        return;
    }
    let Some(mut stock) = Stock::prepared(test, Version::V0_8, "") else { return };
    fs::remove_file(stock.node.path("kubeconfig")).unwrap();
    stock.node.start();
    stock.runtime.wait_for_plugin(patience());
    stock.problem("cluster", "kubeconfig");
    stock.node.until("it writes", |state| state["estimate"].is_object().then_some(()));
    let web = stock.run_unknown("web", "shared_cores", 100).unwrap();
    let db = stock.run_unknown("db", "dedicated_cores", 1000).unwrap();
    assert_eq!(db.given().count(), 1);
    assert!(stock.cpus(&web).is_disjoint(&db.given()));
    let class = stock.node.until("db is known", |state| pod_state(state, "db").map(|pod| pod["class"].clone()));
    assert_eq!(class, "dedicated_cores", "by its annotation {CLASS}");
    stock.runtime.assert_clean();
}
