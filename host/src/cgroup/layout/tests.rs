#![allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::print_stderr, reason = "tests")]

use super::*;
use proptest::prelude::*;

const SEPARATE: &str = "\
31 23 0:28 / /sys/fs/cgroup rw,relatime - tmpfs tmpfs rw,mode=755
32 31 0:29 / /sys/fs/cgroup/cpu rw,relatime - cgroup cgroup rw,cpu
33 31 0:30 / /sys/fs/cgroup/cpuacct rw,relatime - cgroup cgroup rw,cpuacct
34 31 0:31 / /sys/fs/cgroup/cpuset rw,relatime - cgroup cgroup rw,cpuset
40 31 0:37 / /sys/fs/cgroup/systemd rw,relatime - cgroup cgroup rw,name=systemd
41 31 0:38 / /sys/fs/cgroup/unified rw,relatime shared:9 - cgroup2 cgroup2 rw
";

fn path(text: &str) -> CgroupPath {
    text.parse().unwrap()
}

fn dir(layout: &Layout, controller: Controller) -> Option<String> {
    layout.dir(controller, &path("/a/b")).map(|d| d.display().to_string())
}

#[test]
fn a_hybrid_machine_has_v1_controllers_and_a_unified_mount() {
    let layout = Layout::from_mountinfo(SEPARATE, "").unwrap();
    assert_eq!(layout.mode(), Mode::Hybrid);
    assert_eq!(dir(&layout, Controller::Cpuset).as_deref(), Some("/sys/fs/cgroup/cpuset/a/b"));
    assert_eq!(layout.version(Controller::Cpu), Some(Version::V1));
    assert_eq!(layout.version(Controller::Memory), None);
    assert_eq!(layout.unified_dir(&path("/")).unwrap(), Path::new("/sys/fs/cgroup/unified"));
    let mounts: Vec<String> = layout.hierarchies().iter().map(|m| m.display().to_string()).collect();
    assert_eq!(mounts, ["/sys/fs/cgroup/cpu", "/sys/fs/cgroup/cpuacct", "/sys/fs/cgroup/cpuset", "/sys/fs/cgroup/unified"]);
}

#[test]
fn controllers_mounted_together_share_one_hierarchy() {
    let text = "32 31 0:29 / /cg/cpu,cpuacct rw - cgroup cgroup rw,cpu,cpuacct\n33 31 0:30 / /cg/mem\\040x rw - cgroup cgroup rw,memory\n";
    let layout = Layout::from_mountinfo(text, "").unwrap();
    assert_eq!(layout.mode(), Mode::V1);
    assert_eq!(dir(&layout, Controller::Cpuacct).as_deref(), Some("/cg/cpu,cpuacct/a/b"));
    assert_eq!(dir(&layout, Controller::Memory).as_deref(), Some("/cg/mem x/a/b"));
    assert_eq!(layout.hierarchies().len(), 2);
    assert_eq!(layout.unified_dir(&path("/a")), None);
}

#[test]
fn v2_offers_what_its_root_lists() {
    let text = "30 23 0:26 / /sys/fs/cgroup rw shared:4 - cgroup2 cgroup2 rw,nsdelegate,memory_recursiveprot\n";
    let layout = Layout::from_mountinfo(text, "cpuset cpu io memory\n").unwrap();
    assert_eq!(layout.mode(), Mode::V2);
    for (controller, expected) in [
        (Controller::Cpu, Some(Version::V2)),
        (Controller::Cpuacct, Some(Version::V2)),
        (Controller::Blkio, Some(Version::V2)),
        (Controller::Freezer, Some(Version::V2)),
        (Controller::Pids, None),
    ] {
        assert_eq!(layout.version(controller), expected, "{controller}");
    }
}

#[test]
fn the_machines_own_mount_is_preferred_and_parts_are_passed_over() {
    let text = "\
30 23 0:26 / /sys/fs/cgroup rw - cgroup2 cgroup2 rw
31 23 0:26 /../../.. /host/cgroup rw - cgroup2 cgroup2 rw
32 23 0:26 /kubepods/podx /part rw - cgroup2 cgroup2 rw
33 23 0:26 /../../.. /copy rw - cgroup2 cgroup2 rw
";
    let layout = Layout::from_mountinfo(text, "cpu").unwrap();
    assert_eq!(dir(&layout, Controller::Cpu).as_deref(), Some("/host/cgroup/a/b"));
    let hidden = "30 23 0:26 / /a rw - cgroup2 cgroup2 rw\n31 23 0:29 / /a rw - cgroup cgroup rw,cpu\n";
    assert_eq!(Layout::from_mountinfo(hidden, "cpu").unwrap().mode(), Mode::V1);
}

/// Of a container with a cgroup namespace, made by containerd 1.7 and runc 1.1 on Linux 6.12, with the machine's cgroups from a host path in the place of the
/// container's own: four levels below the root are `kubepods/burstable/pod…/…`.
const CONTAINER: &str = "\
230 190 0:81 / / ro,relatime - overlay overlay rw,lowerdir=/root/snapshots/1/fs,upperdir=/root/snapshots/10/fs,workdir=/root/snapshots/10/work,uuid=on
231 230 0:83 / /proc rw,nosuid,nodev,noexec,relatime - proc proc rw
235 230 0:78 / /sys ro,nosuid,nodev,noexec,relatime - sysfs sysfs ro
242 235 0:34 /../../../.. /sys/fs/cgroup rw,relatime - cgroup2 cgroup2 rw,nsdelegate,memory_recursiveprot
243 230 0:26 /var/lib/gleaner /var/lib/gleaner rw,relatime - overlay overlay rw,lowerdir=/host,upperdir=/upper/files,workdir=/upper/work,uuid=on
244 230 0:38 / /var/lib/kubelet ro,relatime master:1 - tmpfs tmpfs rw,inode64
196 231 0:83 /bus /proc/bus ro,nosuid,nodev,noexec,relatime - proc proc rw
210 231 0:86 / /proc/acpi ro,relatime - tmpfs tmpfs ro,inode64
211 231 0:84 /null /proc/kcore rw,nosuid - tmpfs tmpfs rw,size=65536k,mode=755,inode64
";

#[test]
fn in_a_container_the_machines_cgroups_are_found_in_the_place_of_its_own() {
    let layout = Layout::from_mountinfo(CONTAINER, "cpuset cpu io memory hugetlb pids rdma misc").unwrap();
    assert_eq!(layout.mode(), Mode::V2);
    assert_eq!(layout.version(Controller::Cpuset), Some(Version::V2));
    assert_eq!(dir(&layout, Controller::Cpuset).as_deref(), Some("/sys/fs/cgroup/a/b"));
}

#[test]
fn a_machine_without_cgroups_or_a_broken_line_is_an_error() {
    let none = Layout::from_mountinfo("22 27 0:21 / /proc rw - proc proc rw\n", "").unwrap_err();
    assert_eq!(none.to_string(), "no cgroup hierarchy is mounted");
    let broken = Layout::from_mountinfo("22 27 0:21 / /proc rw - proc proc rw\nnonsense\n", "").unwrap_err();
    assert_eq!(broken.to_string(), "/proc/self/mountinfo: line 2 is not a mount: \"nonsense\"");
}

#[test]
fn this_machine_is_understood() {
    match Layout::detect() {
        Ok(layout) => assert!(!layout.hierarchies().is_empty(), "{layout:?}"),
        Err(error) => eprintln!("SKIP this_machine_is_understood: {error}"),
    }
}

proptest! {
    #[test]
    fn any_mountinfo_text_is_read_without_panic(text in "(.{0,40} - cgroup2? .{0,20}\n?|[0-9 /\\\\.a-z-]{0,60}\n?){0,6}", offered in ".{0,30}") {
        let _ = Layout::from_mountinfo(&text, &offered);
    }
}
