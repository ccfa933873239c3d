"""Real servers for tests, benchmarks and the demonstration: built, started, broken and ended here."""
