//! The layers between a mesh listener and a handler, one idea a file; [`crate::stack`] says why each stands where it does.

mod admit;
mod audited;
mod deadline;
mod identify;
mod lookup;
pub(crate) mod observe;
mod panics;
mod quota;
mod shed;
mod size;

pub(crate) use self::{
    admit::AdmitLayer,
    audited::{AuditedLayer, Records},
    deadline::DeadlineLayer,
    identify::IdentifyLayer,
    lookup::LookupLayer,
    observe::ObserveLayer,
    panics::PanicLayer,
    quota::QuotaLayer,
    shed::ShedLayer,
    size::SizeLayer,
};
pub use self::{
    observe::AccessLine,
    size::{LimitedBody, too_large},
};

use std::{
    convert::Infallible,
    future::{Ready, ready},
};

use futures_util::future::Either;
use tonic::{Status, body::Body};

/// What every layer answers.
pub(crate) type Answer = Result<http::Response<Body>, Infallible>;

/// The future of a layer that either goes on or answers at once: a refusal allocates no box.
pub(crate) type GoOnOr<F> = Either<F, Ready<Answer>>;

/// Answers at once.
pub(crate) fn answer<F>(status: Status) -> GoOnOr<F> {
    Either::Right(ready(Ok(status.into_http())))
}
