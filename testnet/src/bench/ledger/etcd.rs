//! etcd: three members from Debian's package, asked by its JSON gateway over connections that stay open.

use std::net::{Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use anyhow::{Context as _, Result, bail};
use base64::prelude::{BASE64_STANDARD, Engine as _};
use serde::Deserialize;

use super::closed_loop::Client;
use super::http::Http;
use crate::bench::rival::Rival;
use crate::ports::Ports;

/// Debian's program.
const PROGRAM: &str = "etcd";
/// What to do where there is none.
pub const NO_ETCD: &str = "etcd is not installed, so ours stands alone; `apt-get install etcd-server` puts it beside.";
/// Members.
pub const MEMBERS: usize = 3;
/// Bytes of a written value.
pub const VALUE_BYTES: usize = 256;
/// How long the members may take to agree on a leader: this many looks, and the pause between two.
const LEADER_TRIES: u32 = 200;
const LEADER_PAUSE: Duration = Duration::from_millis(50);

/// A running cluster.
pub struct Etcd {
    members: Vec<Member>,
}

struct Member {
    name: String,
    client: SocketAddr,
    folder: PathBuf,
    peers: String,
    peer_url: String,
    process: Option<Rival>,
}

impl Etcd {
    /// Starts one with its data in `dir`; nothing if the program is not installed.
    ///
    /// # Errors
    /// It is there and does not come up.
    pub async fn start(dir: &Path) -> Result<Option<Self>> {
        let mut ports = Ports::default();
        let mut drafts = Vec::with_capacity(MEMBERS);
        for number in 1..=MEMBERS {
            let client = SocketAddr::from((Ipv4Addr::LOCALHOST, ports.free()?));
            drafts.push((format!("m{number}"), client, format!("http://127.0.0.1:{}", ports.free()?)));
        }
        let peers: Vec<String> = drafts.iter().map(|(name, _, url)| format!("{name}={url}")).collect();
        let peers = peers.join(",");
        let mut etcd = Self { members: Vec::with_capacity(MEMBERS) };
        for (name, client, peer_url) in drafts {
            let folder = dir.join(&name);
            let mut member = Member { name, client, folder, peers: peers.clone(), peer_url, process: None };
            if !member.run("new")? {
                return Ok(None);
            }
            etcd.members.push(member);
        }
        etcd.leader().await?;
        Ok(Some(etcd))
    }

    /// The processes that run.
    #[must_use]
    pub fn pids(&self) -> Vec<u32> {
        self.members.iter().filter_map(|member| member.process.as_ref()).map(Rival::pid).collect()
    }

    /// Where each member listens to clients, in order.
    #[must_use]
    pub fn clients(&self) -> Vec<SocketAddr> {
        self.members.iter().map(|member| member.client).collect()
    }

    /// Place of the member that leads, waiting until there is one.
    ///
    /// # Errors
    /// None leads in time.
    pub async fn leader(&self) -> Result<usize> {
        for _ in 0..LEADER_TRIES {
            for (at, member) in self.members.iter().enumerate() {
                // Who does not answer yet does not lead.
                if member.process.is_some() && member.leads().await.unwrap_or(false) {
                    return Ok(at);
                }
            }
            tokio::time::sleep(LEADER_PAUSE).await;
        }
        bail!("etcd has no leader after {:?}", LEADER_PAUSE * LEADER_TRIES)
    }

    /// Ends a member without warning.
    ///
    /// # Errors
    /// There is no such member.
    pub fn kill(&mut self, at: usize) -> Result<()> {
        // A rival that is dropped is killed.
        drop(self.members.get_mut(at).context("no such member")?.process.take());
        Ok(())
    }

    /// Starts a member again, and waits until it follows.
    ///
    /// # Errors
    /// It does not come up.
    pub async fn restart(&mut self, at: usize) -> Result<()> {
        let member = self.members.get_mut(at).context("no such member")?;
        member.run("existing")?;
        for _ in 0..LEADER_TRIES {
            if member.status().await.is_ok_and(|status| status.leader != "0") {
                return Ok(());
            }
            tokio::time::sleep(LEADER_PAUSE).await;
        }
        bail!("etcd's member {} does not come back", member.name)
    }
}

impl Member {
    /// False if the program is not installed.
    fn run(&mut self, state: &str) -> Result<bool> {
        let client = format!("http://{}", self.client);
        let mut command = Command::new(PROGRAM);
        command.arg("--data-dir").arg(&self.folder).args([
            "--name",
            &self.name,
            "--listen-client-urls",
            &client,
            "--advertise-client-urls",
            &client,
            "--listen-peer-urls",
            &self.peer_url,
            "--initial-advertise-peer-urls",
            &self.peer_url,
            "--initial-cluster",
            &self.peers,
            "--initial-cluster-state",
            state,
            "--log-level",
            "error",
            "--logger",
            "zap",
        ]);
        // A member serves clients only once there is a majority, so nobody waits for it here.
        self.process = Rival::start(&mut command, || true)?;
        Ok(self.process.is_some())
    }

    async fn leads(&self) -> Result<bool> {
        let status = self.status().await?;
        Ok(status.leader == status.header.member_id)
    }

    async fn status(&self) -> Result<MemberStatus> {
        let mut http = Http::connect(self.client).await?;
        let answer = http.post("/v3/maintenance/status", "{}").await?;
        read_status(&answer.body)
    }
}

/// What a member says of itself.
#[derive(Debug, Deserialize)]
struct MemberStatus {
    header: StatusHeader,
    /// Missing while there is none.
    #[serde(default = "nobody")]
    leader: String,
}

#[derive(Debug, Deserialize)]
struct StatusHeader {
    member_id: String,
}

fn nobody() -> String {
    "0".to_owned()
}

fn read_status(body: &[u8]) -> Result<MemberStatus> {
    serde_json::from_slice(body).with_context(|| format!("etcd says {}", String::from_utf8_lossy(body)))
}

/// A client that writes one value at a time.
pub struct Putter {
    http: Http,
    body: String,
}

impl Putter {
    /// A client of the member at `address` with a key of its own.
    ///
    /// # Errors
    /// It does not listen.
    pub async fn connect(address: SocketAddr, number: usize) -> Result<Self> {
        Ok(Self { http: Http::connect(address).await?, body: put_body(number) })
    }
}

fn put_body(number: usize) -> String {
    let key = BASE64_STANDARD.encode(format!("bench/{number:08}"));
    format!(r#"{{"key":"{key}","value":"{}"}}"#, BASE64_STANDARD.encode([b'v'; VALUE_BYTES]))
}

impl Client for Putter {
    async fn once(&mut self) -> Result<u64> {
        let answer = self.http.post("/v3/kv/put", &self.body).await?;
        if answer.status != 200 {
            bail!("etcd refused a value: {}", String::from_utf8_lossy(&answer.body));
        }
        Ok(1)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_member_says_who_leads() {
        let body = br#"{"header":{"cluster_id":"1","member_id":"17","revision":"1","raft_term":"2"},"version":"3.4.23","leader":"17"}"#;
        let status = read_status(body).unwrap();
        assert_eq!(status.leader, status.header.member_id);
        let alone = read_status(br#"{"header":{"member_id":"17"},"errors":["etcdserver: no leader"]}"#).unwrap();
        assert_ne!(alone.leader, alone.header.member_id);
        assert!(read_status(br#"{"error":"not ready"}"#).is_err());
    }

    #[test]
    fn what_is_put_is_json_of_the_wanted_size() {
        let body: serde_json::Value = serde_json::from_str(&put_body(7)).unwrap();
        assert_eq!(body["value"].as_str().unwrap().len(), VALUE_BYTES.div_ceil(3) * 4);
        assert_eq!(body["key"], "YmVuY2gvMDAwMDAwMDc=");
    }
}
