//! What a runtime does wrong on demand.

use crate::client::{Plan, Plugin};
use crate::{limit, main, running, runtime, wait_closed, web, with_plugin};
use gleaner_tests::poll_until;
use gleaner_tests::runtime::{ContainerState, Mood, Options};
use std::io;
use std::os::unix::net::UnixStream;
use std::sync::mpsc::channel;
use std::time::Duration;

#[test]
fn configure_may_come_before_the_answer_to_the_registration() {
    for configure_first in [true, false] {
        let options = Options { mood: Mood { configure_first, ..Mood::default() }, ..Options::default() };
        let (_dir, runtime) = runtime(options);
        let (inside, wait) = channel();
        // While Configure is not answered, the answer to the registration comes all the same.
        let plan = Plan::answers(move |call| {
            if call.method == "Configure" {
                inside.send(()).unwrap();
            }
            crate::client::Reply::Ok(Vec::new())
        });
        let _plugin = Plugin::join(&runtime, plan);
        wait.recv_timeout(limit()).unwrap();
        runtime.assert_clean();
    }
}

#[test]
fn a_plugin_that_is_never_synchronized_is_never_added_and_others_are() {
    let (_dir, runtime) = runtime(Options::default());
    runtime.set_mood(Mood { never_synchronize: true, ..Mood::default() });
    let left_out = Plugin::registered(&runtime, Plan::new());
    poll_until("it is configured", || (left_out.methods() == ["Configure"]).then_some(()));
    runtime.set_mood(Mood::default());
    let _other = Plugin::join(&runtime, Plan::new().index("20"));
    running(&runtime);
    assert_eq!((left_out.methods(), runtime.plugins()), (vec!["Configure".to_owned()], vec!["20-fake".to_owned()]));
    assert!(!left_out.is_ended());
}

#[test]
fn configure_may_be_late() {
    let (_dir, runtime) = runtime(Options::default());
    let configure_late = Duration::from_millis(200);
    runtime.set_mood(Mood { configure_late, ..Mood::default() });
    let from = gleaner_host::clock::now();
    let plugin = Plugin::registered(&runtime, Plan::new());
    poll_until("it is configured", || (!plugin.calls().is_empty()).then_some(()));
    assert!(gleaner_host::clock::now().since(from) >= configure_late);
}

#[test]
fn a_silent_runtime_takes_no_notice_until_it_goes_on() {
    let (_dir, runtime, plugin) = with_plugin(Options::default(), Plan::new());
    runtime.silence(true);
    plugin.ask(3, "nri.pkg.api.v1alpha1.Runtime", "Nosuch", &[]);
    let second = Plugin::connect(&runtime.socket(), Plan::new()).unwrap();
    assert_eq!(runtime.connections(), 1, "nobody takes the second");
    assert!(plugin.is_unanswered() && !second.is_ended());
    runtime.silence(false);
    assert_eq!(plugin.answer(3), Err((12, "method Nosuch".to_owned())));
    plugin.send(&[0; 3]);
    drop(second);
}

#[test]
fn a_connection_may_end_within_a_frame() {
    let (_dir, runtime, plugin) = with_plugin(Options::default(), Plan::new());
    runtime.drop_mid_frame();
    poll_until("the plugin sees the end", || plugin.is_ended().then_some(()));
    wait_closed(&runtime, "broke off within a frame");
    let _again = Plugin::join(&runtime, Plan::new());
    runtime.assert_clean();
}

#[test]
fn garbage_reaches_the_plugin() {
    let (_dir, runtime, plugin) = with_plugin(Options::default(), Plan::new());
    runtime.send_frame(9, b"garbage");
    runtime.send_frame(1, &crate::client::message(77, 1, &[0xff; 30]));
    runtime.run_pod(&web()).unwrap();
    assert_eq!(plugin.methods(), ["Configure", "Synchronize", "StateChange"], "this plugin skips it");
    runtime.hang_up();
    poll_until("the plugin sees the end", || plugin.is_ended().then_some(()));
}

#[test]
fn a_restart_leaves_the_socket_and_the_containers() {
    let (_dir, mut runtime, plugin) = with_plugin(Options::default(), Plan::new());
    let (pod, runs) = running(&runtime);
    let ended = runtime.run_container(&pod, &main()).unwrap().id;
    runtime.exit_container(&ended).unwrap();
    runtime.stop();
    poll_until("the plugin sees the end", || plugin.is_ended().then_some(()));
    let refused = UnixStream::connect(runtime.socket()).unwrap_err();
    assert_eq!(refused.kind(), io::ErrorKind::ConnectionRefused, "the file is there and nobody listens");
    runtime.start_again();
    let _plugin = Plugin::join(&runtime, Plan::new());
    let states = [&runs, &ended].map(|id| runtime.container(id).unwrap().state);
    assert_eq!(states, [ContainerState::Running, ContainerState::Exited]);
    runtime.remove_pod(&pod).unwrap();
    runtime.assert_clean();
}
