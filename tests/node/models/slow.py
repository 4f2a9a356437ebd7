"""B = A, once it has loaded: for as many seconds as a file beside it says."""

import json
import pathlib
import time

import triton_python_backend_utils as triton


class TritonPythonModel:
    def initialize(self, args):
        began = time.monotonic()
        (seconds,) = json.loads((pathlib.Path(__file__).parent / "weights.json").read_text())
        time.sleep(seconds)
        print(f"slow: initialized in {time.monotonic() - began:.1f} s", flush=True)

    def execute(self, requests):
        given = [triton.get_input_tensor_by_name(request, "A").as_numpy() for request in requests]
        return [triton.InferenceResponse([triton.Tensor("B", each)]) for each in given]
