//! Prometheus text: libp2p's own metrics and our counters, in one registry.

use std::fmt;
use std::sync::Arc;

use prometheus_client::collector::Collector;
use prometheus_client::encoding::{DescriptorEncoder, EncodeMetric};
use prometheus_client::metrics::MetricType;
use prometheus_client::metrics::counter::ConstCounter;

use crate::counters::{LaneCounters, Live};

/// Reads the live counters when somebody asks for the metrics.
#[derive(Debug)]
pub(crate) struct CounterCollector(pub(crate) Arc<Live>);

impl Collector for CounterCollector {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> Result<(), fmt::Error> {
        let counters = self.0.snapshot();
        for (name, value) in counters.node.named() {
            let name = format!("mesh30k_p2p_{name}");
            let metric = encoder.encode_descriptor(&name, "see NodeCounters", None, MetricType::Counter)?;
            ConstCounter::new(value).encode(metric)?;
        }
        for (position, (name, _)) in LaneCounters::default().named().into_iter().enumerate() {
            let name = format!("mesh30k_p2p_lane_{name}");
            let mut family = encoder.encode_descriptor(&name, "see LaneCounters", None, MetricType::Counter)?;
            for (lane, counters) in &counters.lanes {
                let value = counters.named().get(position).map_or(0, |(_, value)| *value);
                ConstCounter::new(value).encode(family.encode_family(&[("lane", *lane)])?)?;
            }
        }
        Ok(())
    }
}
