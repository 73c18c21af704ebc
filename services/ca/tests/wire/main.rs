//! The ca on true sockets: who gets in, and that nothing breaks while identities renew.

mod joining;
mod rotation;
mod support;
