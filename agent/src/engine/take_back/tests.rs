use super::due::*;
use super::worker::carry_out;
use super::*;
use std::fs;
use std::time::Duration;

fn mi(mib: u64) -> Bytes {
    Bytes::new(mib << 20)
}

fn at(seconds: u64) -> Timestamp {
    Timestamp::since_boot(Duration::from_secs(seconds))
}

fn policy() -> TakeBackPolicy {
    TakeBackPolicy { chunk: mi(64), chunks: 4, margin: mi(16) }
}

fn now(usage: u64, high: Limit<Bytes>, max: Limit<Bytes>, reclaiming: Reclaiming) -> Now {
    Now { usage: Some(mi(usage)), high: Some(high), max: Some(max), reclaiming, exhausted: false }
}

/// The bounds in MiB, `max` for none.
fn bounds(goal: (u64, u64), now: &Now) -> String {
    let Bounds { high, max } = on_the_way(Goal { high: mi(goal.0), max: mi(goal.1) }, now, &policy());
    let text = |limit: Limit<Bytes>| if let Limit::At(bytes) = limit { bytes.rounded() } else { "max".to_owned() };
    format!("{} {}", text(high), text(max))
}

#[test]
fn a_pod_that_holds_little_has_its_bounds_at_once() {
    let at = |mib| Limit::At(mi(mib));
    assert_eq!(bounds((900, 1000), &now(0, Limit::Max, Limit::Max, Reclaiming::NotOffered)), "900Mi 1000Mi");
    assert_eq!(bounds((900, 1000), &now(500, at(300), at(400), Reclaiming::Amount)), "900Mi 1000Mi", "bounds rise at once");
    let v1 = Now { high: None, ..now(500, Limit::Max, Limit::Max, Reclaiming::Everything) };
    assert_eq!(bounds((900, 1000), &v1), "900Mi 1000Mi");
}

#[test]
fn the_bounds_follow_what_is_taken_back_and_the_limit_comes_last() {
    let (goal, amount) = ((300, 400), Reclaiming::Amount);
    let at = |mib| Limit::At(mi(mib));
    assert_eq!(bounds(goal, &now(1000, Limit::Max, Limit::Max, amount)), "984Mi max", "the write itself takes back the margin at most");
    assert_eq!(bounds(goal, &now(744, at(984), Limit::Max, amount)), "728Mi max");
    assert_eq!(bounds(goal, &now(800, at(728), Limit::Max, amount)), "728Mi max", "a pod that grows lifts no bound");
    assert_eq!(bounds(goal, &now(310, at(728), Limit::Max, amount)), "300Mi 400Mi", "so little is left to the bound itself");
    let grown = now(990, at(728), Limit::Max, Reclaiming::NotOffered);
    assert_eq!(bounds(goal, &grown), "728Mi 1006Mi", "who cannot be asked is bounded above what it holds");
    assert_eq!(bounds(goal, &now(990, Limit::Max, Limit::Max, Reclaiming::NotOffered)), "734Mi 1006Mi", "at most 256Mi below");
    let exhausted = Now { exhausted: true, ..now(990, at(984), Limit::Max, amount) };
    assert_eq!(bounds(goal, &exhausted), "734Mi 1006Mi");
}

#[test]
fn of_what_is_not_known_nothing_goes_down() {
    let at = |mib| Limit::At(mi(mib));
    let unknown = Now { usage: None, ..now(0, at(700), at(1000), Reclaiming::Amount) };
    assert_eq!(bounds((300, 400), &unknown), "700Mi 1000Mi");
    assert_eq!(bounds((800, 1010), &unknown), "800Mi 1010Mi");
}

fn candidate(pod: &str, usage: u64, allowed: u64, asked: Option<u64>) -> Candidate {
    let asked = asked.map(at);
    Candidate { pod: pod.parse().unwrap(), usage: mi(usage), allowed: mi(allowed), reclaiming: Reclaiming::Amount, asked }
}

/// Who is asked for how many MiB in each write.
fn asked(candidates: Vec<Candidate>, busy: &[u64]) -> Vec<String> {
    let busy: Vec<Bytes> = busy.iter().copied().map(mi).collect();
    let text = |request: &Request| {
        let chunks: Vec<String> = request.chunks.iter().map(|bytes| (bytes.get() >> 20).to_string()).collect();
        format!("{} {}", request.pod, chunks.join("+"))
    };
    due(candidates, &busy, &policy()).iter().map(text).collect()
}

#[test]
fn one_pod_is_asked_for_its_excess_in_chunks_and_for_no_more_than_fits_a_tick() {
    assert_eq!(asked(vec![candidate("a", 400, 300, None)], &[]), ["a 64+36"]);
    assert_eq!(asked(vec![candidate("a", 4000, 300, None)], &[]), ["a 64+64+64+64"]);
    let old = Candidate { reclaiming: Reclaiming::Everything, ..candidate("a", 4000, 300, None) };
    assert_eq!(asked(vec![old.clone()], &[]), ["a 3700"], "alone it may be more than there is room for");
    assert_eq!(asked(vec![old], &[10]), Vec::<String>::new(), "all that it holds may be looked at");
    let never = Candidate { reclaiming: Reclaiming::NotOffered, ..candidate("a", 400, 300, None) };
    assert_eq!(asked(vec![never], &[]), Vec::<String>::new());
}

#[test]
fn all_pods_together_have_a_bound_and_who_waited_longest_goes_first() {
    let many = |asked| ["a", "b", "c", "d", "e"].map(|pod| candidate(pod, 350, 300, asked)).to_vec();
    assert_eq!(asked(many(None), &[]), ["a 50", "b 50", "c 50", "d 50"], "four at once");
    assert_eq!(asked(many(None), &[64, 64, 64]), ["a 50"], "with those that are under way");
    assert_eq!(asked(many(None), &[64, 64, 64, 64]), Vec::<String>::new());
    let large = vec![candidate("a", 900, 300, None), candidate("b", 800, 300, None), candidate("c", 700, 300, None)];
    assert_eq!(asked(large.clone(), &[]), ["a 64+64+64+64", "b 64+64+64+64"], "512Mi at once, the largest excess first");
    assert_eq!(asked(large, &[300]), ["a 64+64+64"], "a part of what is due");
    let turns = vec![candidate("a", 900, 300, Some(7)), candidate("b", 400, 300, Some(3)), candidate("c", 350, 300, None)];
    assert_eq!(asked(turns, &[]), ["c 50", "b 64+36", "a 64+64+64+64"]);
}

#[test]
fn who_has_no_more_to_give_is_left_alone_until_it_grows_or_ten_seconds_pass() {
    let attempt = |outcome: &TakeBackOutcome, held| Attempt::new(at(100), mi(64), mi(400), mi(held), outcome);
    let vain = |attempt: Attempt, usage, seconds| attempt.exhausts(mi(usage), at(seconds), &policy());
    let partly = attempt(&TakeBackOutcome::Partly, 390);
    assert!(vain(partly, 390, 101) && vain(partly, 406, 109), "{partly:?}");
    assert!(!vain(partly, 390, 110), "time has passed");
    assert!(!vain(partly, 407, 101), "it has grown by more than the margin");
    assert!(!vain(attempt(&TakeBackOutcome::Done, 336), 336, 101), "it gave what it was asked for");
    assert!(vain(attempt(&TakeBackOutcome::Done, 390), 390, 101), "it gave little, though the kernel is content");
    assert!(vain(attempt(&TakeBackOutcome::Failed("no".to_owned()), 300), 300, 101));
}

#[test]
fn a_little_above_is_left_to_the_bound() {
    assert!(!is_above(mi(1016), mi(1000), &policy()) && is_above(mi(1017), mi(1000), &policy()));
    assert!(!is_above(mi(18), mi(16), &policy()) && is_above(mi(19), mi(16), &policy()), "of a small pod an eighth");
}

/// A cgroup v2 of files, and a job for it.
fn scene(current: &str, reclaim: bool) -> (tempfile::TempDir, Layout, Job) {
    let dir = tempfile::tempdir().unwrap();
    let pod = dir.path().join("kubepods/a");
    fs::create_dir_all(&pod).unwrap();
    fs::write(pod.join("memory.current"), current).unwrap();
    if reclaim {
        fs::write(pod.join("memory.reclaim"), "").unwrap();
    }
    let job = Job {
        pod: "a".parse().unwrap(),
        name: PodName { namespace: "default".to_owned(), name: "a".to_owned() },
        cgroup: "/kubepods/a".parse().unwrap(),
        allowed: mi(300),
        chunks: vec![mi(64), mi(64)],
    };
    let layout = Layout::with_v2_root(dir.path());
    (dir, layout, job)
}

#[test]
fn a_job_asks_for_no_more_than_what_is_too_much_by_now() {
    let (dir, layout, job) = scene(&mi(370).get().to_string(), true);
    let done = carry_out(&layout, &job, || false);
    assert_eq!((done.asked, done.before, &done.outcome), (mi(70), Some(mi(370)), &TakeBackOutcome::Done));
    let last = fs::read_to_string(dir.path().join("kubepods/a/memory.reclaim")).unwrap();
    assert_eq!(last, mi(6).get().to_string(), "what the second write asked for");
    let (_dir, layout, job) = scene(&mi(299).get().to_string(), true);
    assert_eq!(carry_out(&layout, &job, || false).asked, Bytes::ZERO);
    let (_dir, layout, job) = scene(&mi(370).get().to_string(), true);
    assert_eq!(carry_out(&layout, &job, || true).asked, Bytes::ZERO, "it is to stop");
}

#[test]
fn what_is_gone_or_refused_is_an_outcome() {
    let (dir, layout, job) = scene(&mi(370).get().to_string(), false);
    assert_eq!(carry_out(&layout, &job, || false).outcome, TakeBackOutcome::NotOffered);
    fs::create_dir(dir.path().join("kubepods/a/memory.reclaim")).unwrap();
    let refused = carry_out(&layout, &job, || false);
    assert!(matches!(&refused.outcome, TakeBackOutcome::Failed(cause) if cause.contains("memory.reclaim")), "{refused:?}");
    fs::remove_dir_all(dir.path().join("kubepods/a")).unwrap();
    let gone = carry_out(&layout, &job, || false);
    assert_eq!((gone.outcome, gone.before, gone.after), (TakeBackOutcome::Gone, None, None));
}

#[test]
fn a_decision_has_its_numbers() {
    let reason = |after, outcome| Reason::MemoryTakenBack { asked: mi(33), before: mi(49), after, allowed: mi(16), outcome };
    let done = reason(Some(Bytes::new(408 << 10)), TakeBackOutcome::Done).to_string();
    assert_eq!(done, "33Mi of memory to be taken back: done; held 49Mi, holds 408Ki, may hold 16Mi");
    let gone = reason(None, TakeBackOutcome::Gone).to_string();
    assert_eq!(gone, "33Mi of memory to be taken back: the cgroup is gone; held 49Mi, may hold 16Mi");
}
