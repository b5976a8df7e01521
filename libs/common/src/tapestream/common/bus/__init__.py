"""NATS JetStream: connecting, provisioning, publishing and the three ways of reading."""
