//! A program that prints the password of a store.

use std::io::Read as _;
use std::process::{Child, ChildStdout, Command, ExitStatus, Stdio};
use std::sync::mpsc;
use std::time::Duration;

use secrecy::SecretString;
use zeroize::Zeroizing;

use crate::config::OWN_VARIABLES;
use crate::limits;
use crate::printable::visible_text;

/// A program and its arguments.
pub(super) struct Runner<'a> {
    program: &'a str,
    arguments: &'a [String],
    timeout: Duration,
}

impl<'a> Runner<'a> {
    pub(super) fn of(words: &'a [String]) -> Option<Self> {
        let (program, arguments) = words.split_first()?;
        Some(Self {
            program,
            arguments,
            timeout: limits::PASSWORD_COMMAND_TIMEOUT,
        })
    }

    /// Runs it without a shell, and without our own secrets in its environment. What it says of
    /// errors is not kept, since it may repeat a secret.
    pub(super) fn password(&self) -> Result<SecretString, String> {
        let fault = |why: String| {
            format!(
                "storePasswordCommand ({}) {why}",
                visible_text(self.program)
            )
        };
        let mut command = Command::new(self.program);
        command
            .args(self.arguments)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::null());
        for name in OWN_VARIABLES {
            command.env_remove(name);
        }
        let mut child = command
            .spawn()
            .map_err(|error| fault(format!("cannot be run: {error}")))?;
        let output = child.stdout.take();
        let printed = output.and_then(|output| printed(output, self.timeout));
        let status = printed
            .as_ref()
            .and_then(|_| ended(&mut child, self.timeout));
        let (Some(printed), Some(status)) = (printed, status) else {
            let _ = child.kill();
            let _ = child.wait();
            return Err(fault(format!("did not end within {:?}", self.timeout)));
        };
        if !status.success() {
            return Err(fault(format!("failed: {status}")));
        }
        let text = std::str::from_utf8(&printed).ok();
        text.and_then(first_line)
            .ok_or_else(|| fault("printed no password".to_owned()))
    }
}

/// All that it prints; `None` where that takes too long.
fn printed(output: ChildStdout, timeout: Duration) -> Option<Zeroizing<Vec<u8>>> {
    let (sent, received) = mpsc::channel();
    // A program that is killed may leave another one that keeps its output open: the thread then
    // stays, and nobody waits for it.
    let reading = move || {
        let mut bytes = Zeroizing::new(Vec::with_capacity(limits::LONGEST_PASSWORD));
        let limit = limits::LONGEST_PASSWORD as u64;
        if output.take(limit).read_to_end(&mut bytes).is_ok() {
            let _ = sent.send(bytes);
        }
    };
    std::thread::Builder::new()
        .name("provider-auth-password".to_owned())
        .spawn(reading)
        .ok()?;
    received.recv_timeout(timeout).ok()
}

/// How it ended; it has closed its output, so it is about to.
fn ended(child: &mut Child, timeout: Duration) -> Option<ExitStatus> {
    const LOOK: Duration = Duration::from_millis(5);
    let looks = timeout.as_millis() / LOOK.as_millis();
    for _ in 0..looks {
        if let Ok(Some(status)) = child.try_wait() {
            return Some(status);
        }
        std::thread::park_timeout(LOOK);
    }
    None
}

/// The first line, without its end.
pub(super) fn first_line(text: &str) -> Option<SecretString> {
    let line = text.lines().next().filter(|line| !line.is_empty());
    line.map(SecretString::from)
}

#[cfg(test)]
#[cfg(unix)]
mod tests {
    use secrecy::ExposeSecret as _;

    use super::*;

    fn run(words: &[&str]) -> Result<String, String> {
        let words: Vec<String> = words.iter().map(|word| (*word).to_owned()).collect();
        let runner = Runner {
            timeout: Duration::from_millis(500),
            ..Runner::of(&words).unwrap()
        };
        let password = runner.password();
        password.map(|password| password.expose_secret().to_owned())
    }

    fn shell(script: &str) -> Result<String, String> {
        run(&["sh", "-c", script])
    }

    #[test]
    fn the_first_line_that_it_prints_is_the_password() {
        assert_eq!(run(&["echo", "pass word"]), Ok("pass word".to_owned()));
        assert_eq!(shell("printf 'one\\r\\ntwo\\n'"), Ok("one".to_owned()));
        // A program, and not a shell.
        assert_eq!(run(&["echo", "$HOME;id"]), Ok("$HOME;id".to_owned()));
    }

    #[test]
    fn an_error_names_the_program_and_repeats_nothing_that_it_said() {
        for (script, why) in [
            (
                "echo S3CRET; echo S3CRET >&2; exit 3",
                "failed: exit status: 3",
            ),
            ("echo S3CRET >&2", "printed no password"),
            ("echo; echo S3CRET", "printed no password"),
            ("printf 'S3CRET\\377'", "printed no password"),
            ("echo S3CRET; sleep 60", "did not end within 500ms"),
            (
                "echo S3CRET; exec >&-; sleep 60",
                "did not end within 500ms",
            ),
        ] {
            let error = shell(script).expect_err(script);
            assert_eq!(error, format!("storePasswordCommand (sh) {why}"));
        }
        let absent = run(&["/nowhere/get-S3CRET-not", "S3CRET"]).unwrap_err();
        assert!(absent.contains("cannot be run"), "{absent}");
        assert!(
            !absent
                .replace("/nowhere/get-S3CRET-not", "")
                .contains("S3CRET")
        );
    }

    #[test]
    fn it_gets_no_variable_that_opens_the_vault() {
        // Those of this process are what it inherits; `env -0` would show one that is handed on.
        for name in OWN_VARIABLES {
            let printed = shell(&format!("echo \"${{{name}-unset}}\""));
            assert_eq!(printed, Ok("unset".to_owned()), "{name}");
        }
    }
}
