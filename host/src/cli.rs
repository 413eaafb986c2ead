//! The command line: what can be asked of pilothouse.
//!
//! Owns the arguments. Each command lives in its own file below.

/// A line on standard output, as `println!`, but an error instead of a panic when it cannot be written.
macro_rules! say {
    ($($text:tt)*) => {{
        use std::io::Write as _;
        writeln!(std::io::stdout().lock(), $($text)*)
    }};
}

mod crds;
mod demo;
mod dev;
mod plan;
mod plugin;
mod run;
mod simulate;
mod zones;

use std::path::PathBuf;

use clap::{Args, CommandFactory, Parser, Subcommand, ValueEnum};

/// Runs Vitess on Kubernetes by policies that are judged before they act.
#[derive(Debug, Parser)]
#[command(name = "pilothouse", version, about, propagate_version = true)]
pub struct Cli {
    /// How logs are written to standard error.
    #[arg(long, global = true, value_enum, default_value_t = LogFormat::Text)]
    log_format: LogFormat,
    /// What is logged, as in `info,pilothouse=debug`.
    #[arg(long, global = true, default_value = "warn")]
    log: String,
    #[command(subcommand)]
    command: Command,
}

/// How logs are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum LogFormat {
    /// For people.
    Text,
    /// One JSON object a line.
    Json,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Show the control loop at work: bring a cluster up on the embedded control plane and break things.
    Demo(demo::DemoArgs),
    /// Keep the embedded control plane up on loopback, for kubectl, with the controller running.
    Dev(dev::DevArgs),
    /// Take whole hosts through days of injected faults on a virtual clock, and check what must hold.
    Simulate(simulate::SimulateArgs),
    /// Run the controller against the Kubernetes cluster of the current kubeconfig.
    Run(run::RunArgs),
    /// Ask policies what they would do with a view, and the guard what it would let pass.
    Plan(plan::PlanArgs),
    /// Show how the zones of clusters are judged, since when, and what was seen that led to it.
    Zones(zones::ZonesArgs),
    /// Look at policy plugins.
    #[command(subcommand)]
    Plugin(plugin::PluginCommand),
    /// Print the custom resource definitions.
    Crds,
    /// Print the settings that would be in force, defaults included.
    Settings(SettingsArgs),
    /// Print a completion script for a shell.
    Completions {
        /// The shell.
        shell: clap_complete::Shell,
    },
    /// The child process that compiles a component: bytes in, machine code out.
    #[command(hide = true)]
    CompileComponent {
        /// Bytes of address space, CPU seconds.
        bounds: Vec<String>,
    },
}

/// Where settings come from.
#[derive(Debug, Clone, Default, Args)]
pub(crate) struct SettingsArgs {
    /// A settings file in YAML; without it the defaults are in force.
    #[arg(long, value_name = "FILE")]
    settings: Option<PathBuf>,
}

impl SettingsArgs {
    fn load(&self) -> anyhow::Result<crate::settings::Settings> {
        Ok(crate::settings::Settings::load(self.settings.as_deref())?)
    }
}

/// Runs the command that the arguments name.
///
/// # Errors
/// Whatever the command could not do, with the field or file and the reason.
pub fn main() -> anyhow::Result<std::process::ExitCode> {
    let broken_pipe = |error: &anyhow::Error| {
        error.downcast_ref().is_some_and(|e: &std::io::Error| e.kind() == std::io::ErrorKind::BrokenPipe)
    };
    match command(Cli::parse()) {
        // Whoever reads has had enough, as in `pilothouse crds | head`.
        Err(error) if broken_pipe(&error) => Ok(std::process::ExitCode::SUCCESS),
        answer => answer,
    }
}

fn command(cli: Cli) -> anyhow::Result<std::process::ExitCode> {
    if let Command::CompileComponent { bounds } = cli.command {
        return Ok(pilothouse_policy::compile::compile_child_main(bounds));
    }
    start_logs(cli.log_format, &cli.log)?;
    match cli.command {
        Command::Demo(args) => demo::main(&args),
        Command::Dev(args) => dev::main(&args),
        Command::Simulate(args) => simulate::main(&args),
        Command::Run(args) => run::main(&args),
        Command::Plan(args) => plan::main(&args),
        Command::Zones(args) => zones::main(&args),
        Command::Plugin(command) => plugin::main(&command),
        Command::Crds => crds::main(),
        Command::Settings(args) => {
            say!("{}", args.load()?.to_yaml().trim_end())?;
            Ok(std::process::ExitCode::SUCCESS)
        }
        Command::Completions { shell } => {
            let mut script = Vec::new();
            clap_complete::generate(shell, &mut Cli::command(), "pilothouse", &mut script);
            say!("{}", String::from_utf8_lossy(&script).trim_end())?;
            Ok(std::process::ExitCode::SUCCESS)
        }
        Command::CompileComponent { .. } => unreachable!("handled above"),
    }
}

fn start_logs(format: LogFormat, filter: &str) -> anyhow::Result<()> {
    let filter = tracing_subscriber::EnvFilter::try_new(filter)
        .map_err(|e| anyhow::anyhow!("--log {filter:?} is no filter: {e}"))?;
    let logs = tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr);
    match format {
        LogFormat::Text => logs.init(),
        LogFormat::Json => logs.json().init(),
    }
    Ok(())
}

/// Real time since the call, for tables; nothing decides by it.
#[expect(clippy::disallowed_methods, reason = "a stopwatch for people, not a decision")]
fn stopwatch() -> impl Fn() -> std::time::Duration {
    let begun = std::time::Instant::now();
    move || begun.elapsed()
}

/// Waits for Ctrl-C or a request to end.
async fn interrupted() -> std::io::Result<()> {
    use tokio::signal::unix::{SignalKind, signal};
    let mut end = signal(SignalKind::terminate())?;
    tokio::select! {
        ended = tokio::signal::ctrl_c() => ended,
        _ = end.recv() => Ok(()),
    }
}
