//! Plugins come, introduce themselves, and go.

use crate::fake::{Call, Fake, Plan};
use crate::{Twist, folder, limit, options};
use gleaner_crds::pluginregistration::{PluginInfo, RegistrationStatus};
use gleaner_crds::resourceplugin::Empty;
use gleaner_host::clock;
use gleaner_tests::kubelet::{Dropped, Event, Kubelet, Misbehave, Options};
use std::fs;
use std::os::unix::net::UnixListener;
use std::path::Path;
use std::time::Duration;

fn verdict(plugin_registered: bool, error: &str) -> Call {
    Call::Verdict(RegistrationStatus { plugin_registered, error: error.to_owned() })
}

fn misbehaving(delay: Duration, drop: Dropped) -> Options {
    Options { misbehave: Misbehave { delay, drop }, ..options() }
}

#[test]
fn a_plugin_is_asked_what_it_is_and_wants_and_told_that_it_is_in_use() {
    let (_dir, path) = folder();
    let kubelet = Kubelet::start(&path, options());
    let plugin = Fake::start(&path.join("cpu.sock"), Plan::cpu());
    kubelet.wait_for_plugins(&["cpu"], limit());
    assert_eq!(plugin.calls(), [Call::Info, Call::Options, verdict(true, "")]);
    assert_eq!(kubelet.events(), [Event::Registered { resource: "cpu".to_owned(), socket: path.join("cpu.sock") }]);
}

#[test]
fn a_plugin_that_the_kubelet_cannot_use_is_told_why() {
    let wrong: [Twist<PluginInfo>; 3] = [
        (|info| info.r#type = "EvictionPlugin".to_owned(), "no handler registered for plugin type \"EvictionPlugin\""),
        (|info| info.name.clear(), "no name"),
        (|info| info.supported_versions = vec!["v1".to_owned()], "version v1alpha1 is not among the supported versions [\"v1\"]"),
    ];
    for (change, wanted) in wrong {
        let (_dir, path) = folder();
        let mut plan = Plan::cpu();
        change(&mut plan.info);
        let plugin = Fake::start(&path.join("x.sock"), plan);
        let kubelet = Kubelet::start(&path, options());
        let reason = kubelet.wait_for("a plugin is refused", limit(), |events| match events {
            [Event::Refused { reason, .. }, ..] => Some(reason.clone()),
            _ => None,
        });
        assert!(reason.contains(wanted), "{reason}, not {wanted}");
        assert_eq!(plugin.calls()[..2], [Call::Info, verdict(false, &reason)]);
    }
}

#[test]
fn a_plugin_whose_service_fails_is_refused_until_it_works() {
    let (_dir, path) = folder();
    let mut plan = Plan::cpu();
    plan.failing.insert("GetResourcePluginOptions", (tonic::Code::Unavailable, "not yet"));
    let plugin = Fake::start(&path.join("cpu.sock"), plan);
    let kubelet = Kubelet::start(&path, options());
    kubelet.wait_for("a plugin is refused", limit(), |events| {
        events.iter().find(|event| matches!(event, Event::Refused { reason, .. } if reason.contains("not yet"))).map(|_| ())
    });
    plugin.plan().failing.clear();
    kubelet.wait_for_plugins(&["cpu"], limit());
}

#[test]
fn a_plugin_that_does_not_say_what_it_is_in_a_second_is_refused() {
    let (_dir, path) = folder();
    let _plugin = Fake::start(&path.join("cpu.sock"), Plan { hanging: Some("GetInfo"), ..Plan::cpu() });
    let kubelet = Kubelet::start(&path, options());
    let reason = kubelet.wait_for("a plugin is refused", limit(), |events| match events {
        [Event::Refused { reason, .. }, ..] => Some(reason.clone()),
        _ => None,
    });
    // The server's clock may be the first: it knows the time limit too.
    assert!(reason.contains("DeadlineExceeded") || reason.contains("Cancelled"), "{reason}");
    let took = kubelet.latencies()["GetInfo"].max;
    assert!(took >= Duration::from_millis(900), "refused after {took:?}, not after a second");
}

#[test]
fn a_service_may_be_on_another_socket_than_the_introduction() {
    let ((_dir, path), (_other, elsewhere)) = (folder(), folder());
    let service = Fake::start(&elsewhere.join("service.sock"), Plan::cpu());
    let mut plan = Plan::cpu();
    plan.info.endpoint = elsewhere.join("service.sock").to_str().unwrap().to_owned();
    let door = Fake::start(&path.join("cpu.sock"), plan);
    let kubelet = Kubelet::start(&path, options());
    kubelet.wait_for_plugins(&["cpu"], limit());
    assert_eq!(door.calls(), [Call::Info, verdict(true, "")]);
    assert_eq!(service.calls(), [Call::Options]);
}

fn registrations(events: &[Event]) -> Vec<&'static str> {
    let name = |event: &Event| match event {
        Event::Registered { .. } => "registered",
        Event::Gone { .. } => "gone",
        // Between bind and accept a plugin may refuse; that is no part of this.
        _ => "",
    };
    events.iter().map(name).filter(|name| !name.is_empty()).collect()
}

#[test]
fn a_plugin_that_starts_anew_is_registered_anew() {
    let (_dir, path) = folder();
    let socket = path.join("cpu.sock");
    let kubelet = Kubelet::start(&path, options());
    let first = Fake::start(&socket, Plan::cpu());
    kubelet.wait_for_plugins(&["cpu"], limit());
    drop(first);
    // At once: the kubelet may see no moment without a socket.
    let second = Fake::start(&socket, Plan::cpu());
    let all = ["registered", "gone", "registered"];
    kubelet.wait_for("registered, gone, registered", limit(), |events| (registrations(events) == all).then_some(()));
    assert!(second.calls().contains(&verdict(true, "")));
    drop(second);
    kubelet.wait_for("gone again", limit(), |events| (registrations(events).len() == 4).then_some(()));
    let failed = kubelet.ask::<Empty, Empty>("cpu", "GetResourcePluginOptions", &Empty {});
    assert_eq!(failed.unwrap_err().code, tonic::Code::NotFound);
}

#[test]
fn only_visible_sockets_are_plugins() {
    let (_dir, path) = folder();
    fs::File::create(path.join("file.sock")).unwrap();
    let _hidden = UnixListener::bind(path.join(".hidden.sock")).unwrap();
    let _plugin = Fake::start(&path.join("cpu.sock"), Plan::cpu());
    let kubelet = Kubelet::start(&path, options());
    kubelet.wait_for_plugins(&["cpu"], limit());
    let others: Vec<_> = kubelet.events().into_iter().filter(|event| !matches!(event, Event::Registered { .. })).collect();
    assert_eq!(others, [], "the file and the hidden socket come before the plugin");
}

#[test]
fn a_kubelet_can_be_late() {
    let (_dir, path) = folder();
    let _plugin = Fake::start(&path.join("cpu.sock"), Plan::cpu());
    let (delay, from) = (Duration::from_millis(300), clock::now());
    let kubelet = Kubelet::start(&path, misbehaving(delay, Dropped::Nothing));
    kubelet.wait_for_plugins(&["cpu"], limit());
    let took = clock::now().since(from);
    assert!(took >= delay, "registered after {took:?}, told to wait {delay:?}");
}

#[test]
fn a_kubelet_can_leave_parts_of_the_introduction_out() {
    let (_dir, path) = folder();
    let run = |socket: &Path, drop| {
        let plugin = Fake::start(socket, Plan::cpu());
        let kubelet = Kubelet::start(&path, misbehaving(Duration::ZERO, drop));
        kubelet.wait_for_plugins(&["cpu"], limit());
        // Ended: nothing comes after it.
        std::mem::drop(kubelet);
        plugin.calls()
    };
    assert_eq!(run(&path.join("a.sock"), Dropped::Verdict), [Call::Info, Call::Options]);
    assert_eq!(run(&path.join("b.sock"), Dropped::Introduction), [Call::Info, Call::Info, Call::Options, verdict(true, "")]);
}
