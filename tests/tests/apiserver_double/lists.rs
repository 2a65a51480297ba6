use super::{code, nodes, pod, pods};
use gleaner_tests::apiserver::{ApiServer, PODS, PodBuilder};
use k8s_openapi::api::core::v1::Pod;
use kube::ResourceExt;
use kube::api::{Api, ListParams};
use kube::core::PartialObjectMeta;

fn names<K: ResourceExt>(items: &[K]) -> Vec<String> {
    items.iter().map(ResourceExt::name_any).collect()
}

#[tokio::test]
async fn pages_show_one_moment_while_objects_change() {
    let server = ApiServer::new();
    (0..7).for_each(|at| drop(server.add_pod(pod(&format!("p{at}")))));
    let api = pods(&server, "default");
    let page = ListParams::default().limit(3);
    let first = api.list(&page).await.unwrap();
    assert_eq!(
        (vec!["p0", "p1", "p2"], Some(4)),
        (names(&first.items).iter().map(String::as_str).collect(), first.metadata.remaining_item_count)
    );
    server.delete(PODS, "default", "p4");
    server.add_pod(pod("p3").phase("Failed"));
    server.add_pod(pod("p33"));
    let second = api.list(&page.clone().continue_token(&first.metadata.continue_.unwrap())).await.unwrap();
    assert_eq!(vec!["p3", "p4", "p5"], names(&second.items));
    assert_eq!(Some("Running"), second.items[0].status.as_ref().unwrap().phase.as_deref(), "as it was");
    assert_eq!(first.metadata.resource_version, second.metadata.resource_version);
    let token = second.metadata.continue_.unwrap();
    let third = api.list(&page.clone().continue_token(&token)).await.unwrap();
    assert_eq!((vec!["p6".to_owned()], None), (names(&third.items), third.metadata.continue_));
    server.compact();
    assert_eq!(410, code(api.list(&page.clone().continue_token(&token)).await), "the moment is gone");
    server.assert_clean();
    assert_eq!(400, code(api.list(&page.continue_token("garbage")).await));
}

#[tokio::test]
async fn an_exact_version_is_shown_as_it_was_and_a_later_one_is_not_there() {
    let server = ApiServer::new();
    let before = server.add_pod(pod("a"))["metadata"]["resourceVersion"].as_str().unwrap().to_owned();
    server.add_pod(pod("b"));
    let at = |version: &str| ListParams::default().at(version).matching(kube::api::VersionMatch::Exact);
    let api = pods(&server, "default");
    assert_eq!(vec!["a"], names(&api.list(&at(&before)).await.unwrap().items));
    assert_eq!(504, code(api.list(&at("999999")).await));
    assert_eq!(vec!["a", "b"], names(&api.list(&ListParams::default().match_any()).await.unwrap().items));
}

#[tokio::test]
async fn selectors_choose() {
    let server = ApiServer::new();
    server.add_pod(pod("a").label("app", "web").label("tier", "front"));
    server.add_pod(pod("b").label("app", "db").namespace("shop"));
    server.add_pod(PodBuilder::new("c").node("n2").label("app", "web").phase("Failed"));
    server.add_pod(PodBuilder::new("d").node("n2"));
    let api: Api<Pod> = Api::all(server.client());
    let fields = [
        ("spec.nodeName=n1", "a b"),
        ("spec.nodeName==n2", "c d"),
        ("spec.nodeName!=n2", "a b"),
        ("metadata.name=c", "c"),
        ("metadata.namespace=shop", "b"),
        ("spec.nodeName=n2,status.phase!=Failed", "d"),
    ];
    for (selector, expected) in fields {
        let found = api.list(&ListParams::default().fields(selector)).await.unwrap();
        let mut found = names(&found.items);
        found.sort();
        assert_eq!(expected, found.join(" "), "{selector}");
    }
    let labels = [
        ("app=web", "a c"),
        ("app!=web", "b d"),
        ("app in (web, db)", "a b c"),
        ("app notin (web),app", "b"),
        ("!app", "d"),
        ("tier", "a"),
        ("app==web,!tier", "c"),
    ];
    for (selector, expected) in labels {
        let found = api.list(&ListParams::default().labels(selector)).await.unwrap();
        let mut found = names(&found.items);
        found.sort();
        assert_eq!(expected, found.join(" "), "{selector}");
    }
    server.assert_clean();
    for wrong in ["app in web", "a b", "app of (x)"] {
        assert_eq!(400, code(api.list(&ListParams::default().labels(wrong)).await), "{wrong}");
    }
    assert_eq!(400, code(nodes(&server).list(&ListParams::default().fields("spec.nodeName=n1")).await));
}

#[tokio::test]
async fn metadata_alone_can_be_had() {
    let server = ApiServer::new();
    server.add_pod(pod("a"));
    let api = pods(&server, "default");
    let found: Vec<PartialObjectMeta<Pod>> = api.list_metadata(&ListParams::default()).await.unwrap().items;
    assert_eq!(vec!["a"], names(&found));
    assert_eq!("a", api.get_metadata("a").await.unwrap().name_any());
}
