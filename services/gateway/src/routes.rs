//! Where a method is answered: the table of everything that the edge lets in, made once from the policies.

use std::{collections::HashMap, sync::Arc};

use http::{Uri, uri::PathAndQuery};
use mcp_proto::{POLICIES, POOL};
use mcp_runtime::Failure;
use mcp_tenancy::{Access, MethodPolicy, RateClass, Streaming};
use prost_reflect::{DescriptorPool, MessageDescriptor};

/// A method that the edge has a route to.
#[derive(Clone, Debug)]
pub(crate) struct Route {
    /// What it demands.
    pub(crate) policy: &'static MethodPolicy,
    /// Who answers it.
    pub(crate) upstream: Upstream,
    /// Its path, as the service sees it: what else stood in the client's URI goes no further.
    pub(crate) uri: Uri,
    /// Its request.
    pub(crate) input: MessageDescriptor,
    /// Its answer.
    pub(crate) output: MessageDescriptor,
}

/// Who answers.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Upstream {
    /// The auth service.
    Auth,
    /// The context service.
    Context,
    /// The summarization service.
    Summarization,
    /// The edge itself: health and reflection.
    Edge,
}

/// The routes, by path.
#[derive(Clone, Debug)]
pub(crate) struct Routes {
    by_path: HashMap<&'static str, Arc<Route>>,
}

/// Whether the edge lets anybody in to a method: the gateway is among its peers, and a credential from outside is
/// what it asks for. (The gateway calls internal methods too, but on its own account.)
pub(crate) fn is_routed(policy: &MethodPolicy) -> bool {
    policy.routed_at_edge() && !matches!(policy.access, Access::Internal)
}

/// The descriptors of every method that may be routed: ours, and those that the edge answers itself.
pub(crate) fn descriptors() -> Result<DescriptorPool, prost_reflect::DescriptorError> {
    let mut pool = POOL.clone();
    for set in [
        tonic_health::pb::FILE_DESCRIPTOR_SET,
        tonic_reflection::pb::v1::FILE_DESCRIPTOR_SET,
        tonic_reflection::pb::v1alpha::FILE_DESCRIPTOR_SET,
    ] {
        pool.decode_file_descriptor_set(set)?;
    }
    Ok(pool)
}

// === impl Routes ===

impl Routes {
    /// The routes that the policies give.
    ///
    /// # Errors
    ///
    /// Where a policy is of a method that nobody answers or describes: a fault of the build.
    pub(crate) fn of_policies() -> Result<Self, Failure> {
        let pool = descriptors().map_err(|bad| Failure::software("cannot read the API").because(bad))?;
        let by_path = POLICIES
            .methods
            .iter()
            .filter(|policy| is_routed(policy))
            .filter_map(|policy| match route(policy, &pool) {
                Some(route) => Some(Ok((policy.path, Arc::new(route)))),
                // A protocol of others may have more methods than the library that answers it.
                None if Upstream::of(policy.service()) == Some(Upstream::Edge) => None,
                None => Some(Err(Failure::software(format!("nobody answers {}", policy.path)))),
            })
            .collect::<Result<_, Failure>>()?;
        Ok(Self { by_path })
    }

    /// The route to the method at `path`, if there is one.
    pub(crate) fn of(&self, path: &str) -> Option<&Arc<Route>> {
        self.by_path.get(path)
    }

    /// The full names of the services that have a route.
    pub(crate) fn services(&self) -> impl Iterator<Item = &'static str> {
        let mut names: Vec<_> = self.by_path.values().map(|route| route.policy.service()).collect();
        names.sort_unstable();
        names.dedup();
        names.into_iter()
    }
}

fn route(policy: &'static MethodPolicy, pool: &DescriptorPool) -> Option<Route> {
    let service = pool.get_service_by_name(policy.service())?;
    let method = service.methods().find(|method| method.name() == policy.method())?;
    Some(Route {
        policy,
        upstream: Upstream::of(policy.service())?,
        uri: Uri::from(PathAndQuery::from_static(policy.path)),
        input: method.input(),
        output: method.output(),
    })
}

// === impl Route ===

impl Route {
    /// Whether its calls go on until somebody breaks them off.
    pub(crate) fn is_endless(&self) -> bool {
        self.policy.rate == RateClass::Upkeep && self.policy.streaming == Streaming::Server
    }
}

// === impl Upstream ===

impl Upstream {
    /// All services of the mesh that answer calls from outside.
    pub(crate) const SERVICES: [Self; 3] = [Self::Auth, Self::Context, Self::Summarization];

    /// Who answers the service of this full name.
    pub(crate) fn of(service: &str) -> Option<Self> {
        let (package, _) = service.rsplit_once('.')?;
        Some(match package {
            "mcp.auth.v1" => Self::Auth,
            "mcp.context.v1" => Self::Context,
            "mcp.summarization.v1" => Self::Summarization,
            "grpc.health.v1" | "grpc.reflection.v1" | "grpc.reflection.v1alpha" => Self::Edge,
            _ => return None,
        })
    }

    /// Its name in the mesh.
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Auth => "auth",
            Self::Context => "context",
            Self::Summarization => "summarization",
            Self::Edge => "gateway",
        }
    }
}

/// Whether a path is of the shape `/<package>.<Service>/<Method>`.
pub(crate) fn is_method_path(path: &str) -> bool {
    let Some((service, method)) = path.strip_prefix('/').and_then(|path| path.split_once('/')) else {
        return false;
    };
    !service.starts_with('.') && service.contains('.') && !method.is_empty() && !method.contains('/')
}

#[cfg(test)]
mod tests {
    //! Who is let in where.

    use super::*;

    #[test]
    fn every_routed_policy_has_a_route_and_nothing_else_has() {
        let routes = Routes::of_policies().expect("routes");

        let ours = || POLICIES.methods.iter().filter(|policy| policy.path.starts_with("/mcp."));
        for policy in ours() {
            assert_eq!(routes.of(policy.path).is_some(), is_routed(policy), "{}", policy.path);
        }
        assert!(routes.by_path.values().all(|route| is_routed(route.policy)));
    }

    #[test]
    fn the_meshs_own_methods_cannot_be_reached_from_outside() {
        let routes = Routes::of_policies().expect("routes");

        for path in [
            "/mcp.auth.v1.AuthService/ExchangeCredential",
            "/mcp.auth.v1.AuthService/IssueDevelopmentToken",
            "/mcp.auth.v1.AuthService/WatchAccess",
            "/mcp.ca.v1.CertificateAuthorityService/RenewCertificate",
            "/mcp.context.v1.ContextService/NoSuchMethod",
        ] {
            assert!(routes.of(path).is_none(), "{path}");
        }
        let route = routes.of("/mcp.context.v1.ContextService/GetContext").expect("a route");
        assert_eq!(route.upstream, Upstream::Context);
        assert_eq!(route.output.full_name(), "mcp.context.v1.Context");
    }

    #[test]
    fn methods_are_told_from_files() {
        assert!(is_method_path("/mcp.context.v1.ContextService/GetContext"));
        assert!(is_method_path("/no.Such/Method"));
        for path in ["/", "/healthz", "/.well-known/jwks.json", "/assets/app.js", "/a.b/", "/a.b/c/d", ""] {
            assert!(!is_method_path(path), "{path}");
        }
    }
}
