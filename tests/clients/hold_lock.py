# Holds the write lock of a SQLite file until a line comes on standard input: a store that is stuck, from the hub's point of view.
#   hold_lock.py FILE
import sqlite3
import sys

store = sqlite3.connect(sys.argv[1], timeout=30, isolation_level=None)
store.execute("BEGIN IMMEDIATE")
print("held", flush=True)
sys.stdin.readline()
store.execute("ROLLBACK")
print("released", flush=True)
