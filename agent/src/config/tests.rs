use super::*;

fn problems(text: &str) -> Vec<String> {
    let (config, mut problems) = sections::parse(text);
    config.check(&mut problems);
    problems
}

#[test]
fn an_empty_file_is_the_defaults() {
    assert_eq!(sections::parse(""), (Config::default(), vec![]));
    assert_eq!(sections::parse("# nothing\n\n"), (Config::default(), vec![]));
}

#[test]
fn the_defaults_are_right_and_round_trip() {
    let text = serde_saphyr::to_string(&Config::default()).unwrap();
    let (config, found) = sections::parse(&text);
    assert_eq!(found, Vec::<String>::new(), "in\n{text}");
    assert_eq!(config, Config::default());
    assert_eq!(problems(&text), Vec::<String>::new());
}

#[test]
fn every_error_is_listed_with_its_key() {
    let found = problems(
        "samplingPeriod: 5\nsocket: [1]\nnonsense: 1\nlisten: 1.1.1.1:1\nestimator:\n  usageMargin: lots\n  typo: 1\nplacement:\n  overlapShare: 7\ncgroupRoot: relative\n",
    );
    for part in ["samplingPeriod", "listen", "socket", "nonsense", "estimator.usageMargin", "typo", "placement.overlapShare", "cgroupRoot"]
    {
        assert!(found.iter().any(|p| p.contains(part)), "{part} is not in {found:#?}");
    }
}

#[test]
fn broken_yaml_is_one_clear_line() {
    for text in ["a: [", "- 1", "just text", "a: 1\na: 2\n"] {
        let found = problems(text);
        assert!(found.len() == 1 && !found.concat().contains('\n'), "{text:?} gave {found:?}");
    }
}

#[test]
fn memory_that_would_never_be_taken_back_is_named() {
    let found = problems("takeBack: {chunk: 0, chunks: 0, speed: 1}\n");
    for key in ["takeBack.chunk:", "takeBack.chunks:", "speed"] {
        assert!(found.iter().any(|p| p.contains(key)), "{key} is not in {found:#?}");
    }
}

#[test]
fn only_loopback_is_listened_on() {
    let found = problems("listen: 0.0.0.0:9000\n");
    assert_eq!(found.len(), 1, "{found:?}");
    assert!(problems("listen: 127.0.0.1:9000\n").is_empty());
}

#[test]
fn a_fifo_in_the_place_of_the_file_is_an_error_and_not_a_wait() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("c.yaml");
    nix::unistd::mkfifo(&file, nix::sys::stat::Mode::S_IRWXU).unwrap();
    let args = ConfigArgs { config: Some(file), state_dir: None, socket: None, cgroup_root: None };
    let found = Config::load(&args).unwrap_err();
    assert!(found.len() == 1 && found[0].ends_with("is not a regular file"), "{found:?}");
}
