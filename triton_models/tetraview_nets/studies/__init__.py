"""Research apart from the product: the papers' claims, ablations, benchmarks and diagrams."""
