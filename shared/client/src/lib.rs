//! The Rust client of the platform: one channel, every service's generated client, tokens and retries taken care of.
//!
//! ```no_run
//! use mcp_client::{Client, proto::context::v1::{Context, CreateContextRequest}};
//!
//! # async fn example() -> Result<(), Box<dyn std::error::Error>> {
//! let client = Client::builder("https://127.0.0.1:8443")
//!     .root_ca(std::fs::read_to_string(".mcp/edge/ca.pem")?)
//!     .tenant("acme")
//!     .token(std::env::var("TOKEN")?)
//!     .build()?;
//!
//! let context = Context { title: "The plan".to_owned(), ..Context::default() };
//! let request = CreateContextRequest { context: Some(context), ..CreateContextRequest::default() };
//! let stored = client.contexts().create_context(request).await?.into_inner();
//! println!("{}", stored.name);
//! # Ok(())
//! # }
//! ```
//!
//! A call is repeated where that is safe by the method's own policy: it changes nothing, leaves the same state, or
//! carries a `request_id`; or the platform refused it and said when to come back (`google.rpc.RetryInfo`). Waits grow
//! exponentially with full jitter, never run past the call's deadline, and stop for everybody once too many calls fail.
//!
//! ```text
//! builder.rs   where to, trusting whom, as whom
//! calls.rs     one call: headers on, sent, perhaps again
//! retry.rs     whether a call is repeated, and when
//! token.rs     where tokens come from
//! ```

mod builder;
mod calls;
mod retry;
mod token;

use mcp_proto::{
    auth::v1::{
        auth_service_client::AuthServiceClient, member_service_client::MemberServiceClient,
        role_service_client::RoleServiceClient, tenant_service_client::TenantServiceClient,
    },
    context::v1::context_service_client::ContextServiceClient,
    summarization::v1::summarization_service_client::SummarizationServiceClient,
};
use tonic::transport::Channel;

pub use self::{
    builder::{BadClient, Builder},
    calls::Calls,
    retry::Retries,
    token::{TokenFuture, TokenSource, TokenUnavailable},
};
/// The messages of the API.
pub use mcp_proto as proto;

/// The largest answer taken, in bytes: a page of messages ends before 3 MiB of text.
const ANSWER_BYTES_MAX: usize = 8 * 1024 * 1024;

/// A client of the platform. Clones share the connection.
#[derive(Clone, Debug)]
pub struct Client {
    calls: Calls<Channel>,
}

// === impl Client ===

impl Client {
    /// Begins a client of the platform at `url`, like `https://127.0.0.1:8443`.
    pub fn builder(url: impl Into<String>) -> Builder {
        Builder::new(url.into())
    }

    /// Signs in and exchanges credentials.
    pub fn auth(&self) -> AuthServiceClient<Calls<Channel>> {
        AuthServiceClient::new(self.calls.clone()).max_decoding_message_size(ANSWER_BYTES_MAX)
    }

    /// The caller's tenant.
    pub fn tenants(&self) -> TenantServiceClient<Calls<Channel>> {
        TenantServiceClient::new(self.calls.clone()).max_decoding_message_size(ANSWER_BYTES_MAX)
    }

    /// The members of the caller's tenant.
    pub fn members(&self) -> MemberServiceClient<Calls<Channel>> {
        MemberServiceClient::new(self.calls.clone()).max_decoding_message_size(ANSWER_BYTES_MAX)
    }

    /// The roles that members may have.
    pub fn roles(&self) -> RoleServiceClient<Calls<Channel>> {
        RoleServiceClient::new(self.calls.clone()).max_decoding_message_size(ANSWER_BYTES_MAX)
    }

    /// Contexts and their messages.
    pub fn contexts(&self) -> ContextServiceClient<Calls<Channel>> {
        ContextServiceClient::new(self.calls.clone()).max_decoding_message_size(ANSWER_BYTES_MAX)
    }

    /// Summaries.
    pub fn summaries(&self) -> SummarizationServiceClient<Calls<Channel>> {
        SummarizationServiceClient::new(self.calls.clone()).max_decoding_message_size(ANSWER_BYTES_MAX)
    }

    /// What sends the calls, for other generated clients.
    pub fn calls(&self) -> Calls<Channel> {
        self.calls.clone()
    }
}
