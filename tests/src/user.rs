//! Somebody with a token, over the gateway or a service's own port.

use mcp_client::{Client, Retries};
use mcp_proto::{
    context::v1::{
        AppendMessagesRequest, AssembleWindowRequest, AssembleWindowResponse, Context, CreateContextRequest,
        DeleteContextRequest, GetContextRequest, ListContextsRequest, ListMessagesRequest, Message, Role,
        UpdateContextRequest, context_service_client::ContextServiceClient,
    },
    summarization::v1::{
        Length, SummarizeRequest, SummarizeResponse, length::Limit,
        summarization_service_client::SummarizationServiceClient,
    },
};
use tonic::{Status, transport::Channel};

use crate::world::{Service, World};

/// The largest answer that a specification reads.
type Calls = mcp_client::Calls<Channel>;

/// A member of a tenant.
#[derive(Clone, Debug)]
pub struct User {
    tenant: String,
    name: String,
    url: String,
    token: String,
    client: Client,
}

// === impl User ===

impl User {
    pub(crate) async fn over_the_gateway(world: &World, tenant: &str, name: &str, role: &str) -> Self {
        let token = world.identities().access_token(tenant, name, role, None).await;
        Self::bearing(world, tenant, name, token)
    }

    /// Somebody with this token, over the gateway.
    pub fn bearing(world: &World, tenant: &str, name: &str, token: String) -> Self {
        let client = Client::builder(world.url())
            .root_ca(world.edge_ca())
            .tenant(tenant)
            .token(token.clone())
            // What is refused is looked at as it came.
            .retries(Retries { tries_max: 1, ..Retries::default() })
            .build()
            .expect("a client");
        Self { tenant: tenant.to_owned(), name: name.to_owned(), url: world.url(), token, client }
    }

    /// A member who calls `service` on its own port, with the gateway's certificate and a token bound to it.
    pub async fn on_the_mesh(world: &World, service: Service, tenant: &str, name: &str, role: &str) -> Self {
        let identities = world.identities();
        let gateway = identities.service("gateway").await;
        let token = identities.access_token(tenant, name, role, Some(&gateway)).await;
        let (chain, key) = gateway.to_pem();
        let url = format!("https://{}", world.port_of(service));
        let client = Client::builder(&url)
            .root_ca(identities.bundle().to_pem())
            .client_certificate(chain, key.to_string())
            .tenant(tenant)
            .token(token.clone())
            .retries(Retries { tries_max: 1, ..Retries::default() })
            .build()
            .expect("a client");
        Self { tenant: tenant.to_owned(), name: name.to_owned(), url, token, client }
    }

    /// The tenant.
    pub fn tenant(&self) -> &str {
        &self.tenant
    }

    /// The user's name.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Where the user calls.
    pub fn url(&self) -> &str {
        &self.url
    }

    /// The token.
    pub fn token(&self) -> &str {
        &self.token
    }

    /// The client.
    pub fn client(&self) -> &Client {
        &self.client
    }

    /// The context service.
    pub fn contexts(&self) -> ContextServiceClient<Calls> {
        self.client.contexts()
    }

    /// The summarization service.
    pub fn summaries(&self) -> SummarizationServiceClient<Calls> {
        self.client.summaries()
    }

    /// Stores a context.
    ///
    /// # Errors
    ///
    /// What the platform answered.
    pub async fn creates(&self, title: &str) -> Result<Context, Status> {
        let context = Context { title: title.to_owned(), r#type: "note".to_owned(), ..Context::default() };
        let request = CreateContextRequest { context: Some(context), ..CreateContextRequest::default() };
        Ok(self.contexts().create_context(request).await?.into_inner())
    }

    /// Reads a context.
    ///
    /// # Errors
    ///
    /// What the platform answered.
    pub async fn reads(&self, name: &str) -> Result<Context, Status> {
        Ok(self
            .contexts()
            .get_context(GetContextRequest { name: name.to_owned(), ..GetContextRequest::default() })
            .await?
            .into_inner())
    }

    /// Reads the names of all contexts, newest first, in pages of `page_size`.
    ///
    /// # Errors
    ///
    /// What the platform answered.
    pub async fn lists(&self, page_size: i32) -> Result<Vec<String>, Status> {
        let mut names = Vec::new();
        let mut request = ListContextsRequest { page_size, ..ListContextsRequest::default() };
        loop {
            let page = self.contexts().list_contexts(request.clone()).await?.into_inner();
            names.extend(page.contexts.into_iter().map(|context| context.name));
            if page.next_page_token.is_empty() {
                return Ok(names);
            }
            request.page_token = page.next_page_token;
        }
    }

    /// Gives a context another title, if it still has this etag.
    ///
    /// # Errors
    ///
    /// What the platform answered.
    pub async fn retitles(&self, name: &str, etag: &str, title: &str) -> Result<Context, Status> {
        let context = Context {
            name: name.to_owned(),
            etag: etag.to_owned(),
            title: title.to_owned(),
            ..Context::default()
        };
        let request = UpdateContextRequest {
            context: Some(context),
            update_mask: Some(prost_types::FieldMask { paths: vec!["title".to_owned()] }),
            ..UpdateContextRequest::default()
        };
        Ok(self.contexts().update_context(request).await?.into_inner())
    }

    /// Deletes a context.
    ///
    /// # Errors
    ///
    /// What the platform answered.
    pub async fn deletes(&self, name: &str) -> Result<(), Status> {
        let request = DeleteContextRequest { name: name.to_owned(), ..DeleteContextRequest::default() };
        self.contexts().delete_context(request).await?;
        Ok(())
    }

    /// Appends messages of a person.
    ///
    /// # Errors
    ///
    /// What the platform answered.
    pub async fn appends(&self, context: &str, texts: &[&str]) -> Result<Vec<Message>, Status> {
        let request = appending(context, texts);
        Ok(self.contexts().append_messages(request).await?.into_inner().messages)
    }

    /// Reads the texts of all messages, oldest first.
    ///
    /// # Errors
    ///
    /// What the platform answered.
    pub async fn messages(&self, context: &str) -> Result<Vec<Message>, Status> {
        let mut messages = Vec::new();
        let mut request =
            ListMessagesRequest { parent: context.to_owned(), page_size: 200, page_token: String::new() };
        loop {
            let page = self.contexts().list_messages(request.clone()).await?.into_inner();
            messages.extend(page.messages);
            if page.next_page_token.is_empty() {
                return Ok(messages);
            }
            request.page_token = page.next_page_token;
        }
    }

    /// Asks for a window of at most so many tokens.
    ///
    /// # Errors
    ///
    /// What the platform answered.
    pub async fn window(&self, context: &str, max_tokens: u32) -> Result<AssembleWindowResponse, Status> {
        let request = AssembleWindowRequest {
            name: context.to_owned(),
            max_tokens,
            tokenizer: "unicode-words".to_owned(),
        };
        Ok(self.contexts().assemble_window(request).await?.into_inner())
    }

    /// Summarises a text in at most so many words.
    ///
    /// # Errors
    ///
    /// What the platform answered.
    pub async fn summarizes(&self, text: &str, max_words: u32) -> Result<SummarizeResponse, Status> {
        Ok(self.summaries().summarize(summarizing(text, max_words)).await?.into_inner())
    }
}

/// The request that appends messages of a person.
pub fn appending(context: &str, texts: &[&str]) -> AppendMessagesRequest {
    let message =
        |text: &&str| Message { role: Role::User.into(), text: (*text).to_owned(), ..Message::default() };
    AppendMessagesRequest {
        parent: context.to_owned(),
        messages: texts.iter().map(message).collect(),
        request_id: String::new(),
    }
}

/// The request that summarises a text in at most so many words.
pub fn summarizing(text: &str, max_words: u32) -> SummarizeRequest {
    SummarizeRequest {
        text: text.to_owned(),
        length: Some(Length { limit: Some(Limit::MaxWords(max_words)) }),
        ..SummarizeRequest::default()
    }
}
