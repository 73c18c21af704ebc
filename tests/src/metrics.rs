//! The counts of every process.

use std::collections::BTreeMap;

use crate::World;

/// Counters by name and labels, all processes together.
#[derive(Clone, Debug, Default)]
pub struct Metrics {
    counts: BTreeMap<String, f64>,
}

// === impl Metrics ===

impl Metrics {
    /// Asks every process.
    pub async fn of(world: &World) -> Self {
        let mut counts = BTreeMap::new();
        for url in &world.layout().metrics {
            let text = reqwest::get(url).await.expect("metrics").text().await.expect("text");
            for line in text.lines().filter(|line| !line.starts_with('#')) {
                if let Some((series, value)) = line.rsplit_once(' ') {
                    *counts.entry(series.to_owned()).or_default() += value.parse::<f64>().unwrap_or_default();
                }
            }
        }
        Self { counts }
    }

    /// The sum of the series of `name` that carry all of `labels`.
    pub fn sum(&self, name: &str, labels: &[(&str, &str)]) -> f64 {
        let labels: Vec<_> = labels.iter().map(|(label, value)| format!("{label}=\"{value}\"")).collect();
        let of_name = |series: &str| series.split('{').next() == Some(name);
        self.counts
            .iter()
            .filter(|(series, _)| of_name(series) && labels.iter().all(|label| series.contains(label)))
            .map(|(_, value)| value)
            .sum()
    }
}
