//! What an engine is: it takes a [`Job`] and answers with a [`Summary`].

#[cfg(test)]
mod contract;
mod extractive;
mod length;
mod summary;

pub use self::{
    extractive::Extractive,
    length::{Budget, Length},
    summary::{Sentence, Style, Summary},
};

/// Makes a long text short.
///
/// An engine is pure: the same job gives the same summary, on any machine, at any time. It works on the thread
/// that calls it and may take long; callers keep it off the threads that carry connections.
pub trait Engine: Send + Sync {
    /// The name that requests use: lower-case letters, digits and hyphens.
    fn name(&self) -> &'static str;

    /// What the engine does, in a sentence for the people who choose one.
    fn description(&self) -> &'static str;

    /// Summarises the text of `job`.
    fn summarize(&self, job: &Job) -> Summary;
}

/// A text and what is wanted of its summary.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Job {
    /// The text to be summarised.
    pub text: String,
    /// How long the summary may be.
    pub length: Length,
    /// How the summary is set out; an engine may choose its sentences with that in mind.
    pub style: Style,
    /// What came before the text: makes sentences relevant, enters no summary. May be empty.
    pub context: String,
    /// What the summary should tell about. May be empty.
    pub query: String,
}
