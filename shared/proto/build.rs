//! Generates the gRPC code, the descriptor set and the policy table.
//!
//! A method that states no policy fails this build: there is no default to fall back on and no list to forget.

use std::{collections::HashSet, env, error::Error, fs, path::PathBuf};

use prost_reflect::DescriptorPool;
use protox::file::{ChainFileResolver, DescriptorSetFileResolver, GoogleFileResolver, IncludeFileResolver};

#[path = "build/policy.rs"]
mod policy;
#[path = "build/redacted.rs"]
mod redacted;

const PROTO_ROOT: &str = "../../proto";
const FOREIGN: &str = "../../proto/foreign.toml";

const FILES: [&str; 6] = [
    "mcp/policy/v1/policy.proto",
    "mcp/ca/v1/ca.proto",
    "mcp/auth/v1/auth.proto",
    "mcp/auth/v1/tenant.proto",
    "mcp/context/v1/context.proto",
    "mcp/summarization/v1/summarization.proto",
];

fn main() -> Result<(), Box<dyn Error>> {
    println!("cargo:rerun-if-changed={PROTO_ROOT}");
    println!("cargo:rerun-if-changed=build");
    let out = PathBuf::from(env::var("OUT_DIR")?);

    let mut resolver = ChainFileResolver::new();
    resolver.add(IncludeFileResolver::new(PROTO_ROOT.into()));
    // Before the next one, which holds Google's files too, as old as the protoc that read them.
    resolver.add(GoogleFileResolver::new());
    // The validation rules' own proto file comes with the crate that enforces them, so the two cannot differ.
    let validate = prost_protovalidate_types::DESCRIPTOR_POOL.encode_to_vec();
    resolver.add(DescriptorSetFileResolver::decode(validate.as_slice())?);
    let mut compiler = protox::Compiler::with_file_resolver(resolver);
    compiler.include_imports(true).include_source_info(true).open_files(FILES)?;

    // Encoded by protox: prost's own types would drop every option they do not know.
    let descriptors = compiler.encode_file_descriptor_set();
    fs::write(out.join("descriptors.bin"), &descriptors)?;

    let pool = DescriptorPool::decode(descriptors.as_slice())?;
    let foreign = fs::read_to_string(FOREIGN)?;
    match policy::table(&pool, &foreign) {
        Ok(rows) => fs::write(out.join("policies.rs"), policy::source(&rows))?,
        Err(faults) => return Err(format!("the policy does not hold:\n  {}", faults.join("\n  ")).into()),
    }

    let requests: HashSet<String> = pool
        .services()
        .flat_map(|service| service.methods().collect::<Vec<_>>())
        .map(|method| method.input().full_name().to_owned())
        .collect();
    let mut config = tonic_prost_build::Config::new();
    for message in pool.all_messages() {
        let name = message.full_name();
        if !name.starts_with("mcp.") || message.is_map_entry() {
            continue;
        }
        config.type_attribute(name, "#[derive(::prost_reflect::ReflectMessage)]");
        config.type_attribute(
            name,
            format!(r#"#[prost_reflect(message_name = "{name}", descriptor_pool = "crate::POOL")]"#),
        );
    }
    let redacted = redacted::messages(&pool);
    config.skip_debug(redacted.iter().map(|message| format!(".{}", message.full_name())));
    fs::write(out.join("redacted.rs"), redacted::source(&redacted))?;
    fs::write(out.join("requests.rs"), request_markers(&pool, &requests))?;
    tonic_prost_build::configure()
        .codec_path("crate::ValidatingCodec")
        .extern_path(".buf.validate", "::prost_protovalidate::types")
        .include_file("modules.rs")
        .compile_fds_with_config(compiler.file_descriptor_set(), config)?;
    Ok(())
}

/// One line a message: whether it is some method's request.
fn request_markers(pool: &DescriptorPool, requests: &HashSet<String>) -> String {
    let mut messages: Vec<_> = pool
        .all_messages()
        .filter(|message| message.full_name().starts_with("mcp.") && !message.is_map_entry())
        .filter(|message| message.parent_message().is_none())
        .collect();
    messages.sort_by(|a, b| a.full_name().cmp(b.full_name()));
    messages
        .iter()
        .map(|message| {
            let path = message.full_name().replace('.', "::");
            let is_request = requests.contains(message.full_name());
            format!(
                "impl crate::Inbound for crate::pb::{path} {{ const IS_REQUEST: bool = {is_request}; }}\n"
            )
        })
        .collect()
}
