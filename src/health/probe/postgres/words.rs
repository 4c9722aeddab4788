//! What PostgreSQL's refusals mean. Source: its manual, appendix "PostgreSQL Error Codes"; for what is told apart by the message,
//! `src/backend/postmaster/postmaster.c`.
//!
//! A server may speak another language than English. Then only the code counts, and what it said stands beside.

/// What a refusal means, by its SQLSTATE, and by its message where one code has several reasons.
pub(super) fn meaning(code: &str, message: &str) -> &'static str {
    let says = |words| message.contains(words);
    match code {
        "57P03" if says("starting up") => "it is starting up",
        "57P03" if says("shutting down") => "it is shutting down",
        "57P03" if says("recovery mode") => "it is recovering from a crash",
        "57P03" if says("not yet accepting") => "it is a replica that is not consistent yet",
        "57P03" if says("not accepting") => "it is a replica that takes no connections",
        "57P03" => "it takes no connections at the moment",
        "57P01" => "it is shutting down, or an administrator has ended the connection",
        "57P02" => "it is recovering from a crash",
        "53300" => "it has too many connections",
        "28P01" => "it refused the password",
        "28000" if says("pg_hba.conf") => "its pg_hba.conf does not let this user in from here",
        "28000" if says("does not exist") => "it knows no such user",
        "28000" => "it refused the user",
        "3D000" => "it has no such database",
        "55000" => "this database takes no connections",
        "42501" => "its user may not do this",
        "57014" => "it gave up the query",
        _ if code.starts_with("53") => "it is out of memory or disk space",
        _ => "it refused",
    }
}

/// Whether it is us who are refused, and anybody else might be welcome: a wrong user, database or place to come from.
pub(super) fn is_about_us(code: &str) -> bool {
    code.starts_with("28") || matches!(code, "3D000" | "42501")
}
