"""The helpers, with small stand-ins that have the interface of the libraries. Debian
has none of them; what is asked of each is written down here."""

import sys
import tempfile
import types
import unittest
from unittest import mock

import greenwave
from greenwave.integrations import gymnasium, stable_baselines3, sumo_rl
from tests.test_run import records


class Array(list):
    """Has tolist, as numpy's arrays."""

    def tolist(self):
        return list(self)


class Wrapper:
    """gymnasium.Wrapper, as far as it is used."""

    def __init__(self, env):
        self.env = env

    @property
    def unwrapped(self):
        return self.env


class Crossing:
    """An environment of three steps."""

    def reset(self, seed=None):
        self.t = 0
        return Array([0.0, 0.0]), {}

    def step(self, action):
        self.t += 1
        return Array([self.t / 10, 1.0]), -float(self.t), False, self.t == 3, {"queue": self.t}


class TestHelpers(unittest.TestCase):
    def setUp(self):
        t = tempfile.TemporaryDirectory()
        self.addCleanup(t.cleanup)
        self.folder = t.name

    def test_nothing_is_imported_before_it_is_used(self):
        for name in ("gymnasium", "stable_baselines3", "sumo_rl", "numpy", "torch"):
            self.assertNotIn(name, sys.modules)
        run = greenwave.start("unused", dir=self.folder)
        with self.assertRaisesRegex(ModuleNotFoundError, "gymnasium"):
            gymnasium.record(Crossing(), run)
        run.finish()

    def test_gymnasium(self):
        library = types.ModuleType("gymnasium")
        library.Wrapper = Wrapper
        with mock.patch.dict(sys.modules, gymnasium=library), greenwave.start("crossing", dir=self.folder) as run:
            env = gymnasium.record(Crossing(), run, measure=lambda env, info: {"queue_length": info["queue"]})
            env.reset(seed=1)
            env.step(0)  # cut off by the next reset: its number is used again
            for _ in range(2):
                env.reset()
                while not env.step(1)[3]:
                    pass
        episodes = records(run.dir, "episode")
        self.assertEqual([e["episode_number"] for e in episodes], [1, 2])
        self.assertEqual(episodes[0]["total_reward"], -6)
        self.assertEqual(episodes[0]["steps_completed"], 3)
        self.assertEqual((episodes[0]["avg_queue_length"], episodes[0]["max_queue_length"]), (2, 3))
        step = records(run.dir, "step")[-1]
        self.assertEqual((step["action_taken"], step["step_number"], step["state_vector"]), (1, 2, [0.3, 1.0]))

    def test_stable_baselines3(self):
        class BaseCallback:
            def learn(self, model, steps):
                self.model, self.locals = model, {}
                self._on_training_start()
                for n, (rewards, dones) in enumerate(steps):
                    self.locals = {"rewards": rewards, "dones": dones, "actions": Array([Array([n]), Array([n])])}
                    assert self._on_step()
                self._on_training_end()

        library = types.ModuleType("stable_baselines3.common.callbacks")
        library.BaseCallback = BaseCallback

        def save(path):
            with open(path, "wb") as f:
                f.write(b"model")

        model = types.SimpleNamespace(
            exploration_rate=0.25, logger=types.SimpleNamespace(name_to_value={"train/loss": 0.5}),
            replay_buffer=types.SimpleNamespace(size=lambda: 40), save=save,
        )  # fmt: skip
        modules = {"stable_baselines3.common.callbacks": library}
        with mock.patch.dict(sys.modules, modules), greenwave.start("sb3", dir=self.folder) as run:
            recorder = stable_baselines3.callback(run, checkpoint_every=2, checkpoint_dir=self.folder + "/models")
            recorder.learn(model, [([1.0, 2.0], [False, True]), ([1.0, 3.0], [True, False])])
        episodes = records(run.dir, "episode")
        self.assertEqual([(e["episode_number"], e["total_reward"]) for e in episodes], [(2, 2.0), (1, 2.0)])
        self.assertEqual((episodes[0]["epsilon_value"], episodes[0]["avg_loss"], episodes[0]["memory_size"]), (0.25, 0.5, 40))
        self.assertEqual(records(run.dir, "step")[-1]["episode_number"], 3)
        self.assertEqual(records(run.dir, "checkpoint")[0]["model_size_mb"], 5e-6)

    def test_sumo_rl(self):
        lanes = {"north_0": (4, 3, 30.0, 2.0), "north_1": (0, 0, 0.0, 13.9), "east_0": (6, 1, 10.0, 5.0)}
        ask = lambda i: lambda lane: lanes[lane][i]  # noqa: E731
        traci = types.SimpleNamespace(
            lane=types.SimpleNamespace(
                getLastStepVehicleNumber=ask(0), getLastStepHaltingNumber=ask(1), getWaitingTime=ask(2), getLastStepMeanSpeed=ask(3)
            ),
            vehicle=types.SimpleNamespace(getIDList=lambda: ["a"] * 12),
            simulation=types.SimpleNamespace(getTime=lambda: 35.0),
        )
        signal = types.SimpleNamespace(lanes=["north_0", "north_0", "north_1", "east_0"], green_phase=2)
        dones = iter([False, True])
        env = types.SimpleNamespace(
            single_agent=False, ts_ids=["A"], traffic_signals={"A": signal}, sumo=traci, reset=lambda: {"A": [0]},
            step=lambda actions: ({}, {"A": -2.0}, {"A": False, "__all__": next(dones)}, {}),
        )  # fmt: skip
        with greenwave.start("sumo", dir=self.folder) as run:
            recorded = sumo_rl.record(env, run)
            recorded.reset()
            recorded.step({"A": 1})
            recorded.step({"A": 0})
            self.assertEqual(recorded.ts_ids, ["A"])
        step = records(run.dir, "step")[0]
        self.assertEqual(step["queue_lengths"], {"A": {"north": 3, "east": 1}})
        self.assertEqual(step["waiting_times"], {"A": 4.0})
        self.assertAlmostEqual(step["speeds"]["A"], 3.6 * (4 * 2.0 + 6 * 5.0) / 10)
        self.assertEqual(step["intersection_metrics"], {"A": {"phase": 2}, "actions": {"A": 1}})
        episode = records(run.dir, "episode")[0]
        self.assertEqual((episode["total_reward"], episode["avg_queue_length"], episode["avg_waiting_time"]), (-4.0, 4, 4.0))
