"""The module that the guide imports from; see greenwave.compat."""

from greenwave.compat import DatabaseManager, ProductionLogger, ProductionLoggerWithDB

__all__ = ["DatabaseManager", "ProductionLogger", "ProductionLoggerWithDB"]
