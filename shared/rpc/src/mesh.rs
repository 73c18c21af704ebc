//! A service's place in the mesh: it joins, serves behind the layers, and reaches others.

use std::{fmt, net::SocketAddr, sync::Arc};

use mcp_audit::{
    AuditSink, JsonLines, Ledger, LogSeat, Signing, TenantLogs,
    log::{LogFiles, read_signer},
};
use mcp_limit::{LimitClock, Limits};
use mcp_proto::{DESCRIPTORS, POLICIES};
use mcp_runtime::{Failure, Shell};
use mcp_svid::{ClientAuth, Identity, SpiffeId, TrustBundle};
use mcp_types::ServiceName;
use tonic::{service::Routes, transport::Channel};

use crate::{
    access::LiveAccess,
    access_log::AccessLog,
    channel::mesh_channel,
    config::MeshConfig,
    identity::LiveIdentity,
    join,
    join_token::JoinToken,
    layers::{
        AdmitLayer, AuditedLayer, DeadlineLayer, IdentifyLayer, LookupLayer, ObserveLayer, QuotaLayer,
        ShedLayer,
    },
    listen::{ListenLimits, listen},
    rpc_metrics::RpcMetrics,
    stack::{MeshConnections, Parts, stack},
};

/// How long the end of serving may take to write what is still to be recorded.
const FLUSH_MAX: std::time::Duration = std::time::Duration::from_secs(5);

/// A service that has joined the mesh. Clones share everything.
#[derive(Clone)]
pub struct Mesh {
    inner: Arc<Inner>,
}

struct Inner {
    service: ServiceName,
    config: MeshConfig,
    identity: LiveIdentity,
    access: LiveAccess,
    audit: Arc<Ledger>,
    seat: LogSeat,
    limits: Arc<Limits>,
    log: AccessLog,
}

/// What a service has itself, in place of asking the mesh for it.
#[derive(Debug, Default)]
pub struct LocalSources {
    /// The ca issues its own identity, and keeps it alive itself.
    pub identity: Option<LiveIdentity>,
    /// Auth makes the access state, and keeps it alive itself.
    pub access: Option<LiveAccess>,
}

// === impl Mesh ===

impl Mesh {
    /// Comes by an identity, then keeps it, trust and access alive in the background until the shell's stop.
    ///
    /// # Errors
    ///
    /// Where the configuration does not say how to join, the ca refuses, or a file cannot be used.
    pub async fn join(service: &ServiceName, config: &MeshConfig, shell: &Shell) -> Result<Self, Failure> {
        Self::join_with(service, config, shell, LocalSources::default()).await
    }

    /// As [`Mesh::join`], for a service that is itself the source of identity or access.
    ///
    /// # Errors
    ///
    /// As [`Mesh::join`].
    pub async fn join_with(
        service: &ServiceName,
        config: &MeshConfig,
        shell: &Shell,
        sources: LocalSources,
    ) -> Result<Self, Failure> {
        let (audit, seat) = audit_log(service, config, shell)?;
        let identity = match sources.identity {
            Some(own) => own,
            None => Self::identity_from_ca(service, config, shell).await?,
        };
        let access = match (sources.access, config.auth) {
            (Some(own), _) => own,
            (None, None) => LiveAccess::default(),
            (None, Some(auth)) => {
                let access = LiveAccess::default();
                let channel = mesh_channel(auth, join::auth_id(&config.trust_domain), identity.clone());
                tokio::spawn(join::keep_access(access.clone(), channel, shell.clone()));
                access
            }
        };
        let inner = Inner {
            service: service.clone(),
            config: config.clone(),
            identity,
            access,
            audit: Arc::new(audit),
            seat,
            limits: Arc::new(Limits::new(config.quotas, LimitClock::machine())),
            log: AccessLog::start(service.as_str(), config.log_format),
        };
        Ok(Self { inner: Arc::new(inner) })
    }

    async fn identity_from_ca(
        service: &ServiceName,
        config: &MeshConfig,
        shell: &Shell,
    ) -> Result<LiveIdentity, Failure> {
        let ca = config.ca.ok_or_else(|| {
            Failure::config("`mesh.ca` is not set")
                .advise("say where the ca answers: `mesh.ca.mesh` and `mesh.ca.bootstrap`")
        })?;
        let id = SpiffeId::service(&config.trust_domain, service);
        let folder = config.state_dir.join("identity");
        let kept = join::load(&folder, shell.clock.now()).filter(|(identity, _)| *identity.id() == id);
        let (identity, bundle) = match kept {
            Some(kept) => kept,
            None => {
                let (identity, bundle) = Self::first_identity(&id, ca.bootstrap, config, shell).await?;
                join::store(&folder, &identity, &bundle).map_err(|source| {
                    Failure::io(format!("write the identity to {}", folder.display()), source)
                })?;
                (identity, bundle)
            }
        };
        let live = LiveIdentity::new(identity, bundle)
            .map_err(|source| Failure::software("the identity cannot be used").because(source))?;
        let channel = mesh_channel(ca.mesh, join::ca_id(&config.trust_domain), live.clone());
        tokio::spawn(join::keep_identity(live.clone(), channel.clone(), Some(folder), shell.clone()));
        tokio::spawn(join::keep_trust(live.clone(), channel, shell.clone()));
        Ok(live)
    }

    async fn first_identity(
        id: &SpiffeId,
        bootstrap: SocketAddr,
        config: &MeshConfig,
        shell: &Shell,
    ) -> Result<(Identity, TrustBundle), Failure> {
        let reference = config.join_token.as_ref().ok_or_else(|| {
            Failure::config(format!("{id} has no certificate and no join token"))
                .advise("make a token with `mcp join-token --service NAME` and set `mesh.join_token = \"file:/path\"`")
        })?;
        let token: JoinToken =
            reference.resolve()?.expose().parse().map_err(|source: crate::BadJoinToken| {
                Failure::config_because(format!("cannot use {reference}"), source)
            })?;
        join::first_identity(id, bootstrap, &token, shell).await
    }

    /// A channel to a service of the mesh, connected at the first call.
    ///
    /// Make it inside the runtime that will use it: its connection lives there.
    pub fn channel(&self, address: SocketAddr, service: &ServiceName) -> Channel {
        let expected = SpiffeId::service(&self.inner.config.trust_domain, service);
        mesh_channel(address, expected, self.inner.identity.clone())
    }

    /// Serves `routes` behind the layers, with health and reflection, until the shell's stop and the drain.
    ///
    /// `routes` is called once on each core. The shell is told to be ready once tokens can be verified.
    ///
    /// # Errors
    ///
    /// Where the socket cannot be used.
    pub async fn serve(
        &self,
        listener: std::net::TcpListener,
        shell: &Shell,
        routes: impl Fn() -> Routes + Send + Sync + 'static,
    ) -> Result<(), Failure> {
        self.serve_as("mesh", ClientAuth::Required, listener, shell, routes).await
    }

    /// As [`Mesh::serve`], on a listener where only the server shows a certificate: the ca's bootstrap.
    ///
    /// # Errors
    ///
    /// As [`Mesh::serve`].
    pub async fn serve_bootstrap(
        &self,
        listener: std::net::TcpListener,
        shell: &Shell,
        routes: impl Fn() -> Routes + Send + Sync + 'static,
    ) -> Result<(), Failure> {
        self.serve_as("bootstrap", ClientAuth::None, listener, shell, routes).await
    }

    async fn serve_as(
        &self,
        name: &'static str,
        client_auth: ClientAuth,
        listener: std::net::TcpListener,
        shell: &Shell,
        routes: impl Fn() -> Routes + Send + Sync + 'static,
    ) -> Result<(), Failure> {
        mcp_proto::preload()
            .map_err(|fault| Failure::software(format!("a validation rule cannot be: {fault}")))?;
        let (reporter, health) = tonic_health::server::health_reporter();
        reporter.set_service_status("", tonic_health::ServingStatus::NotServing).await;
        let reflection = reflection()?;
        let parts = self.parts(shell, name);
        let identity = self.inner.identity.clone();
        let required = client_auth == ClientAuth::Required;
        let tls = move || if required { identity.server_config() } else { identity.bootstrap_config() };
        let (routes, clock) = (Arc::new(routes), Arc::clone(&shell.clock));
        let per_core = move || {
            let mut routes = routes();
            if required {
                routes = reflection(routes.add_service(health.clone()));
            }
            MeshConnections { stack: stack(&parts, routes), client_auth: required, clock: Arc::clone(&clock) }
        };
        let ready = async {
            if self.inner.config.auth.is_some() {
                // Asked to stop before there is a first snapshot, it must not wait for one that may never come.
                tokio::select! {
                    () = self.inner.access.first() => {}
                    () = shell.stop.requested() => return,
                }
            }
            reporter.set_service_status("", tonic_health::ServingStatus::Serving).await;
            shell.ready();
            shell.stop.requested().await;
            reporter.set_service_status("", tonic_health::ServingStatus::NotServing).await;
        };
        let (served, ()) =
            tokio::join!(listen(listener, shell, ListenLimits::default(), name, tls, per_core), ready);
        // The calls have drained: what they left to be recorded is recorded before the service lets go of its store.
        match tokio::time::timeout(FLUSH_MAX, self.inner.audit.flush()).await {
            Ok(Ok(())) => {}
            Ok(Err(lost)) => tracing::error!(%lost, "audit rows were lost at the end"),
            Err(_) => tracing::error!("audit rows were not written in time at the end"),
        }
        served
    }

    fn parts(&self, shell: &Shell, name: &'static str) -> Parts {
        let inner = &self.inner;
        Parts {
            identify: IdentifyLayer { clock: Arc::clone(&shell.clock), entropy: Arc::clone(&shell.entropy) },
            observe: ObserveLayer::new(inner.log.clone(), RpcMetrics::new(POLICIES, name)),
            shed: ShedLayer::new(inner.config.calls_in_flight_max),
            lookup: LookupLayer { policies: POLICIES },
            deadline: DeadlineLayer { stop: shell.stop.clone() },
            admit: AdmitLayer { access: inner.access.clone(), clock: Arc::clone(&shell.clock) },
            quota: QuotaLayer { limits: Arc::clone(&inner.limits) },
            audited: AuditedLayer::new(
                self.audit(),
                Arc::clone(&shell.clock),
                inner.service.as_str().into(),
                name,
            ),
        }
    }

    /// Who we are.
    pub fn service(&self) -> &ServiceName {
        &self.inner.service
    }

    /// Our identity and trust, as of now.
    pub fn identity(&self) -> &LiveIdentity {
        &self.inner.identity
    }

    /// The keys that tokens are verified with, as of now.
    pub fn access(&self) -> &LiveAccess {
        &self.inner.access
    }

    /// Where decisions are recorded.
    pub fn audit(&self) -> Arc<dyn AuditSink> {
        Arc::<Ledger>::clone(&self.inner.audit)
    }

    /// Keeps tenants' rows in logs of their own from now on, which `logs` opens: a write's row then goes into the
    /// write's own transaction.
    pub fn keep_tenant_logs(&self, logs: impl FnOnce(LogSeat) -> Arc<dyn TenantLogs>) {
        self.inner.audit.attach(logs(self.inner.seat.clone()));
    }

    /// The access log.
    pub fn access_log(&self) -> &AccessLog {
        &self.inner.log
    }
}

impl fmt::Debug for Mesh {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Mesh").field("service", &self.inner.service).finish_non_exhaustive()
    }
}

/// Opens the service's own audit log, which signs what it keeps.
fn audit_log(
    service: &ServiceName,
    config: &MeshConfig,
    shell: &Shell,
) -> Result<(Ledger, LogSeat), Failure> {
    let cannot = |source| Failure::config_because("cannot keep an audit log", source);
    let file = config.state_dir.join(&config.audit_file);
    let signer = match &config.audit_key {
        Some(reference) => read_signer(reference.resolve()?.expose())
            .map_err(|source| Failure::config_because(format!("cannot use {reference}"), source))?,
        None => LogFiles::of(&file)
            .signer(&*shell.entropy)
            .map_err(|source| Failure::config_because("cannot keep the audit log's key", source))?,
    };
    let seat = LogSeat {
        signer: Arc::new(signer),
        trust_domain: config.trust_domain.clone(),
        service: service.clone(),
        clock: Arc::clone(&shell.clock),
        entropy: Arc::clone(&shell.entropy),
    };
    let signing = Signing {
        signer: Arc::clone(&seat.signer),
        origin: seat.origin(None),
        entropy: Arc::clone(&shell.entropy),
    };
    let options =
        mcp_audit::Options { stranger_rows_max: config.audit_stranger_rows_max, ..Default::default() };
    let own = mcp_audit::Options { signing: Some(signing), ..options.clone() };
    let own = JsonLines::open(&file, own).map_err(cannot)?;
    let copy = match &config.audit_copy {
        Some(copy) => {
            let copy = JsonLines::open(&config.state_dir.join(copy), options).map_err(cannot)?;
            Some(Box::new(copy) as Box<dyn AuditSink>)
        }
        None => None,
    };
    Ok((Ledger::new(own, copy), seat))
}

/// Adds the reflection services, in both versions that clients speak.
fn reflection() -> Result<impl Fn(Routes) -> Routes + Clone + Send + Sync, Failure> {
    let builder = || {
        tonic_reflection::server::Builder::configure()
            .register_encoded_file_descriptor_set(DESCRIPTORS)
            .register_encoded_file_descriptor_set(tonic_health::pb::FILE_DESCRIPTOR_SET)
    };
    let cannot = |source| {
        Failure::software("the API's own descriptors cannot be served by reflection").because(source)
    };
    let (v1, v1alpha) = (builder().build_v1().map_err(cannot)?, builder().build_v1alpha().map_err(cannot)?);
    Ok(move |routes: Routes| routes.add_service(v1.clone()).add_service(v1alpha.clone()))
}
