#![allow(clippy::unwrap_used, clippy::panic, reason = "tests")]

mod fixture;
mod page;

use super::facts::{AgentSays, Cluster, CpuManager, Facts, NoAgent, NriSocket, Said, Windows};
use super::page::{Diagnosis, draw};
use super::{Finding, On, State};
use crate::config::Mode;
use crate::kubelet::{Exclusive, KubeletConfig};
use fixture::{full, knob, on_v1};
use gleaner_host::cgroup;
use gleaner_host::offers::{DAC_OVERRIDE, SYS_RESOURCE, TakeBack};
use gleaner_host::reclaim::Means;
use gleaner_model::KnobKind;

fn page(facts: &Facts) -> String {
    draw(&Diagnosis::of(facts), usize::MAX)
}

/// The lines of the page that tell of something less than all, with their columns one blank apart.
fn troubles(facts: &Facts) -> String {
    let words = |line: &str| line.split_whitespace().collect::<Vec<_>>().join(" ");
    let bad = |line: &&str| !line.starts_with("  ok ") && !line.starts_with("  on ") && line.starts_with("  ");
    page(facts).lines().filter(bad).map(|line| words(line) + "\n").collect()
}

#[track_caller]
fn has(facts: &Facts, lines: &[&str]) {
    let troubles = troubles(facts);
    for line in lines {
        assert!(troubles.lines().any(|found| found.starts_with(line)), "no line begins with {line:?}:\n{troubles}");
    }
}

/// A change of the full node, and the beginnings of all lines that come of it.
fn changed(change: impl FnOnce(&mut Facts)) -> Facts {
    let mut facts = full();
    change(&mut facts);
    facts
}

#[test]
fn on_cgroup_v1_memory_is_not_protected_and_the_mode_works_still() {
    let facts = on_v1(cgroup::Mode::V1);
    has(
        &facts,
        &[
            "limited cgroups cgroup v1; memory is neither protected nor slowed down: boot with",
            "missing memory.low not there; memory of pods is not protected: boot with",
            "missing memory.high not there; reclaimed pods are killed without being slowed down before: boot with",
            "limited memory take-back memory.force_empty alone; ",
            "missing pressure of cgroups not there; ",
            "off memory protection no memory.low on this cgroup version",
            "off slow-down before kill no memory.high",
            "partly memory take-back memory.force_empty takes all",
            "partly reaction to pressure at once to that of the node",
        ],
    );
    assert!(Diagnosis::of(&facts).ok, "{}", page(&facts));
    has(&on_v1(cgroup::Mode::Hybrid), &["limited cgroups hybrid cgroups (v1 controllers and a cgroup2 mount); "]);
}

#[test]
fn in_a_container_without_rights_each_lack_names_its_remedy() {
    let facts = changed(|facts| {
        facts.agent = Err(NoAgent::NotThere("No such file or directory".to_owned()));
        facts.process.writes = Err("/sys/fs/cgroup: Read-only file system".to_owned());
        facts.kernel.windows = Windows::Slow;
        facts.nri = NriSocket::There { owner: 0, listens: None };
        let offers = facts.kernel.offers.as_mut().unwrap();
        (offers.capabilities, offers.sees_all_processes, offers.own_users) = (0, false, true);
    });
    has(
        &facts,
        &[
            "missing running agent none on /run/gleaner/gleaner.sock: No such file or directory; nobody lends and isolates: start it",
            "limited short pressure windows refused, those of 2 s are taken; memory pressure is told within 2 s",
            "MISSING writing cgroups /sys/fs/cgroup: Read-only file system; no pod can be bounded: mount",
            "missing CAP_SYS_RESOURCE not held; ",
            "missing CAP_DAC_OVERRIDE not held; ",
            "limited user namespace one of its own; ",
            "missing seeing processes not those of other containers; oom_score_adj of pods is not written: set hostPID: true",
            "unknown NRI socket /var/run/nri/nri.sock is there; who listens is not seen without hostPID",
            "off own CPUs for dedicated pods cgroups cannot be written: /sys/fs/cgroup: Read-only file system",
            "off order of killing pods' processes cannot be reached",
            "unknown asked before creation",
        ],
    );
    assert!(page(&facts).ends_with("\nmode nri needs what is missing: writing cgroups\n"), "{}", page(&facts));
    let shadow = changed(|facts| {
        (facts.agent, facts.config.shadow) = (facts.agent.clone().map(|agent| AgentSays { shadow: true, ..agent }), true);
        facts.process.writes = Err("Read-only file system".to_owned());
    });
    assert!(Diagnosis::of(&shadow).ok, "nothing is to be written: {}", page(&shadow));
    has(&shadow, &["missing writing cgroups Read-only", "off memory protection shadow mode", "off eviction by the API server shadow mode"]);
}

#[test]
fn another_user_than_root_is_told_what_it_cannot_see() {
    let facts = changed(|facts| {
        facts.process.user = 1000;
        facts.process.writes = Err("/sys/fs/cgroup: Permission denied".to_owned());
        facts.agent = Err(NoAgent::NotTold("only root and the agent's own user may ask".to_owned()));
        facts.nri = NriSocket::Hidden("Permission denied (os error 13)".to_owned());
    });
    has(
        &facts,
        &[
            "unknown running agent /run/gleaner/gleaner.sock: only root",
            "MISSING user user 1000; an agent must run as root",
            "unknown writing cgroups not as this user: /sys/fs/cgroup: Permission denied",
            "unknown NRI socket /var/run/nri/nri.sock: Permission denied",
            "off quota of reclaimed pods an agent must run as root",
        ],
    );
}

#[test]
fn without_a_cluster_the_modes_of_a_stock_node_lack_it_and_others_do_not() {
    let lost = |cluster: Cluster| {
        changed(|facts| {
            facts.agent = Err(NoAgent::NotThere("refused".to_owned()));
            facts.cluster = cluster;
        })
    };
    let facts = lost(Cluster::NoWay("there is no service account".to_owned()));
    has(
        &facts,
        &[
            "MISSING API server there is no service account; pods' annotations are not known, and nothing is reported: set kubernetes.kubeconfig",
            "off reporting to the Node no cluster was found",
            "off eviction by the API server no cluster was found",
        ],
    );
    assert!(!Diagnosis::of(&facts).ok && !page(&facts).contains("nodes/status"), "{}", page(&facts));
    let silent = lost(Cluster::Silent("no answer within 3 s".to_owned()));
    has(&silent, &["MISSING API server no answer within 3 s; ", "off configuration by objects the API server does not answer"]);
    let mut alone = lost(Cluster::NotAsked);
    alone.config.mode = Mode::Standalone;
    alone.kernel.tree.1 = None;
    assert!(Diagnosis::of(&alone).ok, "{}", page(&alone));
    has(
        &alone,
        &["off reporting to the Node mode standalone", "off eviction by the API server mode standalone: the agent ends pods itself"],
    );
    alone.config.mode = Mode::Reconcile;
    has(&alone, &["MISSING pods' cgroup neither kubepods nor kubepods.slice below /; no pod can be managed: start kubelet"]);
}

#[test]
fn kubelets_static_policy_is_taken_as_given_and_bounds_what_reconcile_can_do() {
    let mut facts = full();
    let checkpoint = r#"{"policyName":"static","defaultCpuSet":"0-1,4-63","entries":{"3f0c":{"db":"2-3"}},"checksum":1}"#;
    facts.kubelet.exclusive = Ok(Some(Exclusive::parse(checkpoint).unwrap()));
    let text = page(&facts);
    assert!(
        text.contains(" static: CPUs 2-3 are exclusive\n") && text.contains(" CPUs of cpu_manager_state are given to nobody else\n"),
        "{text}"
    );
    assert_eq!(troubles(&facts), "off caches and memory bandwidth not in this version\n");
    facts.agent = Ok(AgentSays { mode: Mode::Reconcile, shadow: false, runtime: None, problems: [].into() });
    has(
        &facts,
        &[
            "limited kubelet's CPU manager static: CPUs 2-3 are exclusive; kubelet writes the CPUs of all other containers too: use mode nri",
            "partly own CPUs for dedicated pods kubelet's static CPU manager writes cpusets too",
            "off asked before creation mode reconcile",
        ],
    );
    facts.kubelet.exclusive = Ok(None);
    assert_eq!(facts.cpu_manager(), CpuManager::Keeps("none"), "its configuration says so");
    facts.kubelet.exclusive = Err("cpu_manager_state: damaged".to_owned());
    has(
        &facts,
        &["unknown kubelet's CPU manager cpu_manager_state: damaged", "unknown kubelet's exclusive CPUs kept cpu_manager_state: damaged"],
    );
}

#[test]
fn each_lack_of_the_kernel_has_its_own_line() {
    let kernel = |change: fn(&mut Facts)| changed(change);
    for (facts, line, ok) in [
        (kernel(|f| knob(f, KnobKind::CpusetCpus, Some(false))), "MISSING cpuset.cpus not there; no pod gets CPUs of its own", false),
        (kernel(|f| knob(f, KnobKind::CpuIdle, Some(false))), "partly reclaimed pods idle no cpu.idle: they have the least weight", true),
        (kernel(|f| knob(f, KnobKind::CpuMax, None)), "unknown cpu.max there is no cgroup to look at", true),
        (kernel(|f| knob(f, KnobKind::CpuMax, None)), "unknown quota of reclaimed pods whether there is cpu.max", true),
        (kernel(|f| f.kernel.offers.as_mut().unwrap().take_back = TakeBack::NotOffered), "missing memory take-back not there; idle", true),
        (kernel(|f| f.kernel.offers.as_mut().unwrap().take_back = TakeBack::By(Means::Everything)), "limited memory take-back", true),
        (kernel(|f| f.kernel.windows = Windows::None("Permission denied".into())), "off reaction to pressure at once", true),
        (
            kernel(|f| _ = f.kernel.offers.as_mut().unwrap().pressure.insert("memory", false)),
            "missing pressure of the node no memory; nobody is evicted for memory pressure: boot with psi=1",
            true,
        ),
        (
            kernel(|f| _ = f.kernel.offers.as_mut().unwrap().controllers.insert(cgroup::Controller::Memory, None)),
            "MISSING controllers no memory; there are: cpu v2,",
            false,
        ),
        (kernel(|f| f.kernel.shape = Err("/sys: not there".into())), "MISSING topology /sys: not there; ", false),
        (kernel(|f| f.kernel.offers = Err("no status".into())), "unknown controllers no status", true),
        (
            kernel(|f| f.kernel.offers.as_mut().unwrap().capabilities = 1 << DAC_OVERRIDE),
            "partly order of killing oom_score_adj is raised, never",
            true,
        ),
        (
            kernel(|f| f.kernel.offers.as_mut().unwrap().capabilities = 1 << SYS_RESOURCE),
            "partly order of killing oom_score_adj of root's",
            true,
        ),
    ] {
        has(&facts, &[line]);
        assert_eq!(Diagnosis::of(&facts).ok, ok, "{line}\n{}", page(&facts));
    }
}

#[test]
fn a_right_that_is_refused_counts_by_what_the_configuration_needs() {
    let refuse = |facts: &mut Facts, key: (&'static str, &'static str)| {
        let Cluster::Answers(answers) = &mut facts.cluster else { panic!("no answers") };
        answers.rights.insert(key, Said::No("no RBAC policy matched".to_owned()));
    };
    let remedy = ": apply manifests/base/rbac.yaml";
    for (key, line, ok) in [
        (("pods", "watch"), "MISSING list, watch pods watch not allowed; the classes of this node's pods are not known", false),
        (
            ("nodes/status", "patch"),
            "MISSING patch nodes/status not allowed; the default scheduler is told of nothing that is lent: apply",
            false,
        ),
        (("nodes/status", "patch"), "off reporting to the Node patch nodes/status is not allowed", false),
        (("pods/eviction", "create"), "MISSING create pods/eviction not allowed; reclaimed pods are slowed down, but never evicted", false),
        (("events", "patch"), "limited create, patch events patch not allowed; no Event tells", true),
        (("nodes/proxy", "get"), "missing get nodes/proxy not allowed; flags of kubelet are not seen", true),
        (("adminqosconfigurations", "list"), "off configuration by objects list adminqosconfigurations is not allowed", true),
        (("nodes", "patch"), "off caches", true),
    ] {
        let facts = changed(|facts| refuse(facts, key));
        has(&facts, &[line]);
        assert_eq!(Diagnosis::of(&facts).ok, ok, "{key:?}\n{}", page(&facts));
    }
    let facts = changed(|facts| {
        facts.config.report.node_taint = true;
        refuse(facts, ("nodes", "patch"));
    });
    has(&facts, &["missing patch nodes not allowed; a loaded node gets no taint: add manifests/components/node-taint"]);
    assert!(troubles(&changed(|facts| refuse(facts, ("events", "create")))).contains(remedy));
}

#[test]
fn what_the_cluster_lacks_is_told_with_what_follows() {
    let answers = |change: fn(&mut super::facts::Answers)| {
        changed(|facts| {
            let Cluster::Answers(answers) = &mut facts.cluster else { panic!("no answers") };
            change(answers);
        })
    };
    let none = || Said::No("not found (HTTP 404)".to_owned());
    let facts = answers(|a| drop(a.kinds.insert("customnoderesources", Said::No("not found".to_owned()))));
    has(
        &facts,
        &[
            "missing kind customnoderesources not there; Katalyst's scheduler is told",
            "off reporting to the CNR there is no kind customnoderesources",
        ],
    );
    assert!(page(&facts).contains(" not used: there is no kind customnoderesources\n") && Diagnosis::of(&facts).ok, "{}", page(&facts));
    let facts = answers(|a| a.version = Ok("v1.28.3+k3s1".to_owned()));
    has(&facts, &["limited API server v1.28.3+k3s1; nobody tried a version so old: use Kubernetes 1.30 or newer"]);
    let mut facts = answers(|a| drop(a.kinds.insert("customnodeconfigs", Said::No("not found".to_owned()))));
    has(&facts, &["partly configuration by objects AdminQoSConfiguration alone"]);
    if let Cluster::Answers(answers) = &mut facts.cluster {
        answers.knows_node = none();
    }
    has(&facts, &["MISSING node not found (HTTP 404); no pod is found", "off reporting to the Node the cluster has no node of this name"]);
    let facts = answers(|a| a.rights.values_mut().for_each(|said| *said = Said::NotKnown("Unauthorized (HTTP 401)".to_owned())));
    let lines = troubles(&facts);
    assert_eq!(lines.matches("Unauthorized").count(), 1, "one line says as much as many:\n{lines}");
    assert!(lines.starts_with("unknown in the cluster Unauthorized (HTTP 401)\n"), "{lines}");
}

#[test]
fn the_runtimes_socket_tells_whether_containers_are_changed_before_they_start() {
    for (nri, line, on) in [
        (
            NriSocket::Absent,
            "MISSING NRI socket /var/run/nri/nri.sock is not there; containers are changed soon after they start, not before: enable",
            On::No,
        ),
        (NriSocket::NoSocket, "MISSING NRI socket /var/run/nri/nri.sock is no socket; ", On::No),
        (NriSocket::There { owner: 0, listens: Some(false) }, "MISSING NRI socket nobody listens on /var/run/nri/nri.sock; ", On::No),
        (
            NriSocket::There { owner: 7, listens: Some(true) },
            "limited NRI socket /var/run/nri/nri.sock listens, and is of user 7; ",
            On::Yes,
        ),
        (NriSocket::There { owner: 0, listens: Some(true) }, "off caches", On::Yes),
    ] {
        let facts = changed(|facts| (facts.nri, facts.agent) = (nri, Err(NoAgent::NotThere("gone".to_owned()))));
        has(&facts, &[line]);
        let told = Diagnosis::of(&facts);
        assert_eq!(told.features.iter().find(|feature| feature.name == "asked before creation").unwrap().on, on, "{line}");
    }
    let alone = AgentSays { mode: Mode::Nri, shadow: false, runtime: None, problems: [("psi".to_owned(), "slow".to_owned())].into() };
    let facts = changed(|facts| facts.agent = Ok(alone));
    has(
        &facts,
        &[
            "limited running agent mode nri, no runtime connected; ",
            "limited its part psi slow; ",
            "partly own CPUs for dedicated pods no runtime asks",
            "off asked before creation no runtime asks",
        ],
    );
}

#[test]
fn a_wrong_configuration_is_a_finding_each_and_the_rest_is_judged_still() {
    let facts = changed(|facts| facts.problems = vec!["a.yaml: bogus".to_owned(), "a.yaml: socket: is empty".to_owned()]);
    has(
        &facts,
        &["MISSING configuration a.yaml: bogus; an agent does not start with it: correct it", "MISSING configuration a.yaml: socket"],
    );
    assert!(!Diagnosis::of(&facts).ok && page(&facts).contains("list, watch pods"));
}

#[test]
fn kubelets_configuration_is_held_against_the_agents() {
    let with = |text: &str| changed(|facts| facts.kubelet.config = KubeletConfig::from_file(text).map(Some));
    has(
        &with("{cgroupRoot: /k8s}"),
        &["MISSING kubelet its cgroupRoot is /k8s, the agent's /; the agent looks for pods in another place: set"],
    );
    has(
        &with("{featureGates: {MemoryQoS: true}}"),
        &["limited kubelet driver cgroupfs (assumed), memory manager None, topology manager none, MemoryQoS on; "],
    );
    has(&changed(|facts| facts.kubelet.config = Ok(None)), &["missing kubelet no config.yaml in /var/lib/kubelet; "]);
}

/// Every node of these tests.
fn nodes() -> Vec<Facts> {
    let mut nodes = vec![full(), on_v1(cgroup::Mode::V1), on_v1(cgroup::Mode::Hybrid)];
    for mode in [Mode::Nri, Mode::Reconcile, Mode::Qrm, Mode::Standalone] {
        nodes.push(changed(|facts| {
            facts.agent = Err(NoAgent::NotThere("gone".to_owned()));
            (facts.config.mode, facts.nri, facts.cluster) = (mode, NriSocket::Absent, Cluster::NoWay("none".to_owned()));
            (facts.kernel.tree.1, facts.kernel.windows) = (None, Windows::None("none".to_owned()));
            let offers = facts.kernel.offers.as_mut().unwrap();
            offers.knobs.values_mut().for_each(|there| *there = Some(false));
            (offers.capabilities, offers.take_back, offers.cgroup_pressure) = (0, TakeBack::NotOffered, Some(false));
            facts.kubelet.config = Ok(None);
        }));
    }
    nodes
}

#[test]
fn what_is_limited_or_missing_always_says_what_follows() {
    for facts in nodes() {
        let silent = |finding: &&Finding| matches!(finding.state, State::Limited | State::Missing) && finding.effect.is_none();
        let told = Diagnosis::of(&facts);
        assert_eq!(told.findings.iter().find(silent), None);
        assert!(told.features.iter().all(|feature| !feature.because.is_empty()), "{:?}", told.features);
    }
}
