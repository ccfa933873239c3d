"""What all tests share: the fixtures of real servers, and that no machine is asked for its identity."""

import os

pytest_plugins = [
    "tests.harness.fixtures",
    "tests.harness.azure_fixtures",
    "tests.harness.kubernetes_fixtures",
    "tests.cluster.e2e_fixtures",
]

# A test that is about it names a stand-in; elsewhere nobody waits for a service that is not there.
os.environ["AWS_EC2_METADATA_DISABLED"] = "true"
