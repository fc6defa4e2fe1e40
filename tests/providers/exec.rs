//! Kind `exec`: programs that work and programs that fail.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};

use pixcolor::config::{ConfigSource, load};
use pixcolor::credit::CallBegun;
use pixcolor::photo::{Gray, Limits, Rgb};
use pixcolor::provider::{
    Billed, Call, FailureKind, Provider, ProviderColor, ProviderError, ProviderResponse, Readiness, Trace,
    build,
};
use tempfile::TempDir;

use crate::{conformance, memory};

const SECRET: &str = "hunter2-planted";

/// A folder with a configuration. Programs write files there.
struct Setup {
    folder: TempDir,
    file: String,
}

impl Setup {
    /// A provider that runs a script with the system's shell. `more` are further lines of the provider file. The working
    /// folder has a coloured picture, `red.png`.
    fn shell(script: &str, more: &str) -> Self {
        assert!(!script.contains("'''"));
        let setup =
            Self::new(format!("kind = \"exec\"\ncommand = [\"sh\", \"-c\", '''{script}''']\n{more}\n"));
        let red = image::RgbImage::from_fn(64, 48, |x, y| image::Rgb([200, (x * 3) as u8, (y * 3) as u8]));
        red.save(setup.path("red.png")).unwrap();
        setup
    }

    fn new(file: String) -> Self {
        let folder = tempfile::tempdir().unwrap();
        std::fs::create_dir(folder.path().join("providers")).unwrap();
        Self { folder, file }
    }

    /// A file in the provider's folder.
    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join("providers").join(name)
    }

    fn read(&self, name: &str) -> String {
        std::fs::read_to_string(self.path(name)).unwrap_or_default()
    }

    fn provider(&self) -> Arc<dyn Provider> {
        std::fs::write(self.folder.path().join("pixcolor.toml"), "").unwrap();
        std::fs::write(self.path("it.toml"), &self.file).unwrap();
        let mut env = BTreeMap::from([("TOKEN".to_owned(), SECRET.to_owned())]);
        for name in ["PATH", "HOME"] {
            env.insert(name.to_owned(), std::env::var(name).unwrap());
        }
        let source = ConfigSource { dir: Some(self.folder.path().to_owned()), env, cwd: None };
        let loaded = load(&source).unwrap_or_else(|error| panic!("{error}"));
        build(&loaded.config.providers["it"], &memory()).unwrap()
    }

    async fn color(&self) -> Result<ProviderResponse, ProviderError> {
        self.provider().colorize(call(64, 48)).await
    }

    /// Waits for the process id that the script writes into a file.
    async fn pid(&self, name: &str) -> u32 {
        let end = Instant::now() + Duration::from_secs(20);
        loop {
            if let Ok(pid) = self.read(name).trim().parse() {
                return pid;
            }
            assert!(Instant::now() < end, "the script does not run");
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    }
}

fn call(width: u32, height: u32) -> Call {
    // Noise, which cannot be compressed.
    let luma = (0..width * height).map(|i| (i.wrapping_mul(2_654_435_761) >> 13) as u16).collect();
    let gray = Arc::new(Gray { width, height, luma });
    Call {
        gray,
        deadline: Instant::now() + Duration::from_secs(60),
        trace: Trace::default(),
        audience: None,
        begun: CallBegun::default(),
    }
}

/// Waits until a process has ended.
async fn ends(pid: u32) {
    let end = Instant::now() + Duration::from_secs(20);
    loop {
        let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
        // A zombie has ended, too.
        let state = stat.rsplit(')').next().and_then(|rest| rest.split_whitespace().next());
        if matches!(state, None | Some("Z" | "X")) {
            return;
        }
        assert!(Instant::now() < end, "process {pid} still runs: {stat}");
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}

fn picture(answer: ProviderResponse) -> Rgb {
    let ProviderColor::Picture(bytes) = answer.color else { panic!("a program gives pictures") };
    Rgb::decode(&bytes, &Limits::default()).unwrap()
}

/// The example in docs/providers.md.
fn handbook() -> Setup {
    let file = |name: &str| {
        let text = include_str!("../../docs/providers.md");
        let marker = format!("<!-- file of tests/providers/exec.rs: {name} -->\n```");
        let block = text.split(&marker).nth(1).unwrap().split_once('\n').unwrap().1;
        block.split("```").next().unwrap().to_owned()
    };
    let setup = Setup::new(file("sepia.toml"));
    std::fs::write(setup.path("sepia.py"), file("sepia.py")).unwrap();
    setup
}

#[tokio::test(flavor = "multi_thread")]
async fn the_documented_python_example_conforms_and_colors() {
    let setup = handbook();
    conformance::run(|| setup.provider()).await;
    let provider = setup.provider();
    assert_eq!((provider.info().model.as_str(), provider.info().version.as_str()), ("sepia", "1"));
    let sent = call(120, 80);
    let answer = provider.colorize(sent.clone()).await.unwrap();
    assert!(answer.usage.cpu.unwrap() > Duration::from_millis(1), "{:?}", answer.usage);
    let colored = picture(answer);
    assert_eq!((colored.width, colored.height), (120, 80));
    assert!(pixcolor::photo::luma_correlation(&sent.gray, &colored.gray()) > 0.99);
    let chroma = colored.chroma().unwrap();
    assert!(chroma.b.iter().sum::<f32>() / chroma.b.len() as f32 > 10.0);
}

#[tokio::test(flavor = "multi_thread")]
async fn input_is_written_while_output_is_read() {
    // A picture far larger than a pipe's buffer.
    let large = call(1200, 900);
    for script in [
        // Reads as it writes.
        "cat",
        // Writes much before it reads.
        "head -c 3000000 /dev/zero | tr '\\0' x > much; cat red.png much; cat > /dev/null",
        // Reads nothing at all.
        "cat red.png",
        // Closes its input and continues.
        "exec < /dev/null; sleep 0.1; cat red.png",
        // Fills the pipe of standard error first.
        "head -c 300000 /dev/zero | tr '\\0' y >&2; cat red.png",
    ] {
        let setup = Setup::shell(script, "");
        let answer = setup.provider().colorize(large.clone()).await;
        picture(answer.unwrap_or_else(|error| panic!("{script}: {error}")));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn each_failure_has_its_kind_and_message() {
    use FailureKind::*;
    for (script, more, kind, words) in [
        (
            "echo first >&2; echo oh no >&2; exit 3",
            "",
            Failed,
            "its program ended with exit status: 3: oh no",
        ),
        ("kill -9 $$", "", Failed, "its program ended with signal: 9 (SIGKILL): it said nothing"),
        ("cat red.png; exit 1", "", Failed, "its program ended with exit status: 1: it said nothing"),
        ("true", "", BadAnswer, "its program wrote nothing to standard output"),
        ("echo '<h1>rubbish</h1>'", "", BadAnswer, "the output of its program is not a usable picture"),
        ("head -c 20 red.png", "", BadAnswer, "the output of its program is not a usable picture"),
        ("cat /dev/zero", "max_output = 100000", BadAnswer, "its program wrote more than 100000 bytes"),
        ("exec >&-; exec cat /dev/zero >&2", "timeout = 0.5", Timeout, "its program was not done in time"),
        ("sleep 600", "timeout = 0.5", Timeout, "its program was not done in time"),
        ("exec > /dev/null; sleep 600", "timeout = 0.5", Timeout, "its program was not done in time"),
        ("trap '' TERM INT HUP; while :; do sleep 1; done", "timeout = 0.5", Timeout, "was not done in time"),
    ] {
        let start = Instant::now();
        let error = Setup::shell(script, more).color().await.unwrap_err();
        assert_eq!((error.kind, error.billed), (kind, Billed::No), "{script}: {error}");
        assert!(error.message.contains(words), "{script}: {error}");
        assert!(start.elapsed() < Duration::from_secs(20), "{script}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn background_processes_are_killed_with_the_program() {
    let setup = Setup::shell("sleep 600 & echo $! > child; cat red.png", "");
    let start = Instant::now();
    picture(setup.color().await.unwrap());
    ends(setup.pid("child").await).await;
    assert!(start.elapsed() < Duration::from_secs(20));

    let setup = Setup::shell("sleep 600 & echo $! > child; sleep 600", "timeout = 0.5");
    assert_eq!(setup.color().await.unwrap_err().kind, FailureKind::Timeout);
    ends(setup.pid("child").await).await;

    // A process that left the group is neither killed nor waited for.
    let setup = Setup::shell("setsid sleep 30 & echo $! > child; sleep 0.2; cat red.png", "");
    let start = Instant::now();
    picture(setup.color().await.unwrap());
    assert!(start.elapsed() < Duration::from_secs(20));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_dropped_call_kills_the_program_and_its_children() {
    let setup = Setup::shell("echo $$ > parent; sleep 600 & echo $! > child; wait", "");
    let provider = setup.provider();
    let call = provider.colorize(call(64, 48));
    let (parent, child) = tokio::select! {
        _ = call => panic!("it cannot have ended"),
        pids = async { (setup.pid("parent").await, setup.pid("child").await) } => pids,
    };
    ends(parent).await;
    ends(child).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_program_gets_only_the_listed_variables_and_its_own_folder() {
    let more = "keep_env = [\"PATH\"]\nenv.COLOUR = \"red and blue\"\nenv.KEY = { env = \"TOKEN\" }\n";
    let setup = Setup::shell("env > seen; pwd > where; cat red.png", more);
    picture(setup.color().await.unwrap());
    let seen = setup.read("seen");
    let mut names: Vec<&str> = seen.lines().filter_map(|line| Some(line.split_once('=')?.0)).collect();
    // The shell itself adds these.
    names.retain(|name| !["PWD", "OLDPWD", "SHLVL", "_"].contains(name));
    names.sort_unstable();
    assert_eq!(names, ["COLOUR", "KEY", "PATH"]);
    assert!(seen.contains(&format!("KEY={SECRET}")) && seen.contains("COLOUR=red and blue"));
    let own = setup.path("").canonicalize().unwrap();
    assert_eq!(PathBuf::from(setup.read("where").trim()).canonicalize().unwrap(), own);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_secret_in_standard_error_is_masked() {
    let setup = Setup::shell("echo \"bad key $KEY\" >&2; exit 1", "env.KEY = { env = \"TOKEN\" }");
    let error = setup.color().await.unwrap_err();
    assert!(error.message.ends_with("bad key (a secret)"), "{error}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_program_that_cannot_run_is_not_ready_with_a_reason() {
    for (file, words) in [
        ("command = [\"no-such-program\"]", "its program `no-such-program` is not in any folder of PATH"),
        ("command = [\"./it.toml\"]", "it.toml does not exist or is not executable"),
        (
            "command = [\"sh\"]\nenv.KEY = { env = \"UNSET\" }",
            "`env.KEY` has no value: environment variable UNSET",
        ),
    ] {
        let provider = Setup::new(format!("kind = \"exec\"\n{file}\n")).provider();
        let Readiness::NotReady { why, .. } = provider.readiness() else { panic!("{file}") };
        assert!(why.contains(words), "{why}");
        let error = provider.colorize(call(8, 8)).await.unwrap_err();
        assert_eq!((error.kind, error.billed), (FailureKind::NotReady, Billed::No));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_cost_of_a_failed_run_is_unknown_if_calls_have_a_price() {
    let price = "price.terms = [{ per = \"call\", rate = 2 }]";
    let error = Setup::shell("exit 1", price).color().await.unwrap_err();
    assert_eq!(error.billed, Billed::Unknown);
    let answer = Setup::shell("cat red.png", price).color().await.unwrap();
    assert_eq!(answer.usage.credits.unwrap().micro(), 2_000_000);
}

#[test]
fn command_version_and_settings_change_the_identity() {
    let identity = |more: &str| Setup::shell("cat", more).provider().info().identity();
    let plain = identity("");
    assert_eq!(plain, identity("timeout = 5\nconcurrency = 2\nenv.KEY = { env = \"TOKEN\" }"));
    for more in ["version = \"2\"", "model = \"other\"", "env.STRENGTH = \"2\"", "luma_lock = false"] {
        assert_ne!(plain, identity(more), "{more}");
    }
    assert_ne!(plain, Setup::shell("cat -", "").provider().info().identity());
}
