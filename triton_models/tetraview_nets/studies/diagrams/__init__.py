"""Block diagrams of the networks that Triton serves, drawn from the numbers of a preset."""
