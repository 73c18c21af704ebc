//! What the edge answers itself: health, and the description of the API for those who may read it.

use prost::encoding::{WireType, encode_key, encode_varint};
use prost_reflect::{DescriptorPool, FileDescriptor};
use tonic::service::Routes;
use tonic_health::server::{HealthReporter, health_reporter};

use mcp_runtime::Failure;

use crate::routes::{self, descriptors};

/// The services that the edge answers itself, and the way to tell of health.
pub(crate) struct Local {
    /// For each core a clone.
    pub(crate) routes: Routes,
    /// What health answers.
    pub(crate) health: HealthReporter,
}

/// Makes the services, describing those in `table` and nothing else of the mesh.
pub(crate) fn services(table: &routes::Routes) -> Result<Local, Failure> {
    let (health, health_service) = health_reporter();
    let cannot = |bad: Box<dyn std::error::Error + Send + Sync>| {
        Failure::software("cannot describe the API").because(bad)
    };
    let pool = descriptors().map_err(|bad| cannot(bad.into()))?;
    let described = described(&pool, table);
    let builder = || {
        let builder = tonic_reflection::server::Builder::configure()
            .register_encoded_file_descriptor_set(&described)
            .include_reflection_service(false);
        table.services().fold(builder, tonic_reflection::server::Builder::with_service_name)
    };
    let routes = Routes::new(health_service)
        .add_service(builder().build_v1().map_err(|bad| cannot(bad.into()))?)
        .add_service(builder().build_v1alpha().map_err(|bad| cannot(bad.into()))?)
        .prepare();
    Ok(Local { routes, health })
}

/// The files that describe the routed services, with what they import, as an encoded `FileDescriptorSet`.
///
/// File by file as they were compiled: decoding and encoding them anew would drop the options that are the policy.
fn described(pool: &DescriptorPool, table: &routes::Routes) -> Vec<u8> {
    let mut files: Vec<FileDescriptor> = Vec::new();
    for service in table.services().filter_map(|name| pool.get_service_by_name(name)) {
        add(&service.parent_file(), &mut files);
    }
    let mut set = Vec::new();
    for file in files {
        let bytes = file.encode_to_vec();
        encode_key(1, WireType::LengthDelimited, &mut set);
        encode_varint(bytes.len() as u64, &mut set);
        set.extend_from_slice(&bytes);
    }
    set
}

fn add(file: &FileDescriptor, files: &mut Vec<FileDescriptor>) {
    if files.contains(file) {
        return;
    }
    for import in file.dependencies() {
        add(&import, files);
    }
    files.push(file.clone());
}

#[cfg(test)]
mod tests {
    //! What a stranger with the permission gets to read.

    use super::*;

    #[test]
    fn the_meshs_own_services_are_not_described() {
        let table = routes::Routes::of_policies().expect("routes");
        let set = described(&descriptors().expect("a pool"), &table);

        let pool = DescriptorPool::decode(set.as_slice()).expect("a set");
        assert!(pool.get_service_by_name("mcp.context.v1.ContextService").is_some());
        assert!(pool.get_service_by_name("grpc.health.v1.Health").is_some());
        assert!(pool.get_service_by_name("mcp.ca.v1.CertificateAuthorityService").is_none());
    }

    #[test]
    fn policies_are_described_too() {
        let table = routes::Routes::of_policies().expect("routes");
        let set = described(&descriptors().expect("a pool"), &table);

        let pool = DescriptorPool::decode(set.as_slice()).expect("a set");
        let policy = pool.get_extension_by_name("mcp.policy.v1.method").expect("the option");
        let service = pool.get_service_by_name("mcp.context.v1.ContextService").expect("ours");
        assert!(service.methods().all(|method| method.options().has_extension(&policy)));
    }

    #[tokio::test]
    async fn the_services_can_be_made() {
        services(&routes::Routes::of_policies().expect("routes")).expect("services");
    }
}
