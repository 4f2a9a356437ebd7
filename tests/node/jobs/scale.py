"""Work for many, then none: what dynamic allocation makes of it, and whether what was shuffled is still right then.

Arguments: how many executors must come, and how many may be left when nothing is to do.
"""

import sys
import threading
import time
from operator import add

from pyspark.sql import SparkSession

PATIENCE_S = 180
RIGHT = [(k, sum(range(k, 60, 5))) for k in range(5)]
most, least = int(sys.argv[1]), int(sys.argv[2])
spark = SparkSession.builder.getOrCreate()
context = spark.sparkContext


def executors():
    # The driver is one of them.
    return context._jsc.sc().getExecutorMemoryStatus().size() - 1


def until(what, true):
    deadline = time.monotonic() + PATIENCE_S
    while not true():
        if time.monotonic() > deadline:
            sys.exit(f"after {PATIENCE_S} s still not: {what}; executors: {executors()}")
        time.sleep(0.1)


def slow(number):
    # As long as there are too few to share the work, there is more of it.
    time.sleep(1)
    return number % 5, number


def compute():
    while not grown.is_set():
        computed.append(sorted(sums.collect()))


# One core each: tasks that wait are what asks for more executors.
computed, grown = [], threading.Event()
sums = context.parallelize(range(60), 30).map(slow).reduceByKey(add, 4)
print(f"executors at first: {executors()}")
working = threading.Thread(target=compute, daemon=True)
working.start()
until(f"{most} executors", lambda: executors() >= most)
print(f"executors at work: {executors()}", flush=True)
grown.set()
working.join()
print(f"right at work: {computed[-1] == RIGHT}")
until(f"{least} executors", lambda: executors() <= least)
print(f"executors at rest: {executors()}", flush=True)
# What executors that are gone had shuffled they handed on, or it is computed again.
print(f"right after rest: {sorted(sums.collect()) == RIGHT}")
spark.stop()
