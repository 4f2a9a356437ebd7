"""sparkrig: one command turns a Kubernetes cluster into a working Spark, GPU and ML platform."""

__version__ = "0.1.0"
