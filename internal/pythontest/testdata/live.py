"""The guide's snippets, logging one episode for each line of standard input."""

import asyncio
import sys
import time

from database_integration import ProductionLoggerWithDB


async def main():
    logger = ProductionLoggerWithDB(experiment_name="production_run", enable_db=False, log_interval=10)
    await logger.initialize({"learning_rate": 0.001})
    for line in sys.stdin:
        number = int(line)
        for step in range(10):
            await logger.log_step({"episode_number": number, "step_number": step, "active_vehicles": 200})
        await logger.log_episode({"episode_number": number, "total_reward": 164.67, "avg_loss": 0.007})
        print(number, time.time_ns(), flush=True)
    await logger.close()


asyncio.run(main())
