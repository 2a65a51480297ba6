//! A real containerd with its plugins' socket on, for tests inside the virtual machine.

use crate::cri::Cri;
use crate::wait::Deadline;
use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use tempfile::TempDir;

/// The image that containers of tests are made of: one static program with all of a shell's tools.
pub const IMAGE: &str = "docker.io/library/tools:test";

/// A running containerd in folders of its own. Dropping it ends it.
#[derive(Debug)]
pub struct Containerd {
    dir: TempDir,
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
        for program in ["containerd", "runc", "ctr", "busybox"] {
            let found = std::env::split_paths(&std::env::var_os("PATH").unwrap_or_default()).any(|dir| dir.join(program).is_file());
            if !found {
                return Err(format!("needs {program}"));
            }
        }
        let dir = tempfile::tempdir().expect("a temporary folder");
        let mut own = Self { dir, child: None };
        fs::create_dir(own.path("root")).expect("a folder for containerd");
        // What a runtime copies into every pod; the virtual machine's root has none of them.
        for file in ["/etc/resolv.conf", "/etc/hosts"] {
            fs::OpenOptions::new().create(true).append(true).open(file).expect("a file of the machine");
        }
        // Its snapshots are overlays, which cannot lie on another overlay.
        run(Command::new("mount").args(["-t", "tmpfs", "-o", "size=256m", "tmpfs"]).arg(own.path("root")));
        let written = fs::File::create(own.path("config.toml")).and_then(|mut file| file.write_all(own.config().as_bytes()));
        written.expect("its configuration");
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
             [plugins.\"io.containerd.grpc.v1.cri\".containerd.runtimes.runc]\n  runtime_type = \"io.containerd.runc.v2\"\n\
             [plugins.\"io.containerd.nri.v1.nri\"]\n  disable = false\n  socket_path = {:?}\n  plugin_path = {:?}\n  plugin_config_path = {:?}\n",
            path("root"),
            path("state"),
            path("containerd.sock"),
            path("ttrpc.sock"),
            path("nri/nri.sock"),
            path("nri-plugins"),
            path("nri-conf"),
        )
    }

    /// A path in its folder.
    #[must_use]
    pub fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    /// The socket of its plugins.
    #[must_use]
    pub fn nri_socket(&self) -> PathBuf {
        self.path("nri/nri.sock")
    }

    /// A connection as kubelet's.
    #[must_use]
    pub fn cri(&self) -> Cri {
        Cri::connect(&self.path("containerd.sock"))
    }

    fn spawn(&mut self) {
        let log = fs::OpenOptions::new().create(true).append(true).open(self.path("log")).expect("a file for its log");
        let errors = log.try_clone().expect("the same file");
        let mut command = Command::new("containerd");
        command.arg("--config").arg(self.path("config.toml")).stdin(Stdio::null()).stdout(log).stderr(errors);
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
        lines[lines.len().saturating_sub(8)..].join("\n")
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

fn run(command: &mut Command) {
    let output = command.output().unwrap_or_else(|e| panic!("{command:?}: {e}"));
    assert!(output.status.success(), "{command:?}: {}\n{}", output.status, String::from_utf8_lossy(&output.stderr));
}
