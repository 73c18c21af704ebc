//! The engines there are, by name.

use std::{collections::BTreeMap, sync::Arc};

use crate::engine::{Engine, Extractive};

/// The engines there are and which one is used where a request names none.
#[derive(Clone)]
pub(crate) struct Catalog {
    engines: BTreeMap<&'static str, Arc<dyn Engine>>,
    default: String,
}

// === impl Catalog ===

impl Catalog {
    /// The engines that every platform has, `default` among them.
    pub(crate) fn built_in(default: &str) -> Self {
        let engines: [Arc<dyn Engine>; 1] = [Arc::new(Extractive::new())];
        Self::of(engines, default)
    }

    /// These engines.
    pub(crate) fn of(engines: impl IntoIterator<Item = Arc<dyn Engine>>, default: &str) -> Self {
        let engines = engines.into_iter().map(|engine| (engine.name(), engine)).collect();
        Self { engines, default: default.to_owned() }
    }

    /// The engine that a request names; an empty name takes the default.
    pub(crate) fn find(&self, name: &str) -> Option<&Arc<dyn Engine>> {
        self.engines.get(if name.is_empty() { self.default.as_str() } else { name })
    }

    /// The engines, sorted by name.
    pub(crate) fn all(&self) -> impl Iterator<Item = &dyn Engine> {
        self.engines.values().map(AsRef::as_ref)
    }

    /// The name of the engine used where a request names none.
    pub(crate) fn default_name(&self) -> &str {
        &self.default
    }
}
