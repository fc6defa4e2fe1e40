//! An S3 server: moto, which is widely used for tests with AWS's own Python library. It is plain Python from PyPI and
//! starts within two seconds. It shares no code with PixColor, so it checks PixColor's requests. Its contents are lost
//! when it stops.

use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, Command, Stdio};

/// Serves a bucket `photos` on the port in its first argument. It ends when its standard input ends, which also happens
/// when the test is killed. It prints its port, and the ID and the secret of a key. If its second argument is `strict`,
/// it accepts only this key.
const SCRIPT: &str = r#"
import logging, os, sys, threading
logging.getLogger("werkzeug").setLevel(logging.ERROR)
from moto import settings
from moto.iam.models import iam_backends
from moto.moto_server.werkzeug_app import DomainDispatcherApplication, create_backend_app
from moto.s3.models import s3_backends
from werkzeug.serving import make_server
account = "123456789012"
s3_backends[account]["aws"].create_bucket("photos", "us-east-1")
key = ("pixcolor", "secret")
if sys.argv[2] == "strict":
    iam = iam_backends[account]["aws"]
    iam.create_user("us-east-1", "pixcolor")
    iam.put_user_policy("pixcolor", "all", '{"Version": "2012-10-17", "Statement": '
        '[{"Effect": "Allow", "Action": "s3:*", "Resource": "*"}]}')
    made = iam.create_access_key("pixcolor")
    key = (made.access_key_id, made.secret_access_key)
    settings.INITIAL_NO_AUTH_ACTION_COUNT = 0
server = make_server("127.0.0.1", int(sys.argv[1]), DomainDispatcherApplication(create_backend_app), threaded=True)
print(server.port, *key, flush=True)
threading.Thread(target=server.serve_forever, daemon=True).start()
sys.stdin.read()
os._exit(0)
"#;

/// Arbitrary credentials; only a server that is not strict accepts them.
#[allow(dead_code, reason = "not every test needs each of these")]
const ANYBODY: &str =
    "AWS4-HMAC-SHA256 Credential=me/20200101/us-east-1/s3/aws4_request, SignedHeaders=host, Signature=0";

/// A running server; dropping it stops it.
pub struct S3 {
    child: Child,
    _lifeline: ChildStdin,
    port: u16,
    /// The ID and the secret of its key.
    pub key: (String, String),
}

/// Python with moto, if `tests/run` has installed it.
fn python() -> Option<PathBuf> {
    let python = Path::new(env!("CARGO_MANIFEST_DIR")).join(".test/moto-5.2.5/bin/python");
    if !python.exists() {
        assert!(std::env::var_os("CI").is_none(), "{} is missing: run tests/run", python.display());
        eprintln!("left out: {} is missing, which tests/run installs", python.display());
        return None;
    }
    Some(python)
}

impl S3 {
    /// A server that accepts any key, if moto is installed.
    pub fn start() -> Option<Self> {
        Self::with(0, "")
    }

    /// A server that accepts only its own key.
    #[allow(dead_code, reason = "not every test needs each of these")]
    pub fn strict() -> Option<Self> {
        Self::with(0, "strict")
    }

    /// Stops the server and starts an empty one on the same port.
    #[allow(dead_code, reason = "not every test needs each of these")]
    pub fn start_again(self) -> Self {
        let port = self.port;
        drop(self);
        Self::with(port, "").expect("it was there before")
    }

    fn with(port: u16, how: &str) -> Option<Self> {
        let mut child = Command::new(python()?)
            .args(["-c", SCRIPT, &port.to_string(), how])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut line = String::new();
        BufReader::new(child.stdout.take().unwrap()).read_line(&mut line).unwrap();
        let said: Vec<&str> = line.split_whitespace().collect();
        let [port, id, secret] = said[..] else { panic!("it does not start: {line}") };
        let key = (id.to_owned(), secret.to_owned());
        let lifeline = child.stdin.take().unwrap();
        Some(Self { child, _lifeline: lifeline, port: port.parse().unwrap(), key })
    }

    pub fn url(&self) -> String {
        format!("http://127.0.0.1:{}", self.port)
    }

    /// The names of the objects in the bucket.
    pub fn objects(&self) -> Vec<String> {
        let list = format!("{}/photos?list-type=2", self.url());
        let list = ureq::get(list).call().unwrap().into_body().read_to_string().unwrap();
        let names = list.split("<Key>").skip(1).filter_map(|rest| rest.split("</Key>").next());
        names.map(str::to_owned).collect()
    }

    /// The content of an object.
    #[allow(dead_code, reason = "not every test needs each of these")]
    pub fn read(&self, name: &str) -> Vec<u8> {
        let request = ureq::get(format!("{}/photos/{name}", self.url())).header("Authorization", ANYBODY);
        request.call().unwrap().into_body().read_to_vec().unwrap()
    }

    /// Writes an object.
    #[allow(dead_code, reason = "not every test needs each of these")]
    pub fn write(&self, name: &str, bytes: &[u8]) {
        let request = ureq::put(format!("{}/photos/{name}", self.url())).header("Authorization", ANYBODY);
        assert!(request.send(bytes).unwrap().status().is_success());
    }

    /// From now on, the server accepts connections but does not answer.
    pub fn hang(&self) {
        self.signal("-STOP");
    }

    /// The server answers again.
    pub fn go_on(&self) {
        self.signal("-CONT");
    }

    fn signal(&self, signal: &str) {
        let id = self.child.id().to_string();
        assert!(Command::new("kill").args([signal, &id]).status().unwrap().success());
    }
}

impl Drop for S3 {
    fn drop(&mut self) {
        // It may have ended already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
