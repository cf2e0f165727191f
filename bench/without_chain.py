"""See `bench.gate_only`."""

from bench.gate_only import run

if __name__ == "__main__":
    run(business=True)
