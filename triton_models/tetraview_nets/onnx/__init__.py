"""Networks as ONNX: which parts a network has, their files, and running them in the network's place."""
