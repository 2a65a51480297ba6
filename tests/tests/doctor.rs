//! `gleaner doctor` on this machine: what it says agrees with the kernel's own files, and nothing that does not answer makes it hang.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::panic, reason = "tests")]

use gleaner_host::clock;
use gleaner_model::CpuSet;
use gleaner_tests::{Deadline, Node, program, skip};
use nix::sys::signal::{Signal, kill};
use nix::unistd::{Pid, geteuid};
use serde_json::Value;
use std::fs::{self, File};
use std::net::TcpListener;
use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::UnixListener;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;
use tempfile::TempDir;

/// What the command printed, and its status.
struct Told {
    text: String,
    errors: String,
    code: Option<i32>,
    took: Duration,
}

impl Told {
    fn json(&self) -> Value {
        serde_json::from_str(&self.text).unwrap_or_else(|e| panic!("{e}: {}{}", self.text, self.errors))
    }

    /// The finding of this name.
    #[track_caller]
    fn finding(&self, name: &str) -> Value {
        let told = self.json();
        let found = told["findings"].as_array().unwrap().iter().find(|finding| finding["name"] == name);
        found.unwrap_or_else(|| panic!("nothing is said of {name}: {}", self.text)).clone()
    }

    #[track_caller]
    fn says(&self, name: &str, state: &str, part: &str) {
        let finding = self.finding(name);
        let what = finding["what"].as_str().unwrap();
        assert!(finding["state"] == state && what.contains(part), "{name} is not {state} with {part:?}: {finding}");
    }
}

/// A folder with a configuration, in which the command runs apart from whatever this machine is.
struct Place(TempDir);

impl Place {
    fn new(kubernetes: &str, more: &str) -> Self {
        let place = Self(tempfile::tempdir().unwrap());
        let path = |name: &str| place.path(name).display().to_string();
        let text = format!(
            "stateDir: {}\nsocket: {}\nnri: {{socket: {}}}\nkubernetes: {{kubeletDir: {}, nodeName: node-1{kubernetes}}}\n{more}",
            path("state"),
            path("socket"),
            path("nri.sock"),
            path("kubelet"),
        );
        put(&place.path("gleaner.yaml"), &text);
        place
    }

    /// With the way to an API server.
    fn with_server(address: &str, user: &str, more: &str) -> Self {
        let place = Self::new("", more);
        let kubeconfig = format!(
            "{{apiVersion: v1, kind: Config, current-context: c, contexts: [{{name: c, context: {{cluster: k, user: u}}}}], \
             clusters: [{{name: k, cluster: {{server: \"{address}\"}}}}], users: [{{name: u, user: {user}}}]}}"
        );
        put(&place.path("kubeconfig"), &kubeconfig);
        let file = place.path("gleaner.yaml");
        let text = fs::read_to_string(&file).unwrap();
        put(&file, &text.replace("nodeName", &format!("kubeconfig: {}, nodeName", place.path("kubeconfig").display())));
        place
    }

    fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    fn command(&self, program: &Path, arguments: &[&str]) -> Command {
        let mut command = Command::new(program);
        command.arg("doctor").arg("--config").arg(self.path("gleaner.yaml")).args(arguments);
        command.env_remove("KUBERNETES_SERVICE_HOST").env_remove("KUBERNETES_SERVICE_PORT").stdin(Stdio::null());
        command
    }

    fn run(&self, arguments: &[&str]) -> Told {
        ended(self.command(&program("gleaner"), arguments))
    }
}

fn put(file: &Path, text: &str) {
    use std::io::Write;
    File::create(file).unwrap().write_all(text.as_bytes()).unwrap();
}

/// Runs it to its end, which must come. What it prints goes to files: somebody whom it left behind could hold a pipe open.
fn ended(mut command: Command) -> Told {
    let out = tempfile::tempdir().unwrap();
    let file = |name: &str| out.path().join(name);
    let begun = clock::now();
    command.stdout(File::create(file("out")).unwrap()).stderr(File::create(file("err")).unwrap());
    let mut child = command.spawn().unwrap();
    let deadline = Deadline::usual();
    let status = loop {
        if let Some(status) = child.try_wait().unwrap() {
            break status;
        }
        if !deadline.again() {
            let _ = child.kill();
            let _ = child.wait();
            panic!("it hangs");
        }
    };
    let text = |name: &str| fs::read_to_string(file(name)).unwrap();
    Told { text: text("out"), errors: text("err"), code: status.code(), took: clock::now().since(begun) }
}

fn kernel(path: &str) -> String {
    fs::read_to_string(path).unwrap().trim().to_owned()
}

#[test]
fn it_says_what_the_kernels_own_files_say() {
    let told = Place::new("", "").run(&["--json"]);
    told.says("release", "ok", &kernel("/proc/sys/kernel/osrelease"));
    let online: CpuSet = kernel("/sys/devices/system/cpu/online").parse().unwrap();
    told.says("topology", "ok", &format!("{} CPUs, ", online.count()));
    let own = kernel("/proc/self/status");
    let capabilities = own.lines().find_map(|line| line.strip_prefix("CapEff:")).unwrap();
    let has = u64::from_str_radix(capabilities.trim(), 16).unwrap() & (1 << 24) != 0;
    told.says("CAP_SYS_RESOURCE", if has { "ok" } else { "missing" }, "held");
    let memory = kernel("/proc/meminfo");
    let no_swap = memory.lines().any(|line| line.starts_with("SwapTotal:") && line.ends_with(" 0 kB"));
    assert_eq!(told.finding("swap")["what"] == "none", no_swap, "{}", told.text);
    let pressure = if Path::new("/proc/pressure/memory").exists() { "ok" } else { "missing" };
    told.says("pressure of the node", pressure, "memory");
}

#[test]
fn the_page_has_every_group_and_says_what_the_object_says() {
    let place = Place::new("", "mode: reconcile\n");
    let (page, told) = (place.run(&[]), place.run(&["--json"]));
    let titles: Vec<&str> = page.text.lines().filter(|line| line.chars().all(char::is_uppercase) && !line.is_empty()).collect();
    assert_eq!(titles, ["AGENT", "KERNEL", "RIGHTS", "KUBERNETES", "FEATURES"], "{}", page.text);
    let object = told.json();
    for finding in object["findings"].as_array().unwrap() {
        let parts = [&finding["name"], &finding["what"]].map(|part| part.as_str().unwrap());
        assert!(page.text.lines().any(|line| parts.iter().all(|part| line.contains(part))), "{finding}\n{}", page.text);
    }
    for feature in object["features"].as_array().unwrap() {
        assert!(page.text.contains(feature["because"].as_str().unwrap()), "{feature}\n{}", page.text);
    }
    // There is no cluster, which this mode needs.
    assert_eq!((page.code, told.code, &object["ok"]), (Some(1), Some(1), &Value::Bool(false)), "{}{}", page.text, page.errors);
    told.says("API server", "missing", "kubernetes.kubeconfig is empty, and there is no service account");
    told.says("running agent", "missing", "none on ");
    told.says("NRI socket", "ok", "not used: mode reconcile");
    assert_eq!(told.errors, "");
}

#[test]
fn a_wrong_configuration_is_said_and_all_the_rest_too() {
    let place = Place::new("", "mode: standalone\nsamplingPeriod: 1ms\nbogus: 1\n");
    let told = place.run(&["--json"]);
    assert_eq!(told.code, Some(1), "{}", told.text);
    let object = told.json();
    let wrong: Vec<&str> = object["findings"]
        .as_array()
        .unwrap()
        .iter()
        .filter(|f| f["name"] == "configuration")
        .map(|f| f["what"].as_str().unwrap())
        .collect();
    assert!(wrong.len() == 2 && wrong.iter().any(|line| line.contains("bogus")), "{wrong:?}");
    assert!(wrong.iter().any(|line| line.contains("samplingPeriod: 1ms is not between")), "{wrong:?}");
    assert_eq!(object["mode"], "standalone", "what is right holds");
    told.says("release", "ok", "");
}

#[test]
fn nobody_who_is_silent_makes_it_hang() {
    // Connections are taken by the kernel, and nobody ever says a word.
    let server = TcpListener::bind("127.0.0.1:0").unwrap();
    for scheme in ["http", "https"] {
        let place = Place::with_server(&format!("{scheme}://{}", server.local_addr().unwrap()), "{token: t}", "");
        let agent = UnixListener::bind(place.path("socket")).unwrap();
        let told = place.run(&["--json"]);
        told.says("API server", "missing", "no answer within");
        told.says("running agent", "unknown", "no answer within");
        assert!(told.took < Duration::from_secs(20) * gleaner_tests::slow(), "{:?}", told.took);
        drop(agent);
    }
}

#[test]
fn a_program_that_gives_no_credentials_does_not_make_it_hang_either() {
    let place = Place::with_server("https://127.0.0.1:1", "{exec: {}}", "");
    let pid = place.path("pid");
    let script = place.path("credentials");
    put(&script, &format!("#!/bin/sh\necho $$ > {}\nexec sleep 600\n", pid.display()));
    fs::set_permissions(&script, fs::Permissions::from_mode(0o755)).unwrap();
    let user = format!("{{exec: {{apiVersion: client.authentication.k8s.io/v1, command: {}, interactiveMode: Never}}}}", script.display());
    let config = fs::read_to_string(place.path("kubeconfig")).unwrap();
    put(&place.path("kubeconfig"), &config.replace("{exec: {}}", &user));
    let told = place.run(&["--json"]);
    let left: i32 = fs::read_to_string(&pid).unwrap().trim().parse().unwrap();
    kill(Pid::from_raw(left), Signal::SIGKILL).unwrap();
    told.says("API server", "missing", "no answer within");
}

#[test]
fn the_runtimes_socket_is_looked_at_and_never_connected_to() {
    let place = Place::new("", "");
    let listener = UnixListener::bind(place.path("nri.sock")).unwrap();
    listener.set_nonblocking(true).unwrap();
    let told = place.run(&["--json"]);
    assert!(listener.accept().is_err(), "somebody connected: a runtime would wait for it to register");
    let finding = told.finding("NRI socket");
    let what = finding["what"].as_str().unwrap();
    assert!(what.ends_with("nri.sock listens") || what.contains("listens, and is of user"), "{finding}");
    drop(listener);
    // Nobody listens there now; where other namespaces may know better, that is said.
    let finding = place.run(&["--json"]).finding("NRI socket");
    assert!(finding["state"] == "missing" || finding["state"] == "unknown", "{finding}");
}

#[test]
fn without_root_it_says_what_it_could_not_see() {
    const TEST: &str = "without_root_it_says_what_it_could_not_see";
    if !geteuid().is_root() {
        return skip(TEST, "only root can become somebody else");
    }
    let place = Place::new("", "mode: reconcile\n");
    // Others may not come to where it was built.
    let copy = place.path("gleaner");
    fs::copy(program("gleaner"), &copy).unwrap();
    fs::set_permissions(place.0.path(), fs::Permissions::from_mode(0o755)).unwrap();
    let mut command = place.command(&copy, &["--json"]);
    command.uid(65534).gid(65534).current_dir("/");
    let told = ended(command);
    assert_eq!(told.code, Some(1), "{}{}", told.text, told.errors);
    told.says("user", "missing", "user 65534");
    told.says("CAP_SYS_RESOURCE", "missing", "not held");
    told.says("release", "ok", &kernel("/proc/sys/kernel/osrelease"));
    let cgroups = told.finding("writing cgroups");
    assert!(cgroups["state"] == "unknown" && cgroups["what"].as_str().unwrap().starts_with("not as this user: "), "{cgroups}");
    let told = told.json();
    let on: Vec<&Value> = told["features"].as_array().unwrap().iter().filter(|f| f["because"] == "an agent must run as root").collect();
    assert!(on.len() > 3, "{}", told["features"]);
}

#[test]
fn a_running_agent_is_asked_and_its_mode_is_the_one_that_is_judged() {
    let Some(mut node) = Node::new("a_running_agent_is_asked_and_its_mode_is_the_one_that_is_judged") else { return };
    node.start();
    let told = ended({
        let mut command = node.command("doctor");
        command.arg("--json");
        command
    });
    // The flag of the agent says so, and not the file.
    assert_eq!(told.json()["mode"], "standalone", "{}", told.text);
    told.says("running agent", "ok", "mode standalone");
    told.says("pods' cgroup", "ok", node.kubepods().as_str());
    told.says("kubernetes", "ok", "not used: mode standalone");
    assert_eq!((told.code, told.json()["ok"].as_bool()), (Some(0), Some(true)), "{}", told.text);
}
