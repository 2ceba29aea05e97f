import json
import os
import shutil
import subprocess
import tempfile
import unittest

from greenwave.journal import errors
from greenwave.journal.line import time_text
from greenwave.journal.folder import folder_name
from greenwave.journal.reader import Damage, Reader, last_record, stat
from greenwave.journal.recovery import recover
from greenwave.journal.zstd import ZstdError, plain_decompress
from tests import vectors


def observe(path):
    """What this package's reader makes of a run's folder, as expected.json has it."""
    try:
        r = Reader(path)
    except errors.Empty:
        return {"error": "empty", "lines": [], "logged": 0, "sealed": False, "recovered": False, "torn": 0}
    except errors.NewerFormat:
        return {"error": "format", "lines": [], "logged": 0, "sealed": False, "recovered": False, "torn": 0}
    seen = {"lines": []}
    for key, name in (("run_id", "run_id"), ("experiment", "experiment"), ("continues", "continues")):
        if r.header.get(name):
            seen[key] = r.header[name]
    seen["experiment_folder"] = folder_name(r.header["experiment"])
    for x in r:
        if isinstance(x, Damage):
            line = {"seq": x.seq, "damage": True, "where": x.where}
            if x.lost:
                line["lost"] = x.lost
        else:
            line = {"seq": x.seq, "time": time_text(x.micro), "kind": x.kind, "data": x.data.decode(), "where": x.where}
        seen["lines"].append(line)
    info = stat(path)
    seen.update(logged=info.logged, sealed=info.sealed, recovered=info.recovered, torn=info.torn)
    return seen


class TestVectors(unittest.TestCase):
    maxDiff = None

    def each(self):
        for kind, least in (("good", 10), ("bad", 15)):
            names = vectors.names(kind)
            self.assertGreaterEqual(len(names), least)
            for name in names:
                with self.subTest(f"{kind}/{name}"):
                    yield os.path.join(vectors.ROOT, kind, name, "run"), vectors.load(kind, name, "expected.json")

    def test_the_reader_sees_what_every_reader_sees(self):
        for run, want in self.each():
            for key in ("about", "faults", "recover"):  # faults are those of a check, which the program makes
                want.pop(key, None)
            self.assertEqual(observe(run), want)

    def test_recovery_does_what_every_recovery_does(self):
        for run, want in self.each():
            with tempfile.TemporaryDirectory() as folder:
                copy = os.path.join(folder, "run")
                shutil.copytree(run, copy)
                if "error" in want:
                    with self.assertRaises(errors.JournalError):
                        recover(copy)
                    continue
                done = recover(copy)
                got = {"trimmed": done.trimmed, "quarantined": done.quarantined, "sealed": done.sealed}
                self.assertEqual(got, want["recover"])
                plain = [{**x, "where": x["where"].replace(".zst", "")} for x in want["lines"]]
                after = [{**x, "where": x["where"].replace(".zst", "")} for x in observe(copy)["lines"]]
                self.assertEqual(after, plain)
                again = recover(copy)
                self.assertEqual(again, (0, [], False, []))

    def test_the_last_record_of_a_kind(self):
        for run, want in self.each():
            if "error" in want:
                continue
            for kind in ("step", "episode", "checkpoint"):
                of_kind = [x["data"] for x in want["lines"] if x.get("kind") == kind]
                got = last_record(run, kind)
                if want.get("faults"):
                    continue  # lines of another run count there for who looks from the end
                self.assertEqual(got.decode() if got else None, of_kind[-1] if of_kind else None)


class TestZstd(unittest.TestCase):
    def test_against_the_program(self):
        texts = [b"", b"a", b"a" * 100_000, os.urandom(5000), json.dumps([i * 0.37 for i in range(8_000)]).encode()]
        with open("/usr/bin/env", "rb") as f:
            texts.append(f.read())
        for text in texts:
            for level in ("-1", "-3", "-19"):
                packed = subprocess.run(["zstd", "-qc", "--check", level], input=text, stdout=subprocess.PIPE, check=True).stdout
                self.assertEqual(plain_decompress(packed + packed), text + text)

    def test_damage_is_found(self):
        text = json.dumps([i * 0.37 for i in range(2000)]).encode()
        packed = subprocess.run(["zstd", "-qc", "--check"], input=text, stdout=subprocess.PIPE, check=True).stdout
        for i in range(0, len(packed), 61):
            for broken in (packed[:i] + bytes([packed[i] ^ 16]) + packed[i + 1 :], packed[: max(1, i)]):
                try:
                    self.assertEqual(plain_decompress(broken), text, i)
                except ZstdError:
                    pass
