//! The image of `scripts/image` as a container of a real containerd, with the rights and mounts of the DaemonSet and no others.

use crate::daemonset::DaemonPod;
use crate::{ONE, Running, launch, noted, noting};
use gleaner_host::cgroup::Controller;
use gleaner_model::CpuSet;
use gleaner_tests::containerd::Containerd;
use gleaner_tests::cri::{Cri, CriPod, Ran};
use gleaner_tests::{Kernel, Tree, http, poll_until, skip, slow};
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::{MutexGuard, PoisonError};
use tempfile::TempDir;

/// What the agent and kubelet leave on a node.
const LEFT: [&str; 4] = ["/var/lib/gleaner", "/run/gleaner", "/var/run/nri", "/var/lib/kubelet"];
const SOCKET: &str = "/run/gleaner/gleaner.sock";

/// The wish to be killed later than others: kernel scores are lowered for that.
const PRIORITY: (&str, &str) = ("katalyst.kubewharf.io/memory_enhancement", r#"{"oom_priority":"50"}"#);

/// A node as kubelet finds it, with a runtime at the usual places. Everything is removed at its end.
struct Stock {
    cri: Cri,
    dir: TempDir,
    tree: Tree,
    sandboxes: Vec<String>,
    agents: u32,
    containerd: Containerd,
    _one: MutexGuard<'static, ()>,
}

impl Stock {
    /// `None`, and a line that says why, where this machine cannot be one.
    fn new(test: &str) -> Option<Self> {
        let one = ONE.lock().unwrap_or_else(PoisonError::into_inner);
        if std::env::var_os("GLEANER_TEST_VM").is_none() {
            skip(test, "needs the virtual machine: the agent is the only one of the machine, at the usual paths");
            return None;
        }
        let containerd = Containerd::start_as_usual().map_err(|reason| skip(test, &reason)).ok()?;
        containerd.import(&PathBuf::from(std::env::var_os("GLEANER_TEST_IMAGE").expect("GLEANER_TEST_IMAGE names the image's archive")));
        let tree = Tree::make_at("kubepods").map_err(|reason| skip(test, &reason)).ok()?;
        // Kubelet's own folder.
        fs::create_dir_all("/var/lib/kubelet").unwrap();
        let dir = tempfile::tempdir().unwrap();
        for name in ["out", "logs"] {
            fs::create_dir(dir.path().join(name)).unwrap();
        }
        // Containers of any user write here.
        fs::set_permissions(dir.path(), std::os::unix::fs::PermissionsExt::from_mode(0o755)).unwrap();
        fs::set_permissions(dir.path().join("out"), std::os::unix::fs::PermissionsExt::from_mode(0o777)).unwrap();
        Some(Self { cri: containerd.cri(), dir, tree, sandboxes: Vec::new(), agents: 0, containerd, _one: one })
    }

    fn out(&self) -> PathBuf {
        self.dir.path().join("out")
    }

    fn logs(&self) -> PathBuf {
        self.dir.path().join("logs")
    }

    fn kernel(&self) -> Kernel {
        self.tree.kernel()
    }

    fn make_cgroup(&self, pod: &CriPod) {
        self.tree.make_below(&pod.cgroup_parent.parse().unwrap()).unwrap_or_else(|e| panic!("{}: {e}", pod.cgroup_parent));
    }

    /// Runs a pod of a class; reclaimed ones as another user than the agent.
    fn run(&mut self, name: &str, class: &str, cpus: i64, more: &[(&str, &str)]) -> Running {
        let (kube, user) = if class == "reclaimed_cores" { ("besteffort", Some(1000)) } else { ("burstable", None) };
        let annotations = [("katalyst.kubewharf.io/qos_level", class)].into_iter().chain(more.iter().copied());
        let uid = format!("uid-{name}");
        let pod = CriPod {
            name: name.into(),
            annotations: annotations.map(|(key, value)| (key.to_owned(), value.to_owned())).collect(),
            cgroup_parent: format!("/kubepods/{kube}/pod{uid}"),
            uid,
            ..CriPod::default()
        };
        let mut container = noting(name, cpus, &self.out());
        container.user = user;
        // As if kubelet knew nothing of reclaimed pods.
        container.resources.oom_score_adj = 500;
        self.make_cgroup(&pod);
        let running = launch(&mut self.cri, pod, &container).unwrap_or_else(|e| panic!("{name}: {e}\n{}", self.trouble()));
        self.sandboxes.push(running.sandbox.clone());
        running
    }

    /// Starts the agent as the DaemonSet's pod.
    fn start_agent(&mut self, daemon: &DaemonPod) -> Running {
        self.agents += 1;
        let pod = daemon.pod("gleaner", self.agents, &self.logs());
        let container = daemon.container("containers", self.dir.path());
        self.make_cgroup(&pod);
        let running = launch(&mut self.cri, pod, &container).unwrap_or_else(|e| panic!("the agent: {e}\n{}", self.trouble()));
        self.sandboxes.push(running.sandbox.clone());
        running
    }

    /// The agent's log, and the runtime's.
    fn trouble(&self) -> String {
        let mut text = String::new();
        for entry in fs::read_dir(self.logs()).unwrap().flatten() {
            let log = fs::read_to_string(entry.path()).unwrap_or_default();
            let lines: Vec<&str> = log.lines().collect();
            let end = lines[lines.len().saturating_sub(30)..].join("\n");
            text.push_str(&format!("the end of {}:\n{end}\n", entry.path().display()));
        }
        format!("{text}containerd:\n{}", self.containerd.log_tail())
    }

    /// Looks at the agent's state, on the socket that the node's administrator uses too, until there is an answer.
    fn until<T>(&mut self, what: &str, agent: &Running, look: impl Fn(&Value) -> Option<T>) -> T {
        let deadline = gleaner_tests::Deadline::usual();
        loop {
            let answer = http::get(Path::new(SOCKET), "/state").ok();
            let state: Value = answer.and_then(|answer| serde_json::from_str(&answer.body).ok()).unwrap_or_default();
            if let Some(found) = look(&state) {
                return found;
            }
            let ended = self.cri.ended(&agent.container).unwrap();
            assert_eq!(ended, None, "the agent ended before: {what}\n{}", self.trouble());
            assert!(deadline.again(), "still not so: {what}\nhealth: {}\n{}", state["health"], self.trouble());
        }
    }

    /// Waits until the agent works as a plugin and has looked at the node.
    fn settled(&mut self, agent: &Running) {
        self.until("the runtime is connected", agent, |state| {
            let nri = &state["health"]["nri"];
            (nri.is_object() && nri["problem"].is_null() && state["ticks"].as_u64()? >= 12).then_some(())
        });
    }

    /// What does not work, by part.
    fn problems(&mut self, agent: &Running) -> BTreeMap<String, String> {
        let health = self.until("the agent tells how it does", agent, |state| state["health"].as_object().cloned());
        health.into_iter().filter_map(|(part, state)| Some((part, state["problem"].as_str()?.to_owned()))).collect()
    }

    fn exec(&mut self, agent: &Running, command: &[&str], seconds: i64) -> Ran {
        let seconds = seconds * i64::from(slow());
        self.cri.exec(&agent.container, command, seconds).unwrap_or_else(|e| panic!("{command:?}: {e}\n{}", self.trouble()))
    }

    fn remove(&mut self, running: &Running) {
        self.cri.remove_pod(&running.sandbox).unwrap_or_else(|e| panic!("{}: {e}", running.pod.name));
        self.sandboxes.retain(|sandbox| *sandbox != running.sandbox);
    }

    /// The `oom_score_adj` of a container's first process.
    fn score(&self, running: &Running) -> Option<i32> {
        let pid = self.kernel().pids(&running.cgroup).into_iter().next()?;
        fs::read_to_string(format!("/proc/{pid}/oom_score_adj")).ok()?.trim().parse().ok()
    }

    /// What the kernel holds for a pod: every file of its cgroups that can be set, CPUs and memory nodes as they are in force, and scores.
    fn held(&self, running: &Running) -> BTreeMap<String, String> {
        let pod = running.cgroup.parent().unwrap();
        let files = [
            (Controller::Cpuset, ["cpuset.cpus.effective", "cpuset.mems.effective"].as_slice()),
            (Controller::Cpu, &["cpu.idle", "cpu.weight", "cpu.max", "cpu.max.burst"]),
            (Controller::Memory, &["memory.min", "memory.low", "memory.high", "memory.max", "memory.oom.group"]),
        ];
        let kernel = self.kernel();
        let mut held = BTreeMap::from([(format!("{} score", running.pod.name), format!("{:?}", self.score(running)))]);
        for cgroup in [&pod, &running.cgroup] {
            for (controller, file) in files.iter().flat_map(|(controller, files)| files.iter().map(move |file| (*controller, *file))) {
                held.insert(format!("{cgroup} {file}"), kernel.text(controller, cgroup, file).unwrap_or_default());
            }
        }
        held
    }
}

impl Drop for Stock {
    fn drop(&mut self) {
        if std::thread::panicking() {
            eprintln!("{}", self.trouble());
        }
        for sandbox in std::mem::take(&mut self.sandboxes) {
            let _ = self.cri.remove_pod(&sandbox);
        }
        let mut left = self.tree.remove();
        for dir in LEFT {
            left.extend(fs::remove_dir_all(dir).err().filter(|e| e.kind() != std::io::ErrorKind::NotFound).map(|e| format!("{dir}: {e}")));
        }
        assert!(left.is_empty() || std::thread::panicking(), "left behind: {}", left.join(", "));
    }
}

/// A field of `/proc/PID/status`.
fn status(pid: i32, key: &str) -> String {
    let text = fs::read_to_string(format!("/proc/{pid}/status")).unwrap();
    text.lines().find_map(|line| line.strip_prefix(key)).unwrap_or_else(|| panic!("{key} in {text}")).trim().to_owned()
}

#[test]
fn the_daemonset_isolates_pods_and_restore_undoes_it() {
    let Some(mut node) = Stock::new("the_daemonset_isolates_pods_and_restore_undoes_it") else { return };
    // They run before the agent comes, so that there is something to put back.
    let early = [node.run("early", "shared_cores", 1, &[]), node.run("night", "reclaimed_cores", 0, &[])];
    let before: Vec<_> = early.iter().map(|pod| node.held(pod)).collect();
    let daemon = DaemonPod::of("overlays/nri");
    let agent = node.start_agent(&daemon);
    node.settled(&agent);
    let web = node.run("web", "shared_cores", 1, &[PRIORITY]);
    let db = node.run("db", "dedicated_cores", 2, &[]);
    let batch = node.run("batch", "reclaimed_cores", 0, &[]);
    assert_isolated(&mut node, &web, &db, &batch, &early);
    assert_agent(&mut node, &agent, &daemon);
    let during: Vec<_> = early.iter().map(|pod| node.held(pod)).collect();
    for (before, during) in before.iter().zip(&during) {
        assert_ne!(before, during, "the agent writes what ran before it");
    }
    let all = [&early[0], &early[1], &web, &db, &batch];
    let left: Vec<_> = all.iter().map(|pod| node.held(pod)).collect();
    let grace = daemon.spec["terminationGracePeriodSeconds"].as_i64().unwrap() * i64::from(slow());
    node.cri.stop(&agent.container, grace).unwrap();
    assert_eq!(node.cri.ended(&agent.container).unwrap(), Some(0), "{}", node.trouble());
    node.remove(&agent);
    for (pod, left) in all.iter().zip(&left) {
        assert_eq!(node.held(pod), *left, "the agent left the pods as they are");
    }
    restore(&mut node);
    for (pod, before) in early.iter().zip(&before) {
        assert_eq!(node.held(pod), *before, "everything is as it was before the agent");
    }
}

fn assert_isolated(node: &mut Stock, web: &Running, db: &Running, batch: &Running, early: &[Running]) {
    let (kernel, own) = (node.kernel(), noted(&node.out(), "db"));
    assert_eq!(own.count(), 2, "db asks for 2 CPUs and began on {own}");
    assert_eq!(kernel.cpus(&db.cgroup), own);
    for (name, running) in [("web", web), ("batch", batch)] {
        let now = kernel.cpus(&running.cgroup);
        assert!(now.is_disjoint(&own), "{name} is on {now}, db has {own}");
    }
    let first: CpuSet = noted(&node.out(), "batch");
    assert!(!first.is_empty() && first.is_disjoint(&own), "batch began on {first}, db has {own}");
    for running in early {
        let what = format!("{} leaves the CPUs of db", running.pod.name);
        poll_until(&what, || kernel.cpus(&running.cgroup).is_disjoint(&own).then_some(()));
    }
    for reclaimed in [batch, &early[1]] {
        let pod = reclaimed.cgroup.parent().unwrap();
        poll_until("a reclaimed pod is idle", || (kernel.text(Controller::Cpu, &pod, "cpu.idle")? == "1").then_some(()));
        poll_until("it is killed first, though its processes are of another user", || (node.score(reclaimed)? == 1000).then_some(()));
    }
    poll_until("web is killed later than kubelet says", || (node.score(web)? == -48).then_some(()));
}

fn assert_agent(node: &mut Stock, agent: &Running, daemon: &DaemonPod) {
    let pid = node.kernel().pids(&agent.cgroup)[0];
    let rss = ["VmRSS:", "RssAnon:", "RssFile:"].map(|key| format!("{key} {}", status(pid, key)));
    eprintln!("the agent in its container: {}", rss.join(", "));
    let own = noted(&node.out(), "db");
    let kernel = node.kernel();
    poll_until("the agent itself leaves the CPUs of db", || kernel.cpus(&agent.cgroup).is_disjoint(&own).then_some(()));
    let mounts = fs::read_to_string(format!("/proc/{pid}/mountinfo")).unwrap();
    let root = mounts.lines().map(|line| line.split(' ').collect::<Vec<_>>()).find(|words| words[4] == "/").unwrap();
    assert!(root[5].split(',').any(|option| option == "ro"), "its own files are read-only: {root:?}");
    // There is no cluster in this machine; all else works.
    let problems = node.problems(agent);
    assert_eq!(problems.keys().map(String::as_str).collect::<BTreeSet<_>>(), BTreeSet::from(["cluster"]), "{problems:#?}");
    for name in ["startupProbe", "livenessProbe"] {
        let (command, seconds) = daemon.probe(name);
        let ran = node.exec(agent, &command.iter().map(String::as_str).collect::<Vec<_>>(), seconds);
        assert_eq!(ran.code, 0, "{name}: {ran:?}");
    }
    let told = node.exec(agent, &["gleaner", "status"], 10);
    assert!(told.code == 0 && told.stdout.contains("default/db") && told.stdout.contains("POOLS"), "{told:?}");
    let why = node.exec(agent, &["gleaner", "explain", "default/db"], 10);
    assert!(why.code == 0 && why.stdout.contains("dedicated"), "{why:?}");
    let nobody = node.exec(agent, &["gleaner", "explain", "default/nobody"], 10);
    assert!(nobody.code != 0 && nobody.stderr.contains("nobody"), "{nobody:?}");
    assert_eq!(http::get(Path::new(SOCKET), "/healthz").unwrap().status, 200, "a person on the node can ask too");
}

/// The overlay `restore`: its first container ends well, the other waits.
fn restore(node: &mut Stock) {
    let daemon = DaemonPod::of("overlays/restore");
    node.agents += 1;
    let pod = daemon.pod("gleaner", node.agents, &node.logs());
    node.make_cgroup(&pod);
    let sandbox = node.cri.run_pod(&pod).unwrap();
    node.sandboxes.push(sandbox.clone());
    let first = daemon.container("initContainers", node.dir.path());
    let id = node.cri.create(&sandbox, &pod, &first).and_then(|id| node.cri.start(&id).map(|()| id)).unwrap();
    let code = poll_until("restore ends", || node.cri.ended(&id).unwrap());
    assert_eq!(code, 0, "{}", node.trouble());
    let second = daemon.container("containers", node.dir.path());
    let id = node.cri.create(&sandbox, &pod, &second).and_then(|id| node.cri.start(&id).map(|()| id)).unwrap();
    let log = node.logs().join(&second.log_path);
    poll_until("it waits", || fs::read_to_string(&log).ok().filter(|text| text.contains("waiting to be told to stop")));
    assert_eq!(node.cri.ended(&id).unwrap(), None, "{}", node.trouble());
    node.cri.stop(&id, 10 * i64::from(slow())).unwrap();
    assert_eq!(node.cri.ended(&id).unwrap(), Some(0), "it ends when it is asked: {}", node.trouble());
}

#[test]
fn each_right_of_the_daemonset_is_needed() {
    let Some(mut node) = Stock::new("each_right_of_the_daemonset_is_needed") else { return };
    let whole = || DaemonPod::of("overlays/nri");
    let mut alone = whole();
    alone.spec["hostPID"] = false.into();
    // What is left of the scores of a process of another user, which is to be raised, and of one of root, which is to be lowered.
    for (what, daemon, scores, said) in [
        ("SYS_RESOURCE", whole().without_capability("SYS_RESOURCE"), [1000, 500], "may not be lowered to -48"),
        ("DAC_OVERRIDE", whole().without_capability("DAC_OVERRIDE"), [500, -48], "needs CAP_DAC_OVERRIDE"),
        ("hostPID", alone, [500, 500], "another pid namespace"),
    ] {
        let batch = node.run("batch", "reclaimed_cores", 0, &[]);
        let web = node.run("web", "shared_cores", 1, &[PRIORITY]);
        let agent = node.start_agent(&daemon);
        node.settled(&agent);
        let problems = node.problems(&agent);
        assert_eq!([&batch, &web].map(|pod| node.score(pod)), scores.map(Some), "without {what}: {problems:#?}");
        assert!(problems.get("knobs").is_some_and(|problem| problem.contains(said)), "without {what}: {problems:#?}");
        let slow = problems.get("psi").is_some_and(|problem| problem.contains("CAP_SYS_RESOURCE"));
        assert_eq!(slow, what == "SYS_RESOURCE", "without {what}: {problems:#?}");
        for running in [&agent, &batch, &web] {
            node.remove(running);
        }
        for name in ["batch", "web"] {
            fs::remove_file(node.out().join(name)).unwrap();
        }
    }
}
