//! nginx as a TLS server.

use std::fs;
use std::process::Command;

use crate::support::server::{READY, Server};

/// Starts nginx with a certificate of `directory`; `extra` holds more lines of its `server` block.
pub fn start(directory: tempfile::TempDir, certificate: &str, extra: &str) -> Server {
    Server::start(directory, |address, directory| {
        let folder = directory.display();
        let config = format!(
            "daemon off; master_process off; pid {folder}/{READY}; error_log stderr notice;
             events {{}}
             http {{
               access_log off;
               ssl_protocols TLSv1.3;
               client_body_temp_path {folder}/body; proxy_temp_path {folder}/proxy;
               fastcgi_temp_path {folder}/fastcgi; uwsgi_temp_path {folder}/uwsgi; scgi_temp_path {folder}/scgi;
               server {{
                 listen {address} ssl http2;
                 ssl_certificate {folder}/{certificate}.pem;
                 ssl_certificate_key {folder}/{certificate}.key;
                 location / {{ return 200 \"all well\"; }}
                 {extra}
               }}
             }}"
        );
        fs::write(directory.join("nginx.conf"), config).unwrap();
        let mut command = Command::new("nginx");
        command
            .arg("-p")
            .arg(directory)
            .arg("-c")
            .arg(directory.join("nginx.conf"));
        command
    })
}
