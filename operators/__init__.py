"""What happens to a record: pure functions, stateful logic, kernels; no I/O."""
