"""EventBridge and SQS on one machine."""
