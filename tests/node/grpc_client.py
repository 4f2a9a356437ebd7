"""Runs in a pod: asks a model over gRPC with NVIDIA's client, and prints JSON. Usage: ADDRESS HOST MODEL NUMBER...

Each input of the model is the same vector. HOST is the name that the server is asked under.
"""

import json
import sys

import numpy
import tritonclient.grpc as grpc
from tritonclient.utils import InferenceServerException


def refusal(call) -> str:
    """What the server says to a call that it must refuse."""
    try:
        call()
    except InferenceServerException as error:
        return f"[{error.status()}] {error.message()}"
    return "accepted"


address, host, model, *numbers = sys.argv[1:]
client = grpc.InferenceServerClient(address, channel_args=[("grpc.default_authority", host)])
data = numpy.array([float(n) for n in numbers], dtype=numpy.float32)
about = client.get_model_metadata(model)
tensors = [grpc.InferInput(each.name, data.shape, "FP32") for each in about.inputs]
for tensor in tensors:
    tensor.set_data_from_numpy(data)
(name,) = (output.name for output in about.outputs)
result = client.infer(model, tensors, client_timeout=60)
print(
    json.dumps(
        {
            "live": client.is_server_live(),
            "ready": client.is_model_ready(model),
            "output": result.as_numpy(name).tolist(),
            "refused": refusal(lambda: client.infer(model, [], client_timeout=60)),
            "unknown": refusal(lambda: client.infer("no-such-model", tensors, client_timeout=60)),
        }
    )
)
