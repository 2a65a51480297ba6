#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "tests")]

use super::*;
use std::fs::create_dir_all;

const ID: &str = "0f3a9c";

fn found(dirs: &[&str], root: &str) -> Vec<FoundPod> {
    let mount = tempfile::tempdir().unwrap();
    for dir in dirs {
        create_dir_all(mount.path().join(dir)).unwrap();
    }
    discover(&Layout::with_v2_root(mount.path()), &root.parse().unwrap()).unwrap()
}

fn summary(pods: &[FoundPod]) -> Vec<(String, String, KubeQos, Vec<String>)> {
    let ids = |pod: &FoundPod| pod.containers.iter().map(|c| c.id.clone()).collect();
    pods.iter().map(|p| (p.uid.to_string(), p.cgroup.to_string(), p.kube_qos, ids(p))).collect()
}

#[test]
fn pods_of_both_drivers_are_recognised_by_name() {
    let pod = |uid: &str, cgroup: &str, qos| (uid.to_owned(), cgroup.to_owned(), qos, vec![ID.to_owned()]);
    let cases = [
        ("/kubepods", "kubepods/podab-1/0f3a9c", pod("ab-1", "/kubepods/podab-1", KubeQos::Guaranteed)),
        ("/kubepods", "kubepods/burstable/podab-1/0f3a9c", pod("ab-1", "/kubepods/burstable/podab-1", KubeQos::Burstable)),
        ("/kubepods", "kubepods/besteffort/podab-1/crio-0f3a9c", pod("ab-1", "/kubepods/besteffort/podab-1", KubeQos::BestEffort)),
        (
            "/kubepods.slice",
            "kubepods.slice/kubepods-burstable.slice/kubepods-burstable-podab_1.slice/cri-containerd-0f3a9c.scope",
            pod("ab-1", "/kubepods.slice/kubepods-burstable.slice/kubepods-burstable-podab_1.slice", KubeQos::Burstable),
        ),
        (
            "/kubepods.slice",
            "kubepods.slice/kubepods-podab_1.slice/docker-0f3a9c.scope",
            pod("ab-1", "/kubepods.slice/kubepods-podab_1.slice", KubeQos::Guaranteed),
        ),
        (
            "/kubelet.slice",
            "kubelet.slice/kubelet-kubepods.slice/kubelet-kubepods-besteffort.slice/kubelet-kubepods-besteffort-podab_1.slice/crio-0f3a9c.scope/container",
            pod(
                "ab-1",
                "/kubelet.slice/kubelet-kubepods.slice/kubelet-kubepods-besteffort.slice/kubelet-kubepods-besteffort-podab_1.slice",
                KubeQos::BestEffort,
            ),
        ),
    ];
    for (root, dir, expected) in cases {
        assert_eq!(summary(&found(&[dir], root)), [expected], "{dir}");
    }
}

#[test]
fn monitors_files_and_links_are_no_containers() {
    let mount = tempfile::tempdir().unwrap();
    let pod = mount.path().join("kubepods/podx1");
    create_dir_all(pod.join("crio-conmon-0f3a9c")).unwrap();
    create_dir_all(pod.join("systemd.slice")).unwrap();
    fs::File::create(pod.join("cgroup.procs")).unwrap();
    std::os::unix::fs::symlink(mount.path(), pod.join("link")).unwrap();
    std::os::unix::fs::symlink(&pod, mount.path().join("kubepods/podx2")).unwrap();
    let pods = discover(&Layout::with_v2_root(mount.path()), &"/kubepods".parse().unwrap()).unwrap();
    assert_eq!(summary(&pods), [("x1".to_owned(), "/kubepods/podx1".to_owned(), KubeQos::Guaranteed, vec![])]);
}

#[test]
fn the_walk_is_sorted_bounded_and_does_not_enter_containers() {
    let deep = "kubepods/a/b/c/d/e/f/g/podq1/c1";
    let pods = found(&["kubepods/podb/c2", "kubepods/podb/c1/kubepods/podz/c", "kubepods/burstable/poda/c", deep], "/kubepods");
    let uids: Vec<&str> = pods.iter().map(|p| p.uid.as_str()).collect();
    assert_eq!(uids, ["a", "b"]);
    assert_eq!(pods[1].containers.iter().map(|c| c.id.as_str()).collect::<Vec<_>>(), ["c1", "c2"]);
}

#[test]
fn a_missing_root_is_reported_as_gone() {
    let mount = tempfile::tempdir().unwrap();
    let error = discover(&Layout::with_v2_root(mount.path()), &"/kubepods".parse().unwrap()).unwrap_err();
    assert!(error.is_gone(), "{error}");
}
