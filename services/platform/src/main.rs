//! The `mcp` command: everything in one process, one service a process, and the operator's verbs.

mod cli;
mod config;
mod failure;
mod files;
mod operator;
mod output;
mod quickstart;
mod ready;
mod rules;
mod serve;
mod up;
mod verbs;

use std::process::ExitCode;

use clap::Parser as _;

use self::cli::{Cli, Verb};

fn main() -> ExitCode {
    let cli = match Cli::try_parse() {
        Ok(cli) => cli,
        Err(error) => {
            // Asking for help or the version is no mistake.
            let code = if error.use_stderr() { 64 } else { 0 };
            let _ = error.print();
            return ExitCode::from(code);
        }
    };
    let format = cli.output;
    match run(cli) {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            output::failure(&failure, format);
            ExitCode::from(failure.exit_code())
        }
    }
}

fn run(cli: Cli) -> Result<(), mcp_runtime::Failure> {
    let format = cli.output;
    match cli.verb {
        Verb::Up(args) => up::run(&args, format),
        Verb::Serve(args) => serve::run(&args, format),
        Verb::Token(args) => verbs::token(args, format),
        Verb::Cert(args) => verbs::cert(&args, format),
        Verb::JoinToken(args) => verbs::join_token(&args, format),
        Verb::Audit(verb) => verbs::audit(&verb, format),
        Verb::Secrets(verb) => verbs::secrets(&verb, format),
        Verb::Store(verb) => verbs::store(&verb, format),
        Verb::Policy(args) => verbs::policy(&args, format),
        Verb::Config(args) => verbs::config(&args, format),
        Verb::Version => verbs::version(format),
        Verb::Completions { shell } => verbs::completions(shell),
    }
}
