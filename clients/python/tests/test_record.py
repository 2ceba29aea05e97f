import dataclasses
import datetime
import enum
import json
import math
import pathlib
import unittest
from collections import OrderedDict, namedtuple
from decimal import Decimal

from greenwave.errors import FieldError
from greenwave.record import SCHEMAS, encode, plain

NAN, INF = float("nan"), float("inf")


class Scalar:
    """A numpy scalar, as far as it is asked."""

    def __init__(self, value):
        self.value = value

    def tolist(self):
        return self.value

    item = tolist


class Only:
    """A scalar of a library that has item() alone."""

    def __init__(self, value):
        self.value = value

    def item(self):
        return self.value


def step(**fields):
    return json.loads(encode("step", {"episode_number": 1, "step_number": 2, **fields}))


def episode(**fields):
    return json.loads(encode("episode", {"episode_number": 1, "total_reward": 1.5, **fields}))


class TestValues(unittest.TestCase):
    def test_none_is_not_measured(self):
        self.assertEqual(step(immediate_reward=None, state_vector=None, mine=None), {"episode_number": 1, "step_number": 2, "mine": None})

    def test_not_finite(self):
        got = step(
            immediate_reward=-INF, state_vector=[1.0, NAN, INF], speeds={"A": NAN, "5th.Ave": [1, INF]}, mine={"x": [NAN]}, active_vehicles=NAN
        )
        self.assertEqual(got["immediate_reward"], "-Infinity")
        self.assertEqual(got["state_vector"], [1.0, "NaN", "Infinity"])
        self.assertEqual(got["speeds"], {"A": "NaN", "5th.Ave": [1, "Infinity"]})
        self.assertEqual(
            set(got["non_finite"]),
            {"immediate_reward", "state_vector[1]", "state_vector[2]", "speeds.A", 'speeds["5th.Ave"][1]', "mine.x[0]", "active_vehicles"},
        )
        self.assertEqual(episode(total_reward=NAN)["total_reward"], "NaN")
        with self.assertRaises(FieldError):
            step(step_number=NAN)
        self.assertEqual(step(non_finite=["gone"], immediate_reward=NAN)["non_finite"], ["gone", "immediate_reward"])

    def test_foreign_numbers_without_their_library(self):
        got = step(
            active_vehicles=Scalar(3), immediate_reward=Scalar(0.5), state_vector=Scalar([0.5, NAN]), simulation_time=Decimal("2.5"),
            queue_lengths={"A": {"N": Scalar(2)}}, action_taken=Scalar([4]), mine=Only(7), other=Scalar([[1, 2], [3, 4]]),
        )  # fmt: skip
        self.assertEqual((got["active_vehicles"], got["immediate_reward"], got["simulation_time"]), (3, 0.5, 2.5))
        self.assertEqual((got["state_vector"], got["queue_lengths"]), ([0.5, "NaN"], {"A": {"N": 2}}))
        self.assertEqual((got["action_taken"], got["mine"], got["other"]), (4, 7, [[1, 2], [3, 4]]))
        self.assertEqual(got["non_finite"], ["state_vector[1]"])

    def test_integers_may_be_written_as_floats(self):
        self.assertEqual(step(active_vehicles=3.0)["active_vehicles"], 3)

    def test_other_types(self):
        @dataclasses.dataclass
        class Data:
            a: int

        Pair = namedtuple("Pair", "x y")
        Colour = enum.Enum("Colour", "RED")
        zone = datetime.timezone(datetime.timedelta(hours=8))
        got = step(
            a=Data(1), b=Pair(1, 2), c=Colour.RED, d={3, 1}, e=pathlib.Path("/m"), f=OrderedDict(x=1), g={1: "a", None: 2}, h=(1, [2, (3,)]),
            real_timestamp=datetime.datetime(2026, 1, 2, 8, 0, 0, 5, zone), i=True, j=datetime.date(2026, 1, 2),
        )  # fmt: skip
        self.assertEqual([got[k] for k in "abcde"], [{"a": 1}, [1, 2], 1, [1, 3], "/m"])
        self.assertEqual([got[k] for k in "fghij"], [{"x": 1}, {"1": "a", "null": 2}, [1, [2, [3]]], True, "2026-01-02"])
        self.assertEqual(got["real_timestamp"], "2026-01-02T00:00:00.000005+00:00")

    def test_text_is_kept_as_it_is(self):
        text = "Jalan „Ü“ 🚦 \u2028 \x01 <&>"
        self.assertEqual(episode(mine=text, **{"ñ": 1}), {"episode_number": 1, "total_reward": 1.5, "mine": text, "ñ": 1})
        self.assertNotIn(b"\n", encode("episode", {"episode_number": 1, "total_reward": 1, "mine": "a\nb"}))


class TestRefusals(unittest.TestCase):
    def test_in_the_same_words_as_the_go_client(self):
        deep = leaf = []
        for _ in range(600):
            leaf.append([])
            leaf = leaf[0]
        for kind, fields, words in [
            ("step", {"queue_lengths": {"ECOLAND": {"north": "3"}}}, 'step: queue_lengths.ECOLAND.north is "3": must be a number'),
            ("step", {"episode_number": -1}, "step: episode_number is -1: must be an integer from 0 to 2147483647"),
            ("step", {"episode_number": 1.5}, "step: episode_number is 1.5: must be an integer from 0 to 2147483647"),
            ("step", {"immediate_reward": "1"}, 'step: immediate_reward is "1": must be a number'),
            ("step", {"immediate_reward": True}, "step: immediate_reward is true: must be a number"),
            ("step", {"state_vector": [1, "a"]}, 'step: state_vector[1] is "a": must be a number'),
            ("step", {"state_vector": 3}, "step: state_vector is 3: must be a list of numbers"),
            ("step", {"queue_lengths": [1]}, "step: queue_lengths is [1]: must be a JSON object of numbers"),
            ("step", {"real_timestamp": 1700000000.5}, "step: real_timestamp is 1700000000.5: must be a time such as 2025-07-08T09:30:00Z"),
            ("step", {"real_timestamp": "2025-02-30T00:00:00Z"}, 'is "2025-02-30T00:00:00Z": must be a time such as'),
            ("episode", {"total_reward": None}, "episode: total_reward is missing: must be a number"),
            ("episode", {"epsilon_value": 1.5}, "episode: epsilon_value is 1.5: must be a number from 0 to 1"),
            ("episode", {"memory_size": 1 << 63}, "must be an integer, 0 or more"),
            ("episode", {"mine": "\ud800"}, "must be valid UTF-8"),
            ("episode", {"mine": {"a": "\0"}}, "episode: mine.a is"),
            ("episode", {"mine": object()}, "must be JSON"),
            ("episode", {"mine": 10**400}, "must be a number of double precision"),
            ("episode", {"mine": {1: 1, "1": 2}}, "must be written once"),
            ("episode", {"mine": deep}, "levels of nesting"),
            ("episode", {"non_finite": [1]}, "must be a list of paths"),
            ("checkpoint", {"checkpoint_type": "latest", "model_path": "m"}, 'checkpoint_type is "latest": must be regular, best or final'),
            ("checkpoint", {"checkpoint_type": "best", "model_path": ""}, 'model_path is "": must be text that is not empty'),
            ("validation", {"checkpoint_id": "7"}, 'checkpoint_id is "7": must be a UUID'),
        ]:  # fmt: skip
            base = {"step": {"episode_number": 1, "step_number": 1}, "episode": {"episode_number": 1, "total_reward": 1}}.get(kind, {})
            with self.subTest(words), self.assertRaises(FieldError) as caught:
                encode(kind, {**base, **fields})
            self.assertIn(words, str(caught.exception))
            self.assertLess(len(str(caught.exception)), 250)

    def test_a_list_that_holds_itself(self):
        mine = []
        mine.append(mine)
        with self.assertRaises(FieldError):
            episode(mine=mine)
        with self.assertRaises(ValueError):
            plain(mine)

    def test_every_kind_is_there(self):
        self.assertEqual(set(SCHEMAS), {"baseline", "checkpoint", "end", "episode", "experiment", "heartbeat", "resource", "step", "validation"})
        self.assertEqual(SCHEMAS["step"]["step_number"].max, 2**31 - 1)
        self.assertEqual(SCHEMAS["step"]["action_taken"].min, -math.inf)
