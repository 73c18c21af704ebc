//! `mcp secrets rotate-signing-keys`: what is asked for when a key may be in other hands, or to see that it would work.

use mcp_runtime::{Cores, Failure, Shell, Stop};
use mcp_secrets::signing::Urgency;
use serde_json::json;

use super::secrets::{Said, place};
use crate::cli::secrets::RotateArgs;

/// Changes the signing keys.
pub(super) async fn rotate(args: &RotateArgs) -> Result<Said, Failure> {
    let (config, folder) = place("auth", args.config.as_deref(), args.data_dir.as_deref())?;
    if !folder.is_dir() {
        return Err(Failure::input(format!("there is no folder {}", folder.display()))
            .advise("`--data-dir` names the folder of a platform, `--config` the configuration of auth"));
    }
    let cores = Cores::start(1).map_err(|source| Failure::io("start a thread", source))?;
    let shell = Shell::new(cores, Stop::default(), config.profile);
    let urgency = if args.compromised { Urgency::Compromised } else { Urgency::Planned };
    mcp_auth::rotate_signing_keys(&config.auth, &folder, urgency, &shell).await?;
    let text = if args.compromised {
        "new keys sign from now on, and no token of before is believed any longer"
    } else {
        "new keys are published, and sign in an hour"
    };
    Ok((text.to_owned(), json!({ "compromised": args.compromised })))
}
