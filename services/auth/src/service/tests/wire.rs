//! What crosses a socket: the streams, the codec, and that no method works without the layers before it.

use std::net::SocketAddr;

use mcp_proto::auth::v1::{
    auth_service_client::AuthServiceClient, member_service_client::MemberServiceClient,
    role_service_client::RoleServiceClient, tenant_service_client::TenantServiceClient,
};
use tokio::{net::TcpListener, sync::mpsc};
use tokio_stream::wrappers::{ReceiverStream, TcpListenerStream};
use tonic::transport::{Channel, Endpoint, Server};

use super::*;

/// The service on a socket of its own, without the layers of the mesh; ends with the word to stop.
async fn served(world: World) -> (Arc<Auth<Rows>>, Channel, Home) {
    let World { auth, _home: home, .. } = world;
    let auth = Arc::new(auth);
    let listener = TcpListener::bind((std::net::Ipv4Addr::LOCALHOST, 0)).await.expect("a port");
    let address: SocketAddr = listener.local_addr().expect("an address");
    let (routes, stopped) = (auth.routes(), auth.stop.requested());
    let serving = Server::builder().add_routes(routes);
    tokio::spawn(serving.serve_with_incoming_shutdown(TcpListenerStream::new(listener), stopped));
    let channel = Endpoint::try_from(format!("http://{address}")).expect("a URI").connect_lazy();
    (auth, channel, home)
}

#[tokio::test]
async fn a_watcher_gets_the_keys_and_the_stream_ends_with_the_service() {
    let (auth, channel, _home) = served(World::start().await).await;
    let (says, heard) = mpsc::channel(1);
    says.send(pb::WatchAccessRequest { held_version: 0 }).await.expect("sent");

    let answer = AuthServiceClient::new(channel).watch_access(ReceiverStream::new(heard)).await;
    let mut stream = answer.expect("a stream").into_inner();
    let first = stream.message().await.expect("no error").expect("a message");
    assert_eq!(first.snapshot.as_ref(), Some(auth.access.borrow().as_ref()));

    says.send(pb::WatchAccessRequest { held_version: 1 }).await.expect("sent");
    auth.stop.request();
    while stream.message().await.expect("no error").is_some() {}
}

#[tokio::test]
async fn a_message_that_breaks_a_rule_reaches_no_method() {
    let (_auth, channel, _home) = served(World::start().await).await;
    let mut client = AuthServiceClient::new(channel);

    let named_badly = client.sign_in_locally(sign_in("../acme", "alice")).await.expect_err("no slug");
    let nothing = pb::ExchangeCredentialRequest { credential: None };
    let empty = client.exchange_credential(nothing).await.expect_err("no credential");

    assert_eq!(verdict(&named_badly), is(Code::InvalidArgument, "FIELD_INVALID"));
    assert_eq!(verdict(&empty), is(Code::InvalidArgument, "FIELD_INVALID"));
}

#[tokio::test]
async fn no_method_acts_for_a_call_that_came_past_the_layers() {
    let (auth, channel, _home) = served(World::start().await).await;
    let mut members = MemberServiceClient::new(channel.clone());
    let mut tenants = TenantServiceClient::new(channel.clone());
    let member =
        pb::CreateMemberRequest { member_id: "bob".to_owned(), member: Some(named("bob", "viewer")) };
    let name = || "members/alice".to_owned();

    let refusals = [
        AuthServiceClient::new(channel.clone()).sign_in_locally(sign_in("acme", "alice")).await.err(),
        AuthServiceClient::new(channel.clone())
            .issue_development_token(development("alice", "owner"))
            .await
            .err(),
        tenants.create_tenant(new_tenant("alice")).await.err(),
        tenants.get_tenant(pb::GetTenantRequest {}).await.err(),
        members.create_member(member).await.err(),
        members.get_member(pb::GetMemberRequest { name: name() }).await.err(),
        members.list_members(pb::ListMembersRequest::default()).await.err(),
        members.update_member(pb::UpdateMemberRequest { member: Some(named("alice", "owner")) }).await.err(),
        members.delete_member(pb::DeleteMemberRequest { name: name() }).await.err(),
        RoleServiceClient::new(channel).list_roles(pb::ListRolesRequest {}).await.err(),
    ];

    for refused in refusals {
        assert_eq!(verdict(&refused.expect("refused")), is(Code::Internal, "INTERNAL"));
    }
    assert_eq!(auth.store.own(&scope_of("acme")).await.expect("read"), None);
}
