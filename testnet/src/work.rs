//! A task over several parts: escrow, dispatch, release, proof; the CLI and the testnet driver share it.

mod error;

use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;
use std::time::Duration;

use mesh30k_ledger::codec::decode;
use mesh30k_ledger::genesis::Genesis;
use mesh30k_ledger::ops::{Capabilities, DeclarePurpose, EscrowOpen, EscrowRelease, Operation, TaskReceipt};
use mesh30k_ledger::outcome::{Effect, Outcome};
use mesh30k_ledger::priority::Purpose;
use mesh30k_ledger::receipt::Receipt;
use mesh30k_ledger::types::{AccountId, AgentId, EscrowId, Hash, HexError, NodeId, TimeMs, TxId, Uftns};
use mesh30k_node::api::types::{DispatchAnswer, DispatchRequest, ReserveAnswer};
use mesh30k_node::clock::wall_ms;
use mesh30k_node::execution::builtin;
use serde::{Serialize, Serializer};

use crate::client::{ApiClient, ClientError};
use crate::wallet::Wallet;

pub use error::{AnswerError, WorkError};

/// Parts that are dispatched at a time.
const DISPATCHES: usize = 4;
/// How long one part may take, other agents' tries included.
const DISPATCH_TIMEOUT: Duration = Duration::from_secs(100);
/// How long an escrow or a release may take to be final.
const FINAL_TIMEOUT: Duration = Duration::from_secs(20);
/// Bytes of a task receipt, at most.
const RECEIPT_BYTES_MAX: usize = 4_096;

/// What runs.
#[derive(Clone, Debug)]
pub enum Module {
    /// A module that ships with the node.
    Named(String),
    /// WebAssembly in binary form.
    Bytes(Vec<u8>),
}

impl Module {
    /// The hash that the escrow names.
    ///
    /// # Errors
    /// When no module of that name ships with this program.
    pub fn hash(&self) -> Result<Hash, WorkError> {
        match self {
            Self::Named(name) => {
                let module = builtin(name).ok_or_else(|| WorkError::UnknownModule(name.clone()))?;
                Ok(Hash::of(module.wasm))
            }
            Self::Bytes(bytes) => Ok(Hash::of(bytes)),
        }
    }
}

/// A task to be done.
#[derive(Clone, Debug)]
pub struct TaskOrder {
    /// What runs.
    pub module: Module,
    /// On what, one input a part.
    pub inputs: Vec<Vec<u8>>,
    /// The most a worker is paid for one part.
    pub amount_per_part: Uftns,
    /// Held for the charges of one part; what the node advises, when nothing is said.
    pub reserve_per_part: Option<Uftns>,
    /// How long the escrow stays open, from now.
    pub deadline_ms: u64,
    /// Who is asked first; whom the node chooses when none is named.
    pub agent: Option<AgentId>,
    /// What it is for, said before anything is done; general research when nothing is said.
    pub purpose: Option<Purpose>,
}

impl TaskOrder {
    /// With at most 1 FTNS a part, the reserve that is advised, and an hour.
    #[must_use]
    pub const fn new(module: Module, inputs: Vec<Vec<u8>>) -> Self {
        Self {
            module,
            inputs,
            amount_per_part: Uftns::ftns(1),
            reserve_per_part: None,
            deadline_ms: 3_600_000,
            agent: None,
            purpose: None,
        }
    }

    /// The task's name, which receipts repeat. It says what is to be computed: the same module on the same inputs is the same task.
    ///
    /// # Errors
    /// When no module of its name ships with this program.
    pub fn task(&self) -> Result<Hash, WorkError> {
        let module = self.module.hash()?;
        let inputs: Vec<Hash> = self.inputs.iter().map(|input| Hash::of(input)).collect();
        let named: Vec<&[u8]> = inputs.iter().map(|hash| hash.as_bytes().as_slice()).collect();
        Ok(Hash::derive("mesh30k task name v1", &[&[module.as_bytes().as_slice()][..], &named[..]].concat()))
    }

    /// Its parts, as many as an escrow can have.
    fn parts(&self) -> Result<u32, WorkError> {
        let parts = u32::try_from(self.inputs.len()).ok();
        let fitting = parts.filter(|parts| (1..=mesh30k_ledger::ops::MAX_PARTS).contains(parts));
        fitting.ok_or(WorkError::Parts(self.inputs.len()))
    }
}

/// What is told while a task is done.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Progress {
    /// The money is locked.
    Opened {
        /// The escrow.
        escrow: EscrowId,
    },
    /// A part was done.
    Done {
        /// So many are.
        part: u32,
        /// Of so many.
        of: u32,
    },
    /// A part was paid.
    Released {
        /// So many are.
        part: u32,
        /// Of so many.
        of: u32,
    },
}

/// One part that was done and paid.
#[derive(Clone, Debug, Serialize)]
pub struct PartResult {
    /// Which.
    pub part: u32,
    /// Who did it.
    pub agent: AgentId,
    /// On which node.
    pub host: NodeId,
    /// What the module returned.
    #[serde(serialize_with = "as_hex")]
    pub output: Vec<u8>,
    /// Energy in millijoules.
    pub energy_mj: u64,
    /// How that was measured, in words.
    pub energy_method: String,
    /// Carbon in micrograms of CO2e.
    pub carbon_ug: u64,
    /// Time it ran, microseconds.
    pub wall_us: u64,
    /// What it cost in all.
    pub price_uftns: u64,
    /// The transaction that paid it.
    pub release: TxId,
}

/// A task that was done and paid.
#[derive(Clone, Debug, Serialize)]
pub struct TaskResult {
    /// Its escrow.
    pub escrow: EscrowId,
    /// Its parts in order.
    pub parts: Vec<PartResult>,
    /// What they cost in all.
    pub price_uftns: u64,
    /// Carbon of all, micrograms of CO2e.
    pub carbon_ug: u64,
    /// Energy of all, millijoules.
    pub energy_mj: u64,
    /// Payments whose proof was checked against the genesis, offline, and held.
    pub receipts_verified: u64,
}

fn as_hex<S: Serializer>(bytes: &[u8], serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(&hex::encode(bytes))
}

/// Splits a CSV by lines into `parts` inputs, each with the header line; no line is cut, and the numbers of lines differ by
/// at most one.
///
/// # Errors
/// [`WorkError::Parts`] for no parts, [`WorkError::TooFewLines`] when a part would be empty.
pub fn split_csv(bytes: &[u8], parts: usize) -> Result<Vec<Vec<u8>>, WorkError> {
    if parts == 0 {
        return Err(WorkError::Parts(parts));
    }
    let mut lines = bytes.split_inclusive(|byte| *byte == b'\n').filter(|line| !line.trim_ascii().is_empty());
    let header = lines.next().unwrap_or_default();
    let lines: Vec<&[u8]> = lines.collect();
    if lines.len() < parts {
        return Err(WorkError::TooFewLines { parts, lines: lines.len() });
    }
    let ends = (1..=parts).map(|part| lines.len() * part / parts);
    let mut from = 0;
    let mut inputs = Vec::with_capacity(parts);
    for end in ends {
        let mut input = header.to_vec();
        for line in lines.iter().take(end).skip(from) {
            if !input.ends_with(b"\n") {
                input.push(b'\n');
            }
            input.extend_from_slice(line);
        }
        inputs.push(input);
        from = end;
    }
    Ok(inputs)
}

/// Has a task done: opens the escrow, has every part done, pays each against its receipt and checks the proof of each
/// payment.
///
/// # Errors
/// [`WorkError`]; what was not released goes back to the opener at the escrow's deadline.
pub fn run(wallet: &Wallet, order: &TaskOrder, tell: &(dyn Fn(Progress) + Sync)) -> Result<TaskResult, WorkError> {
    let escrow = open(wallet, order)?;
    tell(Progress::Opened { escrow });
    work(wallet, order, escrow, &(0..order.parts()?).collect::<Vec<_>>(), tell)
}

/// Opens a task's escrow and says what the task is for; nothing of it is done yet.
///
/// # Errors
/// [`WorkError`].
pub fn open(wallet: &Wallet, order: &TaskOrder) -> Result<EscrowId, WorkError> {
    let module = order.module.hash()?;
    let reserve_per_part = match order.reserve_per_part {
        Some(reserve) => reserve,
        None => advised_reserve(wallet.client(), &wallet.account(), order.amount_per_part, &module)?,
    };
    let open = EscrowOpen {
        task: order.task()?,
        module,
        capability: Capabilities::COMPUTE,
        parts: order.parts()?,
        amount_per_part: order.amount_per_part,
        reserve_per_part,
        release_deadline: TimeMs(wall_ms().saturating_add(order.deadline_ms)),
    };
    let row = wallet.execute(Operation::EscrowOpen(open), FINAL_TIMEOUT)?;
    let missing = WorkError::Answer { what: "escrow id", source: AnswerError::Missing };
    let id = row.created.first().ok_or(missing)?;
    let escrow = id.parse().map_err(|error: HexError| WorkError::Answer { what: "escrow id", source: error.into() })?;
    if let Some(purpose) = order.purpose {
        wallet.execute(Operation::DeclarePurpose(DeclarePurpose { escrow, purpose }), FINAL_TIMEOUT)?;
    }
    Ok(escrow)
}

/// Has these parts of an open escrow done, pays each against its receipt and checks the proof of each payment.
///
/// # Errors
/// [`WorkError`]; what was not released goes back to the opener at the escrow's deadline.
pub fn work(
    wallet: &Wallet,
    order: &TaskOrder,
    escrow: EscrowId,
    parts: &[u32],
    tell: &(dyn Fn(Progress) + Sync),
) -> Result<TaskResult, WorkError> {
    let (answers, failed) = dispatch_all(wallet.client(), order, escrow, parts, tell);
    // Who worked is paid, even when another part failed.
    let releases = release_all(wallet, escrow, &answers)?;
    let genesis: Genesis = wallet.client().get("/v1/genesis")?;
    let of = u32::try_from(parts.len()).unwrap_or(u32::MAX);
    let mut result =
        TaskResult { escrow, parts: Vec::new(), price_uftns: 0, carbon_ug: 0, energy_mj: 0, receipts_verified: 0 };
    for ((part, answer), release) in answers.into_iter().zip(releases) {
        wallet.wait_final(release, FINAL_TIMEOUT)?;
        let price_uftns = proven_price(wallet.client(), &genesis, release)?;
        result.receipts_verified += 1;
        result.price_uftns = result.price_uftns.saturating_add(price_uftns);
        result.carbon_ug = result.carbon_ug.saturating_add(answer.carbon_ug);
        result.energy_mj = result.energy_mj.saturating_add(answer.energy_mj);
        result.parts.push(PartResult {
            part,
            agent: answer.agent,
            host: answer.host,
            output: unhex("output", &answer.output_hex)?,
            energy_mj: answer.energy_mj,
            energy_method: answer.energy_method,
            carbon_ug: answer.carbon_ug,
            wall_us: answer.wall_us,
            price_uftns,
            release,
        });
        let paid = u32::try_from(result.parts.len()).unwrap_or(u32::MAX);
        tell(Progress::Released { part: paid, of });
    }
    failed.map_or(Ok(result), Err)
}

/// Has these parts of an open escrow done and pays none: that stays with the opener, or with a claim of the host.
///
/// # Errors
/// [`WorkError`] of the first part that was not done, when none was.
pub fn work_unpaid(
    client: &ApiClient,
    order: &TaskOrder,
    escrow: EscrowId,
    parts: &[u32],
    tell: &(dyn Fn(Progress) + Sync),
) -> Result<Vec<(u32, DispatchAnswer)>, WorkError> {
    match dispatch_all(client, order, escrow, parts, tell) {
        (done, Some(error)) if done.is_empty() => Err(error),
        (done, _) => Ok(done),
    }
}

/// What an account should set aside beside the price of each part that runs this module, as a node advises.
///
/// # Errors
/// When the node can't be asked.
pub fn advised_reserve(
    client: &ApiClient,
    account: &AccountId,
    price: Uftns,
    module: &Hash,
) -> Result<Uftns, ClientError> {
    let path = format!("/v1/reserve?account={account}&price_uftns={}&module={module}", price.0);
    Ok(client.get::<ReserveAnswer>(&path)?.advised_uftns)
}

/// Has parts done, some at a time; takes up nothing new after the first that fails.
fn dispatch_all(
    client: &ApiClient,
    order: &TaskOrder,
    escrow: EscrowId,
    parts: &[u32],
    tell: &(dyn Fn(Progress) + Sync),
) -> (Vec<(u32, DispatchAnswer)>, Option<WorkError>) {
    let client = ApiClient::with_timeout(client.base(), DISPATCH_TIMEOUT);
    let (next, done) = (AtomicUsize::new(0), AtomicUsize::new(0));
    let answers: Mutex<Vec<Option<Result<DispatchAnswer, ClientError>>>> = Mutex::new(Vec::new());
    answers.lock().unwrap_or_else(std::sync::PoisonError::into_inner).resize_with(parts.len(), || None);
    let of = u32::try_from(parts.len()).unwrap_or(u32::MAX);
    thread::scope(|scope| {
        for _ in 0..DISPATCHES.min(parts.len()) {
            scope.spawn(|| {
                loop {
                    let at = next.fetch_add(1, Ordering::Relaxed);
                    let Some(part) = parts.get(at).copied() else { return };
                    let input = order.inputs.get(usize::try_from(part).unwrap_or(usize::MAX));
                    let answer = dispatch(&client, order, escrow, part, input.map_or(&[], Vec::as_slice));
                    if answer.is_ok() {
                        let done = done.fetch_add(1, Ordering::Relaxed) + 1;
                        tell(Progress::Done { part: u32::try_from(done).unwrap_or(u32::MAX), of });
                    } else {
                        // The others finish what they have begun and take nothing new.
                        next.store(parts.len(), Ordering::Relaxed);
                    }
                    let mut answers = answers.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
                    if let Some(place) = answers.get_mut(at) {
                        *place = Some(answer);
                    }
                }
            });
        }
    });
    let answers = answers.into_inner().unwrap_or_else(std::sync::PoisonError::into_inner);
    let mut done = Vec::with_capacity(answers.len());
    let mut failed = None;
    for (part, answer) in parts.iter().copied().zip(answers) {
        match answer {
            Some(Ok(answer)) => done.push((part, answer)),
            Some(Err(source)) => failed = failed.or(Some(WorkError::Part { part, source })),
            None => {}
        }
    }
    (done, failed)
}

fn dispatch(
    client: &ApiClient,
    order: &TaskOrder,
    escrow: EscrowId,
    part: u32,
    input: &[u8],
) -> Result<DispatchAnswer, ClientError> {
    let (module_hex, module_name) = match &order.module {
        Module::Named(name) => (String::new(), name.clone()),
        Module::Bytes(bytes) => (hex::encode(bytes), String::new()),
    };
    let input_hex = hex::encode(input);
    let request = DispatchRequest { escrow, part, module_hex, module_name, input_hex, agent: order.agent };
    client.post("/v1/tasks/dispatch", &request)
}

/// Signs and sends one release a part, without waiting in between: their nonces follow each other.
fn release_all(wallet: &Wallet, escrow: EscrowId, answers: &[(u32, DispatchAnswer)]) -> Result<Vec<TxId>, WorkError> {
    let first = wallet.row()?.next_nonce;
    let mut releases = Vec::with_capacity(answers.len());
    for (nonce, (_, answer)) in (first..).zip(answers) {
        let bytes = unhex("task receipt", &answer.receipt_hex)?;
        let receipt: TaskReceipt = decode(&bytes, RECEIPT_BYTES_MAX)
            .map_err(|error| WorkError::Answer { what: "task receipt", source: error.into() })?;
        let signed = wallet.sign(nonce, Operation::EscrowRelease(EscrowRelease { escrow, receipt }));
        wallet.submit(&signed)?;
        releases.push(signed.id());
    }
    Ok(releases)
}

/// What a release cost, from its receipt, which is checked with nothing but the genesis.
fn proven_price(client: &ApiClient, genesis: &Genesis, release: TxId) -> Result<u64, WorkError> {
    let receipt: Receipt = client.get(&format!("/v1/receipts/{release}"))?;
    receipt.verify(genesis).map_err(|source| WorkError::Receipt { release, source })?;
    match receipt.outcome {
        Outcome::Executed { effect: Effect::PartReleased { price, .. }, .. } if receipt.transaction.id() == release => {
            Ok(price.total.0)
        }
        _ => Err(WorkError::Answer { what: "receipt of a release", source: AnswerError::Missing }),
    }
}

fn unhex(what: &'static str, text: &str) -> Result<Vec<u8>, WorkError> {
    hex::decode(text).map_err(|error| WorkError::Answer { what, source: error.into() })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_csv_is_split_by_lines_with_its_header_and_nothing_lost() {
        let csv = "hour,value\n".to_owned() + &(0..23).map(|n| format!("{n},{n}\n")).collect::<String>() + "\n23,23";
        for parts in [1, 2, 7, 24] {
            let inputs = split_csv(csv.as_bytes(), parts).unwrap();
            assert_eq!(inputs.len(), parts);
            let mut lines = Vec::new();
            let mut sizes = Vec::new();
            for input in &inputs {
                let text = std::str::from_utf8(input).unwrap();
                assert!(text.starts_with("hour,value\n"));
                sizes.push(text.lines().count() - 1);
                lines.extend(text.lines().skip(1).map(str::to_owned));
            }
            assert_eq!(lines, (0..24).map(|n| format!("{n},{n}")).collect::<Vec<_>>());
            assert!(sizes.iter().max().unwrap() - sizes.iter().min().unwrap() <= 1, "{sizes:?}");
        }
    }

    #[test]
    fn parts_without_lines_are_refused() {
        assert!(matches!(split_csv(b"a,b\n1,2\n", 2), Err(WorkError::TooFewLines { parts: 2, lines: 1 })));
        assert!(matches!(split_csv(b"", 1), Err(WorkError::TooFewLines { parts: 1, lines: 0 })));
        assert!(matches!(split_csv(b"a\n1\n", 0), Err(WorkError::Parts(0))));
    }

    #[test]
    fn a_shipped_module_is_named_by_what_it_holds() {
        let named = Module::Named("hello".to_owned());
        let bytes = Module::Bytes(builtin("hello").unwrap().wasm.to_vec());
        assert_eq!(named.hash().unwrap(), bytes.hash().unwrap());
        assert!(matches!(Module::Named("nothing".to_owned()).hash(), Err(WorkError::UnknownModule(_))));
    }
}
