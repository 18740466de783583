"""Pictures and documents that parties send: promised, uploaded to S3 by the sender, checked, read, and forgotten."""
