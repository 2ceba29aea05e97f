"""Records a training with Stable-Baselines3.

    model.learn(100_000, callback=greenwave.integrations.stable_baselines3.callback(run))
"""

from __future__ import annotations

import importlib
import os
from typing import Any, Dict, List, Mapping, Optional

from ..run import Run
from .episodes import Episode, Numbers


def callback(
    run: Run,
    *,
    first_episode: Optional[int] = None,
    state: bool = False,
    checkpoint_every: int = 0,
    checkpoint_dir: str = "checkpoints",
) -> Any:
    """A callback for model.learn: logs each step and each episode of each environment,
    with exploration rate, loss and size of the replay memory where the algorithm has
    them. With checkpoint_every it saves and logs the model every so many episodes.

    Steps and episodes of several environments go side by side, each episode under a
    number of its own."""
    callbacks = importlib.import_module("stable_baselines3.common.callbacks")
    numbers = Numbers(run, first_episode)

    class Recorder(callbacks.BaseCallback):  # type: ignore[misc,name-defined]
        def _on_training_start(self) -> None:
            self._episodes: List[Episode] = []
            self._ended = 0

        def _on_step(self) -> bool:
            seen = self.locals
            rewards, dones = seen["rewards"], seen["dones"]
            while len(self._episodes) < len(rewards):
                self._episodes.append(numbers.begin())
            for i, reward in enumerate(rewards):
                observations = seen.get("new_obs") if state else None
                self._episodes[i].step(reward, seen["actions"][i], observations[i] if observations is not None else None)
                if dones[i]:
                    self._episodes[i].end(self._measures())
                    self._ended += 1
                    if checkpoint_every and self._ended % checkpoint_every == 0:
                        self._save(self._episodes[i].number)
                    self._episodes[i] = numbers.begin()
            return True

        def _on_training_end(self) -> None:
            run.flush()

        def _measures(self) -> Dict[str, Any]:
            fields: Dict[str, Any] = {}
            rate = getattr(self.model, "exploration_rate", None)
            if rate is not None:
                fields["epsilon_value"] = rate
            values: Mapping[str, Any] = getattr(getattr(self.model, "logger", None), "name_to_value", None) or {}
            if values.get("train/loss") is not None:
                fields["avg_loss"] = values["train/loss"]
            memory = getattr(self.model, "replay_buffer", None)
            if memory is not None:
                fields["memory_size"] = memory.size()
            return fields

        def _save(self, episode: int) -> None:
            os.makedirs(checkpoint_dir, exist_ok=True)
            path = os.path.join(checkpoint_dir, f"episode-{episode:06d}.zip")
            self.model.save(path)
            run.log_checkpoint(checkpoint_type="regular", model_path=path, episode_number=episode)

    return Recorder()
