#![allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::panic, reason = "tests")]

use super::*;
use crate::fixtures::{request, uid};
use crate::{Allocation, Allocations, ContainerAllocation, ContainerType, Hints};
use gleaner_model::{NumaId, NumaSet, QosClass, ResourceCount};

pub(super) const ALIGNED: PluginOptions = PluginOptions { with_topology_alignment: true, need_reconcile: false };
pub(super) const PLAIN: PluginOptions = PluginOptions { with_topology_alignment: false, need_reconcile: false };
pub(super) const CHECKED: PluginOptions = PluginOptions { with_topology_alignment: false, need_reconcile: true };

pub(super) fn resource(name: &str) -> ResourceName {
    format!("example.com/{name}").parse().unwrap()
}

pub(super) fn at(millis: u64) -> Timestamp {
    Timestamp::since_boot(Duration::from_millis(millis))
}

/// A pod whose only container wants one of each resource.
pub(super) fn wanting(pod: &str, resources: &[&str], running: bool) -> Wanting {
    let amounts: BTreeMap<_, _> = resources.iter().map(|name| (resource(name), ResourceCount::new(1))).collect();
    let want = Want { container: "main".parse().unwrap(), kind: ContainerType::Main, index: 0, amounts };
    Wanting { pod: request(pod, "main", ContainerType::Main, QosClass::Shared, 0.0).pod, containers: vec![want], running }
}

pub(super) fn given(resource: &ResourceName, envs: &[(&str, &str)]) -> ContainerAllocation {
    let envs = envs.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
    let allocation = Allocation {
        oci_property: None,
        quantity: Amount::new(1.0).unwrap(),
        result: String::new(),
        hint: None,
        by_node: BTreeMap::new(),
        envs,
        annotations: BTreeMap::new(),
    };
    BTreeMap::from([(resource.as_str().to_owned(), allocation)])
}

pub(super) fn node(id: u32) -> Hint {
    Hint::on(NumaSet::from_iter([NumaId::new(id)]), true)
}

fn silent() -> Answer {
    Err(Fault::Silent("connection refused".to_owned()))
}

fn refused() -> Answer {
    Err(Fault::Refused("all are taken".to_owned()))
}

/// The one call that is to be made, in a word.
fn only(remote: &mut Remote, now: Timestamp) -> (Call, String) {
    let mut calls = remote.calls(now);
    assert_eq!(calls.len(), 1, "{calls:?}");
    let call = calls.remove(0);
    let word = match &call.ask {
        Ask::Options => "options".to_owned(),
        Ask::Hints(request) => format!("hints {}", request.pod.uid),
        Ask::Allocate(request) => format!("allocate {} {}", request.pod.uid, request.hint.as_ref().map_or("-".to_owned(), Hint::to_string)),
        Ask::RemovePod(pod) => format!("remove {pod}"),
        Ask::Allocations => "list".to_owned(),
    };
    (call, word)
}

/// Answers the one call, which must be this.
fn answer(remote: &mut Remote, expected: &str, answer: Answer, now: Timestamp) {
    let (call, word) = only(remote, now);
    assert_eq!(word, expected);
    assert!(remote.answered(&call.resource, call.id, answer, now), "{word}: nobody waits");
}

fn waits(remote: &Remote, pod: &str, now: Timestamp) -> String {
    match remote.verdict(&uid(pod), now) {
        Verdict::Waiting(why) => why,
        other => panic!("{pod}: {other:?}"),
    }
}

fn choose(remote: &mut Remote, pod: &str, hint: Option<Hint>, now: Timestamp) -> bool {
    let of = hint.map(|hint| BTreeMap::from([(resource("fpga"), hint)])).unwrap_or_default();
    remote.choose(&uid(pod), &BTreeMap::from([("main".parse().unwrap(), of)]), now)
}

/// A remote with a plugin for `example.com/fpga` and one pod.
fn with_plugin(options: PluginOptions, pods: Vec<Wanting>) -> Remote {
    let mut remote = Remote::default();
    remote.registered(resource("fpga"), Some(options), at(0));
    remote.tick(pods, at(0));
    remote
}

#[test]
fn a_pod_is_placed_by_its_hints_and_given_what_it_wants() {
    let mut remote = with_plugin(ALIGNED, vec![wanting("p", &["fpga"], false)]);
    let hints = Hints::List(vec![node(0), node(1)]);
    answer(&mut remote, "hints p", Ok(Told::Hints(hints.clone())), at(1));
    let main: ContainerName = "main".parse().unwrap();
    let offers = BTreeMap::from([(main.clone(), BTreeMap::from([(resource("fpga"), hints)]))]);
    assert_eq!(remote.verdict(&uid("p"), at(1)), Verdict::Offered(offers));
    assert_eq!(remote.given(&uid("p"), &main), None, "what is not given is not known to be nothing");
    assert_eq!(remote.calls(at(1)), [], "nothing is given before somebody chose");
    assert!(choose(&mut remote, "p", Some(node(1)), at(2)));
    let what = given(&resource("fpga"), &[("FPGA", "7")]);
    answer(&mut remote, "allocate p nodes 1, preferred", Ok(Told::Allocated(what.clone())), at(3));
    assert_eq!(remote.verdict(&uid("p"), at(3)), Verdict::Ready(BTreeMap::from([(main.clone(), what.clone())])));
    assert_eq!(remote.given(&uid("p"), &main), Some(what));
    assert_eq!((remote.calls(at(4)), choose(&mut remote, "p", None, at(4))), (vec![], false), "it has what it wants");
}

#[test]
fn who_wants_nothing_has_it_at_once() {
    let mut none = wanting("zero", &["fpga"], false);
    none.containers[0].amounts = BTreeMap::from([(resource("fpga"), ResourceCount::new(0))]);
    let mut remote = Remote::default();
    remote.tick(vec![none], at(0));
    for pod in ["zero", "unheard-of"] {
        assert_eq!(remote.verdict(&uid(pod), at(0)), Verdict::Ready(BTreeMap::new()), "{pod}");
    }
    assert_eq!(remote.calls(at(0)), []);
}

#[test]
fn a_plugin_that_is_not_there_is_named_with_the_time_that_it_is_gone() {
    let mut remote = Remote::default();
    remote.tick(vec![wanting("p", &["fpga"], false)], at(0));
    assert_eq!(waits(&remote, "p", at(0)), "resource example.com/fpga: its plugin is not registered");
    remote.registered(resource("fpga"), None, at(0));
    answer(&mut remote, "options", silent(), at(1000));
    assert_eq!(waits(&remote, "p", at(13_500)), "resource example.com/fpga: its plugin does not answer since 12 s: connection refused");
    assert_eq!(remote.health(at(2000))[0].1.as_deref(), Some("its plugin does not answer since 1 s: connection refused"));
    answer(&mut remote, "options", Ok(Told::Options(PLAIN)), at(13_500));
    assert_eq!(remote.health(at(13_500)), [(resource("fpga"), None)]);
    assert!(choose(&mut remote, "p", None, at(13_500)), "without alignment there is nothing to ask before the choice");
}

#[test]
fn a_silent_plugin_is_asked_at_doubling_intervals_up_to_a_minute() {
    let mut remote = with_plugin(ALIGNED, vec![wanting("p", &["fpga"], false)]);
    answer(&mut remote, "hints p", silent(), at(0));
    let (mut now, mut waited) = (0, Vec::new());
    for _ in 0..8 {
        let start = now;
        while remote.clone().calls(at(now)).is_empty() {
            now += 250;
        }
        waited.push((now - start) / 1000);
        answer(&mut remote, "options", silent(), at(now));
    }
    assert_eq!(waited, [1, 2, 4, 8, 16, 32, 60, 60]);
}

#[test]
fn a_refusal_is_passed_on_and_asked_again_later_or_when_something_was_freed() {
    let mut remote = with_plugin(ALIGNED, vec![wanting("p", &["fpga"], false), wanting("q", &["fpga"], true)]);
    answer(&mut remote, "allocate q -", Ok(Told::Allocated(given(&resource("fpga"), &[]))), at(0));
    answer(&mut remote, "hints p", refused(), at(0));
    let cause = Verdict::Refused("resource example.com/fpga: all are taken".to_owned());
    assert_eq!(remote.verdict(&uid("p"), at(0)), cause);
    assert_eq!(remote.calls(at(999)), []);
    answer(&mut remote, "hints p", refused(), at(1000));
    remote.forget(&uid("q"));
    answer(&mut remote, "remove q", Ok(Told::Removed), at(1100));
    answer(&mut remote, "hints p", Ok(Told::Hints(Hints::NoPreference)), at(1100));
    assert!(choose(&mut remote, "p", None, at(1100)));
    answer(&mut remote, "allocate p -", refused(), at(1100));
    assert_eq!(remote.verdict(&uid("p"), at(1100)), cause, "the hint may be what it was refused for");
    assert_eq!(only(&mut remote, at(60_000)).1, "hints p");
}

#[test]
fn hints_that_grew_old_are_asked_for_again_and_hold_until_then() {
    let mut remote = with_plugin(ALIGNED, vec![wanting("p", &["fpga"], false)]);
    answer(&mut remote, "hints p", Ok(Told::Hints(Hints::List(vec![node(0)]))), at(0));
    assert_eq!(remote.calls(at(9_999)), []);
    let (call, word) = only(&mut remote, at(10_000));
    assert_eq!(word, "hints p");
    assert!(matches!(remote.verdict(&uid("p"), at(10_000)), Verdict::Offered(_)));
    assert!(choose(&mut remote, "p", Some(node(0)), at(10_000)));
    remote.answered(&resource("fpga"), call.id, Ok(Told::Hints(Hints::List(vec![node(1)]))), at(10_001));
    assert_eq!(only(&mut remote, at(10_001)).1, "allocate p nodes 0, preferred", "a choice stays");
}

#[test]
fn what_waits_too_long_for_something_else_is_given_back() {
    let mut remote = with_plugin(PLAIN, vec![wanting("p", &["fpga"], false)]);
    assert!(choose(&mut remote, "p", None, at(0)));
    answer(&mut remote, "allocate p -", Ok(Told::Allocated(given(&resource("fpga"), &[]))), at(0));
    remote.tick(vec![wanting("p", &["fpga"], false)], at(9_999));
    assert!(matches!(remote.verdict(&uid("p"), at(9_999)), Verdict::Ready(_)));
    remote.tick(vec![wanting("p", &["fpga"], false)], at(10_000));
    assert_eq!(waits(&remote, "p", at(10_000)), "resource example.com/fpga: what the pod had of it before is not freed yet");
    answer(&mut remote, "remove p", Ok(Told::Removed), at(10_001));
    assert!(matches!(remote.verdict(&uid("p"), at(10_001)), Verdict::Offered(_)));
}

#[test]
fn a_running_pod_keeps_what_it_has_while_its_plugin_is_gone_and_forgets_it() {
    let pods = || vec![wanting("p", &["fpga"], true)];
    let mut remote = with_plugin(CHECKED, pods());
    let fpga = resource("fpga");
    let what = given(&fpga, &[("FPGA", "7")]);
    let main: ContainerName = "main".parse().unwrap();
    let list = |what: &ContainerAllocation| BTreeMap::from([(uid("p"), BTreeMap::from([(main.clone(), what.clone())]))]);
    answer(&mut remote, "list", Ok(Told::Allocations(list(&what))), at(0));
    assert_eq!(remote.given(&uid("p"), &main), Some(what.clone()), "an earlier agent's allocation is learnt from the plugin");
    answer(&mut remote, "list", silent(), at(5000));
    remote.tick(pods(), at(6000));
    assert_eq!(remote.given(&uid("p"), &main), Some(what.clone()));
    remote.registered(fpga.clone(), Some(CHECKED), at(7000));
    answer(&mut remote, "list", Ok(Told::Allocations(Allocations::new())), at(7000));
    assert_eq!(remote.given(&uid("p"), &main), Some(what.clone()), "the running pod is not touched");
    answer(&mut remote, "allocate p -", refused(), at(7000));
    assert_eq!(remote.given(&uid("p"), &main), Some(what.clone()));
    assert_eq!(remote.calls(at(7999)), []);
    answer(&mut remote, "allocate p -", Ok(Told::Allocated(what.clone())), at(8000));
    answer(&mut remote, "list", Ok(Told::Allocations(list(&what))), at(12_000));
    assert_eq!(remote.calls(at(16_999)), [], "it is looked at every five seconds");
}

#[test]
fn a_running_pod_that_nobody_knows_of_is_allocated_for() {
    let mut remote = with_plugin(CHECKED, vec![wanting("p", &["fpga"], true)]);
    answer(&mut remote, "list", Err(Fault::Refused("not implemented".to_owned())), at(0));
    assert_eq!(only(&mut remote, at(0)).1, "allocate p -", "no list at all says nothing of any pod");
    let problem = remote.health(at(0)).remove(0).1;
    assert_eq!(problem.as_deref(), Some("its plugin fails GetResourcesAllocation: not implemented"));
}

#[test]
fn a_pod_that_runs_keeps_what_it_has_and_one_that_waits_again_gives_it_back() {
    let mut remote = with_plugin(PLAIN, vec![wanting("p", &["fpga"], false)]);
    remote.tick(vec![wanting("p", &["fpga"], true)], at(0));
    let what = given(&resource("fpga"), &[]);
    answer(&mut remote, "allocate p -", Ok(Told::Allocated(what)), at(0));
    remote.tick(vec![wanting("p", &["fpga"], true)], at(60_000));
    assert!(matches!(remote.verdict(&uid("p"), at(60_000)), Verdict::Ready(_)));
    assert_eq!(remote.calls(at(60_000)), []);
    remote.tick(vec![wanting("p", &["fpga"], false)], at(60_001));
    assert_eq!(only(&mut remote, at(60_001)).1, "remove p");
}

#[test]
fn a_pod_is_removed_until_the_plugin_says_so_or_has_it_no_more() {
    let mut remote = with_plugin(CHECKED, vec![wanting("p", &["fpga"], true), wanting("q", &["fpga"], false)]);
    answer(&mut remote, "list", Ok(Told::Allocations(Allocations::new())), at(0));
    answer(&mut remote, "allocate p -", silent(), at(0));
    remote.tick(vec![], at(100));
    answer(&mut remote, "options", Ok(Told::Options(CHECKED)), at(1000));
    answer(&mut remote, "remove p", silent(), at(1000));
    remote.registered(resource("fpga"), Some(CHECKED), at(1500));
    answer(&mut remote, "list", Ok(Told::Allocations(Allocations::new())), at(1500));
    assert_eq!(remote.calls(at(1500)), [], "a plugin frees nothing of a pod that it does not have; q never had anything");
    let strangers = BTreeMap::from([(uid("s"), BTreeMap::from([("main".parse().unwrap(), given(&resource("fpga"), &[]))]))]);
    answer(&mut remote, "list", Ok(Told::Allocations(strangers)), at(6500));
    answer(&mut remote, "remove s", Ok(Told::Removed), at(6500));
    assert_eq!(remote.calls(at(6500)), []);
}

#[test]
fn a_pod_that_comes_back_waits_until_it_was_removed() {
    let mut remote = with_plugin(ALIGNED, vec![wanting("p", &["fpga"], true)]);
    let (call, word) = only(&mut remote, at(0));
    assert_eq!(word, "allocate p -");
    let mut changed = wanting("p", &["fpga"], false);
    changed.containers[0].amounts.insert(resource("fpga"), ResourceCount::new(2));
    remote.tick(vec![changed], at(1));
    assert_eq!(remote.calls(at(1)), [], "the plugin is busy");
    let late = Ok(Told::Allocated(given(&resource("fpga"), &[])));
    assert!(remote.answered(&call.resource, call.id, late.clone(), at(2)));
    assert!(!remote.answered(&call.resource, call.id, late, at(2)), "an answer counts once");
    assert_eq!(waits(&remote, "p", at(2)), "resource example.com/fpga: what the pod had of it before is not freed yet");
    answer(&mut remote, "remove p", refused(), at(2));
    assert_eq!(remote.calls(at(3)), [], "a removal that failed is waited for, too");
    answer(&mut remote, "remove p", Ok(Told::Removed), at(1002));
    answer(&mut remote, "hints p", Ok(Told::Hints(Hints::NoPreference)), at(1002));
    assert!(choose(&mut remote, "p", None, at(1003)));
    let (call, _) = only(&mut remote, at(1003));
    let Ask::Allocate(asked) = call.ask else { panic!("{call:?}") };
    assert_eq!((asked.amount.get(), asked.resource.as_str()), (2.0, "example.com/fpga"));
}

#[test]
fn nothing_is_asked_before_it_is_known_which_pods_live() {
    let mut remote = Remote::default();
    remote.registered(resource("fpga"), Some(CHECKED), at(0));
    assert_eq!(remote.calls(at(0)), []);
    remote.tick(vec![], at(0));
    assert_eq!(only(&mut remote, at(0)).1, "list");
}

#[test]
fn an_answer_to_another_question_is_a_refusal() {
    let mut remote = with_plugin(ALIGNED, vec![wanting("p", &["fpga"], false)]);
    answer(&mut remote, "hints p", Ok(Told::Removed), at(0));
    let expected = "resource example.com/fpga: it answered another question";
    assert_eq!(remote.verdict(&uid("p"), at(0)), Verdict::Refused(expected.to_owned()));
}

#[test]
fn only_what_is_lent_here_is_no_others_to_give() {
    use gleaner_crds::keys::resource::{NET_BANDWIDTH, RECLAIMED_MEMORY, RECLAIMED_MILLICPU};
    for (name, own) in
        [(RECLAIMED_MILLICPU, true), (RECLAIMED_MEMORY, true), (NET_BANDWIDTH, false), ("example.com/reclaimed_memory", false)]
    {
        assert_eq!(is_own_resource(&name.parse().unwrap()), own, "{name}");
    }
}
