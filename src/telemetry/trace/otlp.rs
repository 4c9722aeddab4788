//! The messages of OTLP that spans are exported in, as far as they are used here.
//!
//! Source: opentelemetry-proto 1.7, `trace/v1/trace.proto`, `common/v1/common.proto`, `resource/v1/resource.proto` and
//! `collector/trace/v1/trace_service.proto`. Fields that aren't written are left out: protobuf doesn't mind.

/// What is sent.
#[derive(Clone, PartialEq, prost::Message)]
pub struct ExportRequest {
    /// One: firedoor's.
    #[prost(message, repeated, tag = "1")]
    pub resource_spans: Vec<ResourceSpans>,
}

/// What is answered.
#[derive(Clone, PartialEq, prost::Message)]
pub struct ExportResponse {
    /// There if not all was taken, or if there is something to say.
    #[prost(message, optional, tag = "1")]
    pub partial_success: Option<PartialSuccess>,
}

/// What was not taken.
#[derive(Clone, PartialEq, prost::Message)]
pub struct PartialSuccess {
    /// How many spans.
    #[prost(int64, tag = "1")]
    pub rejected_spans: i64,
    /// Why.
    #[prost(string, tag = "2")]
    pub error_message: String,
}

/// The spans of one source.
#[derive(Clone, PartialEq, prost::Message)]
pub struct ResourceSpans {
    /// The source.
    #[prost(message, optional, tag = "1")]
    pub resource: Option<Resource>,
    /// One: firedoor is its own instrumentation.
    #[prost(message, repeated, tag = "2")]
    pub scope_spans: Vec<ScopeSpans>,
}

/// Who has made the spans.
#[derive(Clone, PartialEq, prost::Message)]
pub struct Resource {
    /// `service.name` and such.
    #[prost(message, repeated, tag = "1")]
    pub attributes: Vec<KeyValue>,
}

/// The spans of one instrumentation.
#[derive(Clone, PartialEq, prost::Message)]
pub struct ScopeSpans {
    /// Which.
    #[prost(message, optional, tag = "1")]
    pub scope: Option<Scope>,
    /// The spans.
    #[prost(message, repeated, tag = "2")]
    pub spans: Vec<Span>,
}

/// An instrumentation.
#[derive(Clone, PartialEq, prost::Message)]
pub struct Scope {
    /// Its name.
    #[prost(string, tag = "1")]
    pub name: String,
    /// Its version.
    #[prost(string, tag = "2")]
    pub version: String,
}

/// Something that took time.
#[derive(Clone, PartialEq, prost::Message)]
pub struct Span {
    /// 16 bytes.
    #[prost(bytes = "vec", tag = "1")]
    pub trace_id: Vec<u8>,
    /// 8 bytes.
    #[prost(bytes = "vec", tag = "2")]
    pub span_id: Vec<u8>,
    /// As it came; empty if there was none.
    #[prost(string, tag = "3")]
    pub trace_state: String,
    /// 8 bytes, or none: the trace begins with it.
    #[prost(bytes = "vec", tag = "4")]
    pub parent_span_id: Vec<u8>,
    /// What it is; of low cardinality.
    #[prost(string, tag = "5")]
    pub name: String,
    /// Which role.
    #[prost(enumeration = "Kind", tag = "6")]
    pub kind: i32,
    /// Nanoseconds since 1970.
    #[prost(fixed64, tag = "7")]
    pub start_time_unix_nano: u64,
    /// Nanoseconds since 1970.
    #[prost(fixed64, tag = "8")]
    pub end_time_unix_nano: u64,
    /// What is known of it.
    #[prost(message, repeated, tag = "9")]
    pub attributes: Vec<KeyValue>,
    /// Whether it went well.
    #[prost(message, optional, tag = "15")]
    pub status: Option<Status>,
    /// Those of W3C, and in bits 8 and 9 whether the parent is somebody else's.
    #[prost(fixed32, tag = "16")]
    pub flags: u32,
}

/// A span's role.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, prost::Enumeration)]
#[repr(i32)]
pub enum Kind {
    /// Not said.
    Unspecified = 0,
    /// Within firedoor.
    Internal = 1,
    /// A request that is answered.
    Server = 2,
    /// A request that is made.
    Client = 3,
}

/// Whether a span went well.
#[derive(Clone, PartialEq, prost::Message)]
pub struct Status {
    /// Why not.
    #[prost(string, tag = "2")]
    pub message: String,
    /// The conclusion.
    #[prost(enumeration = "Code", tag = "3")]
    pub code: i32,
}

/// The conclusion about a span.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, prost::Enumeration)]
#[repr(i32)]
pub enum Code {
    /// Nothing to say.
    Unset = 0,
    /// Well, whatever it looks like.
    Ok = 1,
    /// Not well.
    Error = 2,
}

/// One thing that is known.
#[derive(Clone, PartialEq, prost::Message)]
pub struct KeyValue {
    /// Of OpenTelemetry's semantic conventions, or beginning with `firedoor.`.
    #[prost(string, tag = "1")]
    pub key: String,
    /// What.
    #[prost(message, optional, tag = "2")]
    pub value: Option<AnyValue>,
}

/// A value of one of several types.
#[derive(Clone, PartialEq, prost::Message)]
pub struct AnyValue {
    /// Which one.
    #[prost(oneof = "Value", tags = "1, 3")]
    pub value: Option<Value>,
}

/// The types that are used here.
#[derive(Clone, PartialEq, prost::Oneof)]
pub enum Value {
    /// A text.
    #[prost(string, tag = "1")]
    Text(String),
    /// A whole number.
    #[prost(int64, tag = "3")]
    Number(i64),
}

impl KeyValue {
    /// `key` is a text.
    pub fn text(key: &str, text: impl Into<String>) -> Self {
        Self::new(key, Value::Text(text.into()))
    }

    /// `key` is a number.
    pub fn number(key: &str, number: impl TryInto<i64>) -> Self {
        Self::new(key, Value::Number(number.try_into().unwrap_or(i64::MAX)))
    }

    fn new(key: &str, value: Value) -> Self {
        Self {
            key: key.to_owned(),
            value: Some(AnyValue { value: Some(value) }),
        }
    }
}
