//! Parses the arguments and starts; nothing else.

use std::process::ExitCode;

fn main() -> ExitCode {
    pixcolor::cli::run()
}
