//! Why firedoor answers by itself, and why it tries again: what counters tell apart.

use crate::outcome::Trouble;

macro_rules! reasons {
    ($(#[$promise:meta])* $name:ident { $($(#[$when:meta])* $reason:ident = $label:literal,)* }) => {
        $(#[$promise])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        pub enum $name {
            $($(#[$when])* $reason,)*
        }

        impl $name {
            /// All of them; each stands at the place that its number says.
            pub const ALL: [Self; [$($label),*].len()] = [$(Self::$reason),*];

            /// As metrics name it.
            pub fn as_str(self) -> &'static str {
                match self {
                    $(Self::$reason => $label,)*
                }
            }
        }
    };
}

reasons! {
    /// Why firedoor answered a request by itself.
    Reason {
        /// The request broke the rules of HTTP, or could be understood in two ways.
        Malformed = "malformed",
        /// Its head or body was too large.
        TooLarge = "too_large",
        /// Its head or body came too slowly.
        TooSlow = "too_slow",
        /// Its body broke off.
        BrokenBody = "broken_body",
        /// It came without TLS where TLS is spoken.
        Cleartext = "cleartext",
        /// A method that a gateway doesn't serve.
        Method = "method",
        /// `OPTIONS` for firedoor itself.
        Options = "options",
        /// A tunnel that can't be had.
        NoTunnel = "no_tunnel",
        /// The question of an authority that gives certificates.
        Challenge = "challenge",
        /// It was sent on, to TLS.
        Redirect = "redirect",
        /// Its route says what to answer.
        Route = "route",
        /// Its route is in maintenance.
        Maintenance = "maintenance",
        /// No route is for its host.
        UnknownHost = "unknown_host",
        /// Its connection was made to another site.
        Misdirected = "misdirected",
        /// No route is for its path.
        NoRoute = "no_route",
        /// Its client makes too many.
        RateLimited = "rate_limited",
        /// There was no room for its priority.
        Shed = "shed",
        /// Too many waited already.
        HoldFull = "hold_full",
        /// No zone could take it, for as long as it may wait.
        NoZone = "no_zone",
        /// It was not over when the drain of its zone, or of firedoor, was.
        Drained = "drained",
        /// Its backend refused the connection.
        Connect = "connect",
        /// Its backend didn't take the connection in time.
        ConnectTimeout = "connect_timeout",
        /// Its backend doesn't speak what it should: TLS, or HTTP/2.
        Handshake = "handshake",
        /// Its backend broke the connection.
        Reset = "reset",
        /// Its backend didn't answer in time.
        ResponseTimeout = "response_timeout",
        /// Its backend broke the rules of HTTP.
        Protocol = "protocol",
    }
}

reasons! {
    /// Why a request was tried again.
    Retry {
        /// The backend refused the connection.
        Connect = "connect",
        /// It didn't take the connection in time.
        ConnectTimeout = "connect_timeout",
        /// It doesn't speak what it should.
        Handshake = "handshake",
        /// It broke the connection.
        Reset = "reset",
        /// It didn't answer in time.
        ResponseTimeout = "response_timeout",
        /// It broke the rules of HTTP.
        Protocol = "protocol",
        /// It answered with one of `retry_on_status`.
        Status = "status",
        /// It had closed the connection while that was idle.
        Stale = "stale",
        /// It was found dead while it owed the answer, or had no room for the request yet.
        Abandoned = "abandoned",
        /// Its zone was left, or it was drained, while it was being connected to, or had no room for the request yet.
        Left = "left",
        /// firedoor itself had no descriptor or port for a connection.
        NoSocket = "no_socket",
    }
}

impl From<Trouble> for Retry {
    fn from(trouble: Trouble) -> Self {
        match trouble {
            Trouble::Connect => Self::Connect,
            Trouble::ConnectTimeout => Self::ConnectTimeout,
            Trouble::Handshake => Self::Handshake,
            Trouble::Reset => Self::Reset,
            Trouble::ResponseTimeout => Self::ResponseTimeout,
            Trouble::Protocol => Self::Protocol,
            Trouble::ServerError => Self::Status,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_stands_where_its_number_says_and_no_label_is_used_twice() {
        let reasons = Reason::ALL.iter().enumerate();
        assert!(reasons.clone().all(|(at, reason)| *reason as usize == at));
        let retries = Retry::ALL.iter().enumerate();
        assert!(retries.clone().all(|(at, retry)| *retry as usize == at));
        let labels: std::collections::BTreeSet<&str> =
            Reason::ALL.into_iter().map(Reason::as_str).collect();
        assert_eq!(labels.len(), Reason::ALL.len());
    }
}
