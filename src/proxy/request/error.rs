//! What a request may get from firedoor itself, and what stands in the log about it.

use bytes::Bytes;
use http::header::{ALLOW, CONNECTION, CONTENT_TYPE, LOCATION, RETRY_AFTER};
use http::{HeaderMap, HeaderValue, Response, StatusCode};

use super::body::ResponseBody;
use super::exchange::BodyTrouble;
use super::grpc;
use super::policy::Policy;
use super::policy::answer::Answer;
use super::policy::page::PreparedPage;
use super::record::Record;
use crate::outcome::Trouble;
use crate::proxy::message::headers::X_REQUEST_ID;
use crate::proxy::message::identity::Identity;
use crate::proxy::message::survey::Flaw;
use crate::telemetry::reason::Reason;

/// Why firedoor answers by itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Refusal {
    /// The request could be understood in two ways, or breaks the rules of its own version.
    Flawed(Flaw),
    /// The request target isn't one that a gateway serves.
    BadTarget,
    /// The request target is longer than a whole head may be.
    LongTarget,
    /// The header fields are larger than a head may be.
    LargeHead,
    /// What came is no request, and hyper can't read on.
    NoHttp,
    /// The head has not come in time.
    SlowHead,
    /// It came without TLS, where it has to be with.
    Cleartext,
    /// A method that a gateway doesn't serve: CONNECT, or TRACE to the gateway itself.
    Method,
    /// A tunnel (RFC 8441) for something else than a WebSocket.
    UnknownProtocol,
    /// OPTIONS with `Max-Forwards: 0`: this is the recipient, and has no more to say than that it is there.
    Options,
    /// Here is only told where to go instead: to the same host, over TLS.
    Redirect,
    /// Its route says what to answer, where to or with what.
    Answered(StatusCode),
    /// Its route is in maintenance.
    Maintenance,
    /// No route is for this host.
    UnknownHost,
    /// The connection was made to another site than this host's.
    Misdirected,
    /// The host has routes, but none for this path.
    NoRoute,
    /// The request body ended badly.
    Body(BodyTrouble),
    /// No zone can take the request, and the hold's time is over.
    NoZone,
    /// Too many requests wait already.
    HoldFull,
    /// There is no room for requests of its priority.
    Shed,
    /// Its client has made as many as it may; there will be room for one more in so many seconds.
    Limited(u32),
    /// It was not over when the drain of its zone, or of firedoor, was.
    Drained,
    /// It asks for a WebSocket, and its backend speaks HTTP/2 without a way to open one (RFC 8441).
    NoTunnel,
    /// The backend broke the protocol or the connection.
    Upstream(Trouble),
}

impl Refusal {
    pub(crate) fn status(self) -> StatusCode {
        match self {
            Self::Flawed(Flaw::UnknownCoding) | Self::UnknownProtocol | Self::NoTunnel => {
                StatusCode::NOT_IMPLEMENTED
            }
            Self::Flawed(Flaw::Host | Flaw::TransferEncoding | Flaw::ContentLength)
            | Self::BadTarget
            | Self::NoHttp
            | Self::Cleartext
            | Self::Body(BodyTrouble::Broken) => StatusCode::BAD_REQUEST,
            Self::LongTarget => StatusCode::URI_TOO_LONG,
            Self::LargeHead => StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE,
            Self::Method => StatusCode::METHOD_NOT_ALLOWED,
            Self::Options => StatusCode::OK,
            // It keeps method and body.
            Self::Redirect => StatusCode::PERMANENT_REDIRECT,
            Self::Answered(status) => status,
            Self::UnknownHost | Self::Misdirected => StatusCode::MISDIRECTED_REQUEST,
            Self::NoRoute => StatusCode::NOT_FOUND,
            Self::SlowHead | Self::Body(BodyTrouble::TooSlow) => StatusCode::REQUEST_TIMEOUT,
            Self::Body(BodyTrouble::TooLarge) => StatusCode::PAYLOAD_TOO_LARGE,
            Self::Maintenance | Self::NoZone | Self::HoldFull | Self::Shed | Self::Drained => {
                StatusCode::SERVICE_UNAVAILABLE
            }
            Self::Limited(_) => StatusCode::TOO_MANY_REQUESTS,
            Self::Upstream(Trouble::ConnectTimeout | Trouble::ResponseTimeout) => {
                StatusCode::GATEWAY_TIMEOUT
            }
            Self::Upstream(
                Trouble::Connect
                | Trouble::Handshake
                | Trouble::Reset
                | Trouble::Protocol
                | Trouble::ServerError,
            ) => StatusCode::BAD_GATEWAY,
        }
    }

    /// For the client: never a backend's address or a component's name.
    pub(in crate::proxy) fn text(self) -> &'static str {
        match self {
            Self::Flawed(Flaw::Host) => "The request needs exactly one valid Host.",
            Self::Flawed(Flaw::TransferEncoding) => "The request's Transfer-Encoding is not valid.",
            Self::Flawed(Flaw::UnknownCoding) => "The request's transfer coding is not supported.",
            Self::Flawed(Flaw::ContentLength) => "The request has more than one Content-Length.",
            Self::BadTarget => "The request target is not valid here.",
            Self::LongTarget => "The request target is too long.",
            Self::LargeHead => "The request's header fields are too large.",
            Self::NoHttp => "The request is not valid HTTP.",
            Self::SlowHead => "The request did not come in time.",
            Self::Cleartext => "This address speaks HTTP over TLS only: https://",
            Self::Method => "The method is not allowed here.",
            Self::UnknownProtocol => "Only WebSockets are tunnelled here.",
            Self::Options => "This is as far as the request was to go.",
            Self::Redirect => "This is served over https only.",
            Self::Answered(status) if status.is_redirection() => "This is served elsewhere.",
            // Only calls of gRPC are told so: others get what is configured.
            Self::Answered(_) => "The proxy itself answers here, and not to gRPC.",
            Self::Maintenance => "This is being worked on at the moment.",
            Self::UnknownHost => "This host is not served here.",
            Self::Misdirected => "This connection was made to another site: please make a new one.",
            Self::NoRoute => "Nothing is served at this path.",
            Self::Body(BodyTrouble::Broken) => "The request body is broken.",
            Self::Body(BodyTrouble::TooSlow) => "The request body came too slowly.",
            Self::Body(BodyTrouble::TooLarge) => "The request body is too large.",
            Self::NoZone => "No server can take the request at the moment.",
            Self::HoldFull => "Too many requests are waiting at the moment.",
            Self::Shed => {
                "More important requests take all of the servers' capacity at the moment."
            }
            Self::Limited(_) => "You have sent too many requests in a short time.",
            Self::Drained => "The proxy has ended this, since the zone that served it was left.",
            Self::NoTunnel => "The server can't open a WebSocket over HTTP/2.",
            Self::Upstream(Trouble::ConnectTimeout | Trouble::ResponseTimeout) => {
                "The server did not answer in time."
            }
            Self::Upstream(Trouble::Handshake) => {
                "There is no proper connection to the server at the moment."
            }
            Self::Upstream(
                Trouble::Connect | Trouble::Reset | Trouble::Protocol | Trouble::ServerError,
            ) => "The server's answer broke off or was not valid.",
        }
    }

    /// Who ended the request, and in which phase, in the manner of HAProxy's termination state: `C` client, `S` server, `P`
    /// proxy, `L` proxy without a server, `c`/`s` their timeout; `R` request, `D` data, `Q` waiting, `C` connecting, `H` response head.
    pub(crate) fn termination(self) -> &'static str {
        match self {
            Self::Flawed(_)
            | Self::BadTarget
            | Self::LongTarget
            | Self::LargeHead
            | Self::NoHttp
            | Self::Cleartext
            | Self::Method
            | Self::UnknownProtocol
            | Self::UnknownHost
            | Self::Misdirected
            | Self::NoRoute => "PR",
            Self::NoTunnel | Self::Drained => "PH",
            Self::Options => "--",
            Self::Redirect | Self::Answered(_) | Self::Maintenance => "LR",
            Self::Body(BodyTrouble::Broken) => "CR",
            Self::SlowHead | Self::Body(BodyTrouble::TooSlow) => "cR",
            Self::Body(BodyTrouble::TooLarge) => "PR",
            Self::NoZone => "sQ",
            Self::HoldFull => "PQ",
            // HAProxy has no such thing; an operator who reads the log of an overload shouldn't have to look up a code.
            Self::Shed => "shed",
            Self::Limited(_) => "rate",
            Self::Upstream(Trouble::ConnectTimeout) => "sC",
            Self::Upstream(Trouble::ResponseTimeout) => "sH",
            Self::Upstream(Trouble::Connect | Trouble::Handshake) => "SC",
            Self::Upstream(Trouble::Reset | Trouble::ServerError) => "SH",
            Self::Upstream(Trouble::Protocol) => "PH",
        }
    }

    /// As metrics count it.
    pub(super) fn reason(self) -> Reason {
        match self {
            Self::Flawed(_) | Self::BadTarget | Self::NoHttp => Reason::Malformed,
            Self::LongTarget | Self::LargeHead | Self::Body(BodyTrouble::TooLarge) => {
                Reason::TooLarge
            }
            Self::SlowHead | Self::Body(BodyTrouble::TooSlow) => Reason::TooSlow,
            Self::Cleartext => Reason::Cleartext,
            Self::Body(BodyTrouble::Broken) => Reason::BrokenBody,
            Self::Method => Reason::Method,
            Self::Options => Reason::Options,
            Self::UnknownProtocol | Self::NoTunnel => Reason::NoTunnel,
            Self::Redirect => Reason::Redirect,
            Self::Answered(_) => Reason::Route,
            Self::Maintenance => Reason::Maintenance,
            Self::UnknownHost => Reason::UnknownHost,
            Self::Misdirected => Reason::Misdirected,
            Self::NoRoute => Reason::NoRoute,
            Self::NoZone => Reason::NoZone,
            Self::HoldFull => Reason::HoldFull,
            Self::Shed => Reason::Shed,
            Self::Drained => Reason::Drained,
            Self::Limited(_) => Reason::RateLimited,
            Self::Upstream(Trouble::Connect) => Reason::Connect,
            Self::Upstream(Trouble::ConnectTimeout) => Reason::ConnectTimeout,
            Self::Upstream(Trouble::Handshake) => Reason::Handshake,
            Self::Upstream(Trouble::Reset | Trouble::ServerError) => Reason::Reset,
            Self::Upstream(Trouble::ResponseTimeout) => Reason::ResponseTimeout,
            Self::Upstream(Trouble::Protocol) => Reason::Protocol,
        }
    }

    /// Whether it ends its connection, however the request came.
    pub(crate) fn is_last(self) -> bool {
        match self {
            // A client whose CONNECT failed may have sent what was meant for the tunnel already.
            Self::Method | Self::Options => true,
            // What follows on this connection can't be told from what belonged to the refused message.
            Self::Flawed(_)
            | Self::BadTarget
            | Self::LongTarget
            | Self::LargeHead
            | Self::NoHttp
            | Self::SlowHead
            | Self::Cleartext
            | Self::Body(_) => true,
            Self::UnknownProtocol
            | Self::Redirect
            | Self::Answered(_)
            | Self::Maintenance
            | Self::UnknownHost
            | Self::Misdirected
            | Self::NoRoute
            | Self::NoZone
            | Self::HoldFull
            | Self::Shed
            | Self::Limited(_)
            | Self::Drained
            | Self::NoTunnel
            | Self::Upstream(_) => false,
        }
    }

    /// The answer to the client, the connection's `last` if it has to be.
    pub(crate) fn response(
        self,
        json: bool,
        last: bool,
        mut record: Box<Record>,
    ) -> Response<ResponseBody> {
        let status = self.status();
        // Whatever a client does wrong must not make a sound backend gray.
        record.refused(
            self.reason(),
            status,
            self.termination(),
            matches!(self, Self::Upstream(_)),
        );
        if record.state().is_grpc() {
            return grpc::response(self, record);
        }
        let id = record.identity().map(Identity::request_id);
        let id_text = id.as_ref().and_then(|id| id.to_str().ok()).unwrap_or("");
        let policy = record.policy();
        let (kind, words) = self.words(json, id_text, policy);
        let length: usize = words.iter().map(Bytes::len).sum();
        let headers_only = record.is_head();

        let mut headers = HeaderMap::new();
        if length > 0 {
            headers.insert(CONTENT_TYPE, kind);
            if headers_only {
                headers.insert(http::header::CONTENT_LENGTH, HeaderValue::from(length));
            }
        }
        if last || self.is_last() {
            headers.insert(CONNECTION, HeaderValue::from_static("close"));
        }
        self.fields(&mut headers, policy);
        if let Some(location) = record.location() {
            headers.insert(LOCATION, location.clone());
        }
        if let Some(policy) = policy {
            policy.finish(&mut headers, record.came_over_tls());
        }
        if let Some(id) = id {
            headers.insert(X_REQUEST_ID, id);
        }
        let body = if headers_only { Vec::new() } else { words };
        let mut response = Response::new(ResponseBody::own(body, record));
        *response.status_mut() = status;
        *response.headers_mut() = headers;
        response
    }

    /// What the body says, and its type.
    pub(in crate::proxy) fn words(
        self,
        json: bool,
        id: &str,
        policy: Option<&Policy>,
    ) -> (HeaderValue, Vec<Bytes>) {
        let answer = policy.and_then(Policy::answer);
        if let (
            Self::Answered(_),
            Some(Answer::Respond {
                body, content_type, ..
            }),
        ) = (self, answer)
        {
            return (content_type.clone(), vec![body.clone()]);
        }
        if json {
            let text = serde_json::json!({"status": self.status().as_u16(), "error": self.text(), "request_id": id});
            let kind = HeaderValue::from_static("application/json");
            return (kind, vec![Bytes::from(format!("{text}\n"))]);
        }
        if let Some(page) = policy.and_then(|policy| self.page(policy)) {
            return (page.content_type(), page.fill(id));
        }
        let text = if id.is_empty() {
            format!("{}\n", self.text())
        } else {
            format!("{}\nRequest {id}\n", self.text())
        };
        let kind = HeaderValue::from_static("text/plain; charset=utf-8");
        (kind, vec![Bytes::from(text)])
    }

    /// What people see instead of our own words.
    fn page(self, policy: &Policy) -> Option<&PreparedPage> {
        match (self, policy.answer()) {
            (Self::Answered(_), _) => None,
            (
                Self::Maintenance,
                Some(Answer::Maintenance {
                    page: Some(page), ..
                }),
            ) => Some(page),
            _ => policy.pages.page(self.status()),
        }
    }

    fn fields(self, headers: &mut HeaderMap, policy: Option<&Policy>) {
        match self {
            Self::NoZone | Self::HoldFull | Self::Shed => {
                headers.insert(RETRY_AFTER, HeaderValue::from_static("1"));
            }
            Self::Limited(seconds) => {
                headers.insert(RETRY_AFTER, HeaderValue::from(seconds));
            }
            Self::Method | Self::Options => {
                let allowed = "GET, HEAD, POST, PUT, DELETE, PATCH, OPTIONS";
                headers.insert(ALLOW, HeaderValue::from_static(allowed));
            }
            Self::Maintenance => {
                if let Some(Answer::Maintenance { retry_after, .. }) =
                    policy.and_then(Policy::answer)
                {
                    headers.insert(RETRY_AFTER, retry_after.clone());
                }
            }
            Self::Flawed(_)
            | Self::BadTarget
            | Self::LongTarget
            | Self::LargeHead
            | Self::NoHttp
            | Self::SlowHead
            | Self::Cleartext
            | Self::Body(_)
            | Self::Redirect
            | Self::Answered(_)
            | Self::UnknownProtocol
            | Self::UnknownHost
            | Self::Misdirected
            | Self::NoRoute
            | Self::Drained
            | Self::NoTunnel
            | Self::Upstream(_) => {}
        }
    }
}
