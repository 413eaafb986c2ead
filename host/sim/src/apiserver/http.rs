//! From a request's parts to an answer: which verb on which kind, its options, its media types.

use std::sync::Arc;

use bytes::Bytes;
use http::request::Parts;
use http::response::Builder;
use http::{HeaderMap, Method, Response};
use serde_json::{Value, json};

use super::delete::{self, DeleteOptions};
use super::kinds::{self, Kind, ObjectKey, ResourceId, Served};
use super::patch::{self, PatchKind};
use super::read::{self, Selection};
use super::render::{self, Form, Rendering};
use super::request::{self, Query, ResourcePath, Target};
use super::state::State;
use super::status::Status;
use super::watching::{self, Watch};
use super::write::{self, FieldValidation, WriteAs, Written};
use super::{ApiServer, builtin, discovery, eviction, openapi, scale};

/// An answer.
pub(crate) enum Reply {
    Whole(Response<Bytes>),
    Watch(Response<()>, Box<Watch>),
}

/// A finished answer before it has headers.
pub(crate) struct Answer {
    pub(crate) code: u16,
    pub(crate) body: Bytes,
    pub(crate) warnings: Vec<String>,
}

impl Answer {
    pub(crate) fn ok(body: impl Into<Bytes>) -> Self {
        Self { code: 200, body: body.into(), warnings: Vec::new() }
    }

    pub(crate) fn json(code: u16, value: &Value) -> Self {
        Self { code, body: Bytes::from(value.to_string()), warnings: Vec::new() }
    }

    fn into_response(self, media_type: &'static str) -> Response<Bytes> {
        let builder = Response::builder().status(self.code).header("content-type", media_type);
        warned(builder, &self.warnings)
            .body(self.body)
            .unwrap_or_else(|_| refusal(&Status::internal("an answer had a bad header")))
    }
}

/// A `Warning` header each.
fn warned(mut builder: Builder, warnings: &[String]) -> Builder {
    for warning in warnings {
        let text = warning.replace('\\', "\\\\").replace('"', "\\\"");
        builder = builder.header("warning", format!("299 - \"{text}\""));
    }
    builder
}

/// A refusal as an answer.
pub(crate) fn refusal(status: &Status) -> Response<Bytes> {
    let builder = Response::builder().status(status.code).header("content-type", "application/json");
    let mut builder = warned(builder, &status.details.warnings);
    if let Some(seconds) = status.details.retry_after {
        builder = builder.header("retry-after", seconds);
    }
    builder.body(Bytes::from(status.to_value().to_string())).unwrap_or_default()
}

/// A request, read.
pub(crate) struct Call<'a> {
    method: &'a Method,
    pub(crate) query: Query,
    headers: &'a HeaderMap,
    body: &'a Bytes,
}

impl Call<'_> {
    fn header(&self, name: &str) -> &str {
        self.headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or("")
    }

    fn form(&self) -> Result<Form, Status> {
        render::form_of(self.header("accept"), self.query.text("includeObject"))
    }

    /// The field manager: as asked, or the user agent up to its slash.
    pub(crate) fn manager(&self) -> String {
        let asked = self.query.text("fieldManager");
        if !asked.is_empty() {
            return asked.to_owned();
        }
        let agent = self.header("user-agent").split('/').next().unwrap_or("");
        if agent.is_empty() { "unknown".to_owned() } else { agent.to_owned() }
    }

    /// The body's media type without parameters.
    fn media_type(&self) -> &str {
        self.header("content-type").split(';').next().unwrap_or("").trim()
    }

    /// The body as JSON; `None` if it is empty.
    pub(crate) fn json_body(&self) -> Result<Option<Value>, Status> {
        if self.body.is_empty() {
            return Ok(None);
        }
        if self.media_type() == "application/vnd.kubernetes.protobuf" {
            return Err(Status::unsupported("request bodies in protobuf"));
        }
        if !matches!(self.media_type(), "" | "application/json") {
            if self.media_type() == "application/yaml" {
                return Err(Status::unsupported("request bodies in YAML"));
            }
            return Err(Status::unsupported_media(
                "application/json, application/yaml, application/vnd.kubernetes.protobuf",
            ));
        }
        read_json(self.body).map(Some)
    }

    /// How the real server calls this request's options in its refusals.
    fn options(&self) -> &'static str {
        match *self.method {
            Method::POST => "CreateOptions.meta.k8s.io",
            Method::PUT => "UpdateOptions.meta.k8s.io",
            Method::DELETE => "DeleteOptions.meta.k8s.io",
            _ => "PatchOptions.meta.k8s.io",
        }
    }

    /// `dryRun=All`, or nothing.
    pub(crate) fn dry_run(&self) -> Result<bool, Status> {
        match self.query.text("dryRun") {
            "" => Ok(false),
            "All" => Ok(true),
            other => Err(Status::bad_dry_run(self.options(), &json!([other]))),
        }
    }

    fn unknown_fields(&self) -> Result<FieldValidation, Status> {
        match self.query.text("fieldValidation") {
            "" | "Warn" => Ok(FieldValidation::Warn),
            "Ignore" => Ok(FieldValidation::Ignore),
            "Strict" => Ok(FieldValidation::Strict),
            other => {
                let allowed = ["\"\"", "\"Ignore\"", "\"Strict\"", "\"Warn\""].map(str::to_owned);
                let cause = super::status::Cause::unsupported("fieldValidation", &json!(other), &allowed);
                Err(Status::invalid_named(self.options(), "", vec![cause]))
            }
        }
    }

    /// A patch's form and value.
    pub(crate) fn patch(&self) -> Result<(PatchKind, Value), Status> {
        let known = "application/json-patch+json, application/merge-patch+json, application/strategic-merge-patch+json, application/apply-patch+yaml";
        let form =
            PatchKind::of_media_type(self.media_type()).ok_or_else(|| Status::unsupported_media(known))?;
        match serde_json::from_slice(self.body) {
            Ok(value) => Ok((form, value)),
            Err(_) if form == PatchKind::Apply => {
                Err(Status::unsupported("apply configurations in YAML that is not JSON"))
            }
            Err(error) => Err(Status::bad_request(format!("error decoding patch: {error}"))),
        }
    }
}

fn read_json(body: &Bytes) -> Result<Value, Status> {
    serde_json::from_slice(body)
        .map_err(|error| Status::bad_request(format!("couldn't get version/kind; json parse error: {error}")))
}

/// What is asked of an object path, resolved.
pub(crate) struct Asked {
    pub(crate) path: ResourcePath,
    pub(crate) kind: Arc<Kind>,
    pub(crate) served: Served,
}

impl Asked {
    pub(crate) fn namespace(&self) -> &str {
        if self.kind.namespaced { self.path.namespace.as_deref().unwrap_or("") } else { "" }
    }

    pub(crate) fn key(&self) -> Result<ObjectKey, Status> {
        let name = self.path.name.as_deref().ok_or_else(Status::method_not_allowed)?;
        if self.kind.namespaced && self.path.namespace.is_none() {
            return Err(Status::no_such_path());
        }
        Ok(ObjectKey::new(self.kind.stored.clone(), self.namespace(), name))
    }
}

impl ApiServer {
    /// One request.
    pub(crate) fn reply(&self, parts: &Parts, body: &Bytes) -> Reply {
        let mut state = self.lock();
        match self.try_reply(&mut state, parts, body) {
            Ok(reply) => reply,
            Err(status) => {
                state.counters.refusal(&status);
                Reply::Whole(refusal(&status))
            }
        }
    }

    fn try_reply(&self, state: &mut State, parts: &Parts, body: &Bytes) -> Result<Reply, Status> {
        let call = Call {
            method: &parts.method,
            query: Query::parse(parts.uri.query())?,
            headers: &parts.headers,
            body,
        };
        let target = request::target(parts.uri.path())?;
        let json =
            |value: &Value| Ok(Reply::Whole(Answer::json(200, value).into_response("application/json")));
        if !matches!(target, Target::Object(_)) {
            state.counters.request("get", parts.uri.path());
            if parts.method != Method::GET && parts.method != Method::HEAD {
                return Err(Status::method_not_allowed());
            }
        }
        match target {
            Target::Health => Ok(Reply::Whole(Answer::ok("ok").into_response("text/plain; charset=utf-8"))),
            Target::Version => json(&discovery::version()),
            Target::CoreVersions => json(&discovery::core_versions()),
            Target::Groups => json(&discovery::groups(state)),
            Target::Group(group) => json(&discovery::group(state, &group)?),
            Target::Resources { group, version } => json(&discovery::resources(state, &group, &version)?),
            Target::OpenApiIndex => json(&openapi::index(state)),
            Target::OpenApiGroup(path) => json(&openapi::document(state, &path)?),
            Target::Nothing => Err(Status::no_such_path()),
            Target::Object(path) => self.object_call(state, &call, path),
        }
    }

    fn object_call(&self, state: &mut State, call: &Call<'_>, path: ResourcePath) -> Result<Reply, Status> {
        let id = ResourceId::new(&path.group, &path.resource);
        let kind = state.kinds.get(&id).cloned().ok_or_else(|| kinds::absent(&id))?;
        let served = kind.version(&path.version).cloned().ok_or_else(Status::no_such_path)?;
        if !kind.namespaced && path.namespace.is_some() {
            return Err(Status::no_such_path());
        }
        let verb = verb_of(call, &path)?;
        let mut resource = kind.qualified();
        if let Some(sub) = &path.subresource {
            resource = format!("{resource}/{sub}");
        }
        state.counters.request(verb, &resource);
        let asked = Asked { path, kind, served };
        if verb == "watch" {
            return self.watch(state, call, &asked);
        }
        let mut answer = answer(state, call, &asked, verb)?;
        if let Some(warning) = &asked.served.warning {
            answer.warnings.push(warning.clone());
        }
        Ok(Reply::Whole(answer.into_response("application/json")))
    }

    fn watch(&self, state: &mut State, call: &Call<'_>, asked: &Asked) -> Result<Reply, Status> {
        watching::check_options(state, &call.query)?;
        let namespace = asked.path.namespace.as_deref().filter(|_| asked.kind.namespaced);
        let mut selection = Selection::read(&asked.kind, &asked.served, namespace, &call.query)?;
        if let Some(name) = &asked.path.name {
            selection.fields = selection.fields.with_name(name);
        }
        let version = &asked.path.version;
        let watch = Watch::open(self, state, &asked.kind, version, call.form()?, selection, &call.query)?;
        let response = Response::builder()
            .header("content-type", "application/json")
            .body(())
            .map_err(|_| Status::internal("an answer had a bad header"))?;
        Ok(Reply::Watch(response, Box::new(watch)))
    }
}

/// Kubernetes' own verb for a request.
fn verb_of(call: &Call<'_>, path: &ResourcePath) -> Result<&'static str, Status> {
    let named = path.name.is_some();
    Ok(match *call.method {
        Method::GET | Method::HEAD if call.query.flag("watch") && path.subresource.is_none() => "watch",
        Method::GET | Method::HEAD if named => "get",
        Method::GET | Method::HEAD => "list",
        Method::POST => "create",
        Method::PUT if named => "update",
        Method::PATCH if named => "patch",
        Method::DELETE if named => "delete",
        Method::DELETE => "deletecollection",
        _ => return Err(Status::method_not_allowed()),
    })
}

fn answer(state: &mut State, call: &Call<'_>, asked: &Asked, verb: &str) -> Result<Answer, Status> {
    match asked.path.subresource.as_deref() {
        None => object_verb(state, call, asked, verb, ""),
        Some("status") if asked.served.status && matches!(verb, "get" | "update" | "patch") => {
            object_verb(state, call, asked, verb, "status")
        }
        Some("scale") if asked.served.scale.is_some() => scale::answer(state, call, asked, verb),
        Some("eviction") if asked.kind.is(&kinds::PODS) && verb == "create" => {
            eviction::answer_evict(state, call, asked)
        }
        Some("binding") if asked.kind.is(&kinds::PODS) && verb == "create" => {
            eviction::answer_bind(state, call, asked)
        }
        Some("finalize") if asked.kind.is(&kinds::NAMESPACES) && verb == "update" => {
            object_verb(state, call, asked, verb, "")
        }
        Some(
            sub @ ("log"
            | "exec"
            | "attach"
            | "portforward"
            | "proxy"
            | "ephemeralcontainers"
            | "resize"
            | "token"
            | "approval"),
        ) => Err(Status::unsupported(&format!("the subresource {}/{sub}", asked.kind.qualified()))),
        Some("status") if asked.served.status => Err(Status::method_not_allowed()),
        Some("eviction" | "binding") if asked.kind.is(&kinds::PODS) => Err(Status::method_not_allowed()),
        Some("finalize") if asked.kind.is(&kinds::NAMESPACES) => Err(Status::method_not_allowed()),
        Some(_) if asked.kind.custom => Err(Status::not_found(&asked.kind, &asked.key()?.name)),
        Some(_) => Err(Status::no_such_path()),
    }
}

/// How a request writes.
pub(crate) fn write_as<'a>(
    call: &Call<'_>,
    asked: &'a Asked,
    subresource: &'a str,
    manager: &'a str,
) -> Result<WriteAs<'a>, Status> {
    let (dry_run, unknown) = match (call.dry_run(), call.unknown_fields()) {
        (Ok(dry_run), Ok(unknown)) => (dry_run, unknown),
        (Err(mut status), Err(other)) => {
            status.details.causes.extend(other.details.causes);
            return Err(Status::invalid_named(call.options(), "", status.details.causes));
        }
        (Err(status), _) | (_, Err(status)) => return Err(status),
    };
    Ok(WriteAs { kind: &asked.kind, version: &asked.path.version, subresource, manager, dry_run, unknown })
}

fn object_verb(
    state: &mut State,
    call: &Call<'_>,
    asked: &Asked,
    verb: &str,
    subresource: &str,
) -> Result<Answer, Status> {
    let form = call.form()?;
    let rendering =
        Rendering { kind: &asked.kind, version: &asked.path.version, form, now_ms: state.clock.now_ms() };
    let manager = call.manager();
    match verb {
        "get" => read::get(state, &asked.kind, &asked.key()?, &call.query)
            .map(|stored| Answer::ok(rendering.object(&stored))),
        "list" => {
            read::check_list(&call.query)?;
            let namespace = asked.path.namespace.as_deref();
            let selection = Selection::read(&asked.kind, &asked.served, namespace, &call.query)?;
            read::list(state, &asked.kind, &selection, &call.query)
                .map(|page| Answer::ok(rendering.page(&page)))
        }
        "create" => {
            if asked.path.name.is_some() || asked.kind.namespaced && asked.path.namespace.is_none() {
                return Err(Status::method_not_allowed());
            }
            let how = write_as(call, asked, subresource, &manager)?;
            let body = call.json_body()?.ok_or_else(|| Status::bad_request("the request has no body"))?;
            write::create(state, &how, asked.namespace(), body)
                .map(|written| written_answer(&rendering, written))
        }
        "update" => {
            let how = write_as(call, asked, subresource, &manager)?;
            let body = call.json_body()?.ok_or_else(|| Status::bad_request("the request has no body"))?;
            write::update(state, &how, &asked.key()?, body).map(|written| written_answer(&rendering, written))
        }
        "patch" => {
            let (form, value) = call.patch()?;
            if form == PatchKind::Strategic && asked.kind.custom {
                return Err(Status::unsupported_media(
                    "application/json-patch+json, application/merge-patch+json, application/apply-patch+yaml",
                ));
            }
            let manager =
                if form == PatchKind::Apply { call.query.text("fieldManager").to_owned() } else { manager };
            let how = write_as(call, asked, subresource, &manager)?;
            let force = call.query.flag("force");
            if force && form != PatchKind::Apply {
                let cause =
                    super::status::Cause::forbidden("force", "may not be specified for non-apply patch");
                return Err(Status::invalid_named("PatchOptions.meta.k8s.io", "", vec![cause]));
            }
            patch::patch(state, &how, &asked.key()?, form, &value, force)
                .map(|written| written_answer(&rendering, written))
        }
        "delete" => {
            let options = delete_options(call)?;
            let warnings = deletion_warnings(asked, &options);
            let deletion = delete::delete(state, &asked.kind, &asked.key()?, &options)
                .map_err(|status| status.warned(&warnings))?;
            Ok(Answer { warnings, ..deletion_answer(&rendering, asked, &deletion) })
        }
        "deletecollection" => delete_collection(state, call, asked, &rendering),
        _ => Err(Status::method_not_allowed()),
    }
}

fn written_answer(rendering: &Rendering<'_>, written: Written) -> Answer {
    Answer {
        code: if written.created { 201 } else { 200 },
        body: rendering.object(&written.object),
        warnings: written.warnings,
    }
}

/// Options from the body, or else from the query.
pub(crate) fn delete_options(call: &Call<'_>) -> Result<DeleteOptions, Status> {
    let mut value = call.json_body()?.unwrap_or_else(|| json!({}));
    if !value.is_object() {
        return Err(Status::bad_request("the body of a deletion must be an object"));
    }
    if value["kind"].as_str().is_some_and(|kind| !kind.is_empty() && kind != "DeleteOptions") {
        return Err(Status::bad_request(format!(
            "the body of a deletion must be DeleteOptions, not {}",
            value["kind"]
        )));
    }
    if let Some(seconds) = call.query.number("gracePeriodSeconds")? {
        value["gracePeriodSeconds"] = json!(seconds);
    }
    if !call.query.text("propagationPolicy").is_empty() {
        value["propagationPolicy"] = json!(call.query.text("propagationPolicy"));
    }
    let mut options = DeleteOptions::read(&value)?;
    options.dry_run |= call.dry_run()?;
    Ok(options)
}

/// Only of Jobs what becomes of their Pods is no default that people expect.
fn deletion_warnings(asked: &Asked, options: &DeleteOptions) -> Vec<String> {
    if asked.kind.is(&kinds::JOBS) && options.propagation.is_none() {
        return vec![builtin::job::DELETION_WARNING.to_owned()];
    }
    Vec::new()
}

/// A Status for what is gone (but Pods and custom objects in some forms are shown), the object for what waits.
fn deletion_answer(rendering: &Rendering<'_>, asked: &Asked, deletion: &delete::Deletion) -> Answer {
    let shows_object = asked.kind.is(&kinds::PODS)
        || asked.kind.is(&kinds::CLAIMS)
        || asked.kind.is(&kinds::VOLUMES)
        || asked.kind.is(&kinds::SERVICES)
        || asked.kind.is(&kinds::SERVICE_ACCOUNTS);
    if !deletion.gone || shows_object {
        return Answer::ok(rendering.object(&deletion.object));
    }
    let object = &deletion.object.value;
    let mut details = json!({
        "name": object["metadata"]["name"], "kind": asked.kind.id.resource, "uid": object["metadata"]["uid"],
    });
    if !asked.kind.id.group.is_empty() {
        details["group"] = json!(asked.kind.id.group);
    }
    let status = json!({ "kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Success", "details": details });
    Answer::json(200, &status)
}

fn delete_collection(
    state: &mut State,
    call: &Call<'_>,
    asked: &Asked,
    rendering: &Rendering<'_>,
) -> Result<Answer, Status> {
    if asked.kind.is(&kinds::NAMESPACES) || asked.kind.is(&kinds::SERVICES) && asked.path.namespace.is_none()
    {
        return Err(Status::method_not_allowed());
    }
    read::check_list(&call.query)?;
    let namespace = asked.path.namespace.as_deref();
    let selection = Selection::read(&asked.kind, &asked.served, namespace, &call.query)?;
    let options = delete_options(call)?;
    // The answer is the list as it was before.
    let page = read::list(state, &asked.kind, &selection, &call.query)?;
    for stored in &page.items {
        let text = |field: &str| stored.value["metadata"][field].as_str().unwrap_or("");
        let key = ObjectKey::new(asked.kind.stored.clone(), text("namespace"), text("name"));
        match delete::delete(state, &asked.kind, &key, &options) {
            Ok(_) => {}
            Err(status) if status.code == 404 => {}
            Err(status) => return Err(status),
        }
    }
    Ok(Answer { warnings: deletion_warnings(asked, &options), ..Answer::ok(rendering.page(&page)) })
}
