import json
import os
import re
import signal
import subprocess
import sys
import tempfile
import textwrap
import time
import unittest
import uuid
from unittest import mock

import greenwave
from greenwave import provenance
from greenwave.journal import lock, writer
from greenwave.journal.reader import Reader, Record, stat


def records(path, kind):
    found = []
    for x in Reader(path):
        assert isinstance(x, Record), x
        if x.kind == kind:
            found.append(json.loads(x.data))
    return found


def header(path):
    return Reader(path).header


class Case(unittest.TestCase):
    def setUp(self):
        t = tempfile.TemporaryDirectory()
        self.addCleanup(t.cleanup)
        self.folder = t.name

    def script(self, text, *args, env=None, **options):
        """Runs a program in a process of its own."""
        client = os.path.dirname(os.path.dirname(os.path.abspath(greenwave.__file__)))
        options["env"] = {**(env or os.environ), "PYTHONPATH": client}
        return subprocess.run(
            [sys.executable, "-W", "error::ResourceWarning", "-c", textwrap.dedent(text), *args], cwd=self.folder,
            stdout=subprocess.PIPE, stderr=subprocess.PIPE, universal_newlines=True, **options,
        )  # fmt: skip

    def only_run(self):
        found = [os.path.join(d, n) for d, names, _ in os.walk(self.folder) for n in names if re.fullmatch("[0-9a-f-]{36}", n)]
        self.assertEqual(len(found), 1)
        return found[0]


class TestRun(Case):
    def test_everything_that_can_be_logged(self):
        model = os.path.join(self.folder, "model")
        with open(model, "wb") as f:
            f.write(b"x" * 2_000_000)
        with greenwave.start(
            "a/b", dir=self.folder, description="all", hyperparameters={"lr": 0.1, "clip": float("inf")}, metadata={"seed": 7}, log_interval=5
        ) as run:
            for i in range(11):
                run.log_step({"episode_number": 1}, step_number=i)
            run.log_episode(episode_number=1, total_reward=1.5, mine={"a": [1]})
            id_ = run.log_checkpoint(checkpoint_type="best", model_path=model)
            run.log_validation(checkpoint_id=id_, total_reward=2)
            run.log_baseline(baseline_type="fixed_time", notes="ü")
            run.log_experiment(convergence_episode=1)
            self.assertTrue(run.flush())
            r = run.report()
            self.assertEqual((r.status, r.logged, r.durable, r.skipped, r.sync), ("running", 8, 8, 8, "none"))
        self.assertEqual(run.report().status, "completed")
        self.assertEqual([s["step_number"] for s in records(run.dir, "step")], [0, 5, 10])
        checkpoint = records(run.dir, "checkpoint")[0]
        self.assertEqual(checkpoint["model_size_mb"], 2)
        self.assertEqual(len(checkpoint["model_hash"]), 64)
        self.assertEqual(id_, str(uuid.uuid5(uuid.UUID(run.id), "5")))
        h = header(run.dir)
        self.assertEqual((h["experiment"], h["description"], h["metadata"], h["log_interval"]), ("a/b", "all", {"seed": 7}, 5))
        self.assertEqual(h["config"], {"lr": 0.1, "clip": "Infinity"})
        self.assertEqual(h["versions"]["python"], sys.version.split()[0])
        self.assertIn("a%2Fb", run.dir)
        for call in (lambda: run.log_step(episode_number=1, step_number=0), lambda: run.log_episode(episode_number=2, total_reward=0), run.flush):
            with self.assertRaises(greenwave.Finished):
                call()
        self.assertEqual(run.finish().status, "completed")

    def test_what_is_wrong_with_the_configuration(self):
        for options, what in [
            ({"experiment": ""}, "experiment is empty"), ({"experiment": "x" * 201}, "201 characters"),
            ({"experiment": "a\nb"}, "control character"), ({"experiment": "x", "log_interval": 0}, "log_interval"),
            ({"experiment": "x", "mode": "now"}, "mode is 'now'"), ({"experiment": "x", "heartbeat_every": 100}, "heartbeat_every"),
            ({"experiment": "x", "hyperparameters": {"f": object()}}, "hyperparameters or metadata: f is"),
        ]:  # fmt: skip
            with self.assertRaisesRegex(ValueError, what):
                greenwave.start(dir=self.folder, **options)
        self.assertEqual(os.listdir(self.folder), [])

    def test_how_a_block_ends(self):
        for raised, status, reason in [
            (None, "completed", None), (ValueError("loss is NaN"), "failed", "ValueError: loss is NaN"),
            (KeyboardInterrupt(), "interrupted", "KeyboardInterrupt"), (SystemExit(3), "interrupted", "the program ended with 3"),
            (SystemExit(0), "completed", None),
        ]:  # fmt: skip
            try:
                with greenwave.start("ends", dir=self.folder) as run:
                    if raised is not None:
                        raise raised
            except BaseException as exc:
                self.assertIs(exc, raised)
            end = records(run.dir, "end")[0]
            self.assertEqual((end["status"], end.get("reason")), (status, reason))

    def test_how_a_program_ends(self):
        for body, status in [
            ("pass", "interrupted"), ("raise ValueError('x')", "failed"), ("run.pause('later')", "paused"),
            ("raise KeyboardInterrupt", "interrupted"), ("import sys; sys.exit(2)", "interrupted"),
        ]:  # fmt: skip
            with self.subTest(body):
                done = self.script(
                    f"""
                    import greenwave
                    run = greenwave.start("program", dir="runs")
                    print(run.dir)
                    run.log_step(episode_number=1, step_number=1)
                    {body}
                    """
                )
                end = records(done.stdout.strip(), "end")
                self.assertEqual([e["status"] for e in end], [status], done.stderr)

    def test_a_run_says_that_it_is_alive_and_what_it_uses(self):
        run = greenwave.start("alive", dir=self.folder, heartbeat_every=0.05, resources_every=0.05)
        deadline = time.monotonic() + 20
        while run.report().logged < 6 and time.monotonic() < deadline:
            time.sleep(0.02)
        run.finish()
        self.assertTrue(records(run.dir, "heartbeat"))
        used = records(run.dir, "resource")[-1]
        for name in ("process_cpu_percent", "process_memory_mb", "host_cpu_percent", "host_memory_total_mb", "disk_free_mb"):
            self.assertGreaterEqual(used[name], 0)
        self.assertLess(used["process_memory_mb"], used["host_memory_total_mb"])

    def test_errors_can_be_warnings(self):
        run = greenwave.start("warn", dir=self.folder, errors="warn")
        with self.assertLogs("greenwave", "ERROR") as said:
            self.assertFalse(run.log_episode(episode_number=1))
            self.assertFalse(run.log_episode(episode_number=1))
            self.assertEqual(run.log_checkpoint(checkpoint_type="best", model_path=self.folder + "/none"), "")
        self.assertEqual(len(said.output), 2)
        self.assertIn("total_reward is missing: must be a number", said.output[0])
        run.finish()
        with self.assertLogs("greenwave", "ERROR"):
            self.assertFalse(run.log_step(episode_number=1, step_number=1))

    def test_recording_goes_on_when_the_disk_takes_writes_again(self):
        run = greenwave.start("disk", dir=self.folder, resources_every=0)
        run.log_episode(episode_number=1, total_reward=1)
        first = run.dir
        full = OSError(28, "No space left on device")
        with mock.patch("os.write", side_effect=full), self.assertLogs("greenwave", "ERROR") as said:
            for _ in range(3):
                with self.assertRaisesRegex(greenwave.NotRecorded, "make room on the disk"):
                    run.log_step(episode_number=2, step_number=1)
            r = run.report()
            self.assertEqual((r.not_recorded, r.logged), (3, 1))
            self.assertIn("make room", r.last_error)
        self.assertEqual(len(said.output), 1)
        deadline = time.monotonic() + 20
        while run.report().last_error and time.monotonic() < deadline:
            time.sleep(0.02)
        run.log_episode(episode_number=2, total_reward=2)
        run.finish()
        self.assertNotEqual(run.dir, first)
        self.assertEqual(header(run.dir)["continues"], os.path.basename(first))
        self.assertEqual(records(run.dir, "heartbeat")[0]["not_recorded"], {"step": 3})
        self.assertEqual(records(first, "episode")[0]["episode_number"], 1)
        self.assertEqual(records(run.dir, "episode")[0]["episode_number"], 2)
        self.assertFalse(lock.held(first))

    def test_a_forked_worker_does_not_log(self):
        with greenwave.start("fork", dir=self.folder) as run:
            pid = os.fork()
            if pid == 0:
                code = 1
                try:
                    run.log_step(episode_number=1, step_number=1)
                except greenwave.GreenwaveError as exc:
                    code = 0 if "fork" in str(exc) else 2
                finally:
                    os._exit(code)
            self.assertEqual(os.waitpid(pid, 0)[1], 0)
            run.log_step(episode_number=1, step_number=2)
        self.assertEqual([s["step_number"] for s in records(run.dir, "step")], [2])


class TestResume(Case):
    def test_resume(self):
        with greenwave.resume("r", dir=self.folder) as run:
            self.assertIsNone(run.last_episode)
            self.assertIsNone(run.last_checkpoint())
            run.log_checkpoint(checkpoint_type="regular", model_path="s3://b/m", model_size_mb=1, model_hash="x")
            run.log_episode(episode_number=4, total_reward=1)
            first = run.id
            with self.assertRaisesRegex(greenwave.Running, "process %d" % os.getpid()):
                greenwave.resume("r", dir=self.folder)
        with greenwave.resume("r", dir=self.folder) as again:
            self.assertEqual(again.last_episode, 4)
            self.assertEqual(again.last_checkpoint()["model_path"], "s3://b/m")
            self.assertEqual(header(again.dir)["continues"], first)

    def test_after_a_kill_in_the_middle_of_a_line_and_a_clock_that_went_back(self):
        done = self.script(
            """
            import greenwave, os, signal
            from greenwave.journal import writer
            run = greenwave.start("k", dir=".")
            run.log_episode(episode_number=9, total_reward=1)
            os.write(run._recorder._writer._segment.fd, b'{"seq":')
            os.kill(os.getpid(), signal.SIGKILL)
            """
        )
        self.assertEqual(done.returncode, -signal.SIGKILL, done.stderr)
        now, hour = time.time_ns, 3_600_000_000_000
        with mock.patch.object(writer.time, "time_ns", lambda: now() - hour):
            with greenwave.resume("k", dir=self.folder) as run:
                self.assertEqual(run.last_episode, 9)
                run.log_episode(episode_number=10, total_reward=1)
        earlier = os.path.join(self.folder, "k", header(run.dir)["continues"])
        self.assertGreater(list(Reader(run.dir))[0].micro, stat(earlier).last_time)
        self.assertGreater(header(run.dir)["started_at"], header(earlier)["started_at"])


class TestProvenance(Case):
    def test_commit(self):
        git = lambda *a: subprocess.run(["git", "-C", self.folder, "-c", "user.name=a", "-c", "user.email=a@b", *a], check=True, stdout=subprocess.PIPE)  # noqa: E731
        self.assertEqual(provenance.git_commit(self.folder), ("", False))
        git("init", "-q")
        with open(os.path.join(self.folder, "f"), "w") as f:
            f.write("1")
        git("add", "f")
        git("commit", "-qm", "one")
        head = git("rev-parse", "HEAD").stdout.decode().strip()
        self.assertEqual(provenance.git_commit(self.folder), (head, False))
        with open(os.path.join(self.folder, "f"), "w") as f:
            f.write("2")
        self.assertEqual(provenance.git_commit(self.folder), (head, True))
        git("pack-refs", "--all")
        tree = os.path.join(self.folder, "tree")
        git("worktree", "add", "-q", tree)
        self.assertEqual(provenance.git_commit(tree), (head, False))

    def test_no_argument_and_no_environment_is_kept(self):
        done = self.script(
            """
            import greenwave
            with greenwave.start("s", dir=".") as run: print(run.dir)
            """,
            "--password=hunter2", env={**os.environ, "SUPABASE_PASSWORD": "hunter3"},
        )  # fmt: skip
        with open(os.path.join(done.stdout.strip(), "000001-000000000001.jsonl")) as f:
            self.assertNotIn("hunter", f.read())

    def test_run_ids_sort_by_time(self):
        ids = []
        for _ in range(3):
            ids.append(provenance.new_run_id())
            time.sleep(0.002)
        self.assertEqual(ids, sorted(ids))
        self.assertEqual({(uuid.UUID(i).version, uuid.UUID(i).variant) for i in ids}, {(7, uuid.RFC_4122)})
