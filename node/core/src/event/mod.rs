//! The event tree: orchestrator, coordinator, lead and agent machines, their messages and folded acks (`arrival.md` 2).

mod agreement;
mod cascade;
mod fold;
mod gather;
mod hedge;
mod id;
mod lead;
mod message;
mod miss;
mod params;
mod parent;
mod pipeline;
mod plan;
mod sample;
mod session;
mod slot;
mod spec;
mod stage;
mod stage_delays;

pub use agreement::Agreement;
pub use cascade::{Cascade, CascadeForm, CascadeStep, Onward, StepResult};
pub use fold::{ConflictReport, FoldedAck, MAX_CONFLICTS, Slowest, StateCounts, Tally};
pub use gather::{Advice, DEFAULT_READY_PPM, DEFAULT_WINDOW_US, GatherError, GatherOutcome, GatherRequest};
pub use hedge::{HedgeBudget, HedgeInputs, HedgePlan, hedge_plan};
pub use id::{EventId, EventIdError};
pub use lead::{AgentLink, AgentView, AnswerFault, LeadAction, LeadCounters, LeadMachine, MAX_AGENTS};
pub use message::{
    ARMED_ROUND_US, AgentAnswer, AnswerBody, ConflictKind, DownMessage, HostMessage, HostPrepare, HostReply, MAX_BATCH,
    Prepare, PrepareEntry, Probe, RightOrder, SlotRight, SlotRights, UpMessage,
};
pub use miss::{MissCause, miss_cause};
pub use params::ArrivalParams;
pub use parent::{Enrolment, MAX_CHILDREN, MAX_WAVES, ParentAction, ParentCounters, ParentMachine};
pub use pipeline::{FIRST_GATHER_US, MAX_STAGES, Pipeline, PipelineError, PipelineNext, gathered_text};
pub use plan::{Plan, PlanError, PlanRequest, plan};
pub use sample::sample;
pub use session::Session;
pub use slot::{AgentSlot, AgentState, Release};
pub use spec::{
    CLASSES, ClassSet, Event, EventError, MAX_AHEAD_US, MAX_NAMED_AGENTS, MAX_PAYLOAD_LEN, MAX_WEIGHT_MILLI, Reach,
    SignedEvent, Strategy, Verb, class_index,
};
pub use stage::{ClassStage, HIT_GRID_MS, StageReport};
