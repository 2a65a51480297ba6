//! What the double writes, taken or refused by servers that others wrote.

use crate::fake::{Call, Fake, Plan};
use crate::{folder, limit, options, pair};
use gleaner_crds::pluginregistration::{InfoRequest, PluginInfo};
use gleaner_model::MilliCpu;
use gleaner_tests::kubelet::{Authority, Caller, Connection, Event, HeaderStyle, Kubelet, Options, QrmContainer, QrmPod, raw_call};
use prost::Message;
use std::thread;
use tonic::Code;

const GET_INFO: &str = "/pluginregistration.Registration/GetInfo";
const STYLES: [HeaderStyle; 2] = [HeaderStyle::Go, HeaderStyle::Literal];

fn name(answer: &[u8]) -> String {
    PluginInfo::decode(answer).unwrap().name
}

#[test]
fn a_plain_server_takes_localhost_and_refuses_the_path_of_its_socket() {
    let (_dir, path) = folder();
    let socket = path.join("cpu.sock");
    let plugin = Fake::start(&socket, Plan::cpu());
    for headers in STYLES {
        let call = |authority| raw_call(&socket, Caller { authority, headers }, GET_INFO, &InfoRequest {}.encode_to_vec(), limit());
        assert_eq!(call(Authority::Localhost).map(|answer| name(&answer)), Ok("cpu".to_owned()), "{headers:?}");
        for authority in [Authority::RawPath, Authority::EscapedPath, Authority::Empty] {
            let refused = call(authority).unwrap_err();
            assert_eq!(refused.code, Code::Internal, "{headers:?} {authority:?}: {refused}");
            assert!(refused.message.contains("reset by the server: PROTOCOL_ERROR"), "{headers:?} {authority:?}: {refused}");
        }
    }
    assert_eq!(plugin.calls(), [Call::Info, Call::Info], "only calls to localhost arrive");
}

#[test]
fn the_fork_as_it_is_cannot_register_a_plugin_behind_a_plain_server() {
    let (_dir, path) = folder();
    let _plugin = Fake::start(&path.join("cpu.sock"), Plan::cpu());
    let kubelet = Kubelet::start(&path, Options::default());
    let reason = kubelet.wait_for("the plugin is refused", limit(), |events| match events {
        [Event::Refused { reason, .. }, ..] => Some(reason.clone()),
        _ => None,
    });
    assert!(reason.contains("PROTOCOL_ERROR"), "{reason}");
}

fn open(plugin_socket: &std::path::Path, headers: HeaderStyle) -> Connection {
    Connection::open(plugin_socket, Caller { authority: Authority::Localhost, headers }).unwrap()
}

#[test]
fn one_connection_carries_many_calls() {
    let (_dir, path) = folder();
    let socket = path.join("cpu.sock");
    let _plugin = Fake::start(&socket, Plan::cpu());
    for headers in STYLES {
        let connection = open(&socket, headers);
        // More than the dynamic table holds: each call has a time limit that no other has.
        for round in 0..200 {
            let answer = connection.call(GET_INFO, &[], limit());
            assert_eq!(answer.map(|answer| name(&answer)), Ok("cpu".to_owned()), "{headers:?}, call {round}");
        }
    }
}

#[test]
fn several_threads_share_a_connection() {
    let (_dir, path) = folder();
    let socket = path.join("cpu.sock");
    let plugin = Fake::start(&socket, Plan::cpu());
    let connection = open(&socket, HeaderStyle::Go);
    thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| (0..50).for_each(|_| assert_eq!(name(&connection.call(GET_INFO, &[], limit()).unwrap()), "cpu")));
        }
    });
    assert_eq!(plugin.calls().len(), 200);
}

#[test]
fn messages_larger_than_any_window_go_both_ways() {
    let (_dir, kubelet, cpu, _memory) = pair(options());
    // An answer repeats the annotations of its request.
    let pod = QrmPod::new("big").container(QrmContainer::main("m").cpu(MilliCpu::new(1000))).annotation("big", &"x".repeat(1 << 20));
    for _ in 0..3 {
        kubelet.admit(&pod).unwrap();
    }
    match cpu.calls().pop() {
        Some(Call::Allocate(asked)) => assert_eq!(asked.annotations, pod.annotations),
        other => panic!("{other:?}, no Allocate"),
    }
}

#[test]
fn a_server_that_is_not_there_or_ends_is_unavailable() {
    let (_dir, path) = folder();
    let socket = path.join("cpu.sock");
    let nobody = raw_call(&socket, Caller::default(), GET_INFO, &[], limit()).unwrap_err();
    assert_eq!(nobody.code, Code::Unavailable, "{nobody}");
    let plugin = Fake::start(&socket, Plan::cpu());
    let connection = open(&socket, HeaderStyle::Go);
    connection.call(GET_INFO, &[], limit()).unwrap();
    drop(plugin);
    let ended = connection.call(GET_INFO, &[], limit()).unwrap_err();
    assert_eq!(ended.code, Code::Unavailable, "{ended}");
}

#[test]
fn a_method_that_is_not_there_is_the_servers_word() {
    let (_dir, path) = folder();
    let socket = path.join("cpu.sock");
    let _plugin = Fake::start(&socket, Plan::cpu());
    let unknown = open(&socket, HeaderStyle::Go).call("/x.Y/Z", &[], limit()).unwrap_err();
    assert_eq!(unknown.code, Code::Unimplemented, "{unknown}");
}
