"""What the integration tests are made of: processes, waiting, the servers, the consumers."""
