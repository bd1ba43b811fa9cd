"""The benchmarks: what it costs, measured against floors."""
