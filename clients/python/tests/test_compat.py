"""The guide's snippets, as they are written there."""

import asyncio
import json
import os
import sys
import time
import unittest
from unittest import mock

import greenwave
from greenwave import compat, program
from tests.test_run import Case, header, records

FAKE = """#!/bin/sh
printf '%s|%s\\n' "$*" "$GREENWAVE_DB" >> "$0.calls"
[ -e "$0.says" ] && cat "$0.says"
exit $(cat "$0.code" 2>/dev/null || echo 0)
"""


class InFolder(Case):
    def setUp(self):
        super().setUp()
        before = os.getcwd()
        os.chdir(self.folder)
        self.addCleanup(os.chdir, before)

    def fake(self, says="", code=0):
        """A program that notes how it was called."""
        path = os.path.join(self.folder, "bin", "greenwave")
        os.makedirs(os.path.dirname(path), exist_ok=True)
        for name, text in (("", FAKE), (".says", says), (".code", str(code))):
            with open(path + name, "w") as f:
                f.write(text)
        os.chmod(path, 0o755)
        return path

    def calls(self, path):
        with open(path + ".calls") as f:
            return f.read().splitlines()


class TestSnippets(InFolder):
    def test_real_time(self):
        episode_data = {"episode_number": 1, "total_reward": 164.67}

        async def main():
            from database_integration import ProductionLoggerWithDB

            logger = ProductionLoggerWithDB(experiment_name="production_run", enable_db=True, log_interval=10)
            await logger.initialize({"lr": 0.001})
            for i in range(25):
                await logger.log_step({"episode_number": 1, "step_number": i})
            self.assertIs(await logger.log_episode(episode_data), True)
            await logger.close()
            return logger.run

        run = asyncio.run(main())
        self.assertEqual(run.report().sync, "program")
        self.assertEqual(run.report().last_error, "")
        self.assertEqual(run.report().synced, run.report().logged)
        self.assertEqual(header(run.dir)["config"], {"lr": 0.001})
        self.assertEqual([s["step_number"] for s in records(run.dir, "step")], [0, 10, 20])
        self.assertTrue(os.path.exists("greenwave.db"))

    def test_batch_sync_and_export(self):
        logger = compat.ProductionLogger(experiment_name="offline_test", log_interval=5)
        logger.log_step(episode_number=1, step_number=5)
        logger.log_episode({"episode_number": 1, "total_reward": 2.0})
        logger.close()
        with open("production_logs/old_episodes.jsonl", "w") as f:
            f.write('{"episode_number": 1, "total_reward": 1.0}\n{"episode_number": 2, "total_reward": 1.0}\n')

        from database_integration import DatabaseManager

        db_manager = DatabaseManager()
        stats = db_manager.sync_local_logs_to_db("production_logs")
        self.assertEqual(f"Synced {stats['episodes']} episodes", "Synced 3 episodes")
        self.assertEqual((stats["stored"], stats["new"], stats["refused"]), (5, 5, 0))
        self.assertEqual(db_manager.sync_local_logs_to_db("production_logs")["new"], 0)

        db = DatabaseManager()
        db.export_experiment_data("offline_test", "exports/")
        with open("exports/manifest.json") as f:
            self.assertEqual(json.load(f)["experiment"], "offline_test")
        with open("exports/training_episodes.csv") as f:
            self.assertEqual(len(f.readlines()), 2)
        with self.assertRaisesRegex(greenwave.ProgramFailed, "no_such"):
            db.export_experiment_data("no_such", "exports2/")

    def test_offline_needs_nothing(self):
        with mock.patch.dict(os.environ, {"GREENWAVE_BIN": "", "PATH": "", "DATABASE_URL": "postgres://u:p@nowhere/x"}):
            logger = compat.ProductionLogger(experiment_name="offline_test", log_interval=5)
            with self.assertNoLogs("greenwave", "WARNING") if hasattr(self, "assertNoLogs") else mock.MagicMock():
                self.assertTrue(logger.log_episode({"episode_number": 1, "total_reward": 2.0}))
                logger.close()
        self.assertEqual(logger.run.report().sync, "none")

    def test_a_training_is_not_stopped_by_a_bad_record(self):
        logger = compat.ProductionLogger(experiment_name="bad")
        with self.assertLogs("greenwave", "ERROR"):
            self.assertFalse(logger.log_episode({"episode_number": 1}))
        logger.close("failed", "as a test")
        self.assertEqual(records(logger.run.dir, "end"), [{"status": "failed", "reason": "as a test"}])

    def test_the_end_of_the_program_ends_the_run(self):
        for body, want in (("", "completed"), ("raise ValueError('x')", "failed")):
            done = self.script(
                f"""
                from greenwave.compat import ProductionLogger
                logger = ProductionLogger("ends")
                print(logger.run.dir)
                {body}
                """
            )
            self.assertEqual(records(done.stdout.strip(), "end")[0]["status"], want, done.stderr)

    def test_initialize_after_the_first_record(self):
        logger = compat.ProductionLogger("late")
        logger.log_episode(episode_number=1, total_reward=1)
        logger.initialize({"lr": 1})
        logger.close()
        self.assertEqual(records(logger.run.dir, "experiment"), [{"config": {"lr": 1}}])


class TestProgram(InFolder):
    def test_without_the_program_it_is_said_once_how_to_get_it(self):
        with mock.patch.dict(os.environ, {"GREENWAVE_BIN": "", "PATH": self.folder}):
            with self.assertLogs("greenwave", "WARNING") as said:
                logger = compat.ProductionLoggerWithDB("alone")
                logger.log_episode(episode_number=1, total_reward=1)
                logger.close()
            self.assertEqual(len([s for s in said.output if "go install" in s]), 1)
            self.assertIn("go install", logger.run.report().last_error)
            for call in (compat.DatabaseManager().sync_local_logs_to_db, lambda: compat.DatabaseManager().export_experiment_data("a", "b")):
                with self.assertRaisesRegex(greenwave.ProgramMissing, "go install github.com/greenwave-traffic/greenwave/cmd/greenwave@latest"):
                    call()
        self.assertEqual(records(logger.run.dir, "end"), [{"status": "completed"}])

    def test_where_it_is_looked_for(self):
        path = self.fake()
        with mock.patch.dict(os.environ, {"GREENWAVE_BIN": path, "PATH": ""}):
            self.assertEqual(program.find(), path)
        with mock.patch.dict(os.environ, {"GREENWAVE_BIN": "", "PATH": os.path.dirname(path)}):
            self.assertEqual(program.find(), path)
            with self.assertRaisesRegex(greenwave.ProgramMissing, "program is '/none'"):
                program.find("/none")
        with mock.patch.dict(os.environ, {"GREENWAVE_BIN": "/none"}), self.assertRaisesRegex(greenwave.ProgramMissing, "GREENWAVE_BIN is '/none'"):
            program.find()
        with mock.patch.dict(os.environ, {"GREENWAVE_BIN": "", "PATH": ""}), mock.patch.object(sys, "executable", os.path.dirname(path) + "/python"):
            self.assertEqual(program.find(), path)

    def test_no_password_in_its_arguments(self):
        path = self.fake()
        with greenwave.start("secret", dir="runs", destination="postgres://u:hunter2@h/d", program=path) as run:
            pass
        call = self.calls(path)[0]
        self.assertEqual(call, f"sync {run.dir} --follow --until-ended --json|postgres://u:hunter2@h/d")

    def test_a_program_that_does_not_understand_is_left_alone(self):
        path = self.fake(code=2)
        with self.assertLogs("greenwave", "WARNING") as said:
            run = greenwave.start("useless", dir="runs", destination="sqlite:x.db", program=path)
            deadline = time.monotonic() + 20
            while not run.report().last_error and time.monotonic() < deadline:
                time.sleep(0.02)
            run.log_episode(episode_number=1, total_reward=1)
            report = run.finish()
        self.assertIn("does not understand what it was asked", report.last_error)
        self.assertEqual(len(self.calls(path)), 1)
        self.assertTrue(any("greenwave sync" in s for s in said.output))
        self.assertEqual(records(run.dir, "end"), [{"status": "completed"}])

    def test_a_program_that_was_killed_is_started_again(self):
        path = self.fake(code=9)
        with mock.patch.object(program.Sender, "FIRST", 0.01), self.assertLogs("greenwave", "WARNING"):
            run = greenwave.start("again", dir="runs", destination="sqlite:x.db", program=path)
            deadline = time.monotonic() + 20
            while (not os.path.exists(path + ".calls") or len(self.calls(path)) < 2) and time.monotonic() < deadline:
                time.sleep(0.02)
            with open(path + ".code", "w") as f:
                f.write("0")
            run.finish()
        self.assertGreaterEqual(len(self.calls(path)), 2)
        self.assertEqual(run.report().last_error, "")

    def test_finish_waits_no_longer_than_it_was_told(self):
        path = self.fake()
        with open(path, "w") as f:
            f.write("#!/bin/sh\nexec sleep 60\n")
        run = greenwave.start("slow", dir="runs", destination="sqlite:x.db", program=path, finish_timeout=0.1)
        begun = time.monotonic()
        with self.assertLogs("greenwave", "WARNING") as said:
            run.finish()
        self.assertLess(time.monotonic() - begun, 20)
        self.assertIn("greenwave sync", said.output[-1])
        child = run._senders[0]._process
        child.kill()
        child.wait()

    def test_batch_starts_nobody(self):
        path = self.fake()
        with greenwave.start("batch", dir="runs", destination="sqlite:x.db", program=path, mode="batch") as run:
            pass
        self.assertEqual(run.report().sync, "none")
        self.assertFalse(os.path.exists(path + ".calls"))


if __name__ == "__main__":
    unittest.main()
