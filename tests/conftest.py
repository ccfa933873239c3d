"""What all tests share: the fixtures of real servers."""

pytest_plugins = ["tests.harness.fixtures"]
