"""Adds two vectors. Shows that the server loads a model and computes; needs no GPU."""

import triton_python_backend_utils as triton


class TritonPythonModel:
    """What the Python backend looks for by this name."""

    def execute(self, requests):
        """One response for each request, in their order."""
        return [self.add(request) for request in requests]

    @staticmethod
    def add(request):
        """A + B; an error for vectors of different lengths, which numpy would stretch or refuse."""
        a, b = (triton.get_input_tensor_by_name(request, name).as_numpy() for name in ("A", "B"))
        if a.shape != b.shape:
            error = triton.TritonError(f"A has the shape {a.shape}, B has {b.shape}: they must be the same")
            return triton.InferenceResponse(error=error)
        return triton.InferenceResponse([triton.Tensor("C", a + b)])
