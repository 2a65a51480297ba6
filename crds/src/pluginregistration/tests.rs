use prost::Message;

use super::*;
use crate::wire::{Field, poll_once, read_fields, recorder, text, truth};

#[test]
fn messages_have_the_numbers_of_kubelets_protocol() {
    let info = PluginInfo {
        r#type: "type".to_owned(),
        name: "name".to_owned(),
        endpoint: "endpoint".to_owned(),
        supported_versions: vec!["a".to_owned(), "b".to_owned()],
    };
    let expected = vec![text(1, "type"), text(2, "name"), text(3, "endpoint"), text(4, "a"), text(4, "b")];
    assert_eq!(read_fields(&info.encode_to_vec()), expected);

    let status = RegistrationStatus { plugin_registered: true, error: "error".to_owned() };
    assert_eq!(read_fields(&status.encode_to_vec()), vec![truth(1), text(2, "error")]);

    assert_eq!(read_fields(&InfoRequest {}.encode_to_vec()), Vec::<Field>::new());
}

#[test]
fn calls_go_to_kubelets_paths() {
    let (service, paths) = recorder();
    let mut client = registration_client::RegistrationClient::new(service);
    poll_once(client.get_info(InfoRequest {}));
    poll_once(client.notify_registration_status(RegistrationStatus::default()));
    assert_eq!(
        *paths.lock().unwrap(),
        ["/pluginregistration.Registration/GetInfo", "/pluginregistration.Registration/NotifyRegistrationStatus"]
    );
}
