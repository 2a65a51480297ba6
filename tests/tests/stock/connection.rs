//! The connection to the runtime breaks in every way, and the agent with it: all is as before afterwards.

use crate::{Running, Stock, has_cpus, online, patience};
use gleaner_model::CgroupPath;
use gleaner_tests::runtime::{Amounts, Entry, Mood, Options, PodSpec, Version, Writer};
use gleaner_tests::{Node, poll_until, slow};
use nix::sys::signal::Signal;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::Duration;

/// Two pods that must not meet.
fn pods(stock: &mut Stock) -> (Running, Running) {
    let web = stock.run("web", "shared_cores", 100);
    let db = stock.run("db", "dedicated_cores", 1000);
    assert!(stock.cpus(&web).is_disjoint(&db.given()));
    (web, db)
}

/// How often a plugin was added so far.
fn joined(stock: &Stock) -> usize {
    stock.runtime.log().iter().filter(|entry| matches!(entry, Entry::Added(_))).count()
}

/// Waits until the agent has joined once more than before, and shows that it is asked.
fn is_back(stock: &mut Stock, before: usize) {
    stock.runtime.wait_for("the agent joins again", patience(), |entries| {
        let count = entries.iter().filter(|entry| matches!(entry, Entry::Added(_))).count();
        (count > before).then_some(())
    });
    stock.connected();
    let late = stock.run(&format!("late-{before}"), "shared_cores", 50);
    assert_eq!(late.container.by, ["10-gleaner"], "the agent was asked");
    assert!(!late.given().is_empty());
    stock.assert_clean();
}

#[test]
fn the_agent_is_back_after_the_runtime_was_restarted_and_what_ended_meanwhile_is_free() {
    let test = "the_agent_is_back_after_the_runtime_was_restarted_and_what_ended_meanwhile_is_free";
    if !has_cpus(test, 2) {
        return;
    }
    let Some(mut stock) = Stock::new(test) else { return };
    let (web, db) = pods(&mut stock);
    let (own, before) = (db.given(), joined(&stock));
    stock.runtime.stop();
    stock.node.until("the outage is told", |state| state["health"]["nri"]["problem"].is_string().then_some(()));
    stock.node.ticks(2);
    assert_eq!(stock.cpus(&db), own, "nothing changes for those that run");
    assert!(stock.cpus(&web).is_disjoint(&own));
    // Ends while nobody tells the agent but the API server.
    stock.remove(&db);
    stock.comes_to(&web, &online());
    stock.runtime.start_again();
    is_back(&mut stock, before);
}

#[test]
fn the_agent_is_back_after_the_runtime_hung_up_or_broke_off_within_a_frame() {
    let test = "the_agent_is_back_after_the_runtime_hung_up_or_broke_off_within_a_frame";
    let Some(mut stock) = Stock::new(test) else { return };
    let before = joined(&stock);
    stock.runtime.hang_up();
    is_back(&mut stock, before);
    let before = joined(&stock);
    stock.runtime.drop_mid_frame();
    is_back(&mut stock, before);
}

#[test]
fn a_runtime_that_says_nothing_for_a_while_is_served_as_before() {
    let test = "a_runtime_that_says_nothing_for_a_while_is_served_as_before";
    let Some(mut stock) = Stock::new(test) else { return };
    let web = stock.run("web", "shared_cores", 100);
    stock.runtime.silence(true);
    stock.node.ticks(6);
    assert_eq!(stock.cpus(&web), online(), "the agent works on");
    stock.runtime.silence(false);
    let late = stock.run("late", "shared_cores", 50);
    assert_eq!(late.container.by, ["10-gleaner"]);
    stock.assert_clean();
}

#[test]
fn a_runtime_that_configures_before_it_answers_is_served() {
    let test = "a_runtime_that_configures_before_it_answers_is_served";
    let Some(mut stock) = Stock::prepared(test, Version::V0_8, "") else { return };
    stock.runtime.set_mood(Mood { configure_first: true, configure_late: Duration::from_millis(700), ..Mood::default() });
    stock.start();
    let web = stock.run("web", "shared_cores", 100);
    assert_eq!(web.container.by, ["10-gleaner"]);
    stock.assert_clean();
}

#[test]
fn a_runtime_that_never_tells_what_exists_is_dialled_anew() {
    let test = "a_runtime_that_never_tells_what_exists_is_dialled_anew";
    let Some(mut stock) = Stock::prepared(test, Version::V0_6, "") else { return };
    stock.runtime.set_mood(Mood { never_synchronize: true, ..Mood::default() });
    stock.node.start();
    let before = joined(&stock);
    stock.runtime.wait_for("it registers", patience(), |entries| {
        entries.iter().any(|entry| matches!(entry, Entry::Configured { .. })).then_some(())
    });
    stock.runtime.set_mood(Mood::default());
    stock.problem("nri", "did not tell what exists");
    is_back(&mut stock, before);
}

#[test]
fn a_plugin_that_the_oldest_runtime_has_given_up_is_noticed_and_dialled_anew() {
    let test = "a_plugin_that_the_oldest_runtime_has_given_up_is_noticed_and_dialled_anew";
    let (held, holds) = (Arc::new(AtomicBool::new(true)), Arc::new(AtomicBool::new(false)));
    let options = |node: &Node| Options::of(Version::V0_6).on(node).writer(Gate { held: Arc::clone(&held), holds: Arc::clone(&holds) });
    let Some(mut stock) = Stock::made(test, "", options) else { return };
    let Stock { runtime, node, .. } = &mut stock;
    thread::scope(|scope| {
        // As long as this pod is made, the runtime tells nobody what exists.
        scope.spawn(|| runtime.run_pod(&PodSpec::new("slow", "uid-slow")).unwrap());
        poll_until("the runtime is busy", || holds.load(Ordering::SeqCst).then_some(()));
        node.start();
        runtime.wait_for("it is configured", patience(), |entries| {
            entries.iter().any(|entry| matches!(entry, Entry::Configured { .. })).then_some(())
        });
        // For longer than the runtime waits.
        node.signal(Signal::SIGSTOP);
        held.store(false, Ordering::SeqCst);
    });
    stock.runtime.wait_for("the runtime gives it up", patience(), |entries| {
        entries.iter().any(|entry| matches!(entry, Entry::Zombie(_))).then_some(())
    });
    stock.node.signal(Signal::SIGCONT);
    let late = stock.runtime.forgive();
    assert!(late.iter().all(|violation| violation.contains("no answer to Synchronize")), "{late:?}");
    is_back(&mut stock, 0);
}

/// Writes nothing, and makes no cgroup before it may.
#[derive(Debug)]
struct Gate {
    held: Arc<AtomicBool>,
    holds: Arc<AtomicBool>,
}

impl Writer for Gate {
    fn make(&mut self, _: &CgroupPath) -> Result<(), String> {
        self.holds.store(true, Ordering::SeqCst);
        poll_until("it may go on", || (!self.held.load(Ordering::SeqCst)).then_some(()));
        Ok(())
    }

    fn write(&mut self, _: &CgroupPath, _: &Amounts) -> Result<(), String> {
        Ok(())
    }

    fn kill(&mut self, _: &CgroupPath) -> Result<(), String> {
        Ok(())
    }

    fn remove(&mut self, _: &CgroupPath) -> Result<(), String> {
        Ok(())
    }
}

#[test]
fn an_agent_that_is_killed_again_and_again_finds_the_sets_as_they_were() {
    let test = "an_agent_that_is_killed_again_and_again_finds_the_sets_as_they_were";
    if !has_cpus(test, 2) {
        return;
    }
    let Some(mut stock) = Stock::new(test) else { return };
    let (web, db) = pods(&mut stock);
    let sets = (stock.cpus(&web), stock.cpus(&db));
    for round in 0..3 {
        let before = joined(&stock);
        stock.node.kill();
        if round == 1 {
            // Nobody is asked meanwhile, and nothing fails.
            let alone = stock.run("alone", "shared_cores", 50);
            assert!(alone.container.by.is_empty());
            stock.remove(&alone);
        }
        stock.node.start();
        stock.runtime.wait_for("the agent joins again", patience(), |_| (joined(&stock) > before).then_some(()));
        stock.connected();
        stock.node.ticks(3);
        assert_eq!((stock.cpus(&web), stock.cpus(&db)), sets, "after kill {round}");
    }
    stock.assert_clean();
}

#[test]
fn a_container_that_came_while_no_agent_ran_is_put_right_by_the_next() {
    let test = "a_container_that_came_while_no_agent_ran_is_put_right_by_the_next";
    if !has_cpus(test, 2) {
        return;
    }
    let Some(mut stock) = Stock::new(test) else { return };
    let web = stock.run("web", "shared_cores", 100);
    stock.node.kill();
    let db = stock.run("db", "dedicated_cores", 1000);
    assert!(db.container.by.is_empty() && db.container.resources.cpus.is_empty());
    stock.start();
    let one = |stock: &Stock| (stock.cpus(&db).count() == 1 && stock.cpus(&web).is_disjoint(&stock.cpus(&db))).then_some(());
    poll_until("db has a CPU alone", || one(&stock));
    // The runtime would otherwise write all CPUs again with its next change.
    let own = stock.cpus(&db);
    let became = stock.runtime.update_container(&db.container.id, &Amounts::default().memory(64 << 20)).unwrap();
    assert!(became.cpus.is_empty() || became.cpus == own.to_string(), "{became:?}");
    stock.comes_to(&db, &own);
    stock.assert_clean();
}

#[test]
fn five_megabytes_of_what_exists_are_taken_in() {
    let test = "five_megabytes_of_what_exists_are_taken_in";
    let options = |node: &Node| {
        let mut options = Options::of(Version::V0_8).on(node);
        options.mood.ballast = 5 << 20;
        // Decoding it is work for an emulated processor, and an unoptimised agent.
        options.limits.request = options.limits.request.saturating_mul(slow());
        options
    };
    let Some(mut stock) = Stock::made(test, "", options) else { return };
    let pods: Vec<Running> = (0..24).map(|at| stock.run(&format!("web-{at}"), "shared_cores", 10)).collect();
    stock.start();
    for pod in &pods {
        stock.comes_to(pod, &online());
    }
    let known = stock.node.until("all are known", |state| state["pods"].as_array().map(Vec::len).filter(|count| *count >= pods.len()));
    assert_eq!(known, pods.len());
    let late = stock.run("late", "shared_cores", 50);
    assert_eq!(late.container.by, ["10-gleaner"]);
    stock.assert_clean();
}
