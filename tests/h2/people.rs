//! The clients that people have: curl, Python's httpx and grpcio, Node, h2load.

use std::io::Write as _;
use std::path::Path;
use std::process::{Command, Output};

use crate::support::Proxy;
use crate::support::behaviour;
use crate::{lab, lab_with};

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

#[track_caller]
fn run(program: impl AsRef<std::ffi::OsStr>, arguments: &[&str]) -> Output {
    let output = Command::new(program).args(arguments).output().unwrap();
    assert!(
        output.status.success(),
        "{}{}",
        text(&output.stdout),
        text(&output.stderr)
    );
    output
}

fn url(proxy: &Proxy, path: &str) -> String {
    format!("http://{}{path}", proxy.address)
}

/// The tests' own Python.
#[track_caller]
fn python(script: &str, arguments: &[&str]) {
    let python = Path::new(env!("CARGO_MANIFEST_DIR")).join("target/venv/bin/python");
    assert!(python.exists(), "tests/run makes it");
    let arguments = [&["-c", script], arguments].concat();
    assert_eq!(text(&run(python, &arguments).stdout).trim(), "well");
}

#[test]
fn curl_uploads_and_its_cookies_come_as_one() {
    let (origin, proxy) = lab(behaviour::echo());
    let body = "u".repeat(2_000_000);
    let folder = tempfile::TempDir::new().unwrap();
    let file = folder.path().join("body");
    std::fs::write(&file, &body).unwrap();
    let output = run(
        "curl",
        &[
            "--silent",
            "--show-error",
            "--max-time",
            "20",
            "--http2-prior-knowledge",
            "--write-out",
            "%{http_version} %{num_connects}\n",
            "--data-binary",
            &format!("@{}", file.display()),
            "--header",
            "Cookie: a=1",
            "--header",
            "Cookie: b=2",
            &url(&proxy, "/first"),
        ],
    );
    let said = text(&output.stdout);
    assert!(said.contains(&body));
    assert!(said.ends_with("2 1\n"), "{said}");
    assert_eq!(origin.saw("/first").field("cookie"), Some("a=1; b=2"));
}

#[test]
fn curl_gets_early_hints_trailers_and_the_head_alone() {
    let last = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nTrailer: x-sum\r\n\r\n2\r\nhi\r\n0\r\nx-sum: 42\r\n\r\n";
    let hints = "HTTP/1.1 103 Early Hints\r\nLink: </a.css>\r\n\r\n";
    let (origin, proxy) = lab(behaviour::interim(&[hints], last.to_vec()));
    let output = run(
        "curl",
        &[
            "--silent",
            "--include",
            "--max-time",
            "20",
            "--http2-prior-knowledge",
            &url(&proxy, "/"),
        ],
    );
    let said = text(&output.stdout).to_ascii_lowercase();
    for part in [
        "http/2 103",
        "link: </a.css>",
        "http/2 200",
        "hi",
        "x-sum: 42",
    ] {
        assert!(said.contains(part), "{part}: {said}");
    }
    origin.behave(behaviour::answer(200, &[], "body"));
    let output = run(
        "curl",
        &[
            "--silent",
            "--head",
            "--max-time",
            "20",
            "--http2-prior-knowledge",
            &url(&proxy, "/"),
        ],
    );
    assert!(text(&output.stdout).contains("content-length: 4"));
}

#[test]
fn curl_sees_the_answer_to_an_upload_that_nobody_wants() {
    let early = behaviour::early_and_close(behaviour::response(403, &["Connection: close"], b"no"));
    let (_origin, proxy) = lab_with(early, "[limits]\nmax_body_size = \"1MiB\"");
    for (size, status) in [(300_000, "403"), (3_000_000, "413")] {
        let mut body = tempfile::NamedTempFile::new().unwrap();
        body.write_all(&vec![b'x'; size]).unwrap();
        let output = run(
            "curl",
            &[
                "--silent",
                "--max-time",
                "20",
                "--http2-prior-knowledge",
                "--output",
                "/dev/null",
                "--write-out",
                "%{http_code}",
                "--data-binary",
                &format!("@{}", body.path().display()),
                &url(&proxy, "/"),
            ],
        );
        assert_eq!(text(&output.stdout), status, "of {size} bytes");
    }
}

const HTTPX: &str = r#"
import asyncio, httpx, sys
url = sys.argv[1]
async def main():
    limits = httpx.Limits(max_connections=2)
    async with httpx.AsyncClient(http1=False, http2=True, timeout=20, limits=limits) as client:
        answers = await asyncio.gather(*(client.get(f"{url}/{n}") for n in range(100)))
        assert all(a.status_code == 200 and a.http_version == "HTTP/2" for a in answers)
        assert all(a.text.startswith(f"GET /{n} HTTP/1.1") for n, a in enumerate(answers))
        body = b"u" * 3_000_000
        answer = await client.post(url + "/up", content=body)
        assert answer.content.endswith(body)
        async def pieces():
            for n in range(100):
                yield b"%05d" % n
        answer = await client.post(url + "/pieces", content=pieces())
        assert answer.content.endswith(b"00099"), answer.content[-100:]
        async with client.stream("GET", url + "/left") as answer:
            assert answer.status_code == 200
        assert (await client.get(url + "/again")).status_code == 200
asyncio.run(main())
print("well")
"#;

#[test]
fn httpx_shares_a_connection_among_many_requests() {
    let (origin, proxy) = lab(behaviour::echo());
    python(HTTPX, &[&url(&proxy, "")]);
    assert!(origin.seen().iter().all(|seen| seen.flaws.is_empty()));
}

const GRPCIO: &str = r#"
import grpc, sys
channel = grpc.insecure_channel(sys.argv[1])
call = channel.unary_unary(sys.argv[2], request_serializer=bytes, response_deserializer=bytes)
try:
    call(b"hello", timeout=20)
    print("no error")
except grpc.RpcError as error:
    assert error.code().name == sys.argv[3], error
    assert sys.argv[4] in error.details(), error
    print("well")
"#;

#[test]
fn grpcio_understands_why_a_call_fails() {
    let (_origin, proxy) = lab_with(
        behaviour::hang(),
        "[upstream]\nresponse_timeout = \"500ms\"\nretries = 0\n[[route]]\npath = \"/shop.Cart\"\npool = \"default\"",
    );
    proxy.until_all_up();
    let address = proxy.address.to_string();
    for (method, code, words) in [
        (
            "/shop.Cart/Get",
            "DEADLINE_EXCEEDED",
            "did not answer in time",
        ),
        (
            "/shop.Other/Get",
            "UNIMPLEMENTED",
            "Nothing is served at this path",
        ),
    ] {
        python(GRPCIO, &[&address, method, code, words]);
    }
}

const NODE: &str = r#"
const http2 = require("node:http2");
const client = http2.connect(process.argv[1]);
client.on("error", (error) => { console.log(error); process.exit(1); });
const ask = (path, body) => new Promise((resolve, reject) => {
  const stream = client.request({ ":path": path, ":method": body ? "POST" : "GET" });
  let text = "", status;
  stream.on("response", (headers) => { status = headers[":status"]; });
  stream.setEncoding("utf8");
  stream.on("data", (data) => { text += data; });
  stream.on("end", () => resolve({ status, text }));
  stream.on("error", reject);
  stream.end(body);
});
(async () => {
  const answers = await Promise.all(Array.from({ length: 100 }, (_, n) => ask("/" + n)));
  if (!answers.every((a, n) => a.status === 200 && a.text.startsWith(`GET /${n} HTTP/1.1`))) throw new Error("answers");
  const body = "u".repeat(3000000);
  if (!(await ask("/up", body)).text.endsWith(body)) throw new Error("upload");
  client.close(() => console.log("well"));
})().catch((error) => { console.log(error); process.exit(1); });
"#;

#[test]
fn node_shares_a_connection_among_many_requests() {
    let (_origin, proxy) = lab(behaviour::echo());
    let output = run("node", &["--eval", NODE, &url(&proxy, "")]);
    assert_eq!(text(&output.stdout).trim(), "well");
}

#[test]
fn h2load_finds_nothing_missing() {
    let (_origin, proxy) = lab(behaviour::ok("x".repeat(1000)));
    let output = run(
        "h2load",
        &["-n", "3000", "-c", "8", "-m", "8", &url(&proxy, "/")],
    );
    let said = text(&output.stdout);
    assert!(
        said.contains("3000 succeeded, 0 failed, 0 errored, 0 timeout"),
        "{said}"
    );
    assert!(said.contains("status codes: 3000 2xx"), "{said}");
}
