//! Good settings arrive, bad ones are refused with file, key and what to do.

use std::fs;
use std::path::Path;

use mesh30k_consensus::storage::RocksMemory;

use super::*;

fn from(text: &str) -> Result<Config, ConfigError> {
    Layers::new().text(Path::new("node.toml"), text)?.finish()
}

fn refusal(text: &str) -> String {
    from(text).unwrap_err().to_string()
}

#[test]
fn the_defaults_hold_together() {
    let config = Layers::new().finish().unwrap();
    assert_eq!(config.api.listen, "127.0.0.1:7400".parse().unwrap());
    assert_eq!((config.agents.count, config.agents.classes.shares()), (75, [10, 8, 5, 2, 3, 2]));
    assert_eq!(config.tasks.ceiling(), crate::execution::Limits::default());
    assert_eq!(config.tasks.granted(), crate::execution::HostFunction::ALL);
    assert!(!config.harness.enabled);
    let room = config.node.disk_limits();
    assert_eq!((room.read_only_bytes, room.resume_bytes), (256 << 20, 384 << 20));
    assert_eq!(config.ledger.memory(), RocksMemory::default());
    let small = from("[ledger]\nblock_cache_mib = 3\nmemtable_mib = 2").unwrap().ledger.memory();
    assert_eq!((small.block_cache_bytes, small.memtable_bytes), (3 * 1_048_576, 2 * 1_048_576));
}

#[test]
fn the_explained_file_is_valid_and_changes_nothing() {
    let text = explain();
    assert_eq!(from(&text).unwrap(), from("").unwrap());
    for key in schema::KEYS {
        assert!(text.contains(&format!("\n{} = {}\n", key.split().1, key.default)), "{}", key.name);
        assert!(!key.doc.is_empty() && key.doc.ends_with('.'), "{}", key.name);
    }
}

#[test]
fn every_default_passes_its_own_check() {
    for key in schema::KEYS {
        let value = layers::default_of(key.default).unwrap();
        key.take_toml(&Origin::Default, &value).unwrap();
    }
}

#[test]
fn an_unknown_key_is_refused_with_file_and_suggestion() {
    assert_eq!(refusal("[agents]\ncuont = 3"), "node.toml: unknown key agents.cuont; did you mean agents.count?");
    assert_eq!(refusal("[p2p]\nmax_peer = 3"), "node.toml: unknown key p2p.max_peer; did you mean p2p.max_peers?");
    assert_eq!(refusal("[agent]\ncount = 3"), "node.toml: unknown key agent; did you mean agents?");
    assert_eq!(refusal("region = \"DE\""), "node.toml: unknown key region; did you mean node.region?");
    let far = refusal("[node]\nfavourite_colour_of_the_operator = 1");
    assert!(far.contains("--explain") && !far.contains("did you mean"), "{far}");
}

#[test]
fn each_wrong_value_names_field_value_and_limit() {
    let cases = [
        ("[agents]\ncount = 3001", "agents.count = 3001 is out of range: 0 to 3000 (agents)"),
        ("[agents]\ncount = -1", "agents.count = -1 is out of range"),
        ("[agents]\ncount = \"many\"", "agents.count must be a whole number from 0 to 3000, not a text"),
        ("[agents]\ncount = 1.5", "agents.count must be a whole number from 0 to 3000, not a float"),
        ("[agents]\nreplay = 1", "agents.replay must be true or false, not a number"),
        ("[agents]\nclasses = \"A=1,G=2\"", "\"G=2\" is not CLASS=SHARE"),
        ("[agents]\nclasses = \"A=0\"", "at least one class"),
        ("[node]\nregion = \"de\"", "two capital letters"),
        ("[node]\nrenewable_ppm = 1000001", "0 to 1000000 (millionths)"),
        ("[node]\ndisk_read_only_mib = 0", "node.disk_read_only_mib = 0 is out of range: 1 to 1048576 (MiB)"),
        ("[node]\ndisk_resume_mib = 256", "node.disk_resume_mib = \"256\" is refused: a node that stops writing below"),
        ("[node]\ndisk_read_only_mib = 400", "node.disk_read_only_mib = \"400\" is refused: a node that stops writing"),
        ("[api]\nlisten = \"0.0.0.0:7400\"", "loopback only"),
        ("[api]\nlisten = \"localhost\"", "like 127.0.0.1:7400"),
        ("[p2p]\nlisten = [\"127.0.0.1:1\"]", "libp2p address"),
        ("[p2p]\nlisten = \"/ip4/0.0.0.0/tcp/0\"", "p2p.listen must be a list"),
        ("[p2p]\nlisten = [1]", "a list of other things than texts"),
        ("[log]\nlevel = \"inof\"", "did you mean info?"),
        ("[carbon]\nsource = \"https://api.example.org/x\"", "a path or an http:// address"),
        ("[carbon]\nfresh_s = 10", "60 to 86400 (s)"),
        ("[tasks]\ngrants = [\"fs.read\"]", "\"fs.read\" is not a host function"),
    ];
    for (text, expected) in cases {
        let message = refusal(text);
        assert!(message.starts_with("node.toml: ") && message.contains(expected), "{text:?} gave {message:?}");
    }
}

#[test]
fn what_is_not_toml_is_refused_with_its_line() {
    let message = refusal("[agents]\ncount = \n");
    assert!(message.contains("node.toml is not TOML") && message.contains("line 2"), "{message}");
    assert!(matches!(Layers::new().file(Path::new("/nowhere/x.toml")), Err(ConfigError::Read { .. })));
}

#[test]
fn variables_override_the_file_and_flags_override_both() {
    let file = "[agents]\ncount = 1\nseed = 1\n[p2p]\nlisten = []\n";
    let variables = [
        ("MESH30K_AGENTS_COUNT", "2"),
        ("MESH30K_P2P_LISTEN", "/ip4/127.0.0.1/tcp/0, /ip6/::1/tcp/0"),
        ("MESH30K_AGENTS_REPLAY", "false"),
        ("MESH30K_PASSPHRASE", "not a setting"),
        ("MESH30K_API", "nor this"),
        ("PATH", "/bin"),
    ];
    let variables = variables.map(|(name, text)| (name.to_owned(), text.to_owned()));
    let layers = Layers::new().text(Path::new("node.toml"), file).unwrap().variables(variables).unwrap();
    let layers = layers.flag("--agents", "agents.count", "3").unwrap();
    assert_eq!(layers.origin("agents.count"), Origin::Flag("--agents".to_owned()));
    assert_eq!(layers.origin("agents.replay").to_string(), "variable MESH30K_AGENTS_REPLAY");
    let config = layers.finish().unwrap();
    assert_eq!((config.agents.count, config.agents.seed, config.agents.replay), (3, 1, false));
    assert_eq!(config.p2p.listen, ["/ip4/127.0.0.1/tcp/0", "/ip6/::1/tcp/0"]);
}

#[test]
fn a_misspelt_variable_of_a_section_is_refused() {
    let set = |name: &str, text: &str| {
        Layers::new().variables([(name.to_owned(), text.to_owned())]).map(|_| ()).unwrap_err().to_string()
    };
    let message = set("MESH30K_AGENTS_COUNTS", "3");
    assert_eq!(message, "variable MESH30K_AGENTS_COUNTS: unknown key agents.counts; did you mean agents.count?");
    assert!(set("MESH30K_AGENTS_COUNT", "three").contains("not \"three\""));
    assert!(set("MESH30K_API_LISTEN", "192.168.0.1:80").contains("loopback only"));
}

#[test]
fn composed_files_are_checked_and_read_back() {
    let settings = [
        ("api.listen", Value::Text("[::1]:0".to_owned())),
        ("harness.enabled", Value::Bool(true)),
        ("network.genesis", Value::Text("/tmp/a \"b\".json".to_owned())),
        ("p2p.listen", Value::List(vec!["/ip4/127.0.0.1/tcp/4001".to_owned()])),
        ("p2p.max_peers", Value::Integer(12)),
    ];
    let config = from(&compose(&settings).unwrap()).unwrap();
    assert!(config.harness.enabled);
    assert_eq!(config.network.genesis, Path::new("/tmp/a \"b\".json"));
    assert_eq!((config.p2p.max_peers, config.p2p.listen.len()), (12, 1));
    assert!(compose(&[("p2p.max_peers", Value::Integer(0))]).is_err());
    assert!(compose(&[("p2p.maxpeers", Value::Integer(1))]).is_err());
}

#[test]
fn shares_are_handed_out_to_the_last_agent() {
    let shares: ClassShares = "A=10,B=8,C=5,D=2,E=3,F=2".parse().unwrap();
    assert_eq!(shares.counts(75), [25, 20, 13, 5, 7, 5]);
    assert_eq!(shares.counts(30_000), [10_000, 8_000, 5_000, 2_000, 3_000, 2_000]);
    for count in 0..500 {
        assert_eq!(shares.counts(count).iter().sum::<u32>(), count);
    }
    assert_eq!("D=1".parse::<ClassShares>().unwrap().counts(7), [0, 0, 0, 7, 0, 0]);
}

#[test]
fn a_port_in_use_is_named() {
    let first = bind("api.listen", "127.0.0.1:0".parse().unwrap()).unwrap();
    let address = first.local_addr().unwrap();
    let error = bind("api.listen", address).unwrap_err();
    assert!(matches!(error, ListenError::InUse { .. }));
    let expected = format!("api.listen = {address}: port {} is already in use", address.port());
    assert!(error.to_string().starts_with(&expected), "{error}");
}

fn network(text: &str) -> Result<NetworkFile, NetworkFileError> {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("net.json");
    fs::write(&path, text).unwrap();
    NetworkFile::read(&path)
}

#[test]
fn a_network_file_has_its_genesis_beside_or_inside() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("net.json");
    fs::write(&path, r#"{"chain": "local-1", "genesis": "genesis.json", "bootstrap": ["/ip4/10.0.0.1/tcp/1"]}"#)
        .unwrap();
    fs::write(dir.path().join("genesis.json"), r#"{"time": 18446744073709551615}"#).unwrap();
    let beside = NetworkFile::read(&path).unwrap();
    assert_eq!(beside.genesis_json().unwrap(), r#"{"time": 18446744073709551615}"#);
    let inside = NetworkFile { genesis: GenesisSource::Inline(serde_json::json!({"time": u64::MAX})), ..beside };
    let again = network(&inside.to_json()).unwrap();
    assert_eq!(again, inside);
    assert_eq!(again.genesis_json().unwrap(), r#"{"time":18446744073709551615}"#);
}

#[test]
fn bad_network_files_are_refused_by_key() {
    let message = |text: &str| network(text).unwrap_err().to_string();
    assert!(message("[]").contains("not a JSON object"));
    assert!(message(r#"{"chain": "a", "genesis": "g", "bootsrap": []}"#).contains("did you mean bootstrap?"));
    assert!(message(r#"{"chain": "../a", "genesis": "g"}"#).contains("chain must be"));
    assert!(message(r#"{"chain": "a"}"#).contains("genesis must be"));
    assert!(message(r#"{"chain": "a", "genesis": "g", "bootstrap": [1]}"#).contains("bootstrap must be"));
    let missing = network(r#"{"chain": "a", "genesis": "g"}"#).unwrap();
    assert!(matches!(missing.genesis_json(), Err(NetworkFileError::Read { .. })));
}
