"""The contract with Triton and its gRPC client."""
