"""Records what sumo-rl's SumoEnvironment simulates, with queues, waiting times and
speeds per intersection and approach.

    env = greenwave.integrations.sumo_rl.record(SumoEnvironment(...), run)

With one agent it is a Gymnasium environment that is wrapped as such; with several it is
a thin object that passes everything else through.
"""

from __future__ import annotations

from typing import Any, Dict, Mapping, Optional

from ..run import Run
from . import gymnasium
from .episodes import Episode, Numbers


def measure(env: Any, info: Optional[Mapping[str, Any]] = None) -> Dict[str, Any]:
    """The fields of a step, asked from the running simulation: halting vehicles per
    approach (the incoming edge), mean waiting time in seconds and mean speed in km/h
    per intersection, and both over all intersections."""
    env = getattr(env, "unwrapped", env)
    lane, queues, waiting, speeds, metrics = env.sumo.lane, {}, {}, {}, {}
    halting = 0
    all_wait = all_speed = 0.0
    seen = 0
    for name in env.ts_ids:
        signal = env.traffic_signals[name]
        approaches: Dict[str, int] = {}
        vehicles, wait, speed = 0, 0.0, 0.0
        for id_ in dict.fromkeys(signal.lanes):
            n = lane.getLastStepVehicleNumber(id_)
            edge = id_.rpartition("_")[0]
            stopped = lane.getLastStepHaltingNumber(id_)
            approaches[edge] = approaches.get(edge, 0) + stopped
            vehicles += n
            wait += lane.getWaitingTime(id_)
            speed += 3.6 * n * lane.getLastStepMeanSpeed(id_)  # an empty lane says its limit
        queues[name] = approaches
        waiting[name] = wait / vehicles if vehicles else 0.0
        speeds[name] = speed / vehicles if vehicles else None
        metrics[name] = {"phase": signal.green_phase} if hasattr(signal, "green_phase") else {}
        halting += sum(approaches.values())
        all_wait, all_speed, seen = all_wait + wait, all_speed + speed, seen + vehicles
    return {
        "queue_lengths": queues, "waiting_times": waiting, "speeds": speeds, "intersection_metrics": metrics,
        "active_vehicles": len(env.sumo.vehicle.getIDList()), "simulation_time": env.sumo.simulation.getTime(),
        "queue_length": halting, "avg_waiting_time": all_wait / seen if seen else 0.0,
        "avg_speed": all_speed / seen if seen else None,
    }  # fmt: skip


def record(env: Any, run: Run, *, first_episode: Optional[int] = None, state: bool = True) -> Any:
    """The environment, with each step and each episode logged."""
    if getattr(env, "single_agent", True):
        return gymnasium.record(env, run, first_episode=first_episode, measure=measure, state=state)
    return _Several(env, run, first_episode)


class _Several:
    """A SumoEnvironment with several agents: step returns (observations, rewards,
    dones, info), the first three by agent."""

    def __init__(self, env: Any, run: Run, first_episode: Optional[int]) -> None:
        self.env = env
        self._numbers = Numbers(run, first_episode)
        self._episode: Optional[Episode] = None

    def __getattr__(self, name: str) -> Any:
        return getattr(self.env, name)

    def reset(self, *args: Any, **kwargs: Any) -> Any:
        begun = self.env.reset(*args, **kwargs)
        cut_off: Optional[Episode] = self._episode
        self._episode = Episode(cut_off.run, cut_off.number) if cut_off is not None else self._numbers.begin()
        return begun

    def step(self, actions: Any) -> Any:
        result = self.env.step(actions)
        _, rewards, dones, info = result
        if self._episode is not None:
            self._episode.step(rewards, actions or None, None, measure(self.env, info))
            if dones["__all__"]:
                episode, self._episode = self._episode, None
                episode.end()
        return result
