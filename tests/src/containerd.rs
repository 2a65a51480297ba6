//! A real containerd with its plugins' socket on, for tests inside the virtual machine.

use crate::cri::Cri;
use crate::wait::Deadline;
use std::fs;
use std::io::Write;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use tempfile::TempDir;

/// The image that containers of tests are made of: one static program with all of a shell's tools.
pub const IMAGE: &str = "docker.io/library/tools:test";

/// Process 1 of the virtual machine runs all this in a chroot. Who joins the mount namespace of a container, as for a program that kubelet runs in it, comes to
/// the namespace's own root, and that is then not the container's. With this containerd has a mount namespace whose root is the machine's, with mounts that are
/// shared, as systemd makes them.
const AT_ROOT: &str = "cd /root && mount --move . / && \
    exec chroot . /bin/sh -c 'mount --make-rshared / && exec containerd --config \"$0\"' \"$0\"";

/// A running containerd in folders of its own. Dropping it ends it.
#[derive(Debug)]
pub struct Containerd {
    dir: TempDir,
    nri_socket: PathBuf,
    at_root: bool,
    child: Option<Child>,
}

impl Containerd {
    /// Starts one and gives it the image.
    ///
    /// # Errors
    /// Why this machine cannot have one; the test is then skipped.
    ///
    /// # Panics
    /// When it does not start although the machine has it.
    pub fn start() -> Result<Self, String> {
        Self::start_with(None)
    }

    /// As [`Containerd::start`], as the machine's only one: the socket of its plugins is at the usual path, and programs can be run in its containers.
    ///
    /// # Errors
    /// Why this machine cannot have one; the test is then skipped.
    ///
    /// # Panics
    /// When it does not start although the machine has it.
    pub fn start_as_usual() -> Result<Self, String> {
        Self::start_with(Some(PathBuf::from("/var/run/nri/nri.sock")))
    }

    fn start_with(usual: Option<PathBuf>) -> Result<Self, String> {
        for program in ["containerd", "runc", "ctr", "busybox"] {
            let found = std::env::split_paths(&std::env::var_os("PATH").unwrap_or_default()).any(|dir| dir.join(program).is_file());
            if !found {
                return Err(format!("needs {program}"));
            }
        }
        let dir = tempfile::tempdir().expect("a temporary folder");
        let at_root = usual.is_some();
        let nri_socket = usual.unwrap_or_else(|| dir.path().join("nri/nri.sock"));
        let mut own = Self { dir, nri_socket, at_root, child: None };
        fs::create_dir(own.path("root")).expect("a folder for containerd");
        // What a runtime copies into every pod; the virtual machine's root has none of them.
        for file in ["/etc/resolv.conf", "/etc/hosts"] {
            fs::OpenOptions::new().create(true).append(true).open(file).expect("a file of the machine");
        }
        // Its snapshots are overlays, which cannot lie on another overlay.
        run(Command::new("mount").args(["-t", "tmpfs", "-o", "size=256m", "tmpfs"]).arg(own.path("root")));
        put(&own.path("config.toml"), &own.config());
        own.make_network();
        own.spawn();
        own.import(&own.make_image());
        Ok(own)
    }

    fn config(&self) -> String {
        let path = |name: &str| self.path(name).display().to_string();
        format!(
            "version = 2\nroot = {:?}\nstate = {:?}\n\
             [grpc]\n  address = {:?}\n[ttrpc]\n  address = {:?}\n\
             [plugins.\"io.containerd.grpc.v1.cri\"]\n  sandbox_image = \"{IMAGE}\"\n  enable_unprivileged_ports = false\n\
             [plugins.\"io.containerd.grpc.v1.cri\".cni]\n  bin_dir = {:?}\n  conf_dir = {:?}\n\
             [plugins.\"io.containerd.grpc.v1.cri\".containerd.runtimes.runc]\n  runtime_type = \"io.containerd.runc.v2\"\n\
             [plugins.\"io.containerd.nri.v1.nri\"]\n  disable = false\n  socket_path = {:?}\n  plugin_path = {:?}\n  plugin_config_path = {:?}\n",
            path("root"),
            path("state"),
            path("containerd.sock"),
            path("ttrpc.sock"),
            path("cni"),
            path("cni-conf"),
            self.nri_socket.display().to_string(),
            path("nri-plugins"),
            path("nri-conf"),
        )
    }

    /// A network plugin that does nothing: a pod with a network of its own has one with nothing in it. The address is there because the runtime
    /// wants one.
    fn make_network(&self) {
        let versions = r#""cniVersion":"0.4.0","supportedVersions":["0.3.0","0.3.1","0.4.0"]"#;
        let result = r#""interfaces":[{"name":"%s","sandbox":"%s"}],"ips":[{"version":"4","interface":0,"address":"192.0.2.1/32"}]"#;
        let script = format!(
            "#!/bin/sh\ncase $CNI_COMMAND in\nADD) printf '{{\"cniVersion\":\"0.4.0\",{result}}}' \"$CNI_IFNAME\" \"$CNI_NETNS\" ;;\n\
             VERSION) echo '{{{versions}}}' ;;\nesac\n"
        );
        for dir in ["cni", "cni-conf"] {
            fs::create_dir(self.path(dir)).expect("a folder for the network");
        }
        for plugin in ["cni/nothing", "cni/loopback"] {
            put(&self.path(plugin), &script);
            fs::set_permissions(self.path(plugin), fs::Permissions::from_mode(0o755)).expect("a program");
        }
        let list = r#"{"cniVersion":"0.4.0","name":"nothing","plugins":[{"type":"nothing"}]}"#;
        put(&self.path("cni-conf/10-nothing.conflist"), list);
    }

    /// A path in its folder.
    #[must_use]
    pub fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    /// The socket of its plugins.
    #[must_use]
    pub fn nri_socket(&self) -> PathBuf {
        self.nri_socket.clone()
    }

    /// A connection as kubelet's.
    #[must_use]
    pub fn cri(&self) -> Cri {
        Cri::connect(&self.path("containerd.sock"))
    }

    fn spawn(&mut self) {
        let log = fs::OpenOptions::new().create(true).append(true).open(self.path("log")).expect("a file for its log");
        let errors = log.try_clone().expect("the same file");
        let mut command = Command::new(if self.at_root { "nsenter" } else { "containerd" });
        if self.at_root {
            command.args(["--mount=/proc/1/ns/mnt", "/bin/busybox", "unshare", "-m", "/bin/busybox", "sh", "-c", AT_ROOT]);
        } else {
            command.arg("--config");
        }
        command.arg(self.path("config.toml")).stdin(Stdio::null()).stdout(log).stderr(errors);
        self.child = Some(command.spawn().expect("containerd starts"));
        let deadline = Deadline::usual();
        while self.cri().version().is_err() || !self.nri_socket().exists() {
            assert!(deadline.again(), "containerd does not answer:\n{}", self.log_tail());
        }
    }

    /// Kills it and starts it again; its containers run on.
    ///
    /// # Panics
    /// When it does not come back.
    pub fn restart(&mut self) {
        self.kill();
        self.spawn();
    }

    fn kill(&mut self) {
        if let Some(mut child) = self.child.take() {
            let _ = child.kill();
            let _ = child.wait();
        }
    }

    /// The end of its log.
    #[must_use]
    pub fn log_tail(&self) -> String {
        let log = fs::read_to_string(self.path("log")).unwrap_or_default();
        let lines: Vec<&str> = log.lines().collect();
        lines[lines.len().saturating_sub(20)..].join("\n")
    }

    /// Gives it an image archive.
    ///
    /// # Panics
    /// When it does not take it.
    pub fn import(&self, archive: &Path) {
        run(Command::new("ctr").arg("-a").arg(self.path("containerd.sock")).args(["-n", "k8s.io", "images", "import"]).arg(archive));
    }

    /// An archive with one layer, in which one static program has the names of its tools.
    fn make_image(&self) -> PathBuf {
        let script = r#"
set -eu
cd "$1"
mkdir -p image/layer/bin image/layer/out image/layer/proc image/layer/tmp
cp "$(command -v busybox)" image/layer/bin/busybox
for tool in sh sleep cat grep touch echo awk; do ln -s busybox image/layer/bin/$tool; done
busybox tar -c -f image/layer.tar -C image/layer .
digest=$(sha256sum image/layer.tar | cut -d' ' -f1)
cat >image/config.json <<JSON
{"architecture":"amd64","os":"linux","config":{"Entrypoint":["/bin/sleep","1000000"],"Env":["PATH=/bin"]},"rootfs":{"type":"layers","diff_ids":["sha256:$digest"]}}
JSON
cat >image/manifest.json <<JSON
[{"Config":"config.json","RepoTags":["$2"],"Layers":["layer.tar"]}]
JSON
busybox tar -c -f image.tar -C image manifest.json config.json layer.tar
"#;
        run(Command::new("sh").args(["-c", script, "sh"]).arg(self.dir.path()).arg(IMAGE));
        self.path("image.tar")
    }
}

impl Drop for Containerd {
    fn drop(&mut self) {
        self.kill();
        let _ = Command::new("umount").args(["-l"]).arg(self.path("root")).status();
    }
}

fn put(file: &Path, text: &str) {
    let written = fs::File::create(file).and_then(|mut file| file.write_all(text.as_bytes()));
    written.unwrap_or_else(|e| panic!("{}: {e}", file.display()));
}

fn run(command: &mut Command) {
    let output = command.output().unwrap_or_else(|e| panic!("{command:?}: {e}"));
    assert!(output.status.success(), "{command:?}: {}\n{}", output.status, String::from_utf8_lossy(&output.stderr));
}
