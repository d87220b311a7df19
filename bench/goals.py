"""How many times as good MiniDB means to be: the ratios that a slow-down is noticed by."""

from __future__ import annotations

from typing import Final

GOALS: Final[dict[str, dict[str, float]]] = {
    "bulk_insert": {"sqlite3": 1.5, "limit": 0.80},
    "add_index": {"sqlite3": 0.8, "limit": 1.0},
    "point_read": {"sqlite3": 2.5, "limit": 0.55},
    "point_read_in_transaction": {"sqlite3": 1.8, "limit": 0.60},
    "query_equal": {"sqlite3": 1.3, "limit": 0.80},
    "query_range": {"sqlite3": 1.4, "limit": 0.80},
    "covering_equal": {"sqlite3": 2.5},
    "covering_range": {"sqlite3": 2.5},
    "update_each": {"sqlite3": 1.6, "limit": 0.85},
    "scan": {"sqlite3": 1.9, "limit": 0.70},
    "processes_read_4": {"sqlite3": 2.5, "limit": 0.50},
    "backup": {"sqlite3": 2.0, "limit": 0.80},
    "open_read": {"sqlite3": 0.8},
    "disk_size": {"sqlite3": 0.83},
    "import_time": {"limit": 0.55},
    "ycsb_a": {"sqlite3": 0.9},
    "ycsb_b": {"sqlite3": 2.0},
    "ycsb_c": {"sqlite3": 2.5},
    "ycsb_d": {"sqlite3": 2.0},
    "ycsb_e": {"sqlite3": 1.3},
    "ycsb_f": {"sqlite3": 0.9},
}
"""By workload and rival. Of sizes and times, too, more is better here: 0.83 is a size of 1.2 times the rival's."""
