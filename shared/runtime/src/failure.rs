//! Why a run ended, and the exit code that says so (sysexits(3)).

use std::{error::Error, fmt, io};

/// Why a run could not begin or go on.
#[derive(Debug)]
pub struct Failure {
    kind: Kind,
    what: String,
    advice: Option<String>,
    source: Option<Box<dyn Error + Send + Sync>>,
}

#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Kind {
    Usage,
    Input,
    Unavailable,
    Software,
    Io,
    NoPermission,
    Config,
    TempFail,
}

// === impl Failure ===

impl Failure {
    fn new(kind: Kind, what: impl Into<String>) -> Self {
        Self { kind, what: what.into(), advice: None, source: None }
    }

    /// The command line does not make sense: exit code 64.
    pub fn usage(what: impl Into<String>) -> Self {
        Self::new(Kind::Usage, what)
    }

    /// A file or text given as input is not what it should be: exit code 65.
    pub fn input(what: impl Into<String>) -> Self {
        Self::new(Kind::Input, what)
    }

    /// Something this run depends on is not there: exit code 69.
    pub fn unavailable(what: impl Into<String>) -> Self {
        Self::new(Kind::Unavailable, what)
    }

    /// A fault of ours: exit code 70.
    pub fn software(what: impl Into<String>) -> Self {
        Self::new(Kind::Software, what)
    }

    /// The machine refused to `doing`: exit code 74.
    pub fn io(doing: impl fmt::Display, source: io::Error) -> Self {
        Self::new(Kind::Io, format!("cannot {doing}")).because(source)
    }

    /// Something may pass; trying again later makes sense: exit code 75.
    pub fn temporary(what: impl Into<String>) -> Self {
        Self::new(Kind::TempFail, what)
    }

    /// The platform refused: exit code 77.
    pub fn no_permission(what: impl Into<String>) -> Self {
        Self::new(Kind::NoPermission, what)
    }

    /// The configuration does not hold: exit code 78.
    pub fn config(what: impl Into<String>) -> Self {
        Self::new(Kind::Config, what)
    }

    /// The configuration does not hold, for this reason: exit code 78.
    pub fn config_because(what: impl Into<String>, source: impl Into<Box<dyn Error + Send + Sync>>) -> Self {
        Self::config(what).because(source)
    }

    /// Adds the cause.
    #[must_use]
    pub fn because(mut self, source: impl Into<Box<dyn Error + Send + Sync>>) -> Self {
        self.source = Some(source.into());
        self
    }

    /// Adds what the reader can do.
    #[must_use]
    pub fn advise(mut self, advice: impl Into<String>) -> Self {
        self.advice = Some(advice.into());
        self
    }

    /// What the reader can do, if we know.
    pub fn advice(&self) -> Option<&str> {
        self.advice.as_deref()
    }

    /// The process's exit code.
    pub const fn exit_code(&self) -> u8 {
        match self.kind {
            Kind::Usage => 64,
            Kind::Input => 65,
            Kind::Unavailable => 69,
            Kind::Software => 70,
            Kind::Io => 74,
            Kind::TempFail => 75,
            Kind::NoPermission => 77,
            Kind::Config => 78,
        }
    }

    /// This and each cause below it, outermost first.
    pub fn chain(&self) -> Vec<String> {
        let mut chain = vec![self.what.clone()];
        let mut next = self.source();
        while let Some(error) = next {
            chain.push(error.to_string());
            next = error.source();
        }
        chain
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.what)
    }
}

impl Error for Failure {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        self.source.as_deref().map(|source| source as &(dyn Error + 'static))
    }
}
