//! Cgroups that a bench makes for itself and that end with it.

use crate::tree::Tree;
use gleaner_host::cgroup::Layout;
use gleaner_model::CgroupPath;
use std::error::Error;
use std::fs::{self, OpenOptions};
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

/// A cgroup in every hierarchy of the machine, and what a bench puts below it. Dropping it kills what is in it and removes it.
#[derive(Debug)]
pub struct OwnCgroup {
    tree: Tree,
    children: Vec<Child>,
}

impl OwnCgroup {
    /// Makes one.
    ///
    /// # Errors
    /// What this machine lacks.
    pub fn make() -> Result<Self, String> {
        Ok(Self { tree: Tree::make()?, children: Vec::new() })
    }

    /// The layout of the machine.
    #[must_use]
    pub fn layout(&self) -> &Layout {
        &self.tree.layout
    }

    /// Makes a cgroup below it, and those in between.
    ///
    /// # Errors
    /// When one cannot be made; the error names its folder.
    pub fn add(&self, below: &str) -> Result<CgroupPath, Box<dyn Error>> {
        let mut path = self.tree.root.clone();
        for part in below.split('/') {
            self.tree.dirs(&path).iter().for_each(|folder| hand_on(folder));
            path = path.join(part)?;
            self.tree.dirs(&path).iter().filter(|folder| !folder.is_dir()).try_for_each(|folder| make_folder(folder))?;
        }
        Ok(path)
    }

    /// Writes a file of a cgroup in every hierarchy that has it; answers in how many.
    ///
    /// # Errors
    /// When the kernel refuses the value.
    pub fn put(&self, path: &CgroupPath, file: &str, value: &str) -> io::Result<usize> {
        let files: Vec<PathBuf> = self.tree.dirs(path).iter().map(|folder| folder.join(file)).filter(|file| file.exists()).collect();
        files.iter().try_for_each(|file| put(file, value))?;
        Ok(files.len())
    }

    /// Starts a program in a cgroup. It begins once it is there; its output is dropped.
    ///
    /// # Errors
    /// When the program cannot be started or moved.
    pub fn run(&mut self, path: &CgroupPath, program: &Path, arguments: &[&str]) -> io::Result<()> {
        let mut command = Command::new("sh");
        // The shell waits for a line, by which time it has been moved, and then becomes the program.
        command.args(["-c", "read -r _ || exit 1; exec \"$0\" \"$@\""]).arg(program).args(arguments);
        let mut child = command.stdin(Stdio::piped()).stdout(Stdio::null()).stderr(Stdio::null()).spawn()?;
        let start = child.stdin.take();
        let pid = child.id().to_string();
        self.children.push(child);
        self.put(path, "cgroup.procs", &pid)?;
        start.map_or(Ok(()), |mut start| start.write_all(b"go\n"))
    }
}

impl Drop for OwnCgroup {
    fn drop(&mut self) {
        // Those that never got into the cgroup too. What they started themselves is found in the cgroup.
        for child in &mut self.children {
            let _ = child.kill();
            let _ = child.wait();
        }
        let left = self.tree.remove();
        if !left.is_empty() {
            eprintln!("left behind: {}", left.join(", "));
        }
    }
}

fn make_folder(folder: &Path) -> io::Result<()> {
    fs::create_dir(folder).map_err(|e| naming(folder, &e))?;
    let Some(parent) = folder.parent() else { return Ok(()) };
    // A v1 cpuset takes no process before it has CPUs and memory nodes; a v2 one, which has `.effective` files, needs none.
    for file in ["cpuset.cpus", "cpuset.mems"] {
        let v1 = folder.join(file).exists() && !folder.join(format!("{file}.effective")).exists();
        if let (Ok(value), true) = (fs::read_to_string(parent.join(file)), v1) {
            put(&folder.join(file), value.trim())?;
        }
    }
    Ok(())
}

/// A v2 cgroup gives its controllers to those below only when told to. One by one, since it need not be able to give them all.
fn hand_on(folder: &Path) {
    for controller in fs::read_to_string(folder.join("cgroup.controllers")).unwrap_or_default().split_whitespace() {
        let _ = put(&folder.join("cgroup.subtree_control"), &format!("+{controller}"));
    }
}

fn put(file: &Path, value: &str) -> io::Result<()> {
    OpenOptions::new().write(true).open(file).and_then(|mut open| open.write_all(value.as_bytes())).map_err(|e| naming(file, &e))
}

fn naming(path: &Path, error: &io::Error) -> io::Error {
    io::Error::new(error.kind(), format!("{}: {error}", path.display()))
}
