import errno
import glob
import os
import random
import signal
import tempfile
import threading
import unittest
from unittest import mock

from greenwave.journal import errors, folder, line, lock, writer
from greenwave.journal.crc import MULTIPLES, crc32c
from tests import vectors

RUN = "0197f3a4-5b6c-7d8e-9f00-00000000000%d"


def header(n=1, **more):
    return {"run_id": RUN % n, "experiment": "writer", **more}


def slow_crc(data):
    crc = 0xFFFFFFFF
    for byte in data:
        crc ^= byte
        for _ in range(8):
            crc = (crc >> 1) ^ (0x82F63B78 if crc & 1 else 0)
    return crc ^ 0xFFFFFFFF


def lines(path):
    """The good lines of a plain run; fails on any other."""
    found = []
    for name in sorted(glob.glob(os.path.join(path, "0*.jsonl"))):
        with open(name, "rb") as f:
            for raw in f.read().split(b"\n")[:-1]:
                got, reason = line.parse_line(raw)
                assert got is not None, (name, raw, reason)
                found.append(got)
    return found


class TestChecksum(unittest.TestCase):
    def test_the_multiples_are_multiples(self):
        powers, v = [], 1
        for _ in range(MULTIPLES[-1][0] + 1):
            powers.append(v)
            v = (v << 1) ^ (0x11EDC6F41 if v & 0x80000000 else 0)
        for m in MULTIPLES:
            total = 1
            for k in m:
                total ^= powers[k]
            self.assertEqual(total, 0, m)

    def test_every_length(self):
        r = random.Random(1)
        sizes = list(range(300)) + [6999, 7000, 7001, 14003] + [r.randrange(300, 20000) for _ in range(20)]
        for n in sizes:
            data = bytes(r.getrandbits(8) for _ in range(n))
            self.assertEqual(crc32c(data), slow_crc(data), n)


class TestVectors(unittest.TestCase):
    def test_the_writer_writes_the_same_bytes(self):
        self.assertGreaterEqual(len(vectors.names("writer")), 3)
        for name in vectors.names("writer"):
            with self.subTest(name), tempfile.TemporaryDirectory() as base:
                s = vectors.load("writer", name, "input.json")
                now = [line.parse_time(s["created"].encode())]
                not_before = s.get("not_before")
                w = writer.Writer(
                    base, s["header"], now=lambda: now[0], segment_size=s["segment_size"],
                    not_before=line.parse_time(not_before.encode()) if not_before else None,
                )  # fmt: skip
                for r in s["records"]:
                    now[0] = line.parse_time(r["now"].encode())
                    w.append(r["kind"], r["data"].encode())
                if s.get("closed"):
                    now[0] = line.parse_time(s["closed"].encode())
                    w.close()
                want = sorted(glob.glob(os.path.join(vectors.ROOT, "writer", name, "*.jsonl")))
                got = sorted(glob.glob(os.path.join(w.path, "*.jsonl")))
                self.assertEqual([os.path.basename(p) for p in want], [os.path.basename(p) for p in got])
                for a, b in zip(want, got):
                    with open(a, "rb") as fa, open(b, "rb") as fb:
                        self.assertEqual(fa.read(), fb.read(), b)
                if not s.get("closed"):
                    w.close()

    def test_folder_names(self):
        for name, want in vectors.load("names.json").items():
            self.assertEqual(folder.folder_name(name), want, name)


class TestWriter(unittest.TestCase):
    def setUp(self):
        t = tempfile.TemporaryDirectory()
        self.addCleanup(t.cleanup)
        self.base = t.name

    def open(self, n=1, **options):
        w = writer.Writer(self.base, header(n), **options)
        self.addCleanup(self.quietly, w.close)
        return w

    @staticmethod
    def quietly(call):
        try:
            call()
        except errors.JournalError:
            pass

    def test_one_write_a_record_and_fdatasync_for_the_durable(self):
        w = self.open(sync_every=3600)
        calls = []
        real_write, real_sync = os.write, writer.sync_file
        with mock.patch("os.write", lambda fd, b: calls.append("write") or real_write(fd, b)), mock.patch.object(
            writer, "sync_file", lambda fd: calls.append("sync") or real_sync(fd)
        ):
            w.append("step", b"{}")
            w.append("step", b"{}")
            self.assertEqual(calls, ["write", "write"])
            w.append("episode", b"{}", durable=True)
            self.assertEqual(calls, ["write", "write", "write", "sync"])
        self.assertEqual((w.logged, w.durable), (3, 3))

    def test_steps_are_durable_soon(self):
        w = self.open()
        synced = threading.Event()
        real = writer.sync_file
        with mock.patch.object(writer, "sync_file", lambda fd: (real(fd), synced.set())):
            w.append("step", b"{}")
            self.assertTrue(synced.wait(10))
            w.flush()
        self.assertEqual(w.durable, 1)

    def test_a_failed_write_is_final(self):
        w = self.open()
        w.append("step", b"{}", durable=True)
        with mock.patch("os.write", side_effect=OSError(errno.ENOSPC, "No space left on device")):
            with self.assertRaisesRegex(errors.Failed, "make room on the disk"):
                w.append("step", b"{}")
        for call in (lambda: w.append("step", b"{}"), w.flush, w.close):
            with self.assertRaises(errors.Failed):
                call()
        self.assertEqual([x.kind for x in lines(w.path)], ["header", "step"])
        self.assertFalse(lock.held(w.path))

    def test_a_short_write_is_cut_away(self):
        w = self.open()
        real = os.write
        with mock.patch("os.write", lambda fd, b: real(fd, b[:20])):
            with self.assertRaises(errors.Failed):
                w.append("step", b"{}")
        self.assertEqual([x.kind for x in lines(w.path)], ["header"])

    def test_a_failed_fdatasync_is_never_made_again(self):
        w = self.open()
        with mock.patch.object(writer, "sync_file", side_effect=OSError(errno.EIO, "Input/output error")):
            with self.assertRaisesRegex(errors.Failed, "check the disk"):
                w.append("episode", b"{}", durable=True)
        with mock.patch.object(writer, "sync_file") as again:
            with self.assertRaises(errors.Failed):
                w.append("episode", b"{}", durable=True)
            with self.assertRaises(errors.Failed):
                w.close()
            again.assert_not_called()
        self.assertEqual(w.durable, 0)

    def test_a_background_failure_is_told_once(self):
        told, seen = [], threading.Event()
        w = self.open(on_error=lambda e: (told.append(e), seen.set()))
        with mock.patch.object(writer, "sync_file", side_effect=OSError(errno.EIO, "Input/output error")):
            w.append("step", b"{}")
            self.assertTrue(seen.wait(10))
        with self.assertRaises(errors.Failed):
            w.append("step", b"{}")
        self.assertEqual(len(told), 1)

    def test_what_is_no_record_is_refused_and_harms_nothing(self):
        w = self.open()
        for kind, data in [("step", b"[]"), ("step", b'{"a":\n1}'), ("Step", b"{}"), ("header", b"{}"), ("x" * 33, b"{}"), ("", b"{}")]:
            with self.assertRaises(errors.Invalid):
                w.append(kind, data)
        with self.assertRaises(errors.TooLarge):
            w.append("step", b'{"a":"' + b"x" * (16 << 20) + b'"}')
        self.assertEqual(w.append("step", b"{}"), 1)

    def test_one_writer_a_run(self):
        w = self.open()
        with self.assertRaisesRegex(errors.Locked, "process %d on " % os.getpid()):
            self.open()
        w.close()
        with self.assertRaisesRegex(errors.Invalid, "has a journal: resume it"):
            self.open()

    def test_a_folder_that_cannot_be_made(self):
        with open(os.path.join(self.base, "file"), "w"):
            pass
        with self.assertRaisesRegex(errors.Failed, "choose a folder that may be written to"):
            writer.Writer(os.path.join(self.base, "file"), header())

    def test_many_threads_and_segments(self):
        w = self.open(segment_size=20_000)

        def work(n):
            for i in range(200):
                w.append("step" if i % 10 else "episode", b'{"thread":%d,"i":%d}' % (n, i), durable=i % 10 == 0)

        threads = [threading.Thread(target=work, args=(n,)) for n in range(8)]
        for t in threads:
            t.start()
        for t in threads:
            t.join()
        w.close()
        self.assertEqual((w.logged, w.durable), (1600, 1600))
        found = lines(w.path)
        self.assertEqual([x.seq for x in found if x.seq], list(range(1, 1601)))
        times = [x.micro for x in found]
        self.assertEqual(times, sorted(set(times)))
        self.assertGreater(len(glob.glob(os.path.join(w.path, "0*.jsonl"))), 5)

    def test_interrupted_around_the_write(self):
        w = self.open()
        real = os.write
        for n, after in enumerate((False, True), 1):

            def write(fd, b, after=after):
                if after:
                    real(fd, b)
                raise KeyboardInterrupt

            with mock.patch("os.write", write), self.assertRaises(KeyboardInterrupt):
                w.append("step", b'{"interrupted":%d}' % n)
        self.assertEqual(w.append("step", b"{}"), 2)  # the one that was written counts
        w.close()
        self.assertEqual([x.data for x in lines(w.path)[1:3]], [b'{"interrupted":2}', b"{}"])

    def test_interrupted_at_random_points(self):
        """A signal handler raises wherever it comes; afterwards the journal goes on in
        order."""

        def handler(signum, frame):
            raise KeyboardInterrupt

        self.addCleanup(signal.signal, signal.SIGALRM, signal.signal(signal.SIGALRM, handler))
        w = self.open(segment_size=100_000)
        r, interrupted, last = random.Random(1), 0, 0
        for _ in range(300):
            try:
                signal.setitimer(signal.ITIMER_REAL, r.uniform(1e-5, 2e-3))
                try:
                    while True:
                        last = w.append("step", b'{"i":%d}' % last)
                finally:
                    signal.setitimer(signal.ITIMER_REAL, 0)
            except KeyboardInterrupt:
                interrupted += 1
            except errors.Failed:  # in the middle of a change of segments: it says so
                self.quietly(w.close)
                w = self.open(2 + interrupted % 7, segment_size=10**9)
                last = 0
        self.assertGreater(interrupted, 250)
        w.append("step", b'{"last":true}', durable=True)
        w.close()
        found = [x for x in lines(w.path) if x.seq]
        self.assertEqual([x.seq for x in found], list(range(1, len(found) + 1)))
        self.assertGreaterEqual(len(found), last)
        self.assertEqual(found[-1].data, b'{"last":true}')

    def test_a_signal_handler_that_logs_gets_an_error_not_a_deadlock(self):
        w = self.open()
        caught = []

        def handler(signum, frame):
            try:
                w.append("step", b"{}")
            except errors.Reentered as e:
                caught.append(e)

        before = signal.signal(signal.SIGUSR1, handler)
        self.addCleanup(signal.signal, signal.SIGUSR1, before)
        real = os.write

        def write(fd, b):
            signal.raise_signal(signal.SIGUSR1)
            return real(fd, b)

        with mock.patch("os.write", write):
            w.append("step", b"{}")
        self.assertEqual(len(caught), 1)
        self.assertEqual(w.append("step", b"{}"), 2)

    def test_a_fork_does_not_share_the_run(self):
        w = self.open()
        w.append("step", b"{}")
        r, out = os.pipe()
        pid = os.fork()
        if pid == 0:
            try:
                w.append("step", b"{}")
                os.write(out, b"recorded")
            except errors.Forked:
                os.write(out, b"refused")
            finally:
                os._exit(0)
        os.close(out)
        with os.fdopen(r, "rb") as f:
            self.assertEqual(f.read(), b"refused")
        os.waitpid(pid, 0)
        self.assertTrue(lock.held(w.path))
        self.assertEqual(w.append("step", b"{}"), 2)
        w.close()
        self.assertEqual(len([x for x in lines(w.path) if x.seq]), 2)


if __name__ == "__main__":
    unittest.main()
