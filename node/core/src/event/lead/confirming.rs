//! Events that end at the lead: it answers for the agents it could prepare, and asks none of them.

use super::super::fold::{FoldedAck, Tally};
use super::super::message::Prepare;
use super::super::spec::class_index;
use super::LeadMachine;
use crate::time::MeshTimeUs;

impl LeadMachine {
    /// The answer: agents that are measured, not taken to be down and not frozen.
    pub(super) fn confirm(&self, now: MeshTimeUs, prepare: &Prepare) -> FoldedAck {
        let event = &prepare.event.event;
        let (mut enrolled, mut confirmed) = ([0_u32; 6], [0_u32; 6]);
        let tails = self.tail_readings();
        for (id, member) in &self.members {
            let link = &member.link;
            if !event.selects(*id, link.class, link.capabilities, self.cluster) {
                continue;
            }
            let view = self.view(member, now, &tails);
            let is_ready = view.clock.is_some() && !view.down && !self.frozen.contains(id);
            for (counts, counted) in [(&mut enrolled, true), (&mut confirmed, is_ready)] {
                if let Some(count) = counts.get_mut(class_index(link.class)).filter(|_| counted) {
                    *count = count.saturating_add(1);
                }
            }
        }
        let tally = Tally::confirmed(&enrolled, &confirmed);
        FoldedAck::confirming(event.id, self.scope(), now, now.since_us(prepare.sent_at), tally)
    }
}
