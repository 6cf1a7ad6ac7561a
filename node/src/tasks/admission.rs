//! Whether a host takes a part: decided from what it sees on its own ledger, and nothing else.

use mesh30k_ledger::records::{AgentRecord, Escrow, EscrowStatus};
use mesh30k_ledger::types::{Hash, NodeId, TimeMs};

use super::refusal::TaskRefusal;
use super::wire::TaskRequest;

/// What a host knows when it is asked.
#[derive(Clone, Debug)]
pub(super) struct HostView {
    /// Itself.
    pub(super) host: NodeId,
    /// Whether its owner lets tasks of others run.
    pub(super) is_enabled: bool,
    /// The escrow at its last final block.
    pub(super) escrow: Option<Escrow>,
    /// When the escrow's rest goes back, and the time of that block.
    pub(super) deadline: TimeMs,
    /// Block time.
    pub(super) now: TimeMs,
    /// The agent at its last final block.
    pub(super) agent: Option<AgentRecord>,
    /// Why the agent is frozen, if it is.
    pub(super) frozen: Option<String>,
}

/// What to do with a request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Admission {
    /// Run it.
    Run {
        /// The task as the escrow names it.
        task: Hash,
        /// The agent that signs.
        agent: AgentRecord,
    },
    /// The escrow may be final in a moment: look again after the next block.
    Wait,
    /// Do not.
    Refuse(TaskRefusal),
}

/// Decides on a request whose module has this hash.
pub(super) fn admit(request: &TaskRequest, module: Hash, view: &HostView) -> Admission {
    match check(request, module, view) {
        Ok(admission) => admission,
        Err(refusal) => Admission::Refuse(refusal),
    }
}

fn check(request: &TaskRequest, module: Hash, view: &HostView) -> Result<Admission, TaskRefusal> {
    if !view.is_enabled {
        return Err(TaskRefusal::Disabled(view.host));
    }
    let agent = view.agent.filter(|agent| agent.node == view.host);
    let agent = agent.ok_or(TaskRefusal::NotHosted { agent: request.agent, host: view.host })?;
    if let Some(reason) = &view.frozen {
        return Err(TaskRefusal::Frozen { agent: agent.id, reason: reason.clone() });
    }
    let Some(escrow) = &view.escrow else { return Ok(Admission::Wait) };
    let closed = |status: &str| TaskRefusal::EscrowClosed { escrow: request.escrow, status: status.to_owned() };
    match escrow.status {
        EscrowStatus::Settled => return Err(closed("settled")),
        EscrowStatus::Refunded => return Err(closed("refunded")),
        EscrowStatus::Open if view.deadline <= view.now => return Err(closed("past its deadline")),
        EscrowStatus::Open => {}
    }
    if request.part >= escrow.parts {
        return Err(TaskRefusal::UnknownPart { escrow: request.escrow, part: request.part, parts: escrow.parts });
    }
    if escrow.is_released(request.part) {
        return Err(TaskRefusal::Released { escrow: request.escrow, part: request.part });
    }
    if module != escrow.module {
        return Err(TaskRefusal::OtherModule { found: module, expected: escrow.module });
    }
    Ok(Admission::Run { task: escrow.task, agent })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tasks::wire::TaskModule;
    use mesh30k_ledger::charges::ChargeTerms;
    use mesh30k_ledger::keys::PublicKey;
    use mesh30k_ledger::ops::Capabilities;
    use mesh30k_ledger::types::{AccountId, AgentClass, AgentId, ClusterId, SectorId, Uftns};

    const MODULE: Hash = Hash([7; 32]);

    fn escrow() -> Escrow {
        Escrow {
            opener: AccountId([1; 20]),
            task: Hash([2; 32]),
            module: MODULE,
            parts: 9,
            capability: Capabilities::COMPUTE,
            amount_per_part: Uftns(10),
            reserve_per_part: Uftns(1),
            terms: ChargeTerms::default(),
            locked: Uftns(99),
            released: vec![0, 0],
            released_parts: 0,
            release_deadline: TimeMs(2_000),
            frozen_ms_at_open: 0,
            status: EscrowStatus::Open,
        }
    }

    fn view() -> HostView {
        let cluster = ClusterId { sector: SectorId(0), index: 0 };
        let agent = AgentRecord {
            id: AgentId(5),
            key: PublicKey([3; 32]),
            class: AgentClass::A,
            capabilities: Capabilities::COMPUTE,
            node: NodeId(4),
            cluster,
        };
        HostView {
            host: NodeId(4),
            is_enabled: true,
            escrow: Some(escrow()),
            deadline: TimeMs(2_000),
            now: TimeMs(1_000),
            agent: Some(agent),
            frozen: None,
        }
    }

    fn request(part: u32) -> TaskRequest {
        TaskRequest {
            escrow: Hash([9; 32]),
            part,
            agent: AgentId(5),
            module: TaskModule::Builtin("hello".to_owned()),
            input: Vec::new(),
        }
    }

    fn refusal(request: &TaskRequest, module: Hash, view: &HostView) -> TaskRefusal {
        match admit(request, module, view) {
            Admission::Refuse(refusal) => refusal,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn what_the_ledger_covers_is_run_under_the_escrows_name() {
        let admitted = admit(&request(8), MODULE, &view());
        assert!(matches!(admitted, Admission::Run { task: Hash([2, ..]), agent } if agent.id == AgentId(5)));
    }

    #[test]
    fn an_escrow_that_is_not_final_here_yet_is_waited_for() {
        assert_eq!(admit(&request(0), MODULE, &HostView { escrow: None, ..view() }), Admission::Wait);
    }

    #[test]
    fn nothing_is_run_that_would_not_be_paid() {
        assert!(matches!(refusal(&request(9), MODULE, &view()), TaskRefusal::UnknownPart { part: 9, parts: 9, .. }));
        let paid = Escrow { released: vec![0b1000, 0], ..escrow() };
        let paid = HostView { escrow: Some(paid), ..view() };
        assert!(matches!(refusal(&request(3), MODULE, &paid), TaskRefusal::Released { part: 3, .. }));
        assert!(matches!(admit(&request(2), MODULE, &paid), Admission::Run { .. }));
        assert!(matches!(refusal(&request(0), Hash([8; 32]), &view()), TaskRefusal::OtherModule { .. }));
        for (status, word) in [(EscrowStatus::Settled, "settled"), (EscrowStatus::Refunded, "refunded")] {
            let closed = HostView { escrow: Some(Escrow { status, ..escrow() }), ..view() };
            assert!(refusal(&request(0), MODULE, &closed).to_string().contains(word));
        }
        let late = HostView { now: TimeMs(2_000), ..view() };
        assert!(matches!(refusal(&request(0), MODULE, &late), TaskRefusal::EscrowClosed { .. }));
    }

    #[test]
    fn only_agents_that_live_here_and_are_not_frozen_work() {
        let elsewhere = HostView { host: NodeId(6), ..view() };
        assert!(matches!(refusal(&request(0), MODULE, &elsewhere), TaskRefusal::NotHosted { host: NodeId(6), .. }));
        let unknown = HostView { agent: None, ..view() };
        assert!(matches!(refusal(&request(0), MODULE, &unknown), TaskRefusal::NotHosted { .. }));
        let frozen = HostView { frozen: Some("drill".to_owned()), ..view() };
        assert!(refusal(&request(0), MODULE, &frozen).to_string().contains("drill"));
        let off = HostView { is_enabled: false, ..view() };
        assert_eq!(refusal(&request(0), MODULE, &off), TaskRefusal::Disabled(NodeId(4)));
    }
}
