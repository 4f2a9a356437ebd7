"""Computes until an executor was lost and another one has come, and says whether every result was right.

What was shuffled before is asked for again behind the loss.
"""

import sys
import time
from operator import add

from pyspark.sql import SparkSession

PATIENCE_S = 200
spark = SparkSession.builder.getOrCreate()
context = spark.sparkContext


def executors():
    listed = context._jsc.sc().statusTracker().getExecutorInfos()
    return {f"{one.host()}:{one.port()}" for one in listed}


def slow(number):
    time.sleep(0.4)
    return number % 3, number


def by_rest(numbers):
    return [(k, sum(range(k, numbers, 3))) for k in range(3)]


shuffled = context.parallelize(range(90), 12).map(lambda n: (n % 3, n)).reduceByKey(add, 4)
wrong = sum(sorted(shuffled.collect()) != by_rest(90) for _ in range(2))
seen, batches, deadline = executors(), 0, time.monotonic() + PATIENCE_S
# The driver is one of them: two executors, and the one that comes for the lost one.
while len(seen) < 4 and time.monotonic() < deadline:
    print(f"batch {batches}", flush=True)
    wrong += sorted(context.parallelize(range(30), 10).map(slow).reduceByKey(add, 4).collect()) != by_rest(30)
    seen |= executors()
    batches += 1
wrong += sorted(shuffled.collect()) != by_rest(90)
print(f"executors seen: {len(seen) - 1}; batches: {batches}; wrong results: {wrong}")
spark.stop()
sys.exit(1 if wrong or len(seen) < 4 else 0)
