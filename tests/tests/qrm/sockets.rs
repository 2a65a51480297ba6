//! The sockets themselves: found, lost, found again; and every kind of caller is served.

use crate::{Behind, PATIENCE, cpus_of, of_class, shared};
use gleaner_model::MilliCpu;
use gleaner_tests::kubelet::{Authority, Caller, HeaderStyle, Kubelet, Options, QrmContainer};
use gleaner_tests::{Node, poll_until};
use nix::sys::signal::Signal;
use std::fs;
use std::os::unix::fs::PermissionsExt;

#[test]
fn callers_that_put_the_path_of_the_socket_into_authority_are_served() {
    let test = "callers_that_put_the_path_of_the_socket_into_authority_are_served";
    let Some(behind) = Behind::new(test) else { return };
    for authority in [Authority::RawPath, Authority::EscapedPath, Authority::Localhost, Authority::Empty] {
        for headers in [HeaderStyle::Literal, HeaderStyle::Go] {
            let caller = Caller { authority, headers };
            let kubelet = Kubelet::start(&behind.node.path("plugins"), Options { caller, ..Options::default() });
            kubelet.wait_for_plugins(&["cpu", "memory"], PATIENCE);
            let pod = shared(&format!("p-{authority:?}-{headers:?}").to_lowercase(), 10);
            kubelet.admit(&pod).unwrap_or_else(|rejection| panic!("{caller:?}: {rejection}"));
            kubelet.remove(&pod.uid).unwrap();
        }
    }
}

#[test]
fn sockets_are_the_owners_alone() {
    let Some(behind) = Behind::new("sockets_are_the_owners_alone") else { return };
    for path in ["plugins/qrm_cpu_plugin_dynamic.sock", "plugins/qrm_memory_plugin_dynamic.sock", "lists/kubelet.sock"] {
        let mode = fs::metadata(behind.node.path(path)).unwrap_or_else(|e| panic!("{path}: {e}")).permissions().mode();
        assert_eq!(mode & 0o777, 0o600, "{path}");
    }
}

#[test]
fn a_removed_socket_is_made_again_and_the_kubelet_finds_it() {
    let Some(behind) = Behind::new("a_removed_socket_is_made_again_and_the_kubelet_finds_it") else { return };
    let pod = shared("web", 100);
    let before = behind.admit(&pod);
    let seen = registrations(&behind.kubelet, "cpu");
    fs::remove_file(behind.node.path("plugins/qrm_cpu_plugin_dynamic.sock")).unwrap();
    poll_until("the plugin registered again", || (registrations(&behind.kubelet, "cpu") > seen).then_some(()));
    assert_eq!(cpus_of(&behind.admit(&pod)), cpus_of(&before), "and it knows what it promised");
}

/// How often a plugin introduced itself.
fn registrations(kubelet: &Kubelet, resource: &str) -> usize {
    let told =
        |event: &gleaner_tests::kubelet::Event| format!("{event:?}").starts_with("Registered") && format!("{event:?}").contains(resource);
    kubelet.events().iter().filter(|event| told(event)).count()
}

#[test]
fn a_kubelet_that_wipes_its_folder_when_it_starts_finds_the_plugins_again() {
    let test = "a_kubelet_that_wipes_its_folder_when_it_starts_finds_the_plugins_again";
    let Some(behind) = Behind::new(test) else { return };
    let pod = shared("web", 100);
    let before = cpus_of(&behind.admit(&pod));
    let Behind { kubelet, node } = behind;
    drop(kubelet);
    fs::remove_dir_all(node.path("plugins")).unwrap();
    let kubelet = Kubelet::start(&node.path("plugins"), Options::default());
    kubelet.wait_for_plugins(&["cpu", "memory"], PATIENCE);
    assert_eq!(cpus_of(&kubelet.admit(&pod).unwrap()), before);
}

#[test]
fn a_clean_stop_takes_the_sockets_away_and_leaves_the_promises() {
    let test = "a_clean_stop_takes_the_sockets_away_and_leaves_the_promises";
    let Some(behind) = Behind::new(test) else { return };
    let pod = shared("web", 100);
    let before = cpus_of(&behind.admit(&pod));
    let Behind { kubelet, mut node } = behind;
    let ended = node.stop(Signal::SIGTERM);
    assert_eq!(ended.code, Some(0), "{}", ended.log);
    for folder in ["plugins", "lists"] {
        let left: Vec<_> = fs::read_dir(node.path(folder)).unwrap().map(|entry| entry.unwrap().file_name()).collect();
        assert!(left.is_empty(), "{folder} still holds {left:?}");
    }
    node.start();
    kubelet.wait_for("the plugins are back", PATIENCE, |events| {
        let again = events.iter().filter(|event| format!("{event:?}").starts_with("Registered")).count();
        (again >= 4).then_some(())
    });
    assert_eq!(cpus_of(&kubelet.admit(&pod).unwrap()), before);
}

#[test]
fn a_file_in_the_place_of_a_socket_degrades_that_plugin_alone() {
    let test = "a_file_in_the_place_of_a_socket_degrades_that_plugin_alone";
    let Some(mut node) = Node::behind_kubelet(test) else { return };
    fs::create_dir(node.path("plugins")).unwrap();
    fs::write(node.path("plugins/qrm_cpu_plugin_dynamic.sock"), "somebody's").unwrap();
    node.start();
    let kubelet = Kubelet::start(&node.path("plugins"), Options::default());
    kubelet.wait_for_plugins(&["memory"], PATIENCE);
    let problem = node.until("the plugin's health tells", |state| state["health"]["plugin cpu"]["problem"].as_str().map(str::to_owned));
    assert!(problem.contains("qrm_cpu_plugin_dynamic.sock"), "{problem}");
    assert_eq!(fs::read_to_string(node.path("plugins/qrm_cpu_plugin_dynamic.sock")).unwrap(), "somebody's", "it is not ours to remove");
    fs::remove_file(node.path("plugins/qrm_cpu_plugin_dynamic.sock")).unwrap();
    kubelet.wait_for_plugins(&["cpu"], PATIENCE);
    node.until("and is well", |state| state["health"]["plugin cpu"]["problem"].is_null().then_some(()));
}

#[test]
fn five_hundred_pods_are_admitted_and_told_again() {
    let Some(behind) = Behind::new("five_hundred_pods_are_admitted_and_told_again") else { return };
    for number in 0..500 {
        let class = if number % 3 == 0 { "reclaimed_cores" } else { "shared_cores" };
        let main = QrmContainer::main("main");
        let main = if number % 3 == 0 { main.reclaimed_cpu(MilliCpu::new(1)) } else { main.cpu(MilliCpu::new(1)) };
        behind.admit(&of_class(&format!("pod-{number}"), class).container(main));
    }
    // Pools are sized again when their pods are measured.
    poll_until("a look finds nothing new", || behind.kubelet.reconcile().is_empty().then_some(()));
    for number in 0..500 {
        behind.kubelet.remove(&format!("uid-pod-{number}")).unwrap();
    }
    let records = fs::read_dir(behind.node.path("state/qrm/pods")).unwrap().count();
    assert_eq!(records, 0, "nothing is kept of pods that are gone");
}
