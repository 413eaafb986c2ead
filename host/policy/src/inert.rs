//! The inert set of WASI: what a foreign component may import, answered deterministically.
//!
//! Owns the list and the answers: time is the view's, random numbers come from a
//! constant, there are no arguments, no environment and no input; output goes to
//! the plugin's log; exit is a trap. Written out here instead of linking
//! wasmtime-wasi, which brings an async runtime, files and sockets with it for
//! answers that must be constant anyway. A function of the set without an answer traps when called.

use pilothouse_core::plan::Severity;
use wasmtime::component::types::{ComponentInstance, ComponentItem};
use wasmtime::component::{Linker, LinkerInstance, ResourceAny, ResourceDynamic, ResourceType, Val};
use wasmtime::{Result, StoreContextMut, bail};

use crate::state::HostState;

/// Interfaces that may be imported, in any 0.2.x.
const INTERFACES: [&str; 19] = [
    "wasi:cli/environment",
    "wasi:cli/exit",
    "wasi:cli/stderr",
    "wasi:cli/stdin",
    "wasi:cli/stdout",
    "wasi:cli/terminal-input",
    "wasi:cli/terminal-output",
    "wasi:cli/terminal-stderr",
    "wasi:cli/terminal-stdin",
    "wasi:cli/terminal-stdout",
    "wasi:clocks/monotonic-clock",
    "wasi:clocks/timezone",
    "wasi:clocks/wall-clock",
    "wasi:io/error",
    "wasi:io/poll",
    "wasi:io/streams",
    "wasi:random/insecure",
    "wasi:random/insecure-seed",
    "wasi:random/random",
];

/// Resources of the set; the place is the dynamic type's number.
const RESOURCES: [&str; 6] =
    ["error", "pollable", "input-stream", "output-stream", "terminal-input", "terminal-output"];
const POLLABLE: u32 = 1;
const INPUT: u32 = 2;
const OUTPUT: u32 = 3;

/// Numbers behind the two output handles.
const STDOUT: u32 = 1;
const STDERR: u32 = 2;

/// Bytes of random numbers that one call may ask for.
const RANDOM_BYTES: u64 = 64 << 10;
/// Bytes that an output stream says it takes at once.
const WRITE_BYTES: u64 = 4_096;

/// The guest asked for the process to exit.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the plugin asked for the process to exit")]
pub(crate) struct Exited;

/// Whether a component may import an instance of this name.
#[must_use]
pub(crate) fn allows(import: &str) -> bool {
    import
        .split_once('@')
        .is_some_and(|(interface, version)| version.starts_with("0.2.") && INTERFACES.contains(&interface))
}

/// Links one imported instance of the set.
pub(crate) fn link(
    engine: &wasmtime::Engine,
    linker: &mut Linker<HostState>,
    import: &str,
    ty: &ComponentInstance,
) -> Result<()> {
    let interface = import.split('@').next().unwrap_or(import).to_owned();
    let mut instance = linker.instance(import)?;
    for (name, item) in ty.exports(engine) {
        match item.ty {
            ComponentItem::ComponentFunc(_) => link_function(&mut instance, &interface, name)?,
            ComponentItem::Resource(_) => link_resource(&mut instance, name)?,
            ComponentItem::Type(_) => {}
            ComponentItem::CoreFunc(_)
            | ComponentItem::Module(_)
            | ComponentItem::Component(_)
            | ComponentItem::ComponentInstance(_) => bail!("{import} has no item {name}"),
        }
    }
    Ok(())
}

fn link_resource(instance: &mut LinkerInstance<'_, HostState>, name: &str) -> Result<()> {
    let Some(payload) = RESOURCES.iter().zip(0..).find_map(|(r, i)| (*r == name).then_some(i)) else {
        bail!("the inert set has no resource {name}");
    };
    // Nothing is kept behind a handle, so nothing is to be freed.
    instance.resource(name, ResourceType::host_dynamic(payload), |_, _| Ok(()))
}

fn link_function(instance: &mut LinkerInstance<'_, HostState>, interface: &str, name: &str) -> Result<()> {
    let (interface, function) = (interface.to_owned(), name.to_owned());
    instance.func_new(name, move |mut store, _, params, results| {
        store.data_mut().work(0)?;
        // What was lent for the call must be given back before it ends; its number is all we need.
        let lent = lent(params).map(|resource| number(&mut store, resource)).collect::<Result<Vec<u32>>>()?;
        let answer = answer(&mut store, (&interface, &function), params, &lent)?;
        let Some(answer) = answer else {
            bail!("{interface} {function} has no answer in this host");
        };
        match (answer, results) {
            (Answer::Nothing, []) => Ok(()),
            (Answer::Value(value), [result]) => {
                *result = value;
                Ok(())
            }
            (Answer::Nothing | Answer::Value(_), _) => bail!("{interface} {function} has another type here"),
        }
    })
}

/// The handles among the parameters, also those in a list.
fn lent(params: &[Val]) -> impl Iterator<Item = ResourceAny> + '_ {
    params.iter().flat_map(entries).filter_map(|val| match val {
        Val::Resource(resource) => Some(*resource),
        _ => None,
    })
}

/// The number behind a handle; a lent one is given back by this, an owned one is gone.
fn number(store: &mut StoreContextMut<'_, HostState>, resource: ResourceAny) -> Result<u32> {
    Ok(ResourceDynamic::try_from_resource_any(resource, &mut *store)?.rep())
}

fn entries(param: &Val) -> &[Val] {
    match param {
        Val::List(entries) => entries,
        other => std::slice::from_ref(other),
    }
}

enum Answer {
    Nothing,
    Value(Val),
}

fn own(store: &mut StoreContextMut<'_, HostState>, rep: u32, payload: u32) -> Result<Val> {
    let resource = ResourceDynamic::new_own(rep, payload);
    Ok(Val::Resource(resource.try_into_resource_any(&mut *store)?))
}

fn ok(value: Option<Val>) -> Val {
    Val::Result(Ok(value.map(Box::new)))
}

fn closed() -> Val {
    Val::Result(Err(Some(Box::new(Val::Variant("closed".to_owned(), None)))))
}

/// The answer to one call; none when the function has none.
fn answer(
    store: &mut StoreContextMut<'_, HostState>,
    (interface, function): (&str, &str),
    params: &[Val],
    lent: &[u32],
) -> Result<Option<Answer>> {
    let value = match (interface, function) {
        ("wasi:cli/environment", "get-environment" | "get-arguments") => Val::List(Vec::new()),
        ("wasi:cli/environment", "initial-cwd") => Val::Option(None),
        ("wasi:cli/exit", _) => return Err(Exited.into()),
        ("wasi:cli/stdin", "get-stdin") => own(store, 0, INPUT)?,
        ("wasi:cli/stdout", "get-stdout") => own(store, STDOUT, OUTPUT)?,
        ("wasi:cli/stderr", "get-stderr") => own(store, STDERR, OUTPUT)?,
        ("wasi:cli/terminal-stdin" | "wasi:cli/terminal-stdout" | "wasi:cli/terminal-stderr", _) => {
            Val::Option(None)
        }
        ("wasi:clocks/monotonic-clock", _) => match monotonic(store, function)? {
            Some(value) => value,
            None => return Ok(None),
        },
        ("wasi:clocks/wall-clock", "now") => wall(store.data().as_of),
        ("wasi:clocks/wall-clock", "resolution") => wall(1),
        ("wasi:random/insecure-seed", "insecure-seed") => {
            let data = store.data_mut();
            Val::Tuple(vec![Val::U64(data.next_random()), Val::U64(data.next_random())])
        }
        ("wasi:random/random" | "wasi:random/insecure", _) => random(store.data_mut(), params)?,
        ("wasi:io/error", _) => Val::String(String::new()),
        ("wasi:io/poll", "[method]pollable.ready") => Val::Bool(true),
        ("wasi:io/poll", "[method]pollable.block") => return Ok(Some(Answer::Nothing)),
        ("wasi:io/poll", "poll") => match params {
            [Val::List(polled)] => Val::List((0_u32..).take(polled.len()).map(Val::U32).collect()),
            _ => return Ok(None),
        },
        ("wasi:io/streams", _) => match streams(store, function, params, lent)? {
            Some(value) => value,
            None => return Ok(None),
        },
        _ => return Ok(None),
    };
    Ok(Some(Answer::Value(value)))
}

fn monotonic(store: &mut StoreContextMut<'_, HostState>, function: &str) -> Result<Option<Val>> {
    Ok(match function {
        "now" => Some(Val::U64(store.data().as_of.saturating_mul(1_000_000))),
        "resolution" => Some(Val::U64(1_000_000)),
        "subscribe-instant" | "subscribe-duration" => Some(own(store, 0, POLLABLE)?),
        _ => None,
    })
}

fn wall(millis: u64) -> Val {
    let nanos = u32::try_from(millis % 1_000 * 1_000_000).unwrap_or(0);
    Val::Record(vec![
        ("seconds".to_owned(), Val::U64(millis / 1_000)),
        ("nanoseconds".to_owned(), Val::U32(nanos)),
    ])
}

fn random(data: &mut HostState, params: &[Val]) -> Result<Val> {
    match params {
        [Val::U64(len)] if *len <= RANDOM_BYTES => {
            data.work(usize::try_from(*len)?)?;
            // The lowest byte of each number: plenty for a seed, and simple.
            let bytes = (0..*len).map(|_| Val::U8(data.next_random().to_le_bytes()[0]));
            Ok(Val::List(bytes.collect()))
        }
        [Val::U64(len)] => bail!("{len} random bytes asked for, allowed are {RANDOM_BYTES}"),
        _ => Ok(Val::U64(data.next_random())),
    }
}

fn streams(
    store: &mut StoreContextMut<'_, HostState>,
    function: &str,
    params: &[Val],
    lent: &[u32],
) -> Result<Option<Val>> {
    let (resource, method) = function.trim_start_matches("[method]").split_once('.').unwrap_or_default();
    Ok(match (resource, method) {
        (_, "subscribe") => Some(own(store, 0, POLLABLE)?),
        ("input-stream", "read" | "blocking-read" | "skip" | "blocking-skip") => Some(closed()),
        ("output-stream", "check-write") => Some(ok(Some(Val::U64(WRITE_BYTES)))),
        ("output-stream", "write" | "blocking-write-and-flush") => match (params, lent) {
            ([_, Val::List(bytes)], [stream]) => {
                write(store.data_mut(), *stream, bytes)?;
                Some(ok(None))
            }
            _ => None,
        },
        ("output-stream", "flush" | "blocking-flush") => Some(ok(None)),
        (
            "output-stream",
            "write-zeroes" | "blocking-write-zeroes-and-flush" | "splice" | "blocking-splice",
        ) => Some(closed()),
        _ => None,
    })
}

fn write(data: &mut HostState, stream: u32, bytes: &[Val]) -> Result<()> {
    data.work(bytes.len())?;
    let byte = |val: &Val| if let Val::U8(byte) = val { Some(*byte) } else { None };
    let bytes: Vec<u8> = bytes.iter().filter_map(byte).collect();
    let severity = if stream == STDERR { Severity::Warning } else { Severity::Info };
    for line in String::from_utf8_lossy(&bytes).lines().filter(|l| !l.trim().is_empty()) {
        data.log(severity, line);
    }
    Ok(())
}
