"""An imitation of the Spark operator 2.5 for tests: its controller and its webhook, as far as sparkrig meets them.

What it imitates was read in upstream's source and compared with upstream's program (docs/imitations.md). What it does
not do: batch schedulers, monitoring, driver ingresses; it refuses an application that asks for one. Nothing runs a
ScheduledSparkApplication or a SparkConnect.
"""
