"""B = a * A + b, with a and b from a file beside it: what it answers shows which file was there."""

import json
import pathlib

import numpy
import triton_python_backend_utils as triton


class TritonPythonModel:
    def initialize(self, args):
        self.factor, self.offset = json.loads((pathlib.Path(__file__).parent / "weights.json").read_text())

    def execute(self, requests):
        return [self.answer(request) for request in requests]

    def answer(self, request):
        given = triton.get_input_tensor_by_name(request, "A").as_numpy()
        found = (self.factor * given + self.offset).astype(numpy.float32)
        return triton.InferenceResponse([triton.Tensor("B", found)])
