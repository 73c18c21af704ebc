//! The edge as a client sees it: true listeners behind it, true tokens before it, every answer looked at.

mod answers;
mod calls;
mod mesh;
mod refusals;
mod wire;
mod world;
