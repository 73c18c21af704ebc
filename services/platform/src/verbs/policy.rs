//! `mcp policy show`: who may call what, from the table that the servers run by.

use comfy_table::{ContentArrangement, Table, presets};
use mcp_proto::POLICIES;
use mcp_runtime::Failure;
use mcp_tenancy::{Access, MethodPolicy};
use serde_json::json;

use crate::{
    cli::{Format, PolicyArgs, PolicyVerb},
    output,
};

const COLUMNS: [&str; 9] =
    ["method", "access", "peers", "tenancy", "audit", "rate", "request bytes", "deadline ms", "repeats"];

/// Prints the policy of every method.
pub(crate) fn policy(args: &PolicyArgs, format: Format) -> Result<(), Failure> {
    let PolicyVerb::Show = args.verb;
    match format {
        Format::Json => output::json(&POLICIES.methods.iter().map(as_json).collect()),
        Format::Markdown => output::line(markdown().trim_end()),
        Format::Text => {
            let mut table = Table::new();
            table
                .load_style(presets::UTF8_HORIZONTAL_ONLY)
                .set_content_arrangement(ContentArrangement::Dynamic);
            table.set_header(COLUMNS);
            for policy in POLICIES.methods {
                table.add_row(cells(policy));
            }
            output::line(table);
        }
    }
    Ok(())
}

fn markdown() -> String {
    let mut text = String::from("# Who may call what\n\n");
    text.push_str("Printed by `mcp policy show --output markdown` from the options in `proto/`. A test fails where this\n");
    text.push_str("file and the policy differ, so that a widening is seen in review.\n\n");
    text.push_str(&format!("| {} |\n|{}\n", COLUMNS.join(" | "), "---|".repeat(COLUMNS.len())));
    for policy in POLICIES.methods {
        text.push_str(&format!("| {} |\n", cells(policy).join(" | ")));
    }
    text
}

fn cells(policy: &MethodPolicy) -> [String; 9] {
    let peers: Vec<_> = policy.peers.iter().map(ToString::to_string).collect();
    [
        policy.path.trim_start_matches('/').to_owned(),
        access(policy.access),
        peers.join(", "),
        format!("{:?}", policy.tenancy),
        format!("{:?}", policy.audit),
        format!("{:?}", policy.rate),
        policy.request_bytes_max.to_string(),
        policy.deadline_ms_max.to_string(),
        format!("{:?}", policy.idempotency),
    ]
}

fn access(access: Access) -> String {
    match access {
        Access::Public { because } => format!("public: {because}"),
        Access::Permission(permission) => permission.name.to_owned(),
        Access::Internal => "internal".to_owned(),
    }
}

fn as_json(policy: &MethodPolicy) -> serde_json::Value {
    let access = match policy.access {
        Access::Public { because } => json!({"public_because": because}),
        Access::Permission(permission) => json!({"permission": permission.name}),
        Access::Internal => json!({"internal": true}),
    };
    json!({
        "method": policy.path,
        "access": access,
        "peers": policy.peers.iter().map(ToString::to_string).collect::<Vec<_>>(),
        "tenancy": format!("{:?}", policy.tenancy),
        "audit": format!("{:?}", policy.audit),
        "rate": format!("{:?}", policy.rate),
        "request_bytes_max": policy.request_bytes_max,
        "deadline_ms_max": policy.deadline_ms_max,
        "idempotency": format!("{:?}", policy.idempotency),
        "streaming": format!("{:?}", policy.streaming),
    })
}

#[cfg(test)]
mod tests {
    //! The reviewed table and the one that runs are the same.

    use super::*;

    #[test]
    fn the_checked_in_table_is_the_one_that_runs() {
        let reviewed = include_str!("../../../../docs/policy.md");

        assert_eq!(
            markdown(),
            reviewed,
            "review the change, then `mcp policy show --output markdown > docs/policy.md`"
        );
    }
}
