//! Whose turn it is when more work comes than runs at a time: by priority, which no money buys.

use std::cmp::Reverse;
use std::collections::BTreeMap;

use mesh30k_ledger::priority::{Standing, priority_milli};

/// One who waits; greater ones came later.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Ticket(u64);

/// What becomes of one who comes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Entered {
    /// Its turn is now.
    Runs,
    /// It waits. Where the queue was full, the least urgent had to go.
    Waits {
        /// Its place.
        ticket: Ticket,
        /// Who lost its place.
        displaced: Option<Ticket>,
    },
    /// The queue is full of what is as urgent, or more.
    Full,
}

#[derive(Debug, Clone, Copy)]
struct Waiting {
    standing: Standing,
    since_ms: u64,
}

/// A bounded queue. The formula is the ledger's ([`priority_milli`]): waiting counts, so that everything that keeps its place runs.
#[derive(Debug)]
pub(super) struct Queue {
    parallel: usize,
    waiting_max: usize,
    running: usize,
    waiting: BTreeMap<Ticket, Waiting>,
    next: u64,
}

impl Queue {
    /// Nobody runs, nobody waits.
    #[must_use]
    pub(super) const fn new(parallel: usize, waiting_max: usize) -> Self {
        Self { parallel, waiting_max, running: 0, waiting: BTreeMap::new(), next: 0 }
    }

    /// Somebody comes. How long it has waited elsewhere counts as well.
    pub(super) fn enter(&mut self, now_ms: u64, standing: Standing) -> Entered {
        if self.running < self.parallel {
            self.running += 1;
            return Entered::Runs;
        }
        let newcomer = Waiting { standing, since_ms: now_ms };
        let mut displaced = None;
        if self.waiting.len() >= self.waiting_max {
            // Of the least urgent, who came last.
            let rank = |(ticket, one): &(&Ticket, &Waiting)| (priority(one, now_ms), Reverse(**ticket));
            let least = self.waiting.iter().min_by_key(rank).map(|(ticket, one)| (*ticket, priority(one, now_ms)));
            let Some((ticket, _)) = least.filter(|(_, least)| *least < priority(&newcomer, now_ms)) else {
                return Entered::Full;
            };
            self.waiting.remove(&ticket);
            displaced = Some(ticket);
        }
        let ticket = Ticket(self.next);
        self.next = self.next.wrapping_add(1);
        self.waiting.insert(ticket, newcomer);
        Entered::Waits { ticket, displaced }
    }

    /// One who ran has ended; gives who runs in its place.
    pub(super) fn leave(&mut self, now_ms: u64) -> Option<Ticket> {
        // Of the most urgent, who came first.
        let rank = |(ticket, one): &(&Ticket, &Waiting)| (priority(one, now_ms), Reverse(**ticket));
        let most = self.waiting.iter().max_by_key(rank).map(|(ticket, _)| *ticket);
        match most {
            Some(ticket) => self.waiting.remove(&ticket).map(|_| ticket),
            None => {
                self.running = self.running.saturating_sub(1);
                None
            }
        }
    }

    /// One who waits does so no more.
    pub(super) fn withdraw(&mut self, ticket: Ticket) {
        self.waiting.remove(&ticket);
    }
}

fn priority(one: &Waiting, now_ms: u64) -> u64 {
    let here_ms = now_ms.saturating_sub(one.since_ms);
    priority_milli(&Standing { waited_ms: one.standing.waited_ms.saturating_add(here_ms), ..one.standing })
}

#[cfg(test)]
mod tests {
    use super::*;
    use mesh30k_ledger::priority::Purpose;
    use proptest::prelude::*;

    fn of(purpose: Purpose) -> Standing {
        Standing { purpose, access: false, vulnerable: false, emergency: false, renewable_ppm: 0, waited_ms: 0 }
    }

    fn waits(queue: &mut Queue, now_ms: u64, purpose: Purpose) -> Ticket {
        match queue.enter(now_ms, of(purpose)) {
            Entered::Waits { ticket, displaced: None } => ticket,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn the_most_urgent_goes_first_and_of_equals_the_first() {
        let mut queue = Queue::new(1, 8);
        assert_eq!(queue.enter(0, of(Purpose::ProofOfWork)), Entered::Runs);
        let luxury = waits(&mut queue, 1, Purpose::Luxury);
        let research = waits(&mut queue, 2, Purpose::GeneralResearch);
        let also = waits(&mut queue, 2, Purpose::GeneralResearch);
        let adaptation = waits(&mut queue, 3, Purpose::ClimateAdaptation);
        let order: Vec<_> = (0..4).map(|_| queue.leave(10).unwrap()).collect();
        assert_eq!(order, [adaptation, research, also, luxury]);
        assert_eq!((queue.leave(10), queue.running), (None, 0));
    }

    #[test]
    fn a_full_queue_gives_way_to_what_is_more_urgent_only() {
        let mut queue = Queue::new(1, 2);
        assert_eq!(queue.enter(0, of(Purpose::Education)), Entered::Runs);
        waits(&mut queue, 0, Purpose::Luxury);
        let later = waits(&mut queue, 0, Purpose::Luxury);
        assert_eq!(queue.enter(0, of(Purpose::Luxury)), Entered::Full);
        assert_eq!(queue.enter(0, of(Purpose::ProofOfWork)), Entered::Full);
        let Entered::Waits { displaced, .. } = queue.enter(0, of(Purpose::Education)) else { panic!() };
        assert_eq!(displaced, Some(later));
    }

    /// However much that is urgent keeps coming, an hour is enough.
    #[test]
    fn nothing_that_keeps_its_place_starves() {
        let mut queue = Queue::new(1, 4);
        assert_eq!(queue.enter(0, of(Purpose::ClimateAdaptation)), Entered::Runs);
        let mining = waits(&mut queue, 0, Purpose::ProofOfWork);
        let served = (1..4_000_u64).find(|second| {
            queue.enter(second * 1_000, of(Purpose::ClimateAdaptation));
            queue.leave(second * 1_000) == Some(mining)
        });
        assert!(served.is_some_and(|second| second <= 3_600), "{served:?}");
    }

    proptest! {
        /// Whatever happens, no more run and wait than may, and everybody let in leaves once.
        #[test]
        fn places_are_neither_lost_nor_made(steps in proptest::collection::vec((0..3_u8, 0..9_usize), 0..200)) {
            let (mut queue, mut waiting, mut running) = (Queue::new(2, 3), Vec::new(), 0_usize);
            for (now_ms, (step, kind)) in (0_u64..).zip(steps) {
                match step {
                    0 => match queue.enter(now_ms, of(Purpose::ALL[kind])) {
                        Entered::Runs => running += 1,
                        Entered::Waits { ticket, displaced } => {
                            waiting.retain(|one| Some(*one) != displaced);
                            waiting.push(ticket);
                        }
                        Entered::Full => prop_assert_eq!(waiting.len(), 3),
                    },
                    1 if running > 0 => match queue.leave(now_ms) {
                        Some(ticket) => waiting.retain(|one| *one != ticket),
                        None => running -= 1,
                    },
                    _ => if let Some(ticket) = waiting.pop() { queue.withdraw(ticket) },
                }
                prop_assert!(running <= 2 && waiting.len() <= 3 && (waiting.is_empty() || running == 2));
                prop_assert_eq!((queue.running, queue.waiting.len()), (running, waiting.len()));
            }
        }
    }
}
