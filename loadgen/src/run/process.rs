//! Workers in processes of their own, past the limits of one: what goes over their standard input and output.
//!
//! First line in: the `Task`. Then [`Order`]s in, `Line`s out, each a line of JSON. The end of the input ends the child,
//! so that none outlives the run.

use std::io::{self, BufRead, BufReader, Write};
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::AtomicU64;
use std::thread::{self, JoinHandle};

use crossbeam_channel::{Receiver, Sender, bounded, select, unbounded};
use serde::{Deserialize, Serialize};

use crate::error::Error;
use crate::plan::Plan;
use crate::scenario::Scenario;
use crate::talk::{Order, Report};
use crate::worker::{self, Share, Worker};

/// What a child is to do.
#[derive(Debug, Serialize, Deserialize)]
struct Task {
    scenario: Scenario,
    /// Which run it is.
    run: u32,
    /// Its workers: `first..first + count` of `workers`.
    first: u32,
    count: u32,
    workers: u32,
}

/// What a child says.
#[derive(Debug, Serialize, Deserialize)]
enum Line {
    /// Its workers wait for orders.
    Ready,
    /// It cannot begin.
    Refused(Error),
    /// A worker's report.
    Report(u32, Report),
}

/// A child, from outside.
#[derive(Debug)]
pub struct Process {
    /// Taken to end it.
    input: Option<ChildStdin>,
    /// Reads what it says, then waits for its end.
    reader: Option<JoinHandle<()>>,
    ready: Receiver<Result<(), Error>>,
}

impl Process {
    /// Starts `executable worker` for some of all workers; what they report comes to `reports`.
    ///
    /// # Errors
    /// When it cannot be started.
    pub fn start(
        executable: &Path,
        plan: &Plan,
        share: std::ops::Range<u32>,
        workers: u32,
        reports: Sender<(u32, Report)>,
    ) -> Result<Self, Error> {
        let failed = |error: io::Error| Error::Failed(format!("{} cannot be started: {error}", executable.display()));
        let mut command = Command::new(executable);
        // A group of its own: Ctrl-C is for the parent, which ends the run in order.
        command.arg("worker").stdin(Stdio::piped()).stdout(Stdio::piped()).process_group(0);
        let mut child = command.spawn().map_err(failed)?;
        let (input, output) = (child.stdin.take(), child.stdout.take());
        let (Some(mut input), Some(output)) = (input, output) else {
            return Err(Error::Failed(String::from("a child without standard input and output")));
        };
        let (first, count) = (share.start, share.end - share.start);
        let task = Task { scenario: plan.scenario.clone(), run: plan.run, first, count, workers };
        // A child that is gone already says so by the end of its output.
        let _ = write_line(&mut input, &task);
        let (tell_ready, ready) = bounded(1);
        let reader = thread::Builder::new().name(format!("child-{first}"));
        let read = move || Reader { share, tell_ready, reports }.run(child, BufReader::new(output));
        Ok(Self { input: Some(input), reader: Some(reader.spawn(read).map_err(failed)?), ready })
    }

    /// Waits until its workers wait for orders.
    ///
    /// # Errors
    /// What it refused, or how it died.
    pub fn wait_ready(&self) -> Result<(), Error> {
        self.ready.recv().unwrap_or_else(|_| Err(Error::Failed(String::from("a child said nothing at all"))))
    }

    /// Gives it an order. One that is gone does not hear it; its reader says that it is.
    pub fn tell(&mut self, order: &Order) {
        if let Some(input) = &mut self.input {
            let _ = write_line(input, order);
        }
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        self.input = None;
        if let Some(reader) = self.reader.take() {
            // A panic there was printed there.
            let _ = reader.join();
        }
    }
}

/// Reads a child's lines.
struct Reader {
    share: std::ops::Range<u32>,
    tell_ready: Sender<Result<(), Error>>,
    reports: Sender<(u32, Report)>,
}

impl Reader {
    fn run(self, mut child: Child, output: impl BufRead) {
        let mut tallies = 0;
        let mut words = None;
        for line in output.lines().map_while(Result::ok) {
            match serde_json::from_str(&line) {
                Ok(Line::Ready) => self.ready(Ok(())),
                Ok(Line::Refused(error)) => self.ready(Err(error)),
                Ok(Line::Report(worker, report)) => {
                    tallies += u32::from(matches!(report, Report::Tally(_)));
                    // The run may be over already.
                    let _ = self.reports.send((worker, report));
                }
                Err(error) => {
                    words = Some(format!("it said what is no report: {error}"));
                    break;
                }
            }
        }
        let ended = child.wait().map_or_else(|error| error.to_string(), |status| status.to_string());
        if tallies < self.share.end - self.share.start {
            let words = format!("a worker process ended before its last report: {}", words.unwrap_or(ended));
            self.ready(Err(Error::Failed(words.clone())));
            let _ = self.reports.send((self.share.start, Report::Failed(words)));
        }
    }

    /// Only the first word counts.
    fn ready(&self, result: Result<(), Error>) {
        let _ = self.tell_ready.try_send(result);
    }
}

/// The child's side: does what its standard input says until the last report is written, or the input ends.
///
/// # Errors
/// When the input is no task. What the task runs into is told to the parent.
pub fn serve() -> Result<(), Error> {
    let orders = read_orders()?;
    let mut output = io::stdout().lock();
    match Workers::start(orders.0) {
        Err(error) => say(&mut output, &Line::Refused(error)),
        Ok(workers) => {
            say(&mut output, &Line::Ready)?;
            workers.obey(&orders.1, &mut output)
        }
    }
}

/// A child's workers.
struct Workers {
    workers: Vec<Worker>,
    reports: Receiver<(u32, Report)>,
}

impl Workers {
    fn start(task: Task) -> Result<Self, Error> {
        let Task { scenario, run, first, count, workers } = task;
        let plan = Arc::new(Plan::new(scenario).map_err(Error::Usage)?.of_run(run));
        let clients = u64::from(plan.clients()) * u64::from(count);
        worker::allow_descriptors(clients.div_ceil(u64::from(workers)))?;
        let (tell, reports) = unbounded();
        let spawn = |worker| {
            let delivered = Arc::new(AtomicU64::new(0));
            worker::spawn(Arc::clone(&plan), Share { worker, workers }, tell.clone(), delivered)
        };
        let workers = (first..first + count).map(spawn).collect::<Result<_, _>>()?;
        Ok(Self { workers, reports })
    }

    fn obey(self, orders: &Receiver<Order>, output: &mut impl Write) -> Result<(), Error> {
        let mut working = self.workers.len();
        while working > 0 {
            select! {
                recv(orders) -> order => match order {
                    Ok(order) => self.workers.iter().for_each(|worker| worker.tell(order.clone())),
                    // The parent is gone: nobody reads what comes out.
                    Err(_) => return Ok(()),
                },
                recv(self.reports) -> report => {
                    let Ok((worker, report)) = report else { return Ok(()) };
                    working -= usize::from(!matches!(report, Report::Progress(_)));
                    say(output, &Line::Report(worker, report))?;
                }
            }
        }
        Ok(())
    }
}

/// The task, and the orders that follow until the input ends.
fn read_orders() -> Result<(Task, Receiver<Order>), Error> {
    let mut first = String::new();
    let wrong =
        || Error::Usage(String::from("`worker` is what epush-loadgen calls itself by: it reads a task from its input"));
    io::stdin().read_line(&mut first).map_err(|_| wrong())?;
    let task = serde_json::from_str(&first).map_err(|_| wrong())?;
    let (tell, orders) = unbounded();
    thread::spawn(move || {
        for line in io::stdin().lines().map_while(Result::ok) {
            let Ok(order) = serde_json::from_str(&line) else { return };
            if tell.send(order).is_err() {
                return;
            }
        }
    });
    Ok((task, orders))
}

fn say(output: &mut impl Write, line: &Line) -> Result<(), Error> {
    write_line(output, line).map_err(|error| Error::Failed(format!("the parent does not listen: {error}")))
}

fn write_line(output: &mut impl Write, value: &impl Serialize) -> io::Result<()> {
    let mut line = serde_json::to_vec(value)?;
    line.push(b'\n');
    output.write_all(&line)?;
    output.flush()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::run::testing;

    fn start(script: &str, reports: Sender<(u32, Report)>) -> (tempfile::TempDir, Process) {
        use std::os::unix::fs::PermissionsExt;
        let directory = tempfile::tempdir().expect("a directory");
        let path = directory.path().join("child");
        std::fs::write(&path, format!("#!/bin/sh\n{script}\n")).expect("a file");
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o755)).expect("executable");
        let plan = Plan::new(testing::hold("ws://127.0.0.1:1", 2)).expect("a plan");
        let process = Process::start(&path, &plan, 0..1, 1, reports).expect("it starts");
        (directory, process)
    }

    #[test]
    fn a_child_that_dies_is_a_failure_with_its_status() {
        let (tell, reports) = unbounded();
        let (_directory, process) = start("read task; exit 3", tell);
        let error = process.wait_ready().expect_err("it died");
        assert!(error.to_string().contains("exit status: 3"), "{error}");
        assert!(matches!(reports.recv(), Ok((0, Report::Failed(_)))));
    }

    #[test]
    fn a_child_that_talks_nonsense_is_a_failure() {
        let (tell, _reports) = unbounded();
        let (_directory, process) = start("echo hello", tell);
        let error = process.wait_ready().expect_err("no report");
        assert!(error.to_string().contains("no report"), "{error}");
    }

    #[test]
    fn dropping_the_handle_ends_the_child() {
        let (tell, reports) = unbounded();
        let (_directory, process) = start("read task; echo '\"Ready\"'; read order", tell);
        process.wait_ready().expect("it is ready");
        drop(process);
        assert!(matches!(reports.recv(), Ok((0, Report::Failed(_)))), "it ended without a last report");
    }
}
