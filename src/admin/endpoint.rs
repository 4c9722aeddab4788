//! Which request is for what: the admin listener's paths and methods.

use http::Method;
use percent_encoding::percent_decode_str;

use super::dashboard::{self, Asset};
use crate::demo::Condition;
use crate::zone::{ComponentKey, Operator};

/// One endpoint, with the names in its path.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Endpoint {
    Index,
    /// A file of the dashboard.
    Asset(&'static Asset),
    Health,
    Live,
    Ready,
    Status,
    Journal,
    Events,
    OpenApi,
    Activate {
        zone: String,
    },
    Pin {
        zone: String,
    },
    Unpin {
        zone: String,
    },
    Failback,
    Drill,
    AbortDrill,
    Operator {
        component: ComponentKey,
        state: Operator,
    },
    Reload,
    Plan,
    Traffic,
    Metrics,
    Demo,
    DemoCondition {
        /// Or a whole zone.
        component: String,
        condition: Condition,
    },
}

/// What `GET /` answers.
pub(super) const INDEX: &str = "\
firedoor admin; in a browser, this is the dashboard

GET  /health                                  pass, warn or fail, with every component's last check
GET  /livez                                   the process is alive
GET  /readyz                                  it takes requests (?verbose)
GET  /v1/status                               zones, components, pools, decision
GET  /v1/traffic                              requests a second, errors, durations, by zone and pool
GET  /metrics                                 the same and more for Prometheus
GET  /v1/journal                              flips and transitions (?after=N, ?limit=N, ?kind=flip)
GET  /v1/events                               the same as server-sent events (?after=N, ?with=status,traffic)
GET  /v1/openapi.json                         all of this as OpenAPI 3.1
POST /v1/zones/{zone}/activate                {\"reason\": \"…\", \"hold\": true}
POST /v1/zones/{zone}/pin                     {\"reason\": \"…\"}
POST /v1/zones/{zone}/unpin                   {\"reason\": \"…\"}
POST /v1/failback                             {\"reason\": \"…\", \"hold\": true}
POST /v1/drill                                {\"zone\": \"…\", \"for\": \"10m\", \"reason\": \"…\"}
POST /v1/drill/abort                          returns at once
POST /v1/zones/{zone}/backends/{name}/drain   or /ready, /maintenance; dependencies too
POST /v1/plan                                 {\"down\": [\"fz-1:postgres\"], \"up\": []}: what would follow; changes nothing
POST /v1/reload                               reads the configuration file again
GET  /v1/demo                                 in `firedoor demo` only: what can be broken
POST /v1/demo/{component}/break               or /hang, /heal
";

impl Endpoint {
    /// The endpoint of `path`, if there is one.
    pub(super) fn find(path: &str) -> Option<Self> {
        // Split first, decode then: a name may contain an encoded slash.
        let segments: Vec<String> = path
            .strip_prefix('/')?
            .split('/')
            .map(|segment| Some(percent_decode_str(segment).decode_utf8().ok()?.into_owned()))
            .collect::<Option<_>>()?;
        let segments: Vec<&str> = segments.iter().map(String::as_str).collect();
        let endpoint = match segments[..] {
            [""] => Self::Index,
            ["assets", name] => Self::Asset(dashboard::asset(name)?),
            ["health"] => Self::Health,
            ["livez"] => Self::Live,
            ["readyz"] => Self::Ready,
            ["metrics"] => Self::Metrics,
            ["v1", "status"] => Self::Status,
            ["v1", "traffic"] => Self::Traffic,
            ["v1", "journal"] => Self::Journal,
            ["v1", "events"] => Self::Events,
            ["v1", "openapi.json"] => Self::OpenApi,
            ["v1", "plan"] => Self::Plan,
            ["v1", "failback"] => Self::Failback,
            ["v1", "drill"] => Self::Drill,
            ["v1", "drill", "abort"] => Self::AbortDrill,
            ["v1", "reload"] => Self::Reload,
            ["v1", "demo"] => Self::Demo,
            ["v1", "demo", component, verb] => Self::DemoCondition {
                component: component.into(),
                condition: Condition::of(verb)?,
            },
            ["v1", "zones", zone, "activate"] => Self::Activate { zone: zone.into() },
            ["v1", "zones", zone, "pin"] => Self::Pin { zone: zone.into() },
            ["v1", "zones", zone, "unpin"] => Self::Unpin { zone: zone.into() },
            ["v1", "zones", zone, "backends", name, state] => Self::Operator {
                component: ComponentKey {
                    zone: zone.into(),
                    name: name.into(),
                },
                state: match state {
                    "ready" => Operator::Ready,
                    "drain" => Operator::Drain,
                    "maintenance" => Operator::Maintenance,
                    _ => return None,
                },
            },
            _ => return None,
        };
        Some(endpoint)
    }

    /// Its methods. What changes something is POST only: no link, image or crawler can do it.
    pub(super) fn methods(&self) -> &'static [Method] {
        match self {
            Self::Index
            | Self::Asset(_)
            | Self::Demo
            | Self::Health
            | Self::Live
            | Self::Ready
            | Self::Status
            | Self::Traffic
            | Self::Metrics
            | Self::Journal
            | Self::Events
            | Self::OpenApi => &[Method::GET, Method::HEAD],
            Self::Activate { .. }
            | Self::Pin { .. }
            | Self::Unpin { .. }
            | Self::Failback
            | Self::Drill
            | Self::AbortDrill
            | Self::Operator { .. }
            | Self::Plan
            | Self::DemoCondition { .. }
            | Self::Reload => &[Method::POST],
        }
    }

    /// Orchestrators and load balancers can't bring a token, nor can a browser that loads a page; and these say nothing about the
    /// system behind.
    pub(super) fn needs_token(&self) -> bool {
        !matches!(
            self,
            Self::Index | Self::Asset(_) | Self::Live | Self::Ready
        )
    }

    /// What orchestrators, load balancers and monitoring ask for, by whatever name they have for us.
    pub(super) fn is_for_health(&self) -> bool {
        matches!(self, Self::Health | Self::Live | Self::Ready)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_in_a_path_are_decoded_after_it_was_split() {
        assert_eq!(
            Endpoint::find("/v1/zones/fz%2D1/backends/%5B::1%5D:80%2Fa/drain"),
            Some(Endpoint::Operator {
                component: ComponentKey {
                    zone: "fz-1".into(),
                    name: "[::1]:80/a".into()
                },
                state: Operator::Drain,
            })
        );
    }

    #[test]
    fn paths_that_are_nearly_an_endpoint_are_none() {
        for path in [
            "/health/",
            "//health",
            "/v1",
            "/v1/zones/fz-1/backends/app-1/stop",
            "/v1/zones/fz-1",
            "/v1/zones/%ff/pin",
            "*",
        ] {
            assert_eq!(Endpoint::find(path), None, "{path}");
        }
    }
}
