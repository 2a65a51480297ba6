//! Registration, Configure, Synchronize.

use crate::client::{Plan, Plugin, Reply};
use crate::{VERSIONS, closed, limit, main, running, runtime, wait_closed, web, with_plugin};
use gleaner_crds::nri::{ContainerUpdate, LinuxContainerUpdate, LinuxCpu, LinuxResources, SynchronizeResponse, UpdateContainersRequest};
use gleaner_tests::poll_until;
use gleaner_tests::runtime::{Entry, Options, Version};
use prost::Message;

#[test]
fn a_registration_that_is_wrong_is_refused_in_the_recorded_words_and_the_socket_stays_open() {
    let (_dir, runtime) = runtime(Options::default());
    let cases = [
        ("", "10", "invalid (empty) plugin name"),
        ("fake", "5", "invalid plugin index \"5\", must be 2 digits"),
        ("fake", "ab", "invalid plugin index \"ab\" (not [0-9][0-9])"),
    ];
    for (number, (name, index, words)) in (1..).zip(cases) {
        let mut plugin = Plugin::connect(&runtime.socket(), Plan::new()).unwrap();
        assert_eq!(plugin.register(name, index), Err((2, words.to_owned())));
        // The next connection is taken at once, and this one still answers.
        assert_eq!(plugin.call("Nosuch", &[]), Err((12, "method Nosuch".to_owned())));
        assert!(!plugin.is_ended(), "{name:?} {index:?}");
        let refused = Entry::Refused { connection: number, reason: words.to_owned() };
        runtime.wait_for("the refusal", limit(), |log| log.contains(&refused).then_some(()));
        runtime.wait_for_violation(words, limit());
    }
    assert_eq!(runtime.plugins(), [""; 0]);
}

#[test]
fn whoever_does_not_register_is_closed_and_makes_others_wait() {
    let (_dir, runtime) = runtime(Options::default().limits(300, 2000));
    let idle = Plugin::connect(&runtime.socket(), Plan::new()).unwrap();
    let _plugin = Plugin::join(&runtime, Plan::new());
    assert!(idle.is_ended(), "the idle one was closed before the other was taken");
    assert_eq!(closed(&runtime), ["plugin registration timed out"]);
    runtime.wait_for_violation("connection 1 did not register", limit());
}

#[test]
fn a_mask_with_bits_that_are_no_events_closes_the_connection_after_configure() {
    for mask in [0x800, 0x1000, 0x2000, -0x80000] {
        let (_dir, runtime) = runtime(Options::default());
        let plugin = Plugin::registered(&runtime, Plan::new().events(mask));
        wait_closed(&runtime, "invalid plugin events");
        poll_until("the connection is closed", || plugin.is_ended().then_some(()));
        runtime.wait_for_violation("invalid plugin events", limit());
    }
    let (_dir, runtime, _plugin) = with_plugin(Options::default(), Plan::new().events(0x7ff));
    runtime.assert_clean();
}

#[test]
fn an_event_goes_only_to_those_who_want_it() {
    let (_dir, runtime, plugin) = with_plugin(Options::of(Version::V0_12), Plan::new().events(0x8 | 0x20));
    running(&runtime);
    assert_eq!(plugin.methods(), ["Configure", "Synchronize", "CreateContainer", "StartContainer"]);
}

#[test]
fn a_late_answer_to_configure_closes_the_connection() {
    let (_dir, runtime) = runtime(Options::default().limits(5000, 200));
    let _plugin = Plugin::registered(&runtime, Plan::on("Configure", |_| Reply::Never));
    wait_closed(&runtime, "failed to configure plugin: context deadline exceeded");
    runtime.wait_for_violation("no answer to Configure", limit());
}

#[test]
fn after_a_failed_synchronize_0_6_keeps_a_dead_connection_and_later_ones_close_it() {
    for reply in [Reply::Never, Reply::No(2, "not now".to_owned())] {
        for version in VERSIONS {
            let (_dir, runtime) = runtime(Options::of(version).limits(5000, 200));
            let reply = reply.clone();
            let mut plugin = Plugin::registered(&runtime, Plan::on("Synchronize", move |_| reply.clone()));
            if version > Version::V0_6 {
                wait_closed(&runtime, "failed to synchronize plugin");
                poll_until("the connection is closed", || plugin.is_ended().then_some(()));
                continue;
            }
            let zombie = Entry::Zombie("10-fake".to_owned());
            runtime.wait_for("a zombie", limit(), |log| log.contains(&zombie).then_some(()));
            assert_eq!(plugin.call("Nosuch", &[]), Err((12, "method Nosuch".to_owned())), "it still answers");
            let (pod, _) = running(&runtime);
            runtime.remove_pod(&pod).unwrap();
            assert_eq!(plugin.methods(), ["Configure", "Synchronize"], "and never tells of anything");
            assert!(!plugin.is_ended());
        }
    }
}

#[test]
fn updates_in_the_answer_to_synchronize_are_made() {
    for version in VERSIONS {
        let (_dir, runtime) = runtime(Options::of(version));
        let pod = runtime.run_pod(&web()).unwrap();
        let [created, runs] = ["created", "runs"].map(|_| runtime.create_container(&pod, &main()).unwrap().id);
        runtime.start_container(&runs).unwrap();
        let of = |id: &str, cpus: &str| {
            let cpu = Some(LinuxCpu { cpus: cpus.to_owned(), ..Default::default() });
            let linux = Some(LinuxContainerUpdate { resources: Some(LinuxResources { cpu, ..Default::default() }) });
            ContainerUpdate { container_id: id.to_owned(), linux, ignore_failure: false }
        };
        let update = vec![of("nobody", "0"), of(&created, "1"), of(&runs, "2-3")];
        let answer = SynchronizeResponse { update, more: false };
        let _plugin = Plugin::join(&runtime, Plan::on("Synchronize", move |_| Reply::of(&answer)));
        for (id, cpus) in [(&created, "1"), (&runs, "2-3")] {
            poll_until("the update is made", || (runtime.container(id)?.resources.cpus == cpus).then_some(()));
        }
        runtime.assert_clean();
    }
}

#[test]
fn a_second_connection_of_the_same_plugin_is_taken_and_is_a_fault() {
    let (_dir, runtime, first) = with_plugin(Options::default(), Plan::new());
    let second = Plugin::join(&runtime, Plan::new());
    runtime.wait_for_violation("registers while its other connection is open", limit());
    runtime.run_pod(&web()).unwrap();
    assert_eq!((first.calls().len(), second.calls().len()), (3, 3), "both are told");
}

#[test]
fn a_plugin_may_come_back_as_soon_as_it_has_hung_up() {
    let (_dir, runtime) = runtime(Options::default());
    for _ in 0..5 {
        drop(Plugin::registered(&runtime, Plan::new()));
    }
    let _plugin = Plugin::join(&runtime, Plan::new());
    assert_eq!(runtime.plugins(), ["10-fake"]);
    runtime.assert_clean();
}

#[test]
fn unsolicited_updates_are_a_fault_where_they_can_lock_the_runtime_up() {
    let cases =
        [(Version::V0_6, "", false), (Version::V0_8, "", false), (Version::V0_12, "v0.12.0", false), (Version::V0_12, "v0.12.1", true)];
    for (version, protocol, legal) in cases {
        let options = Options { protocol: protocol.to_owned(), ..Options::of(version) };
        let (_dir, runtime, mut plugin) = with_plugin(options, Plan::new());
        assert_eq!(plugin.call("UpdateContainers", &UpdateContainersRequest::default().encode_to_vec()), Ok(Vec::new()));
        assert_eq!(runtime.violations().is_empty(), legal, "{version:?} {protocol}: {:?}", runtime.violations());
    }
}
