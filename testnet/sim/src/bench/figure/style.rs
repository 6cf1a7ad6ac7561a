//! Looks, in light and dark; renderers that know no media queries get the light ones.

use crate::strategies::StrategyKind;

pub(super) const STYLE: &str = "\
.page{fill:#ffffff;stroke:#dfe3ea}
.ink{fill:#1b2230}
.soft{fill:#5a6475}
.bold{font-weight:bold}
.code{font-family:monospace}
.rule{stroke:#cfd5de;stroke-width:1}
.tick{stroke:#aeb6c2;stroke-width:1}
.zero{stroke:#1b2230;stroke-width:1;stroke-dasharray:2 3}
.band{fill:#eaf1fb}
.ideal{stroke:#8a94a3;stroke-width:1;stroke-dasharray:4 3;fill:none}
.first_draft{fill:#8b93a1}
.learned_throw{fill:#c8801a}
.hold{fill:#2f6fd0}
.hold_hedge{fill:#0b8a68}
.ring{fill:#ffffff;stroke:#c8801a;stroke-width:2.4}
.dot{fill:#0b8a68}
@media (prefers-color-scheme: dark){
.page{fill:#12161d;stroke:#2a313c}
.ink{fill:#e8ecf2}
.soft{fill:#9aa5b5}
.rule{stroke:#343c49}
.tick{stroke:#566172}
.zero{stroke:#e8ecf2}
.band{fill:#1b2535}
.ideal{stroke:#7c8798}
.first_draft{fill:#8791a1}
.learned_throw{fill:#e3a04a}
.hold{fill:#6aa3f5}
.hold_hedge{fill:#3cc49b}
.ring{fill:#12161d;stroke:#e3a04a}
.dot{fill:#3cc49b}
}
";

/// How a strategy is called in a picture, and what it does.
pub(super) const fn words(kind: StrategyKind) -> (&'static str, &'static str) {
    match kind {
        StrategyKind::FirstDraft => ("First draft", "round trip / 2 + class constant, thrown"),
        StrategyKind::LearnedThrow => ("Learned throw", "sent at T minus the learned median"),
        StrategyKind::Hold => ("Hold", "prepared early, released by the clock"),
        StrategyKind::HoldHedge => ("Hold + standby", "and a standby for whoever is late"),
    }
}
