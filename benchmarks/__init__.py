"""How fast fastae is: beside its peers (`benchmarks.compare`), and kernel by kernel (``pytest --benchmark-only``)."""
