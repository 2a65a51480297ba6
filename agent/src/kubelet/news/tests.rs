use super::super::checkpoint::Exclusive;
use super::*;

fn at(seconds: u64) -> Timestamp {
    Timestamp::since_boot(Duration::from_secs(seconds))
}

fn config(driver: &str) -> KubeletConfig {
    KubeletConfig::from_file(&format!("cgroupDriver: {driver}\n")).unwrap()
}

fn event(driver: &str) -> KubeletEvent {
    KubeletEvent::Config(Box::new(config(driver)))
}

fn problem(text: &str) -> KubeletEvent {
    KubeletEvent::Problem(KubeletPart::Config, Some(text.to_owned()))
}

#[test]
fn the_kubelets_answer_counts_before_its_file() {
    let mut news = News::new("n", true);
    news.found(KubeletPart::Config, Ok(Some(event("cgroupfs"))), at(0));
    assert_eq!(news.configuration(), [], "the answer is awaited");
    news.asked(Ok(config("systemd")), at(0));
    assert_eq!(news.configuration(), [event("systemd")]);
    assert_eq!(news.configuration(), [], "told once");
    news.asked(Err("away".into()), at(600));
    assert_eq!(news.configuration(), [], "what was answered still holds");
}

#[test]
fn the_file_counts_where_the_kubelet_cannot_be_asked() {
    for asking in [false, true] {
        let mut news = News::new("n", asking);
        news.found(KubeletPart::Config, Ok(Some(event("cgroupfs"))), at(0));
        if asking {
            news.asked(Err("may not (HTTP 403)".into()), at(0));
        }
        assert_eq!(news.configuration(), [event("cgroupfs")], "asking {asking}");
        news.found(KubeletPart::Config, Ok(Some(event("systemd"))), at(10));
        assert_eq!(news.configuration(), [event("systemd")], "asking {asking}");
    }
}

#[test]
fn no_configuration_anywhere_is_told_once_with_its_causes() {
    let mut news = News::new("n", true);
    news.found(KubeletPart::Config, Ok(None), at(0));
    news.asked(Err("away".into()), at(0));
    assert_eq!(news.configuration(), [problem("configz: away; and there is no file")]);
    assert_eq!(news.configuration(), []);
    news.found(KubeletPart::Config, Err("f: bad".into()), at(1));
    assert_eq!(news.configuration(), [problem("configz: away; f: bad")]);
    news.asked(Ok(config("systemd")), at(2));
    assert_eq!(news.configuration(), [KubeletEvent::Problem(KubeletPart::Config, None), event("systemd")]);
    let mut alone = News::new("n", false);
    alone.found(KubeletPart::Config, Ok(None), at(0));
    assert_eq!((alone.configuration(), alone.configuration()), (vec![KubeletEvent::Absent(KubeletPart::Config)], vec![]));
}

#[test]
fn questions_keep_their_distance_and_come_soon_after_a_change() {
    let mut news = News::new("n", true);
    assert!(news.asks(at(0)) && !News::new("n", false).asks(at(0)));
    news.asked(Ok(config("systemd")), at(0));
    assert!(!news.asks(at(599)) && news.asks(at(750)));
    news.found(KubeletPart::Config, Ok(Some(event("systemd"))), at(0));
    assert!(!news.asks(at(599)), "the first look is no change");
    news.found(KubeletPart::Config, Ok(Some(event("cgroupfs"))), at(10));
    assert!(!news.asks(at(69)) && news.asks(at(70)));
    let mut now = at(1000);
    for _ in 0..20 {
        news.asked(Err("away".into()), now);
        assert!(!news.asks(now.after(Duration::from_secs(11))) && news.asks(now.after(LONGEST)));
        now = now.after(LONGEST);
    }
}

#[test]
fn a_checkpoint_that_goes_bad_is_a_problem_until_it_is_good_or_gone() {
    let part = KubeletPart::CpuManager;
    let good = KubeletEvent::Exclusive(Exclusive::default());
    let bad = KubeletEvent::Problem(part, Some("f: bad".into()));
    let well = KubeletEvent::Problem(part, None);
    let mut news = News::new("n", false);
    let steps = [
        (Ok(Some(good.clone())), vec![good.clone()]),
        (Err("f: bad".to_owned()), vec![bad.clone()]),
        (Err("f: bad".to_owned()), vec![]),
        (Ok(Some(good.clone())), vec![well.clone(), good]),
        (Err("f: bad".to_owned()), vec![bad]),
        (Ok(None), vec![well, KubeletEvent::Absent(part)]),
    ];
    for (found, told) in steps {
        assert_eq!(news.found(part, found.clone(), at(0)), told, "{found:?}");
    }
}
