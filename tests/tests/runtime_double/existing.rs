//! What exists when a plugin comes: small, large, in parts.

use crate::client::{Plan, Plugin, Reply};
use crate::{VERSIONS, limit, main, runtime, wait_closed, web};
use gleaner_crds::nri::{ContainerState, SynchronizeRequest, SynchronizeResponse};
use gleaner_tests::runtime::{Mood, Options, PodSpec, Runtime, Version};
use prost::Message;
use std::collections::BTreeSet;

/// What Synchronize told, part by part.
fn told(plugin: &Plugin) -> Vec<SynchronizeRequest> {
    let parts = plugin.calls().into_iter().filter(|call| call.method == "Synchronize");
    parts.map(|call| SynchronizeRequest::decode(call.payload.as_slice()).unwrap()).collect()
}

/// Answers parts as they are.
fn patient() -> Plan {
    Plan::on("Synchronize", |payload| {
        let more = SynchronizeRequest::decode(payload).unwrap().more;
        Reply::of(&SynchronizeResponse { update: vec![], more })
    })
}

/// Pods with so many containers each, and 5 MB to tell of them.
fn full(version: Version, pods: usize, containers: usize) -> (tempfile::TempDir, Runtime) {
    let options = Options { mood: Mood { ballast: 5_000_000, ..Mood::default() }, ..Options::of(version) };
    let (dir, runtime) = runtime(options);
    for pod in 0..pods {
        let pod = runtime.run_pod(&PodSpec::new("web", &format!("uid-{pod}"))).unwrap();
        for _ in 0..containers {
            runtime.create_container(&pod, &main()).unwrap();
        }
    }
    (dir, runtime)
}

#[test]
fn what_exists_is_told_without_what_has_ended() {
    for version in VERSIONS {
        let (_dir, runtime) = runtime(Options::of(version));
        let empty = Plugin::join(&runtime, Plan::new());
        assert_eq!(told(&empty), [SynchronizeRequest::default()], "nothing is told too");
        drop(empty);
        let stopped = runtime.run_pod(&web()).unwrap();
        runtime.stop_pod(&stopped).unwrap();
        let pod = runtime.run_pod(&web()).unwrap();
        let [created, runs, ended] = [(); 3].map(|()| runtime.create_container(&pod, &main()).unwrap().id);
        for id in [&runs, &ended] {
            runtime.start_container(id).unwrap();
        }
        runtime.exit_container(&ended).unwrap();
        runtime.wait_for("the first is gone", limit(), |_| runtime.plugins().is_empty().then_some(()));
        let plugin = Plugin::join(&runtime, Plan::new());
        let [all] = told(&plugin).try_into().unwrap();
        assert_eq!(all.pods.iter().map(|pod| &pod.id).collect::<BTreeSet<_>>(), [&pod, &stopped].into());
        let states: BTreeSet<_> = all.containers.iter().map(|container| (&container.id, container.state())).collect();
        assert_eq!(states, [(&created, ContainerState::ContainerCreated), (&runs, ContainerState::ContainerRunning)].into());
        runtime.assert_clean();
    }
}

#[test]
fn version_0_6_tells_5_mb_at_once() {
    let (_dir, runtime) = full(Version::V0_6, 1, 8);
    let plugin = Plugin::join(&runtime, Plan::new());
    let [all] = told(&plugin).try_into().unwrap();
    assert!(!all.more && all.containers.len() == 8 && all.encoded_len() > 5_000_000);
    assert_eq!(plugin.calls()[1].frames.len(), 2, "a full buffer and the rest");
    runtime.assert_clean();
}

#[test]
fn later_versions_tell_5_mb_in_parts() {
    for version in [Version::V0_8, Version::V0_12] {
        let (_dir, runtime) = full(version, 4, 10);
        let plugin = Plugin::join(&runtime, patient());
        let parts = told(&plugin);
        assert!(parts.len() > 1 && parts.iter().all(|part| part.encoded_len() < 4 << 20));
        let more: Vec<bool> = parts.iter().map(|part| part.more).collect();
        assert!(!more[parts.len() - 1] && more[..parts.len() - 1].iter().all(|more| *more), "{more:?}");
        let ids = |part: &SynchronizeRequest| part.containers.iter().map(|container| container.id.clone()).collect::<Vec<_>>();
        assert_eq!(parts.iter().flat_map(ids).collect::<BTreeSet<_>>().len(), 40);
        assert_eq!(parts.iter().map(|part| part.pods.len()).sum::<usize>(), 4);
        assert!(plugin.calls()[1].id > 3, "what was refused for its size used up an id");
        runtime.assert_clean();
    }
}

#[test]
fn a_part_that_is_answered_like_the_last_closes_the_connection() {
    let (_dir, runtime) = full(Version::V0_8, 4, 10);
    let _plugin = Plugin::registered(&runtime, Plan::new());
    wait_closed(&runtime, "plugin does not handle split sync requests");
    runtime.wait_for_violation("as if it were the last", limit());
}

#[test]
fn of_one_pod_with_5_mb_later_versions_never_tell_the_pod_and_give_up() {
    let (_dir, runtime) = full(Version::V0_8, 1, 20);
    let plugin = Plugin::registered(&runtime, patient());
    wait_closed(&runtime, "failed to synchronize plugin: context deadline exceeded");
    let parts = told(&plugin);
    assert!(parts.len() > 2 && parts.iter().all(|part| part.more && part.pods.is_empty()), "{} parts", parts.len());
    runtime.assert_clean();
}

#[test]
fn on_0_6_a_container_created_during_synchronize_is_told_of_nowhere() {
    for version in VERSIONS {
        let (_dir, runtime) = runtime(Options::of(version));
        let pod = runtime.run_pod(&web()).unwrap();
        let (here, there) = std::sync::mpsc::channel::<()>();
        let (go, wait) = std::sync::mpsc::channel::<()>();
        let plan = Plan::on("Synchronize", move |_| {
            here.send(()).unwrap();
            let _ = wait.recv_timeout(limit());
            Reply::Ok(Vec::new())
        });
        let plugin = Plugin::registered(&runtime, plan);
        there.recv().unwrap();
        let created = std::thread::scope(|scope| {
            let creates = scope.spawn(|| runtime.create_container(&pod, &main()).unwrap().by);
            if version == Version::V0_6 {
                while !creates.is_finished() {
                    std::thread::yield_now();
                }
            }
            go.send(()).unwrap();
            creates.join().unwrap()
        });
        runtime.wait_for_plugin(limit());
        assert_eq!(created.is_empty(), version == Version::V0_6, "{version:?}: asked {created:?}");
        assert!(told(&plugin)[0].containers.is_empty());
    }
}
