//! What the build refuses: each mistake in a proto file, and the words in which it is told.

#[path = "../build/policy.rs"]
mod policy;

use prost_reflect::DescriptorPool;
use protox::{
    Compiler,
    file::{ChainFileResolver, File, FileResolver, GoogleFileResolver, IncludeFileResolver},
};

/// A method that the build takes; each spec changes one line of it.
const HOLDS: &str = r#"
    option (mcp.policy.v1.method) = {
      permission: "sample.read"
      peers: [PEER_GATEWAY]
      tenancy: TENANCY_OF_CALLER
      audit: AUDIT_CLASS_READ
      rate: RATE_CLASS_READ
      request_bytes_max: 1024
      deadline_ms_max: 2000
      idempotency: IDEMPOTENCY_NO_SIDE_EFFECTS
    };
"#;

const FOREIGN_HOLDS: &str = r#"
[[method]]
path = "/grpc.health.v1.Health/Check"
public_because = "probes ask before anybody signs in"
peers = ["gateway", "any_service"]
tenancy = "none"
audit = "refusals"
rate = "upkeep"
request_bytes_max = 1024
deadline_ms_max = 2000
idempotency = "no_side_effects"
streaming = "unary"
"#;

#[test]
fn a_method_that_states_everything_builds() {
    let table = build(HOLDS, REQUEST, FOREIGN_HOLDS).expect("holds");

    let source = policy::source(&table);
    assert!(source.contains("/mcp.sample.v1.SampleService/Read"), "{source}");
    assert!(source.contains(r#"permissions: &["sample.read"]"#), "{source}");
    assert!(source.contains(r#"peers: &[Peer::Service("gateway"), Peer::AnyService]"#), "{source}");
}

#[test]
fn a_method_without_a_policy_does_not_build() {
    assert_refused("", "Read: states no (mcp.policy.v1.method) option");
}

#[test]
fn an_access_must_be_stated() {
    assert_refused(&without("permission:"), "states no access");
    assert_refused(&with("permission:", "internal: false"), "states no access");
}

#[test]
fn what_is_public_must_say_why() {
    for silent in ["public_because: \"\"", "public_because: \"  \""] {
        let method = with("permission:", silent).replace("TENANCY_OF_CALLER", "TENANCY_NONE");
        assert_refused(&method, "is public without a reason");
    }
}

#[test]
fn a_permission_has_a_room_and_a_verb() {
    for malformed in
        ["", "read", "sample.", ".read", "Sample.read", "sample.read.all", "sample read", "sample.re4d"]
    {
        let method = with("permission:", &format!("permission: {malformed:?}"));
        assert_refused(&method, &format!("permission `{malformed}` is not of the form <room>.<verb>"));
    }
}

#[test]
fn peers_must_be_listed_and_known() {
    assert_refused(&without("peers:"), "lists no `peers`");
    assert_refused(&with("peers:", "peers: []"), "lists no `peers`");
    assert_refused(&with("peers:", "peers: [PEER_UNSPECIFIED]"), "leaves one of its `peers` unspecified");
    assert_refused(
        &with("peers:", "peers: [PEER_GATEWAY, PEER_UNSPECIFIED]"),
        "leaves one of its `peers` unspecified",
    );
}

#[test]
fn nothing_may_be_left_unspecified() {
    for (field, zero) in [
        ("tenancy", "TENANCY_UNSPECIFIED"),
        ("audit", "AUDIT_CLASS_UNSPECIFIED"),
        ("rate", "RATE_CLASS_UNSPECIFIED"),
        ("idempotency", "IDEMPOTENCY_UNSPECIFIED"),
    ] {
        let told = format!("leaves `{field}` unspecified");
        assert_refused(&without(&format!("{field}:")), &told);
        assert_refused(&with(&format!("{field}:"), &format!("{field}: {zero}")), &told);
    }
}

#[test]
fn every_bound_must_be_set() {
    for field in ["request_bytes_max", "deadline_ms_max"] {
        for open in [without(&format!("{field}:")), with(&format!("{field}:"), &format!("{field}: 0"))] {
            assert_refused(&open, field);
        }
    }
}

#[test]
fn who_acts_in_a_tenant_needs_a_permission() {
    assert_refused(&with("permission:", "internal: true"), "asks for no permission");
    assert_refused(&with("permission:", "public_because: \"it is\""), "asks for no permission");
}

#[test]
fn a_request_names_no_tenant_where_the_tenant_is_the_callers() {
    for name in ["tenant", "tenant_id", "tenant_name", "tenant_slug", "tenants"] {
        let request = format!("message ReadRequest {{ string {name} = 1; }}");
        let faults = build(HOLDS, &request, "method = []").expect_err("names a tenant");
        assert_tells(&faults, &format!("its request names a tenant in `mcp.sample.v1.ReadRequest.{name}`"));
    }
}

#[test]
fn nor_does_a_message_within_it_at_any_depth() {
    for request in [
        "message ReadRequest { Inner inner = 1; } message Inner { string tenant = 1; }",
        "message ReadRequest { repeated Inner inner = 1; } message Inner { Leaf leaf = 1; } \
         message Leaf { Inner back = 2; string tenant_id = 1; }",
        "message ReadRequest { map<string, Inner> inner = 1; } message Inner { string tenant = 1; }",
    ] {
        let faults = build(HOLDS, request, "method = []").expect_err("names a tenant");
        assert_tells(&faults, "its request names a tenant in");
    }
}

#[test]
fn a_request_that_leads_back_to_itself_builds() {
    let request = "message ReadRequest { ReadRequest before = 1; string name = 2; }";

    build(HOLDS, request, "method = []").expect("holds");
}

#[test]
fn a_method_of_the_platform_may_name_a_tenant() {
    let method = with("permission:", "internal: true").replace("TENANCY_OF_CALLER", "TENANCY_PLATFORM");

    build(&method, "message ReadRequest { string tenant = 1; }", "method = []").expect("holds");
}

#[test]
fn every_fault_is_told_at_once() {
    let method = without("peers:").replace("TENANCY_OF_CALLER", "TENANCY_UNSPECIFIED").replace("1024", "0");
    let faults = build(&method, REQUEST, "method = []").expect_err("three faults");

    for told in ["lists no `peers`", "leaves `tenancy` unspecified", "request_bytes_max"] {
        assert_tells(&faults, told);
    }
}

#[test]
fn a_set_of_permissions_fits_a_word() {
    let methods: String = (0..65)
        .map(|at| {
            let name = format!("{}{}", char::from(b'a' + at / 26), char::from(b'a' + at % 26));
            format!(
                "rpc M{at}(ReadRequest) returns (ReadResponse) {{ {} }}\n",
                HOLDS.replace("sample.read", &format!("sample.{name}"))
            )
        })
        .collect();
    let faults = policy::table(&pool(&methods, REQUEST), "method = []").expect_err("65 permissions");

    assert_tells(&faults, "more than 64 permissions");
}

#[test]
fn a_foreign_method_is_held_to_the_same_rules() {
    for (from, to, told) in [
        (
            "public_because = \"probes ask before anybody signs in\"",
            "",
            "not exactly one of public_because and permission",
        ),
        (
            "public_because = \"probes ask before anybody signs in\"",
            "public_because = \" \"",
            "not exactly one of",
        ),
        ("tenancy = \"none\"", "tenancy = \"none\"\npermission = \"api.describe\"", "not exactly one of"),
        (
            "public_because = \"probes ask before anybody signs in\"",
            "permission = \"Describe\"",
            "is not of the form",
        ),
        ("peers = [\"gateway\", \"any_service\"]", "peers = []", "lists no `peers`"),
        ("\"any_service\"", "\"everybody\"", "`peers` knows no `everybody`"),
        ("tenancy = \"none\"", "tenancy = \"\"", "`tenancy` knows no ``"),
        ("audit = \"refusals\"", "audit = \"none\"", "`audit` knows no `none`"),
        ("rate = \"upkeep\"", "rate = \"free\"", "`rate` knows no `free`"),
        ("idempotency = \"no_side_effects\"", "idempotency = \"maybe\"", "`idempotency` knows no `maybe`"),
        ("streaming = \"unary\"", "streaming = \"much\"", "`streaming` knows no `much`"),
        ("request_bytes_max = 1024", "request_bytes_max = 0", "leaves a bound at 0"),
        ("deadline_ms_max = 2000", "deadline_ms_max = 0", "leaves a bound at 0"),
        ("rate = \"upkeep\"\n", "", "missing field `rate`"),
        ("rate = \"upkeep\"", "rate = \"upkeep\"\nburst = 3", "unknown field `burst`"),
    ] {
        assert!(FOREIGN_HOLDS.contains(from), "{from}");
        let faults = build(HOLDS, REQUEST, &FOREIGN_HOLDS.replace(from, to)).expect_err(told);
        assert_tells(&faults, told);
        assert_tells(&faults, "foreign.toml");
    }
}

const REQUEST: &str = "message ReadRequest { string name = 1; }";

fn without(field: &str) -> String {
    with(field, "")
}

/// The method that holds, with another line in place of that of `field`.
fn with(field: &str, line: &str) -> String {
    assert!(HOLDS.contains(field), "{field}");
    HOLDS
        .lines()
        .map(|known| if known.trim_start().starts_with(field) { line } else { known })
        .fold(String::new(), |text, line| text + line + "\n")
}

#[track_caller]
fn assert_refused(method: &str, told: &str) {
    let faults = build(method, REQUEST, "method = []").expect_err("refused");

    assert_tells(&faults, told);
    assert!(faults.iter().all(|fault| fault.starts_with("mcp.sample.v1.SampleService.Read: ")), "{faults:?}");
}

#[track_caller]
fn assert_tells(faults: &[String], told: &str) {
    assert!(faults.iter().any(|fault| fault.contains(told)), "no fault says {told:?}: {faults:?}");
}

/// What the build script does, on a service of one method.
fn build(option: &str, request: &str, foreign: &str) -> Result<Vec<policy::Row>, Vec<String>> {
    let method = format!("rpc Read(ReadRequest) returns (ReadResponse) {{ {option} }}");
    policy::table(&pool(&method, request), foreign)
}

fn pool(methods: &str, request: &str) -> DescriptorPool {
    let text = format!(
        r#"
        syntax = "proto3";
        package mcp.sample.v1;
        import "mcp/policy/v1/policy.proto";
        service SampleService {{ {methods} }}
        {request}
        message ReadResponse {{}}
        "#
    );
    let mut resolver = ChainFileResolver::new();
    resolver.add(Sample(text));
    resolver.add(IncludeFileResolver::new(concat!(env!("CARGO_MANIFEST_DIR"), "/../../proto").into()));
    resolver.add(GoogleFileResolver::new());
    let mut compiler = Compiler::with_file_resolver(resolver);
    compiler.include_imports(true).open_files([SAMPLE]).expect("the sample compiles");
    DescriptorPool::decode(compiler.encode_file_descriptor_set().as_slice()).expect("descriptors")
}

const SAMPLE: &str = "sample.proto";

/// One file, in memory.
struct Sample(String);

impl FileResolver for Sample {
    fn open_file(&self, name: &str) -> Result<File, protox::Error> {
        if name == SAMPLE {
            File::from_source(SAMPLE, &self.0)
        } else {
            Err(protox::Error::file_not_found(name))
        }
    }
}
