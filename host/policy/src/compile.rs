//! Compilation in a child process with bounds on time and memory.
//!
//! Owns both ends of the pipe: [`Compiler`] starts the child and may kill it,
//! [`compile_child_main`] is the child. A component that takes the compiler down
//! takes down the child only. Must not know caches or policies.

use std::ffi::OsString;
use std::io::{Read, Write};
use std::path::PathBuf;
use std::process::{Child, Command, ExitCode, ExitStatus, Stdio};
use std::sync::mpsc;
use std::time::{Duration, Instant};

use rustix::process::{Resource, Rlimit, setrlimit};

use crate::engine::compile_config;
use crate::limits::CompileLimits;

/// What of the child's error output is kept, in bytes.
const STDERR_BYTES: u64 = 4_096;
/// The child's exit code for a component that does not compile.
const INVALID: u8 = 2;

/// Why there is no compiled code.
#[derive(Debug, thiserror::Error)]
pub enum CompileError {
    /// The child did not start, or its pipes broke.
    #[error("the compiler {program} cannot run: {source}")]
    Spawn {
        /// Its program.
        program: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// The component is not valid.
    #[error("is not a valid component: {0}")]
    Invalid(String),
    /// It took too long by the wall clock, and was killed.
    #[error("compilation took longer than {limit_ms} ms")]
    Wall {
        /// The bound.
        limit_ms: u64,
    },
    /// The compiled code is too big.
    #[error("compiles to more than {limit} bytes")]
    CodeTooBig {
        /// The bound.
        limit: u64,
    },
    /// The child died: out of CPU seconds or memory, or of a fault.
    #[error(
        "the compiler died ({status}) under {cpu_seconds} CPU seconds and {memory_bytes} bytes of memory: {stderr}"
    )]
    Died {
        /// How.
        status: ExitStatus,
        /// Its bound on CPU seconds.
        cpu_seconds: u64,
        /// Its bound on address space.
        memory_bytes: u64,
        /// Its last words.
        stderr: String,
    },
}

/// The program that compiles, and its bounds. The two bounds of the child itself are appended to `args`.
#[derive(Debug, Clone)]
pub struct Compiler {
    /// The program: the host's own binary.
    pub program: PathBuf,
    /// Arguments that lead to [`compile_child_main`].
    pub args: Vec<OsString>,
    /// Bounds.
    pub limits: CompileLimits,
}

impl Compiler {
    /// Compiles a component in a child.
    ///
    /// # Errors
    /// When the child cannot run, the component is not valid, or a bound is reached.
    pub fn compile(&self, component: &[u8]) -> Result<Vec<u8>, CompileError> {
        let spawn = |source| CompileError::Spawn { program: self.program.clone(), source };
        let mut child = Command::new(&self.program)
            .args(&self.args)
            .args([self.limits.memory_bytes.to_string(), self.limits.cpu_seconds.to_string()])
            .env_clear()
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .map_err(spawn)?;
        let talked = self.talk(&mut child, component);
        if !matches!(talked, Ok(Some(_))) {
            // It may have ended by itself; the wait below collects it either way.
            drop(child.kill());
        }
        let status = child.wait().map_err(spawn)?;
        match talked.map_err(spawn)? {
            None => Err(CompileError::Wall { limit_ms: self.limits.wall_ms }),
            Some((code, stderr)) => self.judge(status, code, stderr),
        }
    }

    /// Feeds the child and hears it out; nothing when it took too long.
    #[expect(clippy::disallowed_methods, reason = "a wall timeout on a child process; it decides nothing")]
    fn talk(&self, child: &mut Child, component: &[u8]) -> std::io::Result<Option<(Vec<u8>, Vec<u8>)>> {
        let missing = || std::io::Error::other("a pipe is missing");
        let mut stdin = child.stdin.take().ok_or_else(missing)?;
        let stdout = child.stdout.take().ok_or_else(missing)?;
        let stderr = child.stderr.take().ok_or_else(missing)?;
        let code_limit = self.limits.code_bytes.saturating_add(1);
        let deadline = Instant::now() + Duration::from_millis(self.limits.wall_ms);
        let left = || deadline.saturating_duration_since(Instant::now());
        let ((code_in, code), (errors_in, errors)) = (mpsc::channel(), mpsc::channel());
        std::thread::scope(|threads| {
            // A child that dies early closes the pipe: its status tells more than the broken write.
            threads.spawn(move || drop(stdin.write_all(component)));
            // One thread a pipe: a child that fills one while we wait for the other would never end.
            threads.spawn(move || drop(code_in.send(read(stdout, code_limit))));
            threads.spawn(move || drop(errors_in.send(read(stderr, STDERR_BYTES))));
            let heard = code.recv_timeout(left()).and_then(|code| Ok((code, errors.recv_timeout(left())?)));
            match heard {
                Ok((code, errors)) => Ok(Some((code?, errors?))),
                Err(mpsc::RecvTimeoutError::Timeout | mpsc::RecvTimeoutError::Disconnected) => {
                    // The threads end when the pipes do.
                    child.kill()?;
                    Ok(None)
                }
            }
        })
    }

    fn judge(&self, status: ExitStatus, code: Vec<u8>, stderr: Vec<u8>) -> Result<Vec<u8>, CompileError> {
        let stderr = crate::text::clean(&String::from_utf8_lossy(&stderr), 1_024);
        if code.len() as u64 > self.limits.code_bytes {
            return Err(CompileError::CodeTooBig { limit: self.limits.code_bytes });
        }
        if status.success() && !code.is_empty() {
            return Ok(code);
        }
        if status.code() == Some(i32::from(INVALID)) {
            return Err(CompileError::Invalid(stderr));
        }
        let CompileLimits { cpu_seconds, memory_bytes, .. } = self.limits;
        Err(CompileError::Died { status, cpu_seconds, memory_bytes, stderr })
    }
}

fn read(pipe: impl Read, limit: u64) -> std::io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    pipe.take(limit).read_to_end(&mut bytes)?;
    Ok(bytes)
}

/// Why the child gives up before or after compiling.
#[derive(Debug, thiserror::Error)]
enum ChildError {
    #[error("expected two arguments, bytes of memory and CPU seconds")]
    Arguments,
    #[error("cannot bound itself: {0}")]
    Bound(#[from] rustix::io::Errno),
    #[error("{0}")]
    Pipe(#[from] std::io::Error),
    #[error("cannot start the compiler: {0}")]
    Engine(String),
}

/// The child: reads a component from standard input, writes compiled code to standard output.
///
/// `args` are the two bounds that [`Compiler`] appends: bytes of address space and CPU seconds. They
/// are set before the first byte is read.
#[must_use]
pub fn compile_child_main(args: impl IntoIterator<Item = String>) -> ExitCode {
    match child(args.into_iter()) {
        Ok(Ok(())) => ExitCode::SUCCESS,
        Ok(Err(invalid)) => {
            eprintln!("{invalid}");
            ExitCode::from(INVALID)
        }
        Err(error) => {
            eprintln!("{error}");
            ExitCode::FAILURE
        }
    }
}

fn child(mut args: impl Iterator<Item = String>) -> Result<Result<(), String>, ChildError> {
    let mut bound = || args.next().and_then(|text| text.parse::<u64>().ok()).ok_or(ChildError::Arguments);
    let (memory, cpu) = (Some(bound()?), Some(bound()?));
    setrlimit(Resource::As, Rlimit { current: memory, maximum: memory })?;
    setrlimit(Resource::Cpu, Rlimit { current: cpu, maximum: cpu })?;
    for none in [Resource::Core, Resource::Fsize] {
        setrlimit(none, Rlimit { current: Some(0), maximum: Some(0) })?;
    }
    let mut component = Vec::new();
    std::io::stdin().lock().read_to_end(&mut component)?;
    let engine =
        wasmtime::Engine::new(&compile_config()).map_err(|e| ChildError::Engine(format!("{e:#}")))?;
    match engine.precompile_component(&component) {
        Ok(code) => {
            let mut stdout = std::io::stdout().lock();
            stdout.write_all(&code)?;
            stdout.flush()?;
            Ok(Ok(()))
        }
        Err(e) => Ok(Err(format!("{e:#}"))),
    }
}
