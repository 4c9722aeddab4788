//! Where the demo's components are broken and healed: `POST /break/fz-1:database`, and `GET /` for how they are.

use std::convert::Infallible;
use std::io;
use std::net::TcpListener;
use std::process::ExitCode;

use bytes::Bytes;
use http::header::{ALLOW, HOST};
use http::{HeaderValue, Method, Request, Response, StatusCode, request};
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::net::TcpStream;
use tokio::task::JoinSet;

use super::Target;
use super::component::Condition;
use super::stage::Stage;
use crate::admin::{Caller, check_origin};
use crate::cli::{FAILED, FINE, Failure};

/// Answers for as long as the demo runs.
pub(super) async fn serve(listener: TcpListener, stage: Stage) -> io::Result<()> {
    listener.set_nonblocking(true)?;
    let listener = tokio::net::TcpListener::from_std(listener)?;
    let mut connections = JoinSet::new();
    loop {
        let (stream, _) = listener.accept().await?;
        while connections.try_join_next().is_some() {}
        connections.spawn(connection(stream, stage.clone()));
    }
}

async fn connection(stream: TcpStream, stage: Stage) {
    let Ok(own) = stream.local_addr() else { return };
    let caller = Caller::Tcp { own: own.ip() };
    let service = service_fn(|request: Request<Incoming>| {
        let stage = stage.clone();
        async move {
            let (head, _) = request.into_parts();
            Ok::<_, Infallible>(answer(&head, caller, &stage))
        }
    });
    let connection = http1::Builder::new()
        .timer(TokioTimer::new())
        .serve_connection(TokioIo::new(stream), service);
    connection.await.ok();
}

fn answer(head: &request::Parts, caller: Caller, stage: &Stage) -> Response<Full<Bytes>> {
    if let Err(problem) = check_origin(caller, head) {
        return problem.into_response();
    }
    let segments: Vec<&str> = head.uri.path().trim_start_matches('/').split('/').collect();
    match segments[..] {
        [""] if head.method == Method::GET => text(StatusCode::OK, listing(stage)),
        [verb, name] => match Condition::of(verb) {
            None => unknown(),
            Some(_) if head.method != Method::POST => {
                let mut response = text(StatusCode::METHOD_NOT_ALLOWED, "POST it\n".into());
                response
                    .headers_mut()
                    .insert(ALLOW, HeaderValue::from_static("POST"));
                response
            }
            Some(condition) => put(stage, name, condition),
        },
        _ => unknown(),
    }
}

fn put(stage: &Stage, name: &str, condition: Condition) -> Response<Full<Bytes>> {
    match stage.put(name, condition) {
        Ok(said) => text(StatusCode::OK, said.join("\n") + "\n"),
        Err(unknown) => text(StatusCode::NOT_FOUND, unknown + "\n"),
    }
}

fn listing(stage: &Stage) -> String {
    let mut said = String::from("POST /break/{name}, /hang/{name} or /heal/{name}\n\n");
    for (name, condition, address) in stage.conditions() {
        said.push_str(&format!("{name:<14} {condition:<6} {address}\n"));
    }
    said
}

fn unknown() -> Response<Full<Bytes>> {
    text(StatusCode::NOT_FOUND, "GET / says what there is\n".into())
}

fn text(status: StatusCode, body: String) -> Response<Full<Bytes>> {
    let mut response = Response::new(Full::from(body));
    *response.status_mut() = status;
    response
}

/// `firedoor demo break|hang|heal`: asks the demo that runs in another terminal.
pub(super) fn order(target: &Target, condition: Condition) -> Result<ExitCode, Failure> {
    let address = target.control.control;
    let ask = async {
        let stream = TcpStream::connect(address).await?;
        let (mut sender, connection) =
            hyper::client::conn::http1::handshake(TokioIo::new(stream)).await?;
        let request = Request::post(format!("/{}/{}", condition.verb(), target.name))
            .header(HOST, address.to_string())
            .body(Full::<Bytes>::default())?;
        let asked = async {
            let response = sender.send_request(request).await?;
            let status = response.status();
            let body = response.into_body().collect().await?.to_bytes();
            Ok::<_, hyper::Error>((status, String::from_utf8_lossy(&body).into_owned()))
        };
        let answer = tokio::select! {
            answer = asked => answer?,
            Err(error) = connection => return Err(error.into()),
        };
        Ok::<_, Box<dyn std::error::Error>>(answer)
    };
    let (status, said) = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(Into::into)
        .and_then(|runtime| runtime.block_on(ask))
        .map_err(|error| {
            Failure::new(format!(
                "no demo can be reached at {address}: {error}\n\
                 is it running? If it has another --control, name that one"
            ))
        })?;
    if status.is_success() {
        print!("{said}");
        Ok(ExitCode::from(FINE))
    } else {
        Err(Failure::new(said.trim_end()).with_code(FAILED))
    }
}
