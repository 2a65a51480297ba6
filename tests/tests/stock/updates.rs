//! What happens when somebody changes containers through the runtime, and what the runtime then writes again.

use crate::{Stock, has_cpus, online};
use gleaner_host::cgroup::Controller;
use gleaner_model::CgroupPath;
use gleaner_tests::runtime::{Amounts, KernelWriter, Options, Version, Writer};
use gleaner_tests::{Node, poll_until};

/// Writes all but files of cgroup v2 on machines that have none.
#[derive(Debug)]
struct NoUnified {
    kernel: KernelWriter,
    v2: bool,
}

impl NoUnified {
    fn below(node: &Node) -> Self {
        Self { kernel: KernelWriter::below(node), v2: node.kernel().is_v2(Controller::Cpu) }
    }
}

impl Writer for NoUnified {
    fn make(&mut self, cgroup: &CgroupPath) -> Result<(), String> {
        self.kernel.make(cgroup)
    }

    fn write(&mut self, cgroup: &CgroupPath, amounts: &Amounts) -> Result<(), String> {
        let mut amounts = amounts.clone();
        amounts.unified.retain(|_, _| self.v2);
        self.kernel.write(cgroup, &amounts)
    }

    fn kill(&mut self, cgroup: &CgroupPath) -> Result<(), String> {
        self.kernel.kill(cgroup)
    }

    fn remove(&mut self, cgroup: &CgroupPath) -> Result<(), String> {
        self.kernel.remove(cgroup)
    }
}

fn started(test: &str, version: Version) -> Option<Stock> {
    let mut stock = Stock::made(test, "", |node| Options::of(version).on(node).writer(NoUnified::below(node)))?;
    stock.start();
    Some(stock)
}

/// Kubelet's own set never arrives, and what else it asks for does.
fn kubelet_cannot_move_a_container(test: &str, version: Version) {
    if !has_cpus(test, 2) {
        return;
    }
    let Some(mut stock) = started(test, version) else { return };
    let web = stock.run("web", "shared_cores", 100);
    let db = stock.run("db", "dedicated_cores", 1000);
    let own = db.given();
    let wants = Amounts::default().cpus(&online().to_string()).memory(64 << 20).unified("memory.oom.group", "1");
    for running in [&db, &web] {
        let before = stock.cpus(running);
        let became = stock.runtime.update_container(&running.container.id, &wants).unwrap();
        assert_eq!(stock.cpus(running), before, "{}: the set of kubelet never arrives", running.name);
        assert_eq!(became.cpus, before.to_string(), "{}: nor is it in the specification", running.name);
        assert_eq!(became.unified.get("memory.oom.group").map(String::as_str), Some("1"), "{}: files are kept: {became:?}", running.name);
        assert_eq!(stock.node.kernel().memory_max(running.cgroup()), Some(64 << 20), "{}: its other wishes are done", running.name);
    }
    assert!(stock.cpus(&web).is_disjoint(&own));
    stock.assert_clean();
}

#[test]
fn an_update_by_kubelet_keeps_our_sets_and_its_own_files() {
    kubelet_cannot_move_a_container("an_update_by_kubelet_keeps_our_sets_and_its_own_files", Version::V0_8);
}

#[test]
fn an_update_by_kubelet_keeps_our_sets_and_its_own_files_with_the_newest_protocol() {
    kubelet_cannot_move_a_container("an_update_by_kubelet_keeps_our_sets_and_its_own_files_with_the_newest_protocol", Version::V0_12);
}

#[test]
fn with_the_oldest_protocol_a_request_without_cpus_loses_no_file() {
    let test = "with_the_oldest_protocol_a_request_without_cpus_loses_no_file";
    let Some(mut stock) = started(test, Version::V0_6) else { return };
    let web = stock.run("web", "shared_cores", 100);
    let wants = Amounts::default().memory(64 << 20).unified("memory.oom.group", "1");
    let became = stock.runtime.update_container(&web.container.id, &wants).unwrap();
    assert_eq!(became.unified.get("memory.oom.group").map(String::as_str), Some("1"), "an answer would have lost it: {became:?}");
    assert_eq!((became.memory, became.cpus), (64 << 20, web.container.resources.cpus.clone()));
    // A set that must not be is answered all the same.
    let became = stock.runtime.update_container(&web.container.id, &Amounts::default().cpus("0")).unwrap();
    assert_eq!(became.cpus, online().to_string());
    stock.assert_clean();
}

#[test]
fn what_an_update_overwrites_is_put_back_at_once() {
    let test = "what_an_update_overwrites_is_put_back_at_once";
    if !has_cpus(test, 2) {
        return;
    }
    // The oldest protocol lets requests without CPUs pass, and the runtime then writes the CPUs that it knows.
    let Some(mut stock) = started(test, Version::V0_6) else { return };
    let web = stock.run("web", "shared_cores", 100);
    let all = web.given();
    let db = stock.run("db", "dedicated_cores", 1000);
    let rest = stock.cpus(&web);
    assert!(rest.is_disjoint(&db.given()), "web left for {rest}");
    let looked = stock.node.until("it counts", |state| state["ticks"].as_u64());
    let became = stock.runtime.update_container(&web.container.id, &Amounts::default().memory(64 << 20)).unwrap();
    assert_eq!(became.cpus, all.to_string(), "the runtime wrote the set that it knows");
    stock.comes_to(&web, &rest);
    let then = stock.node.until("it counts", |state| state["ticks"].as_u64());
    eprintln!("put back within {} ticks", then - looked);
    stock.assert_clean();
}

#[test]
fn quota_and_weight_that_somebody_asks_for_are_given_to_a_shared_pod() {
    let test = "quota_and_weight_that_somebody_asks_for_are_given_to_a_shared_pod";
    let Some(mut stock) = started(test, Version::V0_8) else { return };
    let web = stock.run("web", "shared_cores", 100);
    let became = stock.runtime.update_container(&web.container.id, &Amounts::cpu(500, 1500)).unwrap();
    assert_eq!((became.shares, became.quota), (512, 150_000), "a resize in place is not ours to prevent");
    let kernel = stock.node.kernel();
    poll_until("the quota is there", || (kernel.quota(web.cgroup()) == Some(1500)).then_some(()));
    stock.node.ticks(3);
    assert_eq!(kernel.quota(web.cgroup()), Some(1500));
    stock.assert_clean();
}
