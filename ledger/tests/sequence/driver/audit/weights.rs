//! What each kind of operation weighs.

use mesh30k_ledger::ops::Operation;

/// What each kind costs beyond the ten of its envelope, as the book has it.
pub(super) fn weight(op: &Operation) -> i128 {
    match op {
        Operation::Transfer(_) | Operation::Vote(_) | Operation::Freeze(_) | Operation::Thaw(_) => 5,
        Operation::BatchTransfer(batch) => 3 * batch.transfers.len() as i128,
        Operation::EscrowOpen(_) => 10,
        Operation::EscrowRelease(_) => 30,
        Operation::RegisterHost(batch) => 10 + 3 * batch.agents.len() as i128,
        Operation::Propose(_) => 50,
        Operation::Schedule(_) => 20,
        Operation::ProveEquivocation(_) => 100,
        Operation::ClaimPart(_) | Operation::RuleClaim(_) | Operation::ClaimDelivery(_) => 40,
        Operation::DisputeClaim(_) | Operation::OpenAuction(_) | Operation::SealBid(_) | Operation::OpenBid(_) => 20,
        Operation::AttestContribution(_) => 15,
        Operation::RegisterContent(_) => 30,
        Operation::BuyUse(_) => 150,
        Operation::RateContent(_) => 10,
        Operation::RotateKey(_) | Operation::Anchor(_) | Operation::TakeQuota(_) => 20,
        Operation::OfferQuota(_) | Operation::WithdrawQuota(_) | Operation::ReserveQuota(_) => 10,
        Operation::DrawQuota(_) | Operation::AcceptDelivery(_) | Operation::CollectRoyalties(_) => 150,
        Operation::CreateListing(_) | Operation::ChangeListing(_) | Operation::PlaceOrder(_) => 20,
        Operation::WithdrawListing(_) | Operation::ReviewListing(_) | Operation::RateOrder(_) => 10,
        Operation::DeclareHardware(_)
        | Operation::Declare(_)
        | Operation::Attest(_)
        | Operation::ClaimContribution(_)
        | Operation::DeclarePurpose(_)
        | Operation::ReclassifyPurpose(_)
        | Operation::SignalEmergency(_) => 10,
        Operation::Unbond(_)
        | Operation::ReportIntensity(_)
        | Operation::ClaimSaving(_)
        | Operation::AttestSaving(_) => 10,
        Operation::Unschedule(_) | Operation::Bond(_) | Operation::TransferCredits(_) | Operation::RetireCredits(_) => {
            5
        }
    }
}
